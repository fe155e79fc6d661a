"""Requests that come in several messages: a begin, others in any order, perhaps an end. One id, one answer.

What they bring is collected by uploads.py and latents.py. Pure: time is a number that is passed in.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bridge.addresses import Address, shown_address
from bridge.errors import RequestError
from bridge.osc.outbox import Parcel
from bridge.osc.replies import format_fail
from bridge.osc.requests import Call
from bridge.service.busy import MAX_OPEN, BusyError, gives_way
from bridge.service.clients import Client
from bridge.service.recent import Recent
from bridge.service.tickets import Ticket, Tickets

logger = logging.getLogger(__name__)

CHUNK_SECONDS = 5.0

Item = TypeVar("Item")
Key = tuple[Address, int]
"""A client and the id of its request."""

OnSent = Callable[[bytes], None]


class UnfinishedError(RequestError):
    """An end that came before all the rest: it fails, and what is missing may still come."""


class Collected(Protocol):
    """What the messages of one request have brought so far."""

    def add(self, call: Call) -> bool:
        """Take in one message; True with the last one. RequestError if it does not fit."""

    def late(self) -> str:
        """What has not come, for a sentence that says since when."""

    def finish(self, ticket: Ticket, now: float, on_sent: OnSent) -> None:
        """Do what was asked with the whole of it, RequestError if it cannot be done; on_sent is told the done."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of such requests. ends: the verb of its end, empty where the last message to come ends it.

    begin makes of the begin what collects the rest, or goes on with what the same id has collected until then.
    """

    name: str
    begin: Callable[[Call, Collected | None], Collected]
    busy: str
    ends: str = ""


@dataclass(slots=True)
class Open:
    """A request of which messages are still to come."""

    ticket: Ticket
    collected: Collected
    expires: float


@dataclass(slots=True)
class Ended:
    """A request that has been answered. end_came: whether its end has, so that another end asks for the answer."""

    end_came: bool
    datagrams: list[bytes] = field(default_factory=list)


class Multipart:
    """The requests of one kind under way, and those that ended lately, of which messages may still come."""

    def __init__(self, kind: Kind, tickets: Tickets):
        self._kind, self._tickets = kind, tickets
        self._open: dict[Key, Open] = {}
        self._ended: Recent[Key, Ended] = Recent()

    def handle(self, call: Call, client: Client, now: float) -> bool:
        """Take one message, which fails its request where it cannot be read; False if it belongs to none."""
        key, begins = (client.address, call.id), call.verb.begins
        if key in self._open and (call.error or not begins):
            self._go_on(key, call, now)
        elif begins and not call.error:
            self._begin(key, call, client, now)
        elif call.verb.name == self._kind.ends and not call.error:
            self._end_again(key, call, client, now)
        else:
            return key in self._ended and not begins
        return True

    def forget(self, ticket: Ticket, now: float) -> None:
        """A request was cancelled: nothing more is waited for, and its end, if it comes, is not answered."""
        key = (ticket.client.address, ticket.id)
        if key in self._open and self._open[key].ticket is ticket:
            del self._open[key]
            self._ended.put(key, Ended(end_came=False), now)

    def expire(self, now: float) -> None:
        """End the requests whose last message came over 5 s ago."""
        for key, each in list(self._open.items()):
            if each.expires <= now:
                text = f"{each.collected.late()} for {CHUNK_SECONDS:g} s"
                self._fail(key, each.ticket, RequestError("timeout", text), now)
        self._ended.expire(now)

    def next_expiry(self) -> float:
        """When the next request times out, inf if none can."""
        return min((each.expires for each in self._open.values()), default=float("inf"))

    def _begin(self, key: Key, call: Call, client: Client, now: float) -> None:
        """Collect what comes from now on; a new begin takes the ticket of one that is open."""
        before = self._open.pop(key, None)
        self._ended.forget(key)
        ticket = before.ticket if before and not before.ticket.ended else self._ticket(call, client, now)
        try:
            collected = self._kind.begin(call, before.collected if before else None)
            self._make_room(client.address, now)
            self._open[key] = Open(ticket, collected, now + CHUNK_SECONDS)
        except RequestError as error:
            self._fail(key, ticket, error, now)

    def _make_room(self, newcomer: Address, now: float) -> None:
        """Where 64 are open the newest of a client that has most is ended, else BusyError."""
        if len(self._open) < MAX_OPEN:
            return
        busy = BusyError(self._kind.busy)
        loser = gives_way((client for client, _ in self._open), newcomer)
        if loser is None:
            raise busy
        key = next(key for key in reversed(self._open) if key[0] == loser)
        self._fail(key, self._open[key].ticket, busy, now)

    def _go_on(self, key: Key, call: Call, now: float) -> None:
        opened = self._open[key]
        opened.expires = now + CHUNK_SECONDS
        try:
            if call.error:
                raise call.error
            if opened.collected.add(call):
                self._finish(key, opened, call, now)
        except UnfinishedError as error:
            self._tickets.fail(opened.ticket, error.code, str(error), now)
        except RequestError as error:
            self._fail(key, opened.ticket, error, now)

    def _finish(self, key: Key, opened: Open, call: Call, now: float) -> None:
        if opened.ticket.ended:  # an end before this one came too soon
            opened.ticket = self._ticket(call, opened.ticket.client, now)
        ended = Ended(end_came=True)
        opened.collected.finish(opened.ticket, now, ended.datagrams.append)
        del self._open[key]
        self._ended.put(key, ended, now)

    def _end_again(self, key: Key, call: Call, client: Client, now: float) -> None:
        """An end without an open request: a repeat is answered from memory."""
        ended = self._ended.get(key)
        if ended is None:
            text = f"no {self._kind.name} with this id is open: its begin is missing"
            self._tickets.fail(self._ticket(call, client, now), "bad_request", text, now)
            return
        if ended.end_came:
            for datagram in ended.datagrams:
                self._tickets.outbox.put(Parcel(datagram, client.address, 0))
        ended.end_came = True

    def _fail(self, key: Key, ticket: Ticket, error: RequestError, now: float) -> None:
        """Fail a request; without another answer where its end has been answered with what is missing."""
        self._open.pop(key, None)
        answer = [format_fail(key[1], ticket.verb, error.code, str(error))]
        self._ended.put(key, Ended(ticket.ended, answer), now)
        if ticket.ended:
            logger.info("%s %d of %s was given up", ticket.verb, ticket.id, shown_address(*key[0]))
        self._tickets.fail(ticket, error.code, str(error), now)

    def _ticket(self, call: Call, client: Client, now: float) -> Ticket:
        ticket = self._tickets.open(client, call.id, call.verb.answer, None, now)
        assert ticket is not None
        return ticket


def put_in_place(places: list[Item | None], first: int, items: Sequence[Item], what: str) -> None:
    """Put what came into its places, which are None until then; RequestError if there are none such."""
    last = first + len(items)
    if first < 0 or last > len(places):
        raise RequestError("bad_request", f"{what} {first}..{last - 1} are not among the {len(places)}")
    places[first:last] = items
