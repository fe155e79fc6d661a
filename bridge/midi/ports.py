"""The MIDI edge: ports of our own and ports of others, raw bytes in and out. Knows nothing of notes or clocks.

Each port lives in a process of its own and one more tells which ports there are, so that no call here ever waits
for the MIDI system or for the programs behind it.
"""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Protocol

from bridge.midi.messages import ends_notes
from bridge.midi.orders import Listing, Lost, NoSystem, NotOpened, Open, Opened, Watch
from bridge.worker.children import Child
from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
SILENT_SECONDS = 15.0
"""After which the process that tells of the ports is started anew; it tells every second, or hangs."""

OPENING_SECONDS = 10.0
STUCK_SECONDS = 2.0
"""After which a port that takes nothing any more is closed, to be opened again."""

CLOSING_SECONDS = 1.0
MAX_WAITING_BYTES = 1 << 18
"""What one port has not taken yet: of what comes then only ends of notes are sent, the rest is counted."""

OFF = "MIDI is switched off (--no-midi)"
NOT_YET = "the MIDI system has not answered yet; OSC works without"
NO_ANSWER = "the MIDI system does not answer: a JACK server or client may hang; OSC works without"
GONE = "the MIDI system has gone; its ports are opened again when it is back"
NO_VIRTUAL_PORTS = (
    "Windows has no virtual MIDI ports: make one with loopMIDI, and name it with --listen-to and --play-to; "
    "OSC works without"
)

Heard = tuple[float, str, bytes]
"""The moment of arrival in seconds of time.perf_counter(), the port, the message."""

MOMENT = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Ports:
    """Which ports are wanted. inputs and outputs are our own, for others to connect to.

    listen_to and play_to are ports of others, by name or a part of it, opened whenever they are there.
    """

    inputs: tuple[str, ...] = ("vaebridge in",)
    outputs: tuple[str, ...] = ("vaebridge out",)
    listen_to: tuple[str, ...] = ()
    play_to: tuple[str, ...] = ()
    api: str = "auto"
    log_level: str = "info"


class Starts(Protocol):
    """What starts processes and lets them go without waiting, as bridge.worker.children.Children does."""

    def start(self, module: str, recipe: object) -> Child:
        """A new process."""

    def let_go(self, child: Child, now: float, patience_seconds: float = 0.0) -> None:
        """Let it end."""


@dataclass(slots=True)
class Port:
    """One port that is wanted, and what there is of it.

    name is our port's as the system tells it, peer the other's; child is its process, since when something last
    went well; is_open once it said so; tried: whether it has been tried since the ports were listed last.
    """

    wanted: str
    hears: bool
    virtual: bool
    child: Child | None = None
    is_open: bool = False
    tried: bool = False
    name: str = ""
    peer: str = ""
    problem: str = ""
    since: float = -math.inf
    lost: int = 0


