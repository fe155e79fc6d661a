"""What waits for the engine: a bounded queue of jobs. Pure: the daemon carries the messages.

One request runs at a time; beside it one model is loaded, and one sound is made.
"""

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bridge.addresses import Address
from bridge.service.busy import MAX_WAITING, gives_way
from bridge.service.tickets import Ticket
from bridge.worker.messages import Job, Load, Run, Sound

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


class EngineQueue:
    """At most 64 jobs wait; one request runs, one model loads, one sound is made.

    The clients take turns: the one served longest ago.

    own_numbers: ids for jobs that are no client's request, those of LiveEntry and NeededEntry.
    """

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        self._served: OrderedDict[Address, int] = OrderedDict()
        self._services = itertools.count(1)
        self._under_way: dict[type[Job], tuple[Begun, float]] = {}
        self.own_numbers = itertools.count(-1, -1)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_running(self) -> bool:
        """Whether a request runs."""
        return Run in self._under_way

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded."""
        return Load in self._under_way

    def deadline(self, timeout_seconds: float) -> float:
        """When the first of the jobs under way has run out of its time, inf if there is none."""
        limits = (since + TIMES[kind] * timeout_seconds for kind, (_, since) in self._under_way.items())
        return min(limits, default=math.inf)

    def put(self, entry: Entry) -> Entry | None:
        """Add a job. Returns the one that is dropped where 64 wait already: another, or this one; else None."""
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
        entry, _ = self._under_way.get(Sound, (None, 0.0))
        return entry.job if isinstance(entry, Entry) and entry.ticket is ticket else None

    def older_of_group(self, entry: Entry) -> list[Entry]:
        """The waiting jobs of the same client and group."""
        same = (each for each in self._waiting if entry.group and each.group == entry.group)
        return [each for each in same if each.client == entry.client]

    def begin_next(self, now: float, resident: tuple[str, ...]) -> Job | None:
        """The first job that can begin now: one of a kind of which none is under way.

        A request that names a model which is not resident has it loaded and waits for it; others go before it.
        """
        if len(self._under_way) == len(TIMES):
            return None
        for entry in sorted(self._waiting, key=lambda each: self._served_at(each.client)):
            if isinstance(entry.job, Run) and entry.job.request.model not in (None, *resident):
                if not self.is_loading:
                    return self.begin_loading(str(entry.job.request.model), now)
            elif type(entry.job) not in self._under_way:
                self._waiting.remove(entry)
                self._serve(entry.client)
                return self.begin(entry, now)
        return None

    def begin_loading(self, name: str, now: float) -> Job:
        """Load a model that a request needs; the default stays."""
        return self.begin(NeededEntry(Load(next(self.own_numbers), name, default=False)), now)

    def begin(self, entry: Begun, now: float) -> Job:
        """Put this one under way, before those that wait."""
        self._under_way[type(entry.job)] = entry, now
        return entry.job

    def take_ended(self, number: int) -> Begun | None:
        """The job of that number, which has ended."""
        return next(iter(self._take(lambda entry, _: entry.job.number == number)), None)

    def take_late(self, now: float, timeout_seconds: float) -> list[Begun]:
        """The jobs that have run out of their time, and are given up."""
        return self._take(lambda entry, since: since + TIMES[type(entry.job)] * timeout_seconds <= now)

    def take_under_way(self) -> list[Begun]:
        """What is under way, and ends with the engine."""
        return self._take(lambda *_: True)

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

    def _serve(self, client: Address) -> None:
        self._served[client] = next(self._services)
        self._served.move_to_end(client)
        if len(self._served) > MAX_SERVED:
            self._served.popitem(last=False)

    def _take(self, wanted: Callable[[Begun, float], bool]) -> list[Begun]:
        taken = {kind: entry for kind, (entry, since) in self._under_way.items() if wanted(entry, since)}
        self._under_way = {kind: begun for kind, begun in self._under_way.items() if kind not in taken}
        return list(taken.values())
