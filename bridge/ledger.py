"""Every request that has not ended: each ends exactly once, in a done or a fail, and repeats are not run again.

Counts what the status shows. Knows no verb's meaning and no socket.
"""

import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.clients import Client, Clients
from bridge.osc_packet import Atom
from bridge.outbox import Outbox, Parcel
from bridge.percentiles import percentile
from bridge.replies import format_done, format_fail

logger = logging.getLogger(__name__)

MAX_SYNCS = 64

PASSING_CODES = frozenset({"busy", "engine_down", "timeout", "cancelled", "stale", "internal"})
"""Failures that say nothing of the request itself: the same request again is run again."""


@dataclass(slots=True)
class Ticket:
    """One request under way. verb is the one that its answer names; received is when its datagram came."""

    number: int
    client: Client
    id: int
    verb: str
    content: object
    received: float
    datagrams: list[bytes] = field(default_factory=list)
    ended: bool = False


@dataclass(slots=True)
class Counts:
    """What the status shows."""

    requests: int = 0
    failed: int = 0
    dropped: int = 0
    times_ms: deque[float] = field(default_factory=lambda: deque(maxlen=1000))

    def percentile_ms(self, percent: int) -> float:
        """Of the last 1,000 engine requests, 0 before two have ended."""
        return percentile(self.times_ms, percent)


class Ledger:
    """The open requests of all clients."""

    def __init__(self, clients: Clients, outbox: Outbox, counts: Counts):
        self.clients, self.outbox, self.counts = clients, outbox, counts
        self._open: dict[int, Ticket] = {}
        self._syncs: list[Ticket] = []
        self._numbers = itertools.count(1)

    def open(self, client: Client, number: int, verb: str, content: object, now: float) -> Ticket | None:
        """A ticket for a request, or None for a repeat: answered from memory, or still to be answered.

        content is what makes two requests the same; None for one that is simply answered afresh.
        """
        if content is not None and number:
            answer = self.clients.recall(client, content, now)
            if answer is not None:
                for datagram in answer.datagrams or ():
                    self.outbox.put(Parcel(datagram, client.address, 0))
                return None
            self.clients.begin(client, content, now)
        self.counts.requests += 1
        ticket = Ticket(next(self._numbers), client, number, verb, content, now)
        self._open[ticket.number] = ticket
        return ticket

    def recognise(self, ticket: Ticket, content: object, now: float) -> bool:
        """Say what makes an open ticket's request the same as another; False for a repeat, which ends here.

        That one is answered from memory, or still to be answered.
        """
        answer = self.clients.recall(ticket.client, content, now)
        if answer is None:
            self.clients.begin(ticket.client, content, now)
            ticket.content = content
            return True
        for datagram in answer.datagrams or ():
            self.outbox.put(Parcel(datagram, ticket.client.address, 0))
        self._close(ticket, now)
        return False

    def find(self, client: Client, number: int) -> list[Ticket]:
        """The client's open requests with that id."""
        return [each for each in self._open.values() if each.client is client and each.id == number]

    def all_open(self) -> list[Ticket]:
        """Every open request, the oldest first."""
        return list(self._open.values())

    def send(self, ticket: Ticket, datagram: bytes) -> None:
        """A part of an answer."""
        if ticket.id and not ticket.ended:
            ticket.datagrams.append(datagram)
            self.outbox.put(Parcel(datagram, ticket.client.address, ticket.number))

    def done(
        self,
        ticket: Ticket,
        now: float,
        keys: Mapping[str, Atom],
        *,
        timed: bool = False,
        on_sent: Callable[[bytes], None] | None = None,
    ) -> None:
        """End a request well. timed adds total_ms, known when the done is sent, and counts it for the status."""
        if ticket.ended:
            return
        if not ticket.id:
            self._close(ticket, now)
            return

        def write(sent: float) -> bytes:
            total_ms = (sent - ticket.received) * 1000
            if timed:
                self.counts.times_ms.append(total_ms)
                logger.info("%s %s: %.1f ms", ticket.verb, ticket.id, total_ms)
                return format_done(ticket.id, ticket.verb, {**keys, "total_ms": total_ms})
            return format_done(ticket.id, ticket.verb, keys)

        def close(datagram: bytes) -> None:
            if on_sent is not None:
                on_sent(datagram)
            self._close(ticket, now, [*ticket.datagrams, datagram])

        self.outbox.put(Parcel(write, ticket.client.address, ticket.number, close))

    def fail(self, ticket: Ticket, code: str, text: str, now: float) -> None:
        """End a request badly: what has not been sent of its answer is taken back."""
        if ticket.ended:
            return
        self.counts.failed += 1
        log = logger.debug if code == "busy" else logger.info
        log("%s %s from %s:%d failed: %s %s", ticket.verb, ticket.id, *ticket.client.address, code, text)
        self.outbox.withdraw(ticket.client.address, ticket.number)
        datagram = format_fail(ticket.id, ticket.verb, code, text)
        if ticket.id:
            self.outbox.put(Parcel(datagram, ticket.client.address, 0))
        self._close(ticket, now, [datagram] if code not in PASSING_CODES else None)

    def fail_of_bug(self, ticket: Ticket, error: Exception, now: float) -> None:
        """End a request that has met a bug."""
        self.fail(ticket, "internal", f"{type(error).__name__}: {error}", now)

    def when_all_earlier_ended(self, ticket: Ticket, now: float) -> None:
        """Done for a sync, as soon as every earlier request of its client has ended."""
        if len(self._syncs) >= MAX_SYNCS:
            self.fail(ticket, "busy", f"{MAX_SYNCS} syncs are waiting already", now)
            return
        self._syncs.append(ticket)
        self._end_syncs(now)

    def cancel(self, client: Client, number: int, now: float, on_cancel: Callable[[Ticket], None]) -> None:
        """End the client's requests with that id, those that have not ended."""
        for ticket in self.find(client, number):
            self.fail(ticket, "cancelled", "the client cancelled it", now)
            on_cancel(ticket)

    def _close(self, ticket: Ticket, now: float, datagrams: list[bytes] | None = None) -> None:
        """A request has ended; datagrams is what a repeat is answered, None if it is to run again."""
        ticket.ended = True
        self._open.pop(ticket.number, None)
        if ticket.content is not None and ticket.id:
            if datagrams is None:
                self.clients.forget(ticket.client, ticket.content)
            else:
                self.clients.remember(ticket.client, ticket.content, datagrams, now)
        self._syncs = [sync for sync in self._syncs if not sync.ended]
        self._end_syncs(now)

    def _end_syncs(self, now: float) -> None:
        for sync in list(self._syncs):
            earlier = (t for t in self._open.values() if t.client is sync.client and t.number < sync.number)
            if not any(earlier):
                self._syncs.remove(sync)
                self.done(sync, now, {})
