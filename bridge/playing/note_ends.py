"""The notes that sound, and when each ends. Pure: messages leave through a function.

However notes are started and silenced, every note on is followed by its off, and no note overlaps itself: one that
is struck again while it sounds is ended first.
"""

import heapq
import math
from collections.abc import Callable

NOTE_OFF, NOTE_ON = 0x80, 0x90
MOST_ENDED = 512
"""So many ends of notes that have ended early may wait before they are removed."""


class NoteEnds:
    """What sounds of all voices. A note is named by a number of its own, its order; channel 1..16."""

    def __init__(self, send: Callable[[bytes], None]):
        self._send = send
        self._ends: list[tuple[float, int, int, int]] = []
        self._sounding: dict[tuple[int, int], tuple[int, str]] = {}

    def start(self, voice: str, channel: int, pitch: int, velocity: int, *, order: int, end_beat: float) -> None:
        """Send a note on, after the off of what sounds on its pitch."""
        key = (channel, pitch)
        if key in self._sounding:
            self._end(*key, self._sounding[key][0])
        message = bytes((NOTE_ON | channel - 1, pitch, velocity))
        self._sounding[key] = (order, voice)
        heapq.heappush(self._ends, (end_beat, order, *key))
        self._forget_ended()
        self._send(message)

    @property
    def next_beat(self) -> float:
        """The beat of the next end, inf if nothing sounds."""
        return self._ends[0][0] if self._ends else math.inf

    def end_next(self) -> None:
        """End the note whose end is next."""
        _, order, channel, pitch = heapq.heappop(self._ends)
        self._end(channel, pitch, order)

    def silence(self, voice: str | None = None) -> None:
        """End what sounds of a voice, or of all, at once."""
        for (channel, pitch), (order, owner) in list(self._sounding.items()):
            if voice in (None, owner):
                self._end(channel, pitch, order)
        if not self._sounding:
            self._ends.clear()

    def end_at(self, beat: float, voice: str | None = None) -> None:
        """Let what sounds of a voice, or of all, end on this beat at the latest."""
        ending = {order for order, owner in self._sounding.values() if voice in (None, owner)}
        self._ends = [
            (min(end, beat) if order in ending else end, order, channel, pitch)
            for end, order, channel, pitch in self._ends
        ]
        heapq.heapify(self._ends)

    @property
    def sounding(self) -> int:
        """How many notes sound."""
        return len(self._sounding)

    def __len__(self) -> int:
        """How many ends are to come, those of notes that have ended early among them."""
        return len(self._ends)

    def _end(self, channel: int, pitch: int, order: int) -> None:
        """End a note, unless it has ended and another sounds on its pitch."""
        if self._sounding.get((channel, pitch), (None, ""))[0] == order:
            del self._sounding[channel, pitch]
            self._send(bytes((NOTE_OFF | channel - 1, pitch, 64)))

    def _forget_ended(self) -> None:
        """Remove the ends of notes that have ended early, so that they do not pile up."""
        if len(self._ends) > 2 * len(self._sounding) + MOST_ENDED:
            sounding = {order for order, _ in self._sounding.values()}
            self._ends = [each for each in self._ends if each[1] in sounding]
            heapq.heapify(self._ends)
