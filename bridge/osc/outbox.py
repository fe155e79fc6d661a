"""Datagrams on their way out, paced so that a receiver's buffer and the network hold them.

Pure: the daemon sends what is due. A long answer is written only as it is sent.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.addresses import Address
from bridge.osc.access import is_loopback

BURST = 24
"""About 30 KB, a seventh of what Linux gives a socket to receive in."""

DATAGRAMS_PER_SECOND = 16_000
"""To one client, after a burst."""

BURST_BYTES = 32_768
"""To one address beyond this machine, before its bytes a second count."""

UNLIMITED = 1e12
"""Bytes a second that nothing reaches."""

MAX_MUSIC = 8192
"""Datagrams that wait for one client, or one address beyond this machine: with so many to come it gets no music."""

MAX_WAITING = MAX_MUSIC + 4096
"""Nor anything else with so many: whoever asks faster than this can be told loses the rest."""

MAX_IN_ALL = 65_536
"""Where so many wait, each client may have its share of them."""

MOST_AT_ONCE = 64
"""Datagrams sent at a time, so that everything else gets its turn; the clients take turns."""


@dataclass(slots=True)
class Parcel:
    """What goes to a client: a datagram, or an iterator that writes them as they are sent; left says how many.

    ticket is the number of the request that it answers, 0 if that has ended.
    """

    content: bytes | Iterator[bytes]
    address: Address
    ticket: int
    left: int = 1

    def write(self) -> bytes | None:
        """The next datagram, None where there is none after all."""
        return self.content if isinstance(self.content, bytes) else next(self.content, None)


@dataclass(slots=True)
class Budget:
    """So much a second may go, after a burst. credit is what may go at the moment since; it may be overdrawn."""

    per_second: float
    burst: float
    since: float
    credit: float = 0.0

    def __post_init__(self) -> None:
        self.credit = self.burst

    def earn(self, now: float) -> None:
        """Time passes."""
        self.credit = min(self.burst, self.credit + max(0.0, now - self.since) * self.per_second)
        self.since = now

    def ready(self, wanted: float) -> float:
        """When there is so much credit."""
        return self.since + max(0.0, min(wanted, self.burst) - self.credit) / self.per_second


@dataclass(slots=True)
class Host:
    """The lanes to one IP address, which share its bytes a second. waiting counts their datagrams."""

    budget: Budget
    is_far: bool
    lanes: dict[Address, "Lane"] = field(default_factory=dict)
    waiting: int = 0

    @property
    def resume(self) -> float:
        """When something may be sent, inf where nothing waits."""
        bytes_ready = self.budget.ready(BURST_BYTES / 4)
        if not self.waiting:
            return math.inf
        if bytes_ready > self.budget.since:
            return bytes_ready
        return min(lane.resume for lane in self.lanes.values() if lane.waiting)


@dataclass(slots=True)
class Lane:
    """What goes to one client. claims are the datagrams that wait by ticket: a parcel without one was withdrawn."""

    host: Host = field(repr=False)
    budget: Budget
    parcels: deque[Parcel] = field(default_factory=deque)
    claims: dict[int, int] = field(default_factory=dict)
    waiting: int = 0

    def add(self, parcel: Parcel) -> None:
        """Put a parcel at the end."""
        self.parcels.append(parcel)
        self._count(parcel.ticket, parcel.left)

    def withdraw(self, ticket: int) -> None:
        """Forget what waits of a request: its parcels are passed over when their turn comes."""
        self._count(ticket, -self.claims.get(ticket, 0))

    def take(self) -> bytes | None:
        """The next datagram, None where nothing waits any more."""
        while self.parcels:
            parcel = self.parcels[0]
            datagram = parcel.write() if parcel.ticket in self.claims else None
            gone = parcel.left if datagram is None else 1
            parcel.left -= gone
            if parcel.ticket in self.claims:
                self._count(parcel.ticket, -gone)
            if not parcel.left:
                self.parcels.popleft()
            if datagram is not None:
                return datagram
        return None

    def _count(self, ticket: int, more: int) -> None:
        self.waiting += more
        self.host.waiting += more
        self.claims[ticket] = self.claims.get(ticket, 0) + more
        if not self.claims[ticket]:
            del self.claims[ticket]

    @property
    def resume(self) -> float:
        """When a quarter of a burst may be sent, so that the daemon is not woken for each datagram."""
        return self.budget.ready(min(self.waiting, BURST // 4))


class Outbox:
    """Parcels in order, each client in a lane of its own: a long answer to one holds up no other.

    bytes_per_second is what one address beyond this machine is sent at most. now is when due was last asked; lost
    counts the datagrams for which there was no room.
    """

    def __init__(self, bytes_per_second: float = UNLIMITED) -> None:
        self._lanes: dict[Address, Lane] = {}
        self._hosts: dict[str, Host] = {}
        self._bytes_per_second = bytes_per_second
        self.now = 0.0
        self.lost = 0

    def __len__(self) -> int:
        return sum(host.waiting for host in self._hosts.values())

    def put(self, parcel: Parcel) -> bool:
        """Add a parcel to the end of its lane; where that is full, False, and counted in lost.

        What belongs to an answer that waits there already is always taken.
        """
        lane = self._lane(parcel.address)
        has_begun = parcel.ticket != 0 and parcel.ticket in lane.claims
        if not has_begun and self._is_full(lane, MAX_WAITING):
            self.lost += parcel.left
            return False
        lane.add(parcel)
        return True

    def takes_music(self, address: Address) -> bool:
        """Whether a client may get long answers, or too much waits for it already."""
        return not self._is_full(self._lane(address), MAX_MUSIC)

    def withdraw(self, address: Address, ticket: int) -> None:
        """Take back what has not been sent of a request."""
        if address in self._lanes:
            self._lanes[address].withdraw(ticket)

    def due(self, now: float) -> list[tuple[bytes, Address]]:
        """What is to be sent now, or the first of it: a long answer is written no sooner. Clients take turns."""
        self.now = now
        sent: list[tuple[bytes, Address]] = []
        for ip, host in list(self._hosts.items()):
            host.budget.earn(now)
            for address, lane in list(host.lanes.items()):
                if len(sent) >= MOST_AT_ONCE or host.budget.credit <= 0:
                    break
                self._send_some(address, lane, now, sent)
            if not host.lanes and host.budget.credit >= host.budget.burst:
                del self._hosts[ip]
            elif sent and sent[-1][1][0] == ip:
                self._hosts[ip] = self._hosts.pop(ip)
        return sent

    def next_due(self) -> float:
        """When to ask again, inf if nothing waits."""
        return min((host.resume for host in self._hosts.values()), default=math.inf)

    def _send_some(self, address: Address, lane: Lane, now: float, sent: list[tuple[bytes, Address]]) -> None:
        """As much as a client may get at the moment, which then comes last; a lane that rests is forgotten."""
        lane.budget.earn(now)
        before = len(sent)
        while lane.budget.credit >= 1 and lane.host.budget.credit > 0 and len(sent) < MOST_AT_ONCE:
            datagram = lane.take()
            if datagram is None:
                break
            lane.budget.credit -= 1
            lane.host.budget.credit -= len(datagram)
            sent.append((datagram, address))
        if not lane.waiting and lane.budget.credit >= BURST - 1:
            del self._lanes[address], lane.host.lanes[address]
        elif len(sent) > before:
            lane.host.lanes[address] = lane.host.lanes.pop(address)

    def _is_full(self, lane: Lane, most: int) -> bool:
        """Whether so many wait for a client; parcels that were withdrawn count until they have been passed over."""
        if len(self) >= MAX_IN_ALL:
            most = min(most, MAX_IN_ALL // len(self._lanes))
        waiting = lane.host.waiting if lane.host.is_far else lane.waiting
        return max(waiting, len(lane.parcels)) >= most

    def _lane(self, address: Address) -> Lane:
        if address not in self._lanes:
            host = self._host(address[0])
            lane = Lane(host, Budget(DATAGRAMS_PER_SECOND, BURST, self.now))
            self._lanes[address] = host.lanes[address] = lane
        return self._lanes[address]

    def _host(self, ip: str) -> Host:
        if ip not in self._hosts:
            is_far = not is_loopback(ip)
            rate = self._bytes_per_second if is_far else UNLIMITED
            burst = min(BURST_BYTES, rate) if is_far else UNLIMITED
            self._hosts[ip] = Host(Budget(rate, burst, self.now), is_far)
        return self._hosts[ip]
