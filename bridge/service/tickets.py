"""Every request that has not ended: each ends exactly once, in a done or a fail, and repeats are not run again.

Counts what the status shows. Knows no verb's meaning and no socket.
"""

import itertools
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.addresses import Address, shown_address
from bridge.osc.clients import Answer, Client, Clients
from bridge.osc.outbox import Outbox, Parcel
from bridge.osc.packet import Atom
from bridge.osc.replies import format_done, format_fail
from bridge.percentiles import percentile
from bridge.service.busy import MAX_SYNCS, SYNCS, UNSENT, BusyError

logger = logging.getLogger(__name__)

PASSING_CODES = frozenset({"busy", "engine_down", "timeout", "cancelled", "stale", "internal"})
"""Failures that do not depend on the request: after one a repeat of it is run again."""


@dataclass(slots=True)
class Ticket:
    """One request under way. verb: as its done or fail names it; received: when its datagram came, in seconds.

    repeat_key: what a repeat has in common with it, its address and arguments; None where that is run again.
    """

    number: int
    client: Client
    id: int
    verb: str
    repeat_key: bytes | None
    received: float
    ended: bool = False


@dataclass(slots=True)
class OpenRequests:
    """The open requests of one client, the oldest first, and by id; syncs: the numbers of those that are a sync."""

    open: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)
    by_id: dict[int, dict[int, Ticket]] = field(default_factory=dict)
    syncs: set[int] = field(default_factory=set)

    def add(self, ticket: Ticket) -> None:
        """One more, the newest."""
        self.open[ticket.number] = ticket
        self.by_id.setdefault(ticket.id, {})[ticket.number] = ticket

    def remove(self, ticket: Ticket) -> None:
        """It has ended."""
        del self.open[ticket.number]
        same = self.by_id[ticket.id]
        del same[ticket.number]
        if not same:
            del self.by_id[ticket.id]
        self.syncs.discard(ticket.number)

    def take_sync(self) -> Ticket | None:
        """Take out the sync that is now the oldest request, so that it can be answered; None if there is none."""
        first = next(iter(self.open), 0)
        if first not in self.syncs:
            return None
        self.syncs.discard(first)
        return self.open[first]


@dataclass(slots=True)
class Counts:
    """What the status shows."""

    requests: int = 0
    failed: int = 0
    dropped: int = 0
    times_ms: deque[float] = field(default_factory=lambda: deque(maxlen=1000))

    def drop(self, what: str, source: Address | None = None, *, count: int = 1) -> None:
        """Count what is not answered, and log it: each of the first ten, then each time the count has doubled."""
        before, self.dropped = self.dropped, self.dropped + count
        if before < 10 or self.dropped.bit_length() > before.bit_length():
            whose = f" from {source[0]}:{source[1]}" if source else ""
            logger.warning("dropped %s%s (%d so far)", what, whose, self.dropped)

    def percentile_ms(self, percent: int) -> float:
        """Of the last 1,000 engine requests, 0 before two have ended."""
        return percentile(self.times_ms, percent)


