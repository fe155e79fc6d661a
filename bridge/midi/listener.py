"""What one MIDI input hears, with the moment of its arrival. Knows nothing of names, of servers or of opening.

The system's threads only fill RtMidi's own queue. A callback into Python would make them wait for Python's lock,
and a JACK client that waits longer than a period reads what the next period has already overwritten.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

from bridge.midi.messages import Messages
from bridge.midi.orders import Heard

MAX_WAITING = 65_536
"""What RtMidi's queue holds."""

LARGEST_DRIFT = 0.0002
"""By how much the clock of a MIDI system may be faster or slower than ours."""

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


class Listener:
    """Looks into the queue of an rtmidi.MidiIn without a callback."""

    def __init__(self, handle: Any):
        handle.ignore_types(sysex=False, timing=False, active_sense=False)  # of those there would be no interval
        self._handle, self._last_look = handle, time.perf_counter()
        self._arrivals, self._messages = Arrivals(), Messages()

    def look(self) -> Iterator[Heard]:
        """What has been heard since the last look, but for sysex and active sensing."""
        now = time.perf_counter()
        for _ in range(MAX_WAITING):
            event = self._handle.get_message()
            if event is None:
                break
            moment = self._arrivals.moment(event[1], self._last_look, time.perf_counter())
            for whole in self._messages.read(bytes(event[0])):
                if whole[0] != ACTIVE_SENSING:
                    yield moment, whole
        self._last_look = now
