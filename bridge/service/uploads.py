"""Clips that come in several messages: begin, notes and parts in any order, end. One id, one answer.

Pure: time is a number that is passed in.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bridge.addresses import Address, shown_address
from bridge.errors import RequestError
from bridge.osc.clients import Client
from bridge.osc.outbox import Parcel
from bridge.osc.packet import Atom
from bridge.osc.replies import format_fail
from bridge.osc.requests import Call
from bridge.playing.slots import MAX_NOTES, Slots, checked_clip
from bridge.service.fair_turns import gives_way
from bridge.service.recent import Recent
from bridge.service.tickets import Ticket, Tickets
from engine.clip import Clip, Note, Part
from engine.errors import EngineError

logger = logging.getLogger(__name__)

MAX_UPLOADS = 64
MAX_PARTS = 64
UPLOAD_SECONDS = 5.0

Key = tuple[Address, int]
"""An upload's client and id."""


@dataclass(slots=True)
class Upload:
    """A clip on its way; notes are None until they have come."""

    ticket: Ticket
    slot: str
    beats: float
    meter: dict[str, Any]
    notes: list[Note | None]
    expires: float
    parts: dict[int, Part] = field(default_factory=dict)

    def add(self, first: int, notes: tuple[Note, ...], now: float) -> None:
        """Put a chunk in its place; a doubled one is harmless."""
        if first < 0 or first + len(notes) > len(self.notes):
            total = len(self.notes)
            raise RequestError("bad_request", f"notes {first}..{first + len(notes) - 1} are not among the {total}")
        self.notes[first : first + len(notes)] = notes
        self.expires = now + UPLOAD_SECONDS

    def add_part(self, index: int, part: Part, now: float) -> None:
        """Say which notes are one instrument's."""
        if not 0 <= index < MAX_PARTS:
            raise RequestError("bad_request", f"part must be in 0..{MAX_PARTS - 1}, not {index}")
        self.parts[index] = part
        self.expires = now + UPLOAD_SECONDS

    def missing(self) -> str:
        """Which notes are missing, in a sentence; empty when all have come."""
        missing = [index for index, note in enumerate(self.notes) if note is None]
        if not missing:
            return ""
        are = "notes are" if len(missing) > 1 else "note is"
        return f"{len(missing)} of {len(self.notes)} {are} missing, the first is {missing[0]}"

    def clip(self) -> Clip:
        """The whole clip, once nothing is missing."""
        notes = tuple(note for note in self.notes if note is not None)
        return checked_clip(notes, self.beats, self.meter, tuple(self.parts[i] for i in sorted(self.parts)))


@dataclass(slots=True)
class _Ended:
    """An upload that has been answered. end_came: whether its end has, so that another end asks for the answer."""

    datagrams: list[bytes]
    end_came: bool