class Tickets:
    """The open requests of all clients."""

    def __init__(self, clients: Clients, outbox: Outbox, counts: Counts):
        self.clients, self.outbox, self.counts = clients, outbox, counts
        self._requests: dict[Address, OpenRequests] = {}
        self._numbers = itertools.count(1)

    def open(self, client: Client, number: int, verb: str, repeat_key: bytes | None, now: float) -> Ticket | None:
        """A ticket for a request, or None for a repeat: answered from memory, or still to be answered.

        repeat_key: what a repeat has in common with it (address and arguments); None where that is run again.
        """
        if repeat_key is not None and number:
            if self._is_repeat(client, repeat_key, now):
                return None
            self.clients.begin(client, repeat_key)
        self.counts.requests += 1
        ticket = Ticket(next(self._numbers), client, number, verb, repeat_key, now)
        self._requests.setdefault(client.address, OpenRequests()).add(ticket)
        return ticket

    def recognise(self, ticket: Ticket, repeat_key: bytes, now: float) -> bool:
        """Set the repeat_key of an open ticket; False if its request is a repeat: then the ticket ends here.

        A repeat is answered from memory, or will be with the request that it repeats.
        """
        if self._is_repeat(ticket.client, repeat_key, now):
            self._close(ticket, now)
            return False
        self.clients.begin(ticket.client, repeat_key)
        ticket.repeat_key = repeat_key
        return True

    def find(self, client: Client, number: int) -> list[Ticket]:
        """The client's open requests with that id."""
        requests = self._requests.get(client.address)
        return list(requests.by_id.get(number, {}).values()) if requests else []

    def all_open(self) -> list[Ticket]:
        """Every open request, the oldest first."""
        tickets = (ticket for requests in self._requests.values() for ticket in requests.open.values())
        return sorted(tickets, key=lambda ticket: ticket.number)

    def send(self, ticket: Ticket, datagrams: Iterable[bytes], count: int) -> None:
        """Send an answer but for its done: count datagrams, each made only when it is sent.

        BusyError where too many wait for the client already.
        """
        if not ticket.id or ticket.ended or not count:
            return
        self.check_room(ticket)
        written = self._written(ticket, (self._kept(ticket, datagram) for datagram in datagrams))
        self.outbox.put(Parcel(written, ticket.client.address, ticket.number, count))

    def check_room(self, ticket: Ticket) -> None:
        """BusyError where too many datagrams wait for the client already for it to get more than a done."""
        if ticket.id and not self.outbox.takes_music(ticket.client.address):
            raise BusyError(UNSENT)

    def done(
        self,
        ticket: Ticket,
        now: float,
        keys: Mapping[str, Atom],
        *,
        timed: bool = False,
        on_sent: Callable[[bytes], None] | None = None,
    ) -> None:
        """End a request with done. timed adds total_ms, known when it is sent, and counts it for the status."""
        if ticket.ended:
            return
        if not ticket.id:
            self._close(ticket, now)
            return
        ending = self._written(ticket, self._ending(ticket, keys, timed, on_sent))
        if not self.outbox.put(Parcel(ending, ticket.client.address, ticket.number)):
            next(ending, None)  # it has ended all the same: a repeat is told

    def fail(self, ticket: Ticket, code: str, text: str, now: float) -> None:
        """Fail a request: what has not been sent of its answer is dropped."""
        if ticket.ended:
            return
        self.counts.failed += 1
        log = logger.debug if code == "busy" else logger.info
        who = shown_address(*ticket.client.address)
        log("%s %s from %s failed: %s %s", ticket.verb, ticket.id, who, code, text)
        self.outbox.withdraw(ticket.client.address, ticket.number)
        datagram = format_fail(ticket.id, ticket.verb, code, text)
        if ticket.id:
            self.outbox.put(Parcel(datagram, ticket.client.address, 0))
        if ticket.repeat_key is not None and code not in PASSING_CODES:
            # anew: what was sent of its answer is not repeated
            self.clients.begin(ticket.client, ticket.repeat_key)
            self.clients.keep(ticket.client, ticket.repeat_key, datagram)
            self.clients.end(ticket.client, ticket.repeat_key, now)
        self._close(ticket, now)

    def fail_of_bug(self, ticket: Ticket, error: Exception, now: float) -> None:
        """Fail a request with internal after an unexpected exception."""
        self.fail(ticket, "internal", f"{type(error).__name__}: {error}", now)

    def when_all_earlier_ended(self, ticket: Ticket, now: float) -> None:
        """Done for a sync, as soon as every earlier request of its client has ended."""
        requests = self._requests[ticket.client.address]
        if len(requests.syncs) >= MAX_SYNCS:
            self.fail(ticket, "busy", SYNCS, now)
            return
        requests.syncs.add(ticket.number)
        self._end_sync(requests, now)

    def cancel(self, client: Client, number: int, now: float, on_cancel: Callable[[Ticket], None]) -> None:
        """End the client's requests with that id, those that have not ended."""
        for ticket in self.find(client, number):
            self.fail(ticket, "cancelled", "the client cancelled it", now)
            on_cancel(ticket)

    def _is_repeat(self, client: Client, repeat_key: bytes, now: float) -> bool:
        """Whether the same was asked before; then it is answered from memory, or will be with the first."""
        answer = self.clients.recall(client, repeat_key, now)
        if answer is not None and answer.ended is not None:
            self._repeat(answer, client)
        return answer is not None

    def _repeat(self, answer: Answer, client: Client) -> None:
        again = Parcel(iter(answer.datagrams), client.address, 0, len(answer.datagrams))
        self.outbox.put(again)

    def _kept(self, ticket: Ticket, datagram: bytes) -> bytes:
        """A datagram that is being sent, remembered for repeats as long as there is room."""
        if ticket.repeat_key is not None and not self.clients.keep(ticket.client, ticket.repeat_key, datagram):
            ticket.repeat_key = None
        return datagram

    def _ending(
        self, ticket: Ticket, keys: Mapping[str, Atom], timed: bool, on_sent: Callable[[bytes], None] | None
    ) -> Iterator[bytes]:
        """The done, made when it is sent: that is when the request ends."""
        now = self.outbox.now
        if ticket.ended:
            return
        if timed:
            total_ms = max(0.0, now - ticket.received) * 1000
            keys = {**keys, "total_ms": total_ms}
            self.counts.times_ms.append(total_ms)
            logger.info("%s %s: %.1f ms", ticket.verb, ticket.id, total_ms)
        datagram = self._kept(ticket, format_done(ticket.id, ticket.verb, keys))
        if on_sent is not None:
            on_sent(datagram)
        if ticket.repeat_key is not None:
            self.clients.end(ticket.client, ticket.repeat_key, now)
        self._close(ticket, now)
        yield datagram

    def _written(self, ticket: Ticket, datagrams: Iterator[bytes]) -> Iterator[bytes]:
        """The datagrams; an exception while they are made fails this request alone."""
        try:
            yield from datagrams
        except Exception as error:
            logger.exception("the answer to %s %d met a bug", ticket.verb, ticket.id)
            self.fail_of_bug(ticket, error, self.outbox.now)

    def _close(self, ticket: Ticket, now: float) -> None:
        """End a request; without an answer to remember, a repeat of it is run again."""
        ticket.ended = True
        if ticket.repeat_key is not None:
            self.clients.abandon(ticket.client, ticket.repeat_key)
        requests = self._requests[ticket.client.address]
        requests.remove(ticket)
        if not requests.open:
            del self._requests[ticket.client.address]
        self._end_sync(requests, now)

    def _end_sync(self, requests: OpenRequests, now: float) -> None:
        if sync := requests.take_sync():
            self.done(sync, now, {})
