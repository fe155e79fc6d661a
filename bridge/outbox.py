"""Datagrams on their way out, paced so that a receiver's buffer holds them. Pure: the daemon sends what is due."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.clients import Address

BURST = 24
"""About 30 KB, a seventh of what Linux gives a socket to receive in."""

DATAGRAMS_PER_SECOND = 16_000
"""To one client, after a burst."""

MAX_UNCLAIMED = 4096
"""Fails and repeats that wait for one client: whoever asks faster than this can be told loses the rest."""

Late = Callable[[float], bytes]
"""A datagram that is only written when it is sent, since it says how long everything took."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One datagram, whom it goes to, and the number of the request that it answers, 0 if that has ended."""

    datagram: bytes | Late
    address: Address
    ticket: int
    on_sent: Callable[[bytes], None] | None = None


@dataclass(slots=True)
class Lane:
    """What goes to one client. credit is how many datagrams may be sent at the moment since."""

    since: float
    credit: float = BURST
    parcels: deque[Parcel] = field(default_factory=deque)

    def earn(self, now: float) -> None:
        """Time passes."""
        self.credit = min(BURST, self.credit + max(0.0, now - self.since) * DATAGRAMS_PER_SECOND)
        self.since = now

    @property
    def resume(self) -> float:
        """When a quarter of a burst may be sent, so that the daemon is not woken for each datagram."""
        wanted = min(len(self.parcels), BURST // 4)
        return self.since + max(0.0, wanted - self.credit) / DATAGRAMS_PER_SECOND


class Outbox:
    """Parcels in order, each client in a lane of its own: a long answer to one holds up no other."""

    def __init__(self) -> None:
        self._lanes: dict[Address, Lane] = {}
        self._now = 0.0
        self.lost = 0

    def __len__(self) -> int:
        return sum(len(lane.parcels) for lane in self._lanes.values())

    def put(self, parcel: Parcel) -> None:
        """Add a parcel to the end of its lane; lost counts what a full lane does not take."""
        lane = self._lanes.get(parcel.address)
        if lane is None:
            lane = self._lanes[parcel.address] = Lane(self._now)
        if not parcel.ticket and len(lane.parcels) >= MAX_UNCLAIMED:
            self.lost += 1
            return
        lane.parcels.append(parcel)

    def withdraw(self, address: Address, ticket: int) -> None:
        """Take back what has not been sent of a request."""
        lane = self._lanes.get(address)
        if lane is not None and any(parcel.ticket == ticket for parcel in lane.parcels):
            lane.parcels = deque(parcel for parcel in lane.parcels if parcel.ticket != ticket)

    def due(self, now: float) -> list[tuple[bytes, Address]]:
        """What is to be sent now."""
        self._now = now
        sent: list[tuple[bytes, Address]] = []
        for address, lane in list(self._lanes.items()):
            lane.earn(now)
            while lane.parcels and lane.credit >= 1:
                lane.credit -= 1
                sent.append((_written(lane.parcels.popleft(), now), address))
            if not lane.parcels and lane.credit >= BURST - 1:
                del self._lanes[address]
        return sent

    def next_due(self) -> float:
        """When to ask again, inf if nothing waits."""
        return min((lane.resume for lane in self._lanes.values() if lane.parcels), default=float("inf"))


def _written(parcel: Parcel, now: float) -> bytes:
    datagram = parcel.datagram if isinstance(parcel.datagram, bytes) else parcel.datagram(now)
    if parcel.on_sent:
        parcel.on_sent(datagram)
    return datagram
