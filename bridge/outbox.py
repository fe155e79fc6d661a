"""Datagrams on their way out, paced so that a receiver's buffer holds them. Pure: the daemon sends what is due."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.clients import Address

BURST = 24
"""About 30 KB, a seventh of what Linux gives a socket to receive in."""

PAUSE_SECONDS = 0.002

Late = Callable[[float], bytes]
"""A datagram that is only written when it is sent, since it says how long everything took."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One datagram, whom it goes to, and the number of the request that it answers."""

    datagram: bytes | Late
    address: Address
    ticket: int
    on_sent: Callable[[bytes], None] | None = None


class Outbox:
    """Parcels in order; at most a burst of them, then a pause."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._resume = 0.0

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Add a parcel to the end."""
        self._parcels.append(parcel)

    def withdraw(self, ticket: int) -> None:
        """Take back what has not been sent of a request."""
        self._parcels = deque(parcel for parcel in self._parcels if parcel.ticket != ticket)

    def due(self, now: float) -> list[tuple[bytes, Address]]:
        """What is to be sent now."""
        if now < self._resume:
            return []
        sent: list[tuple[bytes, Address]] = []
        while self._parcels and len(sent) < BURST:
            parcel = self._parcels.popleft()
            datagram = parcel.datagram if isinstance(parcel.datagram, bytes) else parcel.datagram(now)
            if parcel.on_sent:
                parcel.on_sent(datagram)
            sent.append((datagram, parcel.address))
        if self._parcels:
            self._resume = now + PAUSE_SECONDS
        return sent

    def next_due(self) -> float:
        """When to ask again, inf if nothing waits."""
        return self._resume if self._parcels else float("inf")
