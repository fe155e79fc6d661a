"""Notes planned in beats, sent as MIDI messages when their moment comes. Pure: it never sleeps and owns no port.

However notes are planned, dropped and silenced, every note on is followed by its off, and no note overlaps itself:
one that is struck again while it sounds is ended first.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.percentiles import percentile
from bridge.playing.guard import guarded
from bridge.playing.transport import ROUNDING_BEATS, Transport

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123
MOST_AT_ONCE = 512
"""What is due beyond these waits until everything else has had its turn."""

TOO_LATE_SECONDS = 0.03
"""A note that could not be sent within this is left out: a late hit is worse than none."""

MAX_PLANNED = 65_536


@dataclass(frozen=True, slots=True)
class PlannedNote:
    """A note of the song. voice: the name of its planner, by which it can be dropped; channel 1..16."""

    voice: str
    channel: int
    pitch: int
    velocity: int
    start_beat: float
    end_beat: float


@dataclass(slots=True)
class Punctuality:
    """How late the notes were sent."""

    sent: int = 0
    skipped: int = 0
    most_ms: float = 0.0
    late_ms: deque[float] = field(default_factory=lambda: deque(maxlen=4096))

    def add(self, late_ms: float) -> None:
        """A note has been sent."""
        self.sent += 1
        self.most_ms = max(self.most_ms, late_ms)
        self.late_ms.append(late_ms)

    def percentile_ms(self, percent: int) -> float:
        """Of the last 4,096 notes, 0 before two have been sent."""
        return percentile(self.late_ms, percent)


class Scheduler:
    """The notes to come and the notes that sound. send takes one MIDI message; it must not block."""

    def __init__(self, transport: Transport, send: Callable[[bytes], None]):
        self._transport, self._send = transport, send
        self._starts: list[tuple[float, int, PlannedNote]] = []
        self._ends: list[tuple[float, int, int, int]] = []
        self._sounding: dict[tuple[int, int], tuple[int, str]] = {}
        self._order = itertools.count()
        self.punctuality = Punctuality()

    def plan(self, note: PlannedNote) -> bool:
        """Let a note sound when its beat comes; whether there was room for it, else it is counted as skipped."""
        if len(self._starts) >= MAX_PLANNED:
            self.punctuality.skipped += 1
            return False
        heapq.heappush(self._starts, (note.start_beat, next(self._order), note))
        return True

    def run_due(self, now: float) -> None:
        """Send what is due by now. Of two messages at one beat the end of a note goes first."""
        beat = self._transport.sent_beat(now) + ROUNDING_BEATS
        for _ in range(MOST_AT_ONCE):
            start = self._starts[0][0] if self._starts else math.inf
            end = self._ends[0][0] if self._ends else math.inf
            if min(start, end) > beat:
                return
            with guarded("a planned note"):
                if end <= start:
                    _, order, channel, pitch = heapq.heappop(self._ends)
                    self._end(channel, pitch, order)
                else:
                    _, order, note = heapq.heappop(self._starts)
                    self._start(note, order, now + self._transport.latency_seconds - self._transport.time_at(start))

    def next_due(self) -> float:
        """When run_due has something to send, inf if nothing is planned."""
        beats = [queue[0][0] for queue in (self._starts, self._ends) if queue]
        return self._transport.time_at(min(beats)) - self._transport.latency_seconds if beats else math.inf

    def drop(self, voice: str | None = None, first: float = -math.inf, last: float = math.inf) -> None:
        """Forget the planned notes of a voice, or of all, that start in first <= beat < last; none is ended."""
        self._starts = [
            each
            for each in self._starts
            if (voice is not None and each[2].voice != voice) or not first <= each[0] < last
        ]
        heapq.heapify(self._starts)

    def silence(self, voice: str | None = None) -> None:
        """End what sounds of a voice, or of all, at once; what is planned stays."""
        for (channel, pitch), (order, owner) in list(self._sounding.items()):
            if voice in (None, owner):
                self._end(channel, pitch, order)
        if not self._sounding:
            self._ends.clear()

    def end_at(self, beat: float, voice: str | None = None) -> None:
        """Let no note of a voice, or of all, sound beyond this beat; what is planned after it stays."""
        ending = {order for order, owner in self._sounding.values() if voice in (None, owner)}
        self._ends = [
            (min(end, beat) if order in ending else end, order, channel, pitch)
            for end, order, channel, pitch in self._ends
        ]
        heapq.heapify(self._ends)
        self._starts = [
            (start, order, replace(note, end_beat=beat))
            if voice in (None, note.voice) and start < beat < note.end_beat
            else (start, order, note)
            for start, order, note in self._starts
        ]

    def panic(self) -> None:
        """Drop all planned notes, end all that sound, and send all-sound-off to every channel."""
        self.drop()
        self.silence()
        for channel in range(16):
            for control in (ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF):
                self._send(bytes((CONTROL | channel, control, 0)))

    def repeat_ends(self) -> None:
        """Send the note offs of earlier notes again: their port was away, and they may hang there."""
        self.silence()
        for channel in range(16):
            self._send(bytes((CONTROL | channel, ALL_NOTES_OFF, 0)))

    @property
    def sounding(self) -> int:
        """How many notes sound."""
        return len(self._sounding)

    @property
    def planned(self) -> int:
        """How many notes are to come."""
        return len(self._starts)

    @property
    def ends(self) -> int:
        """How many ends are to come, those of notes that have ended early among them."""
        return len(self._ends)

    def _start(self, note: PlannedNote, order: int, late_seconds: float) -> None:
        if late_seconds > TOO_LATE_SECONDS:
            self.punctuality.skipped += 1
            return
        key = (note.channel, note.pitch)
        if key in self._sounding:
            self._end(*key, self._sounding[key][0])
        message = bytes((NOTE_ON | note.channel - 1, note.pitch, note.velocity))
        self._sounding[key] = (order, note.voice)
        heapq.heappush(self._ends, (max(note.end_beat, note.start_beat), order, *key))
        self._forget_ended()
        self._send(message)
        self.punctuality.add(late_seconds * 1000)

    def _forget_ended(self) -> None:
        """Remove the planned ends of notes that have ended early, so that they do not pile up."""
        if len(self._ends) > 2 * len(self._sounding) + MOST_AT_ONCE:
            sounding = {order for order, _ in self._sounding.values()}
            self._ends = [each for each in self._ends if each[1] in sounding]
            heapq.heapify(self._ends)

    def _end(self, channel: int, pitch: int, order: int) -> None:
        """End a note, unless it has ended and another sounds on its pitch."""
        if self._sounding.get((channel, pitch), (None, ""))[0] == order:
            del self._sounding[channel, pitch]
            self._send(bytes((NOTE_OFF | channel - 1, pitch, 64)))
