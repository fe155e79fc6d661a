"""Points of the latent space that come in several messages: what is asked about one, then its numbers. Pure."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.errors import RequestError
from bridge.osc.requests import Call
from bridge.osc.table import MAX_LATENT
from bridge.service import busy
from bridge.service.multipart import Collected, Kind, OnSent, put_in_place
from bridge.service.tickets import Ticket, Tickets

OnWhole = Callable[[Call, Ticket, float], None]
"""Takes a request with all of its numbers; RequestError if it cannot be done."""


def points(tickets: Tickets, on_whole: OnWhole) -> Kind:
    """Points, whose requests go to the engine when they are whole; the same begin once more goes on."""

    def begin(call: Call, before: Collected | None) -> Point:
        if isinstance(before, Point) and before.begun == call:
            return before
        size = call.values["size"]
        if not 1 <= size <= MAX_LATENT:
            raise RequestError("bad_request", f"size must be in 1..{MAX_LATENT}, not {size}")
        return Point(call, [None] * size, tickets, on_whole)

    return Kind("point", begin, busy.POINTS)


@dataclass(slots=True)
class Point:
    """A request about a point that waits for its numbers; they are None until they have come."""

    begun: Call
    numbers: list[float | None]
    tickets: Tickets
    on_whole: OnWhole

    def add(self, call: Call) -> bool:
        """Put numbers in their place, in any order; the one that was missing is the last."""
        put_in_place(self.numbers, call.values["first"], call.numbers, "the numbers")
        return None not in self.numbers

    def late(self) -> str:
        """How many have not come."""
        return f"{self.numbers.count(None)} of {len(self.numbers)} numbers have not come"

    def finish(self, ticket: Ticket, now: float, on_sent: OnSent) -> None:
        """Ask the engine about the whole point, unless the same was asked under this id."""
        whole = replace(self.begun, numbers=tuple(number for number in self.numbers if number is not None))
        if self.tickets.recognise(ticket, _repeat_key(whole), now):
            self.on_whole(whole, ticket, now)


def _repeat_key(whole: Call) -> bytes:
    """What a repeat has in common with a whole request: its arguments and all of its numbers, id included."""
    asked = f"{whole.verb.name} {whole.id} {sorted(whole.values.items())!r}".encode()
    return asked + struct.pack(f">{len(whole.numbers)}d", *whole.numbers)