class MidiPorts:
    """All ports, opened as soon as they can be. Ports are called by their wanted names.

    why_none says why there is no MIDI, empty where there is.
    """

    def __init__(self, wanted: Ports | None, children: Starts, now: float):
        self._wanted, self._children = wanted or Ports((), ()), children
        self._ports = list(_ports(self._wanted))
        self._watch: Child | None = None
        self._listing: Listing | None = None
        self._heard_of_watch, self._next_start = now, now if wanted else math.inf
        self._next_check = now if wanted else math.inf
        self._vanished: list[str] = []
        self._returned: list[str] = []
        self._told_lost = self.unsent = 0
        self.why_none = NOT_YET if wanted else OFF

    @property
    def channels(self) -> list[Channel]:
        """To wait for: until one is readable, or writable where bytes wait in it."""
        children = [self._watch, *(port.child for port in self._ports)]
        return [child.channel for child in children if child]

    @property
    def names(self) -> tuple[str, ...]:
        """The open ports as the system tells them: our own, and the others' that we listen or play to."""
        return tuple(port.peer or port.name for port in self._ports if port.is_open)

    @property
    def is_settled(self) -> bool:
        """Whether all wanted ports that exist have been tried, or there is no MIDI system."""
        if self._listing is None:
            return self.why_none != NOT_YET
        return all(port.is_open or (port.tried and not port.child) for port in self._ports)

    @property
    def lost(self) -> int:
        """How many messages came to an input that had no room for them."""
        return sum(port.lost for port in self._ports if port.hears)

    # What the daemon calls

    def read(self, now: float) -> list[Heard]:
        """What was heard, in the order of arrival."""
        heard: list[Heard] = []
        if self._watch is not None:
            self._read_watch(self._watch, now)
        for port in self._ports:
            if port.child is not None:
                heard += self._read_port(port, port.child, now)
        return sorted(heard, key=MOMENT)

    def send(self, message: bytes) -> None:
        """Play a message on every open output, without ever waiting; unsent counts what one could not take."""
        for port in self._ports:
            if port.is_open and not port.hears and port.child is not None:
                if port.child.channel.waiting_bytes > MAX_WAITING_BYTES and not ends_notes(message):
                    self.unsent += 1
                else:
                    port.child.channel.put(message)

    def take_changes(self) -> tuple[list[str], list[str]]:
        """The ports that have vanished since it was asked last, and those that are open, or open again."""
        changes = self._vanished, self._returned
        self._vanished, self._returned = [], []
        return changes

    def run_due(self, now: float) -> None:
        """Start what is missing, close what hangs, say what was lost."""
        if now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        if self._watch is None and now >= self._next_start:
            self._start_watch(now)
        elif self._watch is not None and now - self._heard_of_watch >= SILENT_SECONDS:
            self._leave_watch(now)
        if self.why_none in (NOT_YET, GONE) and now - self._heard_of_watch >= STUCK_SECONDS:
            self._say_why_none(NO_ANSWER)
        for port in self._ports:
            self._close_if_stuck(port, now)
        self._open_next(now)
        self._tell_lost()

    def next_due(self) -> float:
        """When run_due has something to do."""
        return self._next_check

    def close(self, now: float) -> None:
        """Close all ports, once what was sent is on its way; each process ends what still sounds on its port."""
        for port in self._ports:
            self._leave(port, now)
        self._leave_watch(now)
        self._next_check = math.inf

    # The process that tells which ports there are

    def _start_watch(self, now: float) -> None:
        self._heard_of_watch = now
        self._next_start = now + CHECK_SECONDS
        try:
            self._watch = self._children.start(
                "bridge.midi.watch_process", Watch(self._wanted.api, self._wanted.log_level)
            )
        except OSError as error:
            self._say_why_none(f"the MIDI system cannot be watched: {error}; OSC works without")

    def _read_watch(self, watch: Child, now: float) -> None:
        try:
            reports = watch.channel.read()
        except EOFError:
            if self._listing is not None:
                self._say_why_none(GONE)
            self._leave_watch(now)
            return
        for report in reports:
            self._heard_of_watch = now
            if isinstance(report, NoSystem):
                self._say_why_none(report.text)
            elif isinstance(report, Listing):
                self._look_at(report, now)

    def _leave_watch(self, now: float) -> None:
        if self._watch is not None:
            watch, self._watch, self._listing = self._watch, None, None
            self._children.let_go(watch, now, CLOSING_SECONDS)
            self._next_check = min(self._next_check, max(now, self._next_start))

    def _say_why_none(self, text: str) -> None:
        if text != self.why_none:
            self.why_none = text
            logger.warning("no MIDI ports: %s", text)

    def _look_at(self, listing: Listing, now: float) -> None:
        """Close the ports whose other end has gone, open those that can be had."""
        if listing.api == "windows":
            self._ports = [port for port in self._ports if not port.virtual]
            if not self._ports:
                self._say_why_none(NO_VIRTUAL_PORTS)
                return
        first, self._listing, self.why_none = self._listing is None, listing, ""
        for port in self._ports:
            port.tried = False
            if port.is_open and port.peer and port.peer not in _others(listing, port):
                self._vanish(port, now, f"{port.peer} has gone")
        self._open_next(now)
        if first:
            for port in self._ports:
                if not (port.child or port.virtual):
                    logger.info("no port is called %s yet; it is opened when there is one", port.wanted)

    # The processes that hold the ports

    def _open_next(self, now: float) -> None:
        """Open a port that is missing: one at a time, since only then it is known which names are our own."""
        if self._listing is None or any(port.child and not port.is_open for port in self._ports):
            return
        missing = [port for port in self._ports if not (port.is_open or port.tried)]
        for port in sorted(missing, key=lambda port: port.since):  # a port that hung is tried after the others
            port.tried = True
            peer = "" if port.virtual else self._find(port, self._listing)
            if peer is not None:
                self._open(port, peer, self._listing.api, now)
                return

    def _open(self, port: Port, peer: str, api: str, now: float) -> None:
        client, name = _names(port, api)
        order = Open(api, port.hears, client, name, peer, self._wanted.log_level)
        port.peer, port.since = peer, now
        try:
            port.child = self._children.start("bridge.midi.port_process", order)
        except OSError as error:
            self._say_problem(port, f"no process can be started: {error}")

    def _find(self, port: Port, listing: Listing) -> str | None:
        """Another's port: the one with that very name, else the first that contains it."""
        taken = {other.name for other in self._ports if other.is_open}
        taken |= {other.peer for other in self._ports if other.is_open and other.hears == port.hears}
        free = [name for name in _others(listing, port) if name not in taken]
        exact = [name for name in free if name == port.wanted]
        partly = [name for name in free if port.wanted.casefold() in name.casefold()]
        return next(iter(exact + partly), None)

    def _read_port(self, port: Port, child: Child, now: float) -> Iterator[Heard]:
        try:
            reports = child.channel.read()
        except EOFError:
            self._vanish(port, now, f"{port.wanted} has gone")
            return
        for report in reports:
            if isinstance(report, list):
                yield from ((moment, port.wanted, message) for moment, message in report)
            elif isinstance(report, Opened):
                self._opened(port, report, now)
            elif isinstance(report, NotOpened):
                self._say_problem(port, report.text)
                self._leave(port, now)
                self._open_next(now)
            elif isinstance(report, Lost):
                self._count_lost(port, report)

    def _opened(self, port: Port, report: Opened, now: float) -> None:
        port.is_open, port.name, port.problem = True, report.name, ""
        self._returned.append(port.wanted)
        logger.info("%s is open: %s", port.wanted, port.peer or port.name)
        if report.is_double:
            logger.warning("another program has a port called %s; ours is %s", port.wanted, port.name)
        self._open_next(now)

    def _count_lost(self, port: Port, report: Lost) -> None:
        more, port.lost = report.count - port.lost, report.count
        self.unsent += 0 if port.hears else more

    def _close_if_stuck(self, port: Port, now: float) -> None:
        """Restart the process of a port that is not opened in time or no longer takes messages."""
        if port.child is None:
            return
        if port.is_open and not port.child.channel.waiting_bytes:
            port.since = now
        elif now - port.since >= (STUCK_SECONDS if port.is_open else OPENING_SECONDS):
            self._vanish(port, now, f"{port.wanted} hangs; it is opened anew")

    def _vanish(self, port: Port, now: float, text: str) -> None:
        logger.warning("%s", text)
        if port.is_open:
            self._vanished.append(port.wanted)
        self._leave(port, now)

    def _leave(self, port: Port, now: float) -> None:
        if port.child is not None:
            child, port.child = port.child, None
            self._children.let_go(child, now, CLOSING_SECONDS)
        port.is_open, port.name, port.peer, port.lost = False, "", "", 0

    def _say_problem(self, port: Port, text: str) -> None:
        if text != port.problem:
            port.problem = text
            logger.warning("%s cannot be opened: %s", port.wanted, text)

    def _tell_lost(self) -> None:
        lost = self.unsent + self.lost
        if lost > self._told_lost:
            logger.warning("%d MIDI messages could not be sent or heard", lost - self._told_lost)
        self._told_lost = lost


def _others(listing: Listing, port: Port) -> tuple[str, ...]:
    """The ports that this one can connect to."""
    return listing.sources if port.hears else listing.destinations


def _ports(wanted: Ports) -> Iterator[Port]:
    for names, hears, virtual in (
        (wanted.inputs, True, True),
        (wanted.outputs, False, True),
        (wanted.listen_to, True, False),
        (wanted.play_to, False, False),
    ):
        for name in names:
            yield Port(name, hears, virtual)


def _names(port: Port, api: str) -> tuple[str, str]:
    """What our client and its port are to be called. Core MIDI shows the port's name alone, the others both."""
    end = "in" if port.hears else "out"
    client = port.wanted if port.virtual else f"vaebridge {'listens' if port.hears else 'plays'}"
    return client, client if api == "core" else end
