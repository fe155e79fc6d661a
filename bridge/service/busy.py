"""When a request fails busy: how many places there are, who gives one up, and what the other is told. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable

from bridge.addresses import Address
from bridge.errors import RequestError
from bridge.osc.outbox import MAX_MUSIC

MAX_WAITING = 256
"""Requests that wait for the models."""

MAX_OPEN = 64
"""Requests of several messages that are under way, of each kind."""

MAX_SYNCS = 64
"""Of one client."""

MAX_SUBSCRIBERS = 64
"""Clients that are told of one topic."""

WARMING_UP = "warming up, {} s"
WAITING = f"{MAX_WAITING} requests are waiting already"
OTHERS_TURN = f"{MAX_WAITING} requests are waiting, and it is another client's turn"
UPLOADS = f"{MAX_OPEN} uploads are under way; end one first"
POINTS = f"{MAX_OPEN} decodes wait for their numbers"
SYNCS = f"{MAX_SYNCS} syncs are waiting already"
SUBSCRIBERS = f"{MAX_SUBSCRIBERS} clients are told already"
UNSENT = f"up to {MAX_MUSIC} datagrams may wait for a client; ask again when some have come"


class BusyError(RequestError):
    """A request that fails busy, with one of these sentences."""

    def __init__(self, text: str):
        super().__init__("busy", text)


def _long_ago(_: Address) -> int:
    return 0


def gives_way(
    places: Iterable[Address], newcomer: Address, served: Callable[[Address], int] = _long_ago
) -> Address | None:
    """The client that gives a place to a newcomer, None if nobody does. places are the clients that have one each.

    It is the one that has most, if those are two more than the newcomer's. Where it has but one more, it is the one
    of those that was served last, if the newcomer was served longer ago; served grows with each service.
    """
    held = Counter(places)
    holder = max(held, key=lambda client: (held[client], served(client)))
    more = held[holder] - held[newcomer]
    return holder if more > 1 or (more == 1 and served(holder) > served(newcomer)) else None
