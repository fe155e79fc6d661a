"""The verbs on slots: put a small clip in, get it back, list, clear. Pure."""

from bridge.errors import RequestError
from bridge.feels import Feels
from bridge.osc.replies import count_clip, format_clip, format_message
from bridge.osc.requests import Call
from bridge.playing.slots import Slots, checked_clip
from bridge.service.session_verbs import Handler
from bridge.service.tickets import Ticket, Tickets


class SlotVerbs:
    """Answers from the slots; asks nobody."""

    def __init__(self, slots: Slots, tickets: Tickets, feels: Feels):
        self._slots, self._tickets, self._feels = slots, tickets, feels

    def handlers(self) -> dict[str, Handler]:
        """The verbs by name."""
        return {
            "clip": self._clip,
            "clip/get": self._get,
            "clip/list": self._list,
            "clip/clear": self._clear,
            "feel_save": self._save_feel,
        }

    def _clip(self, call: Call, ticket: Ticket, now: float) -> None:
        clip = checked_clip(call.notes, call.values["beats"], call.values)
        self._slots.put(call.values["slot"], clip, ticket.client.address)
        self._tickets.done(ticket, now, {"slot": call.values["slot"], "notes": len(clip.notes)})

    def _get(self, call: Call, ticket: Ticket, now: float) -> None:
        clip = self._slots[call.values["slot"]]
        first, count = call.values.get("first", 0), call.values.get("count", len(clip.notes))
        if first < 0 or count < 0:
            raise RequestError("bad_request", "first and count must be 0 or more")
        datagrams = format_clip(ticket.id, 0, clip, first, count)
        self._tickets.send(ticket, datagrams, count_clip(len(clip.notes), len(clip.parts), first, count))
        meter = {"meter": clip.meter} if clip.beat_unit != 4 else {}
        self._tickets.done(ticket, now, {"slot": call.values["slot"], "notes": len(clip.notes), **meter})

    def _list(self, call: Call, ticket: Ticket, now: float) -> None:
        clips = self._slots.items()
        rows = ((name, len(clip.notes), float(clip.length_beats)) for name, clip in clips)
        self._tickets.send(ticket, (format_message("clip/slot", ticket.id, *row) for row in rows), len(clips))
        self._tickets.done(ticket, now, {"count": len(clips)})

    def _clear(self, call: Call, ticket: Ticket, now: float) -> None:
        self._slots.clear(call.values["slot"])
        self._tickets.done(ticket, now, {"slot": call.values["slot"]})

    def _save_feel(self, call: Call, ticket: Ticket, now: float) -> None:
        name, slot = call.values["name"], call.values["slot"]
        self._feels.save(name, self._slots[slot])
        self._tickets.done(ticket, now, {"name": name, "slot": slot})
