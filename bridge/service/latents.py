"""Points of the latent space that come in several messages: decode, then its numbers in any order. One answer.

Pure: time is a number that is passed in.
"""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.addresses import Address
from bridge.errors import RequestError
from bridge.osc.clients import Client
from bridge.osc.requests import Call
from bridge.osc.table import MAX_LATENT
from bridge.service.fair_turns import gives_way
from bridge.service.recent import Recent
from bridge.service.tickets import Ticket, Tickets

MAX_OPEN = 64
CHUNK_SECONDS = 5.0

Key = tuple[Address, int]
"""A client and the id of its decode."""

OnWhole = Callable[[Call, Ticket, float], None]
"""Takes a decode with all of its numbers; RequestError if it cannot be done."""


@dataclass(slots=True)
class Point:
    """A decode that waits for its numbers; they are None until they have come."""

    call: Call
    ticket: Ticket
    numbers: list[float | None]
    expires: float


class Latents:
    """The decodes whose numbers are on their way, and those that ended lately, whose numbers may still come."""

    begins = "decode"

    def __init__(self, tickets: Tickets, on_whole: OnWhole):
        self._tickets, self._on_whole = tickets, on_whole
        self._open: dict[Key, Point] = {}
        self._ended: Recent[Key, None] = Recent()

    def handle(self, call: Call, client: Client, now: float) -> bool:
        """Take one of the two messages; False if it belongs to no decode, which is for the caller to count."""
        key = (client.address, call.id)
        if call.verb.name == self.begins:
            self._begin(key, call, client, now)
        elif key in self._open:
            self._go_on(key, call, now)
        else:
            return key in self._ended
        return True

    def fail(self, client: Client, number: int, verb: str, error: RequestError, now: float) -> bool:
        """Fail the decode to which an unreadable message belongs; False if there is none."""
        key = (client.address, number)
        if key in self._open:
            self._fail(key, error, now)
            return True
        return key in self._ended and verb != self.begins

    def forget(self, ticket: Ticket) -> None:
        """A decode has been cancelled: its numbers are not waited for."""
        self._open = {key: point for key, point in self._open.items() if point.ticket is not ticket}

    def expire(self, now: float) -> None:
        """End the decodes whose last message came over 5 s ago."""
        for key, point in list(self._open.items()):
            if point.expires <= now:
                missing = point.numbers.count(None)
                text = f"{missing} of {len(point.numbers)} numbers have not come for {CHUNK_SECONDS:g} s"
                self._fail(key, RequestError("timeout", text), now)
        self._ended.expire(now)

    def next_expiry(self) -> float:
        """When the next decode times out, inf if none can."""
        return min((point.expires for point in self._open.values()), default=float("inf"))

    def _begin(self, key: Key, call: Call, client: Client, now: float) -> None:
        """Wait for the numbers; a new decode replaces one that waits, the same one goes on."""
        replaced = self._open.pop(key, None)
        if replaced is not None and replaced.call == call:
            self._open[key] = replace(replaced, expires=now + CHUNK_SECONDS)
            return
        self._ended.forget(key)
        ticket = replaced.ticket if replaced else self._tickets.open(client, call.id, call.verb.answer, None, now)
        assert ticket is not None
        size = call.values["size"]
        self._open[key] = Point(call, ticket, [None] * min(max(size, 0), MAX_LATENT), now + CHUNK_SECONDS)
        if not 1 <= size <= MAX_LATENT:
            self._fail(key, RequestError("bad_request", f"size must be in 1..{MAX_LATENT}, not {size}"), now)
        elif len(self._open) > MAX_OPEN:
            held = Counter(each[0] for each in self._open if each != key)
            loser = gives_way(held, client.address) or client.address
            leaves = next(each for each in reversed(self._open) if each[0] == loser)
            self._fail(leaves, RequestError("busy", f"{MAX_OPEN} decodes wait for their numbers"), now)

    def _go_on(self, key: Key, call: Call, now: float) -> None:
        """Store a chunk of numbers; with the last one missing the decode begins."""
        point, first, last = self._open[key], call.values["first"], call.values["first"] + len(call.numbers)
        if first < 0 or last > len(point.numbers):
            text = f"the numbers {first}..{last - 1} are not among the {len(point.numbers)}"
            self._fail(key, RequestError("bad_request", text), now)
            return
        point.numbers[first:last] = call.numbers
        point.expires = now + CHUNK_SECONDS
        if None not in point.numbers:
            self._end(key, now)

    def _end(self, key: Key, now: float) -> None:
        """Decode the whole point, unless it repeats a decode with the same id."""
        point = self._open[key]
        whole = replace(point.call, numbers=tuple(number for number in point.numbers if number is not None))
        if not self._tickets.recognise(point.ticket, _content(whole), now):
            self._close(key, now)
            return
        try:
            self._on_whole(whole, point.ticket, now)
        except RequestError as error:
            self._fail(key, error, now)
        else:
            self._close(key, now)

    def _fail(self, key: Key, error: RequestError, now: float) -> None:
        self._tickets.fail(self._open[key].ticket, error.code, str(error), now)
        self._close(key, now)

    def _close(self, key: Key, now: float) -> None:
        del self._open[key]
        self._ended.put(key, None, now)


def _content(whole: Call) -> bytes:
    """The deduplication key of a whole decode: its arguments and all of its numbers, id included."""
    asked = f"{whole.verb.name} {whole.id} {sorted(whole.values.items())!r}".encode()
    return asked + struct.pack(f">{len(whole.numbers)}d", *whole.numbers)
