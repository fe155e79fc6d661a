"""Clips and played bars that come in several messages: begin, notes and parts in any order, end. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import RequestError
from bridge.osc.packet import Atom
from bridge.osc.requests import Call
from bridge.osc.table import LIVE_BAR
from bridge.playing.slots import MAX_NOTES, Slots, check_notes, checked_clip
from bridge.service import busy
from bridge.service.multipart import Kind, OnSent, UnfinishedError, put_in_place
from bridge.service.tickets import Ticket, Tickets
from engine.clip import Clip, Note, Part
from engine.errors import EngineError

MAX_PARTS = 64
END = "clip/end"


HearBar = Callable[[int, Clip, float], int]
"""Takes a bar that a client has played, by its number; as which bar it is heard. RequestError if it cannot be."""


def uploads(slots: Slots, tickets: Tickets, hear_bar: HearBar) -> Kind:
    """Uploads, whose clips go into the slots, and bars, which go to hear_bar; a new begin starts over."""

    def keep(begun: Call, clip: Clip, ticket: Ticket, now: float) -> Mapping[str, Atom]:
        if begun.verb.name == LIVE_BAR:
            return {"bar": hear_bar(begun.values["n"], clip, now), "notes": len(clip.notes)}
        slots.put(begun.values["slot"], clip, ticket.client.address)
        return {"slot": begun.values["slot"], "notes": len(clip.notes)}

    def begin(call: Call, _: object) -> Upload:
        total = call.values["total"]
        if total < 0:
            raise RequestError("bad_request", f"total must be in 0..{MAX_NOTES}, not {total}")
        check_notes(total)
        checked_clip((), call.values["beats"], call.values)
        return Upload(call, [None] * total, keep, tickets)

    return Kind("upload", begin, busy.UPLOADS, END)


@dataclass(slots=True)
class Upload:
    """A clip on its way; notes are None until they have come."""

    begun: Call
    notes: list[Note | None]
    keep: Callable[[Call, Clip, Ticket, float], Mapping[str, Atom]]
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
        """Keep the whole clip in its slot, or hear the whole bar."""
        notes = tuple(note for note in self.notes if note is not None)
        parts = tuple(self.parts[index] for index in sorted(self.parts))
        clip = checked_clip(notes, self.begun.values["beats"], self.begun.values, parts)
        self.tickets.done(ticket, now, self.keep(self.begun, clip, ticket, now), on_sent=on_sent)

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
