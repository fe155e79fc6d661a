"""What waits for the engine: a bounded queue of jobs. Pure: the daemon carries the messages.

One request runs at a time, or several that fit together, and one of the live mode before them; beside them one
model is loaded, and one sound is made.
"""

import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bridge.addresses import Address
from bridge.service.busy import MAX_WAITING, gives_way
from bridge.service.joining import TOGETHER, share
from bridge.service.tickets import Ticket
from bridge.worker.messages import Job, Load, Run, Sound, Together
from engine.requests import Request

MAX_SERVED = 1024
"""Clients of which it is known when they were served."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A job, the ticket of its request, and the slot for its first result. group and to_slot may be empty."""

    ticket: Ticket
    job: Job
    group: str = ""
    to_slot: str = ""

    @property
    def client(self) -> Address:
        """Who asks."""
        return self.ticket.client.address


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """A request of the live mode for the next bar: of no client, and before all others."""

    job: Run


@dataclass(frozen=True, slots=True)
class NeededEntry:
    """The loading of a model that waiting requests name."""

    job: Load


Begun = Entry | LiveEntry | NeededEntry

TIMES: dict[type[Job], int] = {Run: 1, Load: 5, Sound: 60}
"""The factor on the timeout of each kind of job: what runs beside requests has lower priority, so takes longer."""


@dataclass(slots=True)
class UnderWay:
    """A job that was handed over. since: when, or when the engine said that it has begun."""

    begun: Begun
    since: float
    has_begun: bool = True

    @property
    def kind(self) -> type[Begun] | type[Job]:
        """Of each kind one is under way, but for requests that run together."""
        return LiveEntry if isinstance(self.begun, LiveEntry) else type(self.begun.job)


