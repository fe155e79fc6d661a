"""The process that holds one MIDI port: opens it, carries its messages, closes it when the daemon is gone.

A process of its own, because the MIDI system may let any call that opens or closes a port wait for other programs,
and RtMidi waits with Python's lock held.
"""

import contextlib
import importlib
import os
import select
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from bridge.errors import PortError
from bridge.log import set_up_log
from bridge.midi.jack import Room
from bridge.midi.listener import Listener
from bridge.midi.messages import NOTE_OFF, ends_notes
from bridge.midi.orders import Lost, NotOpened, Open, Opened
from bridge.midi.system import ATTEMPTS, Load, MidiSystem, Names, open_system
from bridge.realtime import ask_for_realtime, steady_interpreter
from bridge.worker.children import die_with_daemon, die_within, inherited
from bridge.worker.pipe import Channel

SHORT_LOOK_SECONDS, LONG_LOOK_SECONDS = 0.001, 0.004
LIVELY_SECONDS = 5.0
"""For so long after a message the looks are short, because more may come."""

MAX_WAITING_BYTES = 4 << 20
"""The limit of received messages that the daemon has not read; what exceeds it is lost, and counted."""

OWED_SECONDS = 0.01
"""How often it is tried to send the ends of notes for which there was no room."""

ENDING_SECONDS = 0.5
"""How long that is tried when the daemon has gone."""

CLOSING_SECONDS = 2
"""How long the MIDI system may keep a port from closing."""

Key = tuple[int, int]
"""A note as a port knows it: its channel from 0, and its pitch."""


def main() -> None:
    """Read which port to open, and carry its messages."""
    order, channel = inherited()
    set_up_log(order.log_level)
    ask_for_realtime(tell=False)
    run(order, channel)


def run(order: Open, channel: Channel, load: Load = importlib.import_module) -> None:
    """Open the port, and carry its messages until the daemon closes the channel or the MIDI system dies."""
    try:
        system = open_system(order.api, _leave_at_once, load)
        handle, opened = _open(system, order)
    except PortError as error:
        channel.put(NotOpened(str(error)))
        return
    channel.put(opened)
    die_with_daemon(False)  # what sounds is to be ended first
    steady_interpreter()
    if order.hears:
        hear(Listener(handle), channel)
    else:
        Player(handle, system).play(channel)
    die_within(CLOSING_SECONDS)
    handle.close_port()
    handle.delete()
    system.close()


def _leave_at_once() -> None:
    """End the process without closing the port: the MIDI system has died, and closing would wait for it."""
    os._exit(0)


def _open(system: MidiSystem, order: Open) -> tuple[Any, Opened]:
    """The port as rtmidi has it, and how the system tells it; PortError if it cannot be opened."""
    handle: Any = None
    try:
        with contextlib.closing(Names(system)) as names:
            mine_are_seen_as = names.destinations if order.hears else names.sources
            before = mine_are_seen_as()
            handle = system.new_input(order.client) if order.hears else system.new_output(order.client)
            if order.peer:
                _connect(handle, names.sources if order.hears else names.destinations, order)
            else:
                handle.open_virtual_port(order.name)
            new = Counter(mine_are_seen_as()) - Counter(before)
    except (ValueError, system.rtmidi.RtMidiError) as error:
        raise PortError(f"{order.peer} has gone" if isinstance(error, ValueError) else str(error)) from error
    name = next((full for full in new if full.startswith(order.client)), "" if order.peer else order.client)
    return handle, Opened(name, not order.peer and any(full.startswith(order.client) for full in before))


def _connect(handle: Any, others: Callable[[], list[str]], order: Open) -> None:
    """Connect to the peer; ValueError if it has gone.

    RtMidi takes its number and counts again, so another port that comes or goes in between makes it begin again.
    """
    for _ in range(ATTEMPTS):
        number = others().index(order.peer)
        handle.open_port(number, order.name)
        if others()[number : number + 1] == [order.peer]:
            return
        handle.close_port()
    raise PortError(f"{order.peer}: the MIDI ports change faster than one can be opened")


def hear(listener: Listener, channel: Channel) -> None:
    """Hand over what is heard, never waiting for the daemon; returns when it has gone."""
    channel.set_blocking(False)
    lively_until, lost, is_told = 0.0, 0, True
    while True:
        pause = SHORT_LOOK_SECONDS if time.perf_counter() < lively_until else LONG_LOOK_SECONDS
        if select.select([channel], [], [], pause)[0]:
            try:
                channel.read()
            except EOFError:
                return
        heard = list(listener.look())
        if heard and channel.waiting_bytes > MAX_WAITING_BYTES:
            lost, is_told = lost + len(heard), False
        elif heard:
            channel.put(heard)
            lively_until = time.perf_counter() + LIVELY_SECONDS
        elif not is_told and not channel.waiting_bytes:
            channel.put(Lost(lost))
            is_told = True
        channel.flush()


class Player:
    """An output: sends what comes through the channel, and ends what sounds when that closes.

    The end of a note that cannot be sent is owed: it is sent as soon as it can be, so that no note hangs.
    """

    def __init__(self, handle: Any, system: MidiSystem):
        self._handle, self._error = handle, system.rtmidi.RtMidiError
        self._room = Room(system.server) if system.server else None
        self._sounding: set[Key] = set()
        self._owed: set[Key] = set()

    def play(self, channel: Channel) -> None:
        """Send until the daemon has gone."""
        unsent = 0
        while True:
            if self._owed and not select.select([channel], [], [], OWED_SECONDS)[0]:
                self._end_owed()
                continue
            try:
                messages = channel.read()
            except EOFError:
                break
            if refused := sum(not self._play(message) for message in messages):
                unsent += refused
                channel.put(Lost(unsent))
        self._end_all()

    def _play(self, message: bytes) -> bool:
        """Whether a message could be sent, or is an end that will be."""
        if len(message) != 3 or message[0] & 0xE0 != NOTE_OFF:
            return self._send(message)
        key, begins = (message[0] & 0x0F, message[1]), not ends_notes(message)
        if (key in self._owed and not self._end(key)) or not self._send(message):
            is_owed = not begins and key in self._sounding
            self._owed |= {key} if is_owed else set()
            return is_owed
        (self._sounding.add if begins else self._sounding.discard)(key)
        return True

    def _end(self, key: Key) -> bool:
        """Whether the end of a note could be sent."""
        if is_sent := self._send(bytes((NOTE_OFF | key[0], key[1], 64))):
            self._sounding.discard(key)
            self._owed.discard(key)
        return is_sent

    def _end_owed(self) -> None:
        """Send the ends that are owed, as far as there is room."""
        for key in sorted(self._owed):
            if not self._end(key):
                return

    def _end_all(self) -> None:
        """End what sounds; where there is no room for that, there may soon be."""
        self._owed |= self._sounding
        self._end_owed()
        deadline = time.perf_counter() + ENDING_SECONDS
        while self._owed and time.perf_counter() < deadline:
            time.sleep(OWED_SECONDS)
            self._end_owed()

    def _send(self, message: bytes) -> bool:
        """Whether a message could be sent; without ever waiting."""
        if self._room and not self._room.take(len(message)):
            return False
        try:
            self._handle.send_message(message)
        except (self._error, ValueError):
            return False
        return True
