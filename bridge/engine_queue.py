"""What waits for the engine: a bounded queue of jobs, one of which runs. Pure: the daemon carries the messages.

These are the values that cross the pipe between the two processes; either side knows only them.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.ledger import Ticket
from engine.requests import Request, Results

MAX_WAITING = 64


@dataclass(frozen=True, slots=True)
class Run:
    """Ask the engine for a request's results."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Load:
    """Ask the engine to make a model resident and the default."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is warm. problems: sentences about weights that could not be loaded."""

    device: str
    loaded: tuple[str, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The results of a Run."""

    number: int
    results: Results


@dataclass(frozen=True, slots=True)
class Loaded:
    """A Load is done; loaded are all resident models, the default first."""

    number: int
    name: str
    ms: float
    loaded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A Run or Load that cannot be done; code is one of the protocol's."""

    number: int
    code: str
    text: str


Job = Run | Load
Report = Ready | Finished | Loaded | Refused


@dataclass(frozen=True, slots=True)
class Entry:
    """A job, whose it is, and where its first result is to be kept. group may be empty."""

    ticket: Ticket
    job: Job
    group: str = ""
    to_slot: str = ""


@dataclass(frozen=True, slots=True)
class LiveEntry:
    """What the live mode asks for the next bar: nobody's request, and before all others."""

    job: Run


class EngineQueue:
    """At most 64 jobs wait, one runs."""

    def __init__(self) -> None:
        self._waiting: deque[Entry] = deque()
        self.running: Entry | LiveEntry | None = None
        self.running_since = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the next job would be the 65th."""
        return len(self._waiting) >= MAX_WAITING

    def put(self, entry: Entry) -> None:
        """Add a job to the end."""
        self._waiting.append(entry)

    def remove(self, ticket: Ticket) -> None:
        """Forget a waiting job; the running one runs to its end, unheard."""
        self._waiting = deque(entry for entry in self._waiting if entry.ticket is not ticket)

    def older_of_group(self, entry: Entry) -> list[Entry]:
        """The waiting jobs of the same client and group."""
        same = (each for each in self._waiting if entry.group and each.group == entry.group)
        return [each for each in same if each.ticket.client is entry.ticket.client]

    def start_next(self, now: float) -> Job | None:
        """The job that is to run now, if none runs."""
        if self.running is not None or not self._waiting:
            return None
        return self.start(self._waiting.popleft(), now)

    def start(self, entry: Entry | LiveEntry, now: float) -> Job:
        """Run this one, before those that wait."""
        self.running, self.running_since = entry, now
        return entry.job

    def take_running(self, number: int | None = None) -> Entry | LiveEntry | None:
        """The running job, which has ended, if it has that number."""
        entry = self.running
        if entry is None or number not in (None, entry.job.number):
            return None
        self.running = None
        return entry

    def drain(self) -> Iterator[Entry]:
        """All waiting jobs, which leave the queue."""
        while self._waiting:
            yield self._waiting.popleft()
