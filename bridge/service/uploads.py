"""Clips that come in several messages: begin, notes and parts in any order, end. Pure."""

from dataclasses import dataclass, field
from typing import Any

from bridge.errors import RequestError
from bridge.osc.requests import Call
from bridge.playing.slots import MAX_NOTES, Slots, check_notes, checked_clip
from bridge.service import busy
from bridge.service.multipart import Kind, OnSent, UnfinishedError, put_in_place
from bridge.service.tickets import Ticket, Tickets
from engine.clip import Note, Part
from engine.errors import EngineError

MAX_PARTS = 64
END = "clip/end"


def uploads(slots: Slots, tickets: Tickets) -> Kind:
    """Uploads, whose clips go into the slots; a new begin starts over."""

    def begin(call: Call, _: object) -> Upload:
        total = call.values["total"]
        if total < 0:
            raise RequestError("bad_request", f"total must be in 0..{MAX_NOTES}, not {total}")
        check_notes(total)
        checked_clip((), call.values["beats"], call.values)
        return Upload(call, [None] * total, slots, tickets)

    return Kind("upload", begin, busy.UPLOADS, END)


@dataclass(slots=True)
class Upload:
    """A clip on its way; notes are None until they have come."""

    begun: Call
    notes: list[Note | None]
    slots: Slots
    tickets: Tickets
    parts: dict[int, Part] = field(default_factory=dict)

    def add(self, call: Call) -> bool:
        """Put notes or a part in their place, a doubled one is harmless; the end is the last."""
        if call.verb.notes:
            put_in_place(self.notes, call.values["first"], call.notes, "notes")
        elif call.verb.name != END:
            self._add_part(call.values["part"], call.values)
        elif None in self.notes:
            raise UnfinishedError("bad_request", self._missing())
        return call.verb.name == END

    def late(self) -> str:
        """What has not come."""
        return "no notes came"

    def finish(self, ticket: Ticket, now: float, on_sent: OnSent) -> None:
        """Keep the whole clip in its slot."""
        notes = tuple(note for note in self.notes if note is not None)
        slot, values = self.begun.values["slot"], self.begun.values
        parts = tuple(self.parts[index] for index in sorted(self.parts))
        self.slots.put(slot, checked_clip(notes, values["beats"], values, parts), ticket.client.address)
        self.tickets.done(ticket, now, {"slot": slot, "notes": len(notes)}, on_sent=on_sent)

    def _add_part(self, index: int, values: dict[str, Any]) -> None:
        try:
            part = Part(values["name"], values["channel"], values["program"], values["first"], values["count"])
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error
        if not 0 <= index < MAX_PARTS:
            raise RequestError("bad_request", f"part must be in 0..{MAX_PARTS - 1}, not {index}")
        self.parts[index] = part

    def _missing(self) -> str:
        missing = [index for index, note in enumerate(self.notes) if note is None]
        are = "notes are" if len(missing) > 1 else "notes is"
        return f"{len(missing)} of {len(self.notes)} {are} missing, the first is {missing[0]}"
