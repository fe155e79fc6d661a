"""What the MIDI inputs hear, with the moment of its arrival. Knows nothing of names, of servers or of opening.

The system's threads only fill RtMidi's own queues. A callback into Python would make them wait for Python's lock,
and a JACK client that waits longer than a period reads what the next period has already overwritten.
"""

import logging
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from bridge.midi.messages import Messages

logger = logging.getLogger(__name__)

MAX_WAITING = 65_536
"""Messages heard that nobody has taken yet; also what RtMidi's queue holds."""

SHORT_LOOK_SECONDS, LONG_LOOK_SECONDS = 0.001, 0.004
LIVELY_SECONDS = 5.0
"""For so long after a message the looks are short, because more may come."""

LARGEST_DRIFT = 0.0002
"""By how much the clock of a MIDI system may be faster or slower than ours."""

Heard = tuple[float, str, bytes]
"""The moment of arrival in seconds of time.monotonic(), the port, the message."""

MOMENT = itemgetter(0)

ACTIVE_SENSING = 0xFE


class Arrivals:
    """Moments of arrival, from RtMidi's intervals and from the moments of looking. Pure: time is a number.

    The intervals between messages are exact but begin anywhere; a message lies between the last look and this one.
    """

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._offset = math.inf

    def moment(self, interval: float, last_look: float, now: float) -> float:
        """When a message came, interval after the one before it, and not seen at the last look."""
        self._elapsed += interval
        offset = min(self._offset + interval * LARGEST_DRIFT, now - self._elapsed)
        self._offset = max(offset, last_look - self._elapsed)
        return self._elapsed + self._offset


@dataclass(slots=True)
class Input:
    """An rtmidi.MidiIn without a callback, and what its messages are to be called."""

    port: str
    handle: Any
    last_look: float
    arrivals: Arrivals = field(default_factory=Arrivals)
    messages: Messages = field(default_factory=Messages)


def look(one: Input) -> Iterator[Heard]:
    """What an input has heard since the last look, but for sysex and active sensing."""
    now = time.monotonic()
    for _ in range(MAX_WAITING):
        event = one.handle.get_message()
        if event is None:
            break
        message, interval = bytes(event[0]), event[1]
        moment = one.arrivals.moment(interval, one.last_look, time.monotonic())
        for whole in one.messages.read(message):
            if whole[0] != ACTIVE_SENSING:
                yield moment, one.port, whole
    one.last_look = now


class Listener:
    """A thread that looks into the queues of the inputs; select may wait for what it has found."""

    def __init__(self) -> None:
        self.lost = 0
        self._heard: deque[Heard] = deque()
        self._inputs: dict[int, Input] = {}
        self._lock = threading.Lock()  # nobody closes an input that is just being looked into
        self._thread: threading.Thread | None = None
        self._ended = False
        self._wake, self._poke = socket.socketpair()
        self._wake.setblocking(False)
        self._poke.setblocking(False)
        self._poked = False

    def fileno(self) -> int:
        """Readable when something was heard, or after wake_up."""
        return self._wake.fileno()

    def listen(self, port: str, handle: Any) -> None:
        """Look into an input from now on."""
        handle.ignore_types(sysex=False, timing=False, active_sense=False)  # of those there would be no interval
        with self._lock:
            self._inputs[id(handle)] = Input(port, handle, time.monotonic())
        if not self._thread:
            self._thread = threading.Thread(target=self._run, name="midi", daemon=True)
            self._thread.start()

    def leave(self, handle: Any) -> None:
        """Look no longer into an input, which can be closed then."""
        with self._lock:
            self._inputs.pop(id(handle), None)

    def take(self, limit: int) -> list[Heard]:
        """What was heard, in order; the wake-up ends when nothing is left."""
        taken: list[Heard] = []
        while len(taken) < limit:
            if not self._heard:
                self._calm()
                if not self._heard:  # asked again: a message may have come before the next poke was allowed
                    break
            taken.append(self._heard.popleft())
        if self._heard:  # it may have come while the wake-up was being ended
            self.wake_up()
        return taken

    def wake_up(self) -> None:
        """Make fileno readable; from any thread."""
        if self._poked:
            return
        self._poked = True
        try:
            self._poke.send(b"\0")
        except OSError as error:  # nobody waits any more
            logger.debug("waking up: %s", error)

    def close(self) -> None:
        """Look no more."""
        self._ended = True
        if self._thread:
            self._thread.join()
        self._wake.close()
        self._poke.close()

    def _run(self) -> None:
        lively_until = 0.0
        while not self._ended:
            with self._lock:
                heard = [each for one in self._inputs.values() for each in look(one)]
            for each in sorted(heard, key=MOMENT):
                self._keep(each)
            now = time.monotonic()
            if heard:
                lively_until = now + LIVELY_SECONDS
            time.sleep(SHORT_LOOK_SECONDS if now < lively_until else LONG_LOOK_SECONDS)

    def _keep(self, heard: Heard) -> None:
        if len(self._heard) >= MAX_WAITING:
            self.lost += 1
            return
        self._heard.append(heard)
        self.wake_up()

    def _calm(self) -> None:
        if not self._poked:
            return
        try:
            self._wake.recv(16)
        except BlockingIOError:  # the poke is on its way, and wakes once more for nothing
            return
        self._poked = False
