"""The MIDI edge: ports of our own and ports of others, raw bytes in and out. Knows nothing of notes or clocks."""

import importlib
import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import PortError
from bridge.midi.jack import Room
from bridge.midi.listener import Heard, Listener
from bridge.midi.system import Load, MidiSystem, open_system

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0

NO_VIRTUAL_PORTS = (
    "Windows has no virtual MIDI ports: make one with loopMIDI, and name it with --listen-to and --play-to; "
    "OSC works without"
)


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


@dataclass(slots=True)
class Port:
    """One port that is wanted, and what there is of it.

    name is our port's as the system tells it, peer the other's; handle is rtmidi's, None while it is not open.
    """

    wanted: str
    hears: bool
    virtual: bool
    handle: Any = None
    name: str = ""
    peer: str = ""
    room: Room | None = None


@dataclass(slots=True)
class Changes:
    """Names of ports, as they were wanted."""

    vanished: list[str] = field(default_factory=list)
    came_back: list[str] = field(default_factory=list)


class MidiPorts:
    """All ports, opened; PortError if there is no MIDI system at all. Ports are called by their wanted names."""

    def __init__(self, wanted: Ports, now: float, load: Load = importlib.import_module):
        self._api, self._load = wanted.api, load
        self._ports = list(_ports(wanted))
        self._listener = Listener()
        self._frames = -1
        self._unsent_told = self.unsent = 0
        self._system: MidiSystem | None = None
        try:
            self._open_system()
        except PortError:
            self._listener.close()
            raise
        self._next_check = now + CHECK_SECONDS
        self._open_missing(Changes())
        for port in self._ports:
            if not port.handle:
                logger.info("no port is called %s yet; it is opened when there is one", port.wanted)

    @property
    def next_check(self) -> float:
        """When check must be called; at once if the MIDI system has died."""
        return -math.inf if self._system and self._system.gone else self._next_check

    @property
    def lost(self) -> int:
        """How many messages came while the queue was full."""
        return self._listener.lost

    @property
    def open_names(self) -> tuple[str, ...]:
        """The open ports as the system tells them: our own, and the others' that we listen or play to."""
        return tuple(port.peer or port.name for port in self._ports if port.handle)

    def fileno(self) -> int:
        """Readable when something was heard, or when the MIDI system has died."""
        return self._listener.fileno()

    def receive(self, limit: int = 256) -> list[Heard]:
        """What was heard, in order: time.monotonic() seconds of arrival, port, message."""
        return self._listener.take(limit)

    def send(self, message: bytes) -> None:
        """Play a message on every open output, without ever waiting; unsent counts what one could not take."""
        for port in self._ports:
            if port.handle and not port.hears and not self._send_to(port, message):
                self.unsent += 1

    def check(self, now: float) -> tuple[list[str], list[str]]:
        """Open what has come back. The ports that have vanished since the last time, and those that came back."""
        self._next_check = now + CHECK_SECONDS
        changes = Changes()
        if self._system and self._system.gone:
            logger.warning("the MIDI system has gone; its ports are opened again when it is back")
            self._leave_system(changes)
        if not self._system:
            self._try_to_open_system()
        if self._system and self._moves(self._system):
            self._close_vanished(changes)
            self._open_missing(changes)
        self._tell_unsent()
        return changes.vanished, changes.came_back

    def close(self) -> None:
        """Close all ports, once what was sent is on its way."""
        if self._system:
            self._leave_system(Changes())
        self._listener.close()

    def _send_to(self, port: Port, message: bytes) -> bool:
        assert self._system
        if port.room and not port.room.take(len(message)):
            return False
        try:
            port.handle.send_message(message)
        except (self._system.rtmidi.RtMidiError, ValueError) as error:
            logger.debug("sending to %s: %s", port.wanted, error)
            return False
        return True

    def _open_system(self) -> None:
        self._system = open_system(self._api, self._listener.wake_up, self._load)
        if self._system.api == "windows":
            self._ports = [port for port in self._ports if not port.virtual]
            if not self._ports:
                raise PortError(NO_VIRTUAL_PORTS)

    def _try_to_open_system(self) -> None:
        try:
            self._open_system()
        except PortError as error:
            logger.debug("still no MIDI system: %s", error)

    def _leave_system(self, changes: Changes) -> None:
        assert self._system
        system, opened = self._system, [port for port in self._ports if port.handle]
        changes.vanished += [port.wanted for port in opened]
        if system.answers():
            self._close_ports(opened)
            system.close()
        else:
            logger.warning("the JACK server hangs; its ports are left to it")
            for port in opened:
                self._listener.leave(port.handle)
            system.abandon([port.handle for port in opened])
        self._system, self._frames = None, -1

    def _moves(self, system: MidiSystem) -> bool:
        """Whether the server does anything: one that hangs would never answer."""
        before = self._frames
        self._frames = system.server.frames() if system.server else before + 1
        return self._frames != before

    def _close_vanished(self, changes: Changes) -> None:
        assert self._system
        there = {True: self._system.sources(), False: self._system.destinations()}
        vanished = [
            port for port in self._ports if port.handle and port.peer and port.peer not in there[port.hears]
        ]
        for port in vanished:
            logger.warning("%s has gone", port.peer)
            changes.vanished.append(port.wanted)
        self._close_ports(vanished)

    def _open_missing(self, changes: Changes) -> None:
        for port in self._ports:
            if not port.handle and self._open(port):
                logger.info("%s is open: %s", port.wanted, port.peer or port.name)
                changes.came_back.append(port.wanted)

    def _open(self, port: Port) -> bool:
        """Whether a port could be opened."""
        assert self._system
        system = self._system
        others = system.sources() if port.hears else system.destinations()
        number = self._find(port, others)
        if number is None and not port.virtual:
            return False
        mine_are_seen_as = system.destinations if port.hears else system.sources
        before = mine_are_seen_as()
        client, name = _names(port, system.api)
        try:
            handle = system.new_input(client) if port.hears else system.new_output(client)
            handle.open_virtual_port(name) if number is None else handle.open_port(number, name)
        except system.rtmidi.RtMidiError as error:
            logger.warning("%s cannot be opened: %s", port.wanted, error)
            return False
        new = Counter(mine_are_seen_as()) - Counter(before)
        port.handle, port.peer = handle, "" if number is None else others[number]
        port.name = next((full for full in new if full.startswith(client)), client if port.virtual else "")
        if port.virtual and any(full.startswith(client) for full in before):
            logger.warning("another program has a port called %s; ours is %s", port.wanted, port.name)
        if port.hears:
            self._listener.listen(port.wanted, handle)
        elif system.server:
            port.room = Room(system.server)
        return True

    def _find(self, port: Port, names: list[str]) -> int | None:
        """The number of another's port: the one with that very name, else the first that contains it."""
        if port.virtual:
            return None
        taken = {other.name for other in self._ports if other.handle}
        taken |= {other.peer for other in self._ports if other.handle and other.hears == port.hears}
        free = [number for number, name in enumerate(names) if name not in taken]
        exact = [number for number in free if names[number] == port.wanted]
        partly = [number for number in free if port.wanted.casefold() in names[number].casefold()]
        return next(iter(exact + partly), None)

    def _close_ports(self, ports: list[Port]) -> None:
        for port in ports:
            handle, port.handle, port.peer, port.room = port.handle, None, "", None
            self._listener.leave(handle)
            handle.close_port()
            handle.delete()

    def _tell_unsent(self) -> None:
        if self.unsent > self._unsent_told:
            logger.warning("%d messages could not be sent", self.unsent - self._unsent_told)
            self._unsent_told = self.unsent


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