class Uploads:
    """The uploads under way, and the ones that ended lately."""

    begins = "clip/begin"

    def __init__(self, tickets: Tickets, slots: Slots):
        self._tickets, self._slots = tickets, slots
        self._open: dict[Key, Upload] = {}
        self._ended: Recent[Key, _Ended] = Recent()

    def handle(self, call: Call, client: Client, now: float) -> bool:
        """Take one of the four messages; False if it belongs to no upload, which is for the caller to count."""
        key = (client.address, call.id)
        if call.verb.name == self.begins:
            self._begin(key, call, client, now)
        elif key in self._open:
            self._go_on(key, call, now)
        elif call.verb.name == "clip/end":
            self._end_again(key, call, client, now)
        else:
            return key in self._ended
        return True

    def fail(self, client: Client, number: int, verb: str, error: RequestError, now: float) -> bool:
        """Fail the upload to which an unreadable message belongs; False if there is none."""
        key = (client.address, number)
        if key in self._open:
            self._fail(key, error, now)
            return True
        return key in self._ended and verb != self.begins

    def forget(self, ticket: Ticket) -> None:
        """Close the upload of a ticket that was cancelled."""
        self._open = {key: upload for key, upload in self._open.items() if upload.ticket is not ticket}

    def expire(self, now: float) -> None:
        """End the uploads whose last message came over 5 s ago."""
        for key, upload in list(self._open.items()):
            if upload.expires <= now:
                self._fail(key, RequestError("timeout", f"no notes came for {UPLOAD_SECONDS:g} s"), now)
        self._ended.expire(now)

    def next_expiry(self) -> float:
        """When the next upload times out, inf if none can."""
        return min((upload.expires for upload in self._open.values()), default=float("inf"))

    def _begin(self, key: Key, call: Call, client: Client, now: float) -> None:
        """Open an upload; too_big above 4,096 notes, busy above 64 uploads. A new begin replaces an open one."""
        replaced = self._open.pop(key, None)
        self._ended.forget(key)
        ticket = replaced.ticket if replaced and not replaced.ticket.ended else None
        ticket = ticket or self._tickets.open(client, call.id, call.verb.answer, None, now)
        assert ticket is not None
        try:
            self._open[key] = self._new_upload(ticket, call.values, now)
        except RequestError as error:
            self._tickets.fail(ticket, error.code, str(error), now)
            told = [format_fail(call.id, "clip", error.code, str(error))]
            self._ended.put(key, _Ended(told, end_came=False), now)

    def _new_upload(self, ticket: Ticket, values: dict[str, Any], now: float) -> Upload:
        total = values["total"]
        if total < 0:
            raise RequestError("bad_request", f"total must be in 0..{MAX_NOTES}, not {total}")
        if total > MAX_NOTES:
            raise RequestError("too_big", f"a clip may have {MAX_NOTES} notes, not {total}")
        checked_clip((), values["beats"], values)
        self._make_room(ticket.client.address, now)
        return Upload(ticket, values["slot"], values["beats"], values, [None] * total, now + UPLOAD_SECONDS)

    def _make_room(self, newcomer: Address, now: float) -> None:
        """Make room for a new upload: where 64 are under way, the newest of a client that has most is ended."""
        if len(self._open) < MAX_UPLOADS:
            return
        busy = RequestError("busy", f"{MAX_UPLOADS} uploads are under way; end one first")
        loser = gives_way(Counter(client for client, _ in self._open), newcomer)
        if loser is None:
            raise busy
        self._fail(next(key for key in reversed(self._open) if key[0] == loser), busy, now)

    def _go_on(self, key: Key, call: Call, now: float) -> None:
        upload, values = self._open[key], call.values
        try:
            if call.verb.name == "clip/notes":
                upload.add(values["first"], call.notes, now)
            elif call.verb.name == "clip/part":
                upload.add_part(values["part"], _part(values), now)
            else:
                self._end(key, call, upload, now)
        except RequestError as error:
            self._fail(key, error, now)

    def _end(self, key: Key, call: Call, upload: Upload, now: float) -> None:
        """Done with the whole clip; while notes are missing, fail and keep what there is."""
        if missing := upload.missing():
            self._tickets.fail(upload.ticket, "bad_request", missing, now)
            upload.expires = now + UPLOAD_SECONDS
            return
        if upload.ticket.ended:  # a failed end before this one
            again = self._tickets.open(upload.ticket.client, call.id, call.verb.answer, None, now)
            assert again is not None
            upload.ticket = again
        clip = upload.clip()
        self._slots.put(upload.slot, clip, key[0])
        del self._open[key]
        ended = _Ended([], end_came=True)
        self._ended.put(key, ended, now)
        keys: dict[str, Atom] = {"slot": upload.slot, "notes": len(clip.notes)}
        self._tickets.done(upload.ticket, now, keys, on_sent=ended.datagrams.append)

    def _end_again(self, key: Key, call: Call, client: Client, now: float) -> None:
        """An end without an open upload: a repeat is answered from memory."""
        ended = self._ended.get(key)
        if ended is None:
            ticket = self._tickets.open(client, call.id, call.verb.answer, None, now)
            assert ticket is not None
            self._tickets.fail(ticket, "bad_request", "no upload with this id is open: its begin is missing", now)
            return
        if ended.end_came:
            for datagram in ended.datagrams:
                self._tickets.outbox.put(Parcel(datagram, client.address, 0))
        ended.end_came = True

    def _fail(self, key: Key, error: RequestError, now: float) -> None:
        """Fail an upload; without another answer if it was already answered with which notes are missing."""
        upload = self._open.pop(key)
        told = upload.ticket.ended  # then there was an answer: a later end gets one, this failure none
        answer = [format_fail(key[1], "clip", error.code, str(error))]
        self._ended.put(key, _Ended(answer, end_came=told), now)
        if told:
            logger.info("an upload of %s was given up", shown_address(*key[0]))
        self._tickets.fail(upload.ticket, error.code, str(error), now)


def _part(values: dict[str, Any]) -> Part:
    try:
        return Part(values["name"], values["channel"], values["program"], values["first"], values["count"])
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error