class EngineQueue:
    """At most 256 jobs wait; one request runs, or some together; one model loads, one sound is made.

    The clients take turns: the one served longest ago, also in who goes together.

    at_once: where fewer requests run than that, another is handed over: there are so many engines.

    own_numbers: ids for jobs that are no client's request, those of LiveEntry and NeededEntry. together: how many
    requests were handed over last, most_together at most so far.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._waiting: list[Entry] = []
        self._at_once = at_once
        self._served: OrderedDict[Address, int] = OrderedDict()
        self._services = itertools.count(1)
        self._under_way: dict[int, UnderWay] = {}
        self.own_numbers = itertools.count(-1, -1)
        self.together = self.most_together = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded."""
        return Load in self._kinds

    @property
    def is_live(self) -> bool:
        """Whether a request of the live mode runs."""
        return LiveEntry in self._kinds

    @property
    def _kinds(self) -> set[type]:
        return {each.kind for each in self._under_way.values()}

    def deadline(self, timeout_seconds: float) -> float:
        """When the first of the jobs under way has run out of its time, inf if there is none."""
        limits = (each.since + _times(each) * timeout_seconds for each in self._under_way.values())
        return min(limits, default=math.inf)

    def put(self, entry: Entry) -> Entry | None:
        """Add a job. Returns the one that is dropped where 256 wait already: another, or this one; else None."""
        leaves = None
        if len(self._waiting) >= MAX_WAITING:
            loser = gives_way((each.client for each in self._waiting), entry.client, self._served_at)
            if loser is None:
                return entry
            leaves = next(each for each in reversed(self._waiting) if each.client == loser)
            self._waiting.remove(leaves)
        self._waiting.append(entry)
        return leaves

    def remove(self, ticket: Ticket) -> None:
        """Remove a waiting job; one that is running goes on, and its result is ignored; see sound_of."""
        self._waiting = [entry for entry in self._waiting if entry.ticket is not ticket]

    def sound_of(self, ticket: Ticket) -> Job | None:
        """The sound that is being made for a request."""
        under_way = (each.begun for each in self._under_way.values())
        own = (each.job for each in under_way if isinstance(each, Entry) and each.ticket is ticket)
        return next((job for job in own if isinstance(job, Sound)), None)

    def older_of_group(self, entry: Entry) -> list[Entry]:
        """The waiting jobs of the same client and group."""
        same = (each for each in self._waiting if entry.group and each.group == entry.group)
        return [each for each in same if each.client == entry.client]

    def begin_next(
        self, now: float, resident: tuple[str, ...], fits: Callable[[Request], bool] = lambda _: False
    ) -> Job | Together | None:
        """The first job that can begin now, one of a kind of which none is under way; with it those that fit.

        A request that names a model which is not resident has it loaded and waits for it; others go before it.
        fits: whether a request can go together with others that can.
        """
        room = {kind: self._has_room(kind) for kind in (Run, Load, Sound)}
        for entry in sorted(self._waiting, key=lambda each: self._served_at(each.client)):
            if _names_none_of(resident, entry):
                if not self.is_loading:
                    return self.begin_loading(str(entry.job.request.model), now)  # type: ignore[union-attr]
            elif room[type(entry.job)]:
                self._leave(entry)
                if not isinstance(entry.job, Run):
                    return self.begin(entry, now)
                return self._begin_together([entry, *self._companions(entry, resident, fits)], now)
        return None

    def _has_room(self, kind: type[Job]) -> bool:
        """Whether one more job of a kind can be handed over.

        When half of those that run together are done, the next are, so that the engine need not wait for them.
        """
        under_way = [each for each in self._under_way.values() if each.kind is kind]
        if len(under_way) < (self._at_once if kind is Run else 1):
            return True
        are_ending = 2 * len(under_way) <= self.together and all(each.has_begun for each in under_way)
        return kind is Run and self._at_once == 1 and are_ending

    def _companions(
        self, first: Entry, resident: tuple[str, ...], fits: Callable[[Request], bool]
    ) -> Iterator[Entry]:
        """Those that go together with the first, as many as there is room for; they leave the queue.

        Each client's next in turn, then each one's next but one. Nobody's requests overtake their own.
        """
        assert isinstance(first.job, Run)
        if not fits(first.job.request):
            return
        turns, room, held_up = Counter({first.client: 1}), TOGETHER - share(first.job.request), set[Address]()
        order: list[tuple[tuple[int, bool, int], Entry]] = []
        for entry in self._waiting:
            turn = turns[entry.client], entry.client != first.client, self._served_at(entry.client)
            order.append((turn, entry))
            turns[entry.client] += 1
        for _, entry in sorted(order, key=lambda each: each[0]):
            if not isinstance(entry.job, Run) or _names_none_of(resident, entry) or entry.client in held_up:
                continue
            if fits(entry.job.request) and share(entry.job.request) <= room:
                room -= share(entry.job.request)
                self._leave(entry)
                yield entry
            else:
                held_up.add(entry.client)

    def _begin_together(self, entries: list[Entry], now: float) -> Job | Together:
        self.together = len(entries)
        self.most_together = max(self.together, self.most_together)
        runs = sum(each.kind is Run for each in self._under_way.values())
        alone = len(entries) == 1 and runs < self._at_once
        jobs = [self.begin(entry, now, has_begun=alone) for entry in entries]
        return jobs[0] if alone else Together(tuple(job for job in jobs if isinstance(job, Run)))

    def begin_loading(self, name: str, now: float) -> Job:
        """Load a model that a request needs; the default stays."""
        return self.begin(NeededEntry(Load(next(self.own_numbers), name, default=False)), now)

    def begin(self, entry: Begun, now: float, *, has_begun: bool = True) -> Job:
        """Put this one under way, before those that wait."""
        self._under_way[entry.job.number] = UnderWay(entry, now, has_begun)
        return entry.job

    def have_begun(self, numbers: Iterable[int], now: float) -> None:
        """The engine runs these now: their time counts from here, and they end with it."""
        for number in numbers:
            if each := self._under_way.get(number):
                each.since, each.has_begun = now, True

    def take_ended(self, number: int) -> Begun | None:
        """The job of that number, which has ended."""
        ended = self._under_way.pop(number, None)
        return ended.begun if ended else None

    def take_late(self, now: float, timeout_seconds: float) -> list[Begun]:
        """The jobs that have run out of their time, and are given up."""
        return self._take(lambda each: each.since + _times(each) * timeout_seconds <= now)

    def take_under_way(self) -> list[Begun]:
        """What is under way, and ends with the engine; what has not begun waits for the next."""
        gone, left = self._take(lambda each: each.has_begun), self._take(lambda _: True)
        self._waiting[:0] = [each for each in left if isinstance(each, Entry)]
        return gone

    def take_waiting_for(self, name: str) -> list[Entry]:
        """The requests that name a model which cannot be had; they leave the queue."""
        gone = [each for each in self._waiting if isinstance(each.job, Run) and each.job.request.model == name]
        self._waiting = [each for each in self._waiting if each not in gone]
        return gone

    def drain(self) -> Iterator[Entry]:
        """All waiting jobs, which leave the queue."""
        while self._waiting:
            yield self._waiting.pop(0)

    def _served_at(self, client: Address) -> int:
        """Larger if a client was served later, 0 if it has not been lately."""
        return self._served.get(client, 0)

    def _leave(self, entry: Entry) -> None:
        """It is this one's turn."""
        self._waiting.remove(entry)
        self._served[entry.client] = next(self._services)
        self._served.move_to_end(entry.client)
        if len(self._served) > MAX_SERVED:
            self._served.popitem(last=False)

    def _take(self, wanted: Callable[[UnderWay], bool]) -> list[Begun]:
        taken = {number: each for number, each in self._under_way.items() if wanted(each)}
        self._under_way = {number: each for number, each in self._under_way.items() if number not in taken}
        return [each.begun for each in taken.values()]


def _times(under_way: UnderWay) -> int:
    return TIMES[type(under_way.begun.job)]


def _names_none_of(resident: tuple[str, ...], entry: Entry) -> bool:
    """Whether a request names a model that is not in memory."""
    return isinstance(entry.job, Run) and entry.job.request.model not in (None, *resident)
