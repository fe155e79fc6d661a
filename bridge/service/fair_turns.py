"""Which client loses a place where all are taken, so that no client holds them all. Pure."""

from collections.abc import Callable, Mapping

from bridge.addresses import Address


def _long_ago(_: Address) -> int:
    return 0


def gives_way(
    held: Mapping[Address, int], newcomer: Address, served: Callable[[Address], int] = _long_ago
) -> Address | None:
    """The client that gives a place to a newcomer, None if nobody does. held is how many places each client has.

    It is the one that has most, if those are two more than the newcomer's. Where it has but one more, it is the one
    of those that was served last, if the newcomer was served longer ago; served grows with each service.
    """
    holder = max(held, key=lambda client: (held[client], served(client)))
    more = held[holder] - held.get(newcomer, 0)
    return holder if more > 1 or (more == 1 and served(holder) > served(newcomer)) else None
