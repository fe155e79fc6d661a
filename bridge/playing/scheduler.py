"""Notes planned in beats, sent as MIDI messages when their moment comes. Pure: it never sleeps and owns no port."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.percentiles import percentile
from bridge.playing.bugs import guarded
from bridge.playing.note_ends import NoteEnds
from bridge.playing.transport import ROUNDING_BEATS, Transport

CONTROL = 0xB0
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
    """The notes to come and the notes that sound. send takes one MIDI message; it must not block.

    changes counts what has been planned, dropped or shortened.
    """

    def __init__(self, transport: Transport, send: Callable[[bytes], None]):
        self._transport, self._send = transport, send
        self._starts: list[tuple[float, int, PlannedNote]] = []
        self._ends = NoteEnds(send)
        self._order = itertools.count()
        self.punctuality, self.changes = Punctuality(), 0

    def plan(self, note: PlannedNote) -> bool:
        """Let a note sound when its beat comes; whether there was room for it, else it is counted as skipped."""
        if len(self._starts) >= MAX_PLANNED:
            self.punctuality.skipped += 1
            return False
        heapq.heappush(self._starts, (note.start_beat, next(self._order), note))
        self.changes += 1
        return True

    def run_due(self, now: float) -> None:
        """Send what is due by now. Of two messages at one beat the end of a note goes first."""
        beat = self._transport.sent_beat(now) + ROUNDING_BEATS
        for _ in range(MOST_AT_ONCE):
            start = self._starts[0][0] if self._starts else math.inf
            end = self._ends.next_beat
            if min(start, end) > beat:
                return
            with guarded("a planned note"):
                if end <= start:
                    self._ends.end_next()
                else:
                    _, order, note = heapq.heappop(self._starts)
                    self._start(note, order, now + self._transport.latency_seconds - self._transport.time_at(start))

    def next_due(self) -> float:
        """When run_due has something to send, inf if nothing is planned."""
        beat = min(self._starts[0][0] if self._starts else math.inf, self._ends.next_beat)
        return self._transport.time_at(beat) - self._transport.latency_seconds if beat < math.inf else math.inf

    def drop(self, voice: str | None = None, first: float = -math.inf, last: float = math.inf) -> None:
        """Forget the planned notes of a voice, or of all, that start in first <= beat < last; none is ended."""
        self._starts = [
            each
            for each in self._starts
            if (voice is not None and each[2].voice != voice) or not first <= each[0] < last
        ]
        heapq.heapify(self._starts)
        self.changes += 1

    def silence(self, voice: str | None = None) -> None:
        """End what sounds of a voice, or of all, at once; what is planned stays."""
        self._ends.silence(voice)

    def end_at(self, beat: float, voice: str | None = None) -> None:
        """Let no note of a voice, or of all, sound beyond this beat; what is planned after it stays."""
        self._ends.end_at(beat, voice)
        self._starts = [
            (start, order, replace(note, end_beat=beat))
            if voice in (None, note.voice) and start < beat < note.end_beat
            else (start, order, note)
            for start, order, note in self._starts
        ]
        self.changes += 1

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
        return self._ends.sounding

    @property
    def planned(self) -> int:
        """How many notes are to come."""
        return len(self._starts)

    def between(self, first: float, last: float) -> list[PlannedNote]:
        """The notes to come that start in first <= beat < last, by channel, start and pitch."""
        found = (note for start, _, note in self._starts if first <= start < last)
        return sorted(found, key=lambda note: (note.channel, note.start_beat, note.pitch))

    @property
    def ends(self) -> int:
        """How many ends are to come, those of notes that have ended early among them."""
        return len(self._ends)

    def _start(self, note: PlannedNote, order: int, late_seconds: float) -> None:
        if late_seconds > TOO_LATE_SECONDS:
            self.punctuality.skipped += 1
            return
        end_beat = max(note.end_beat, note.start_beat)
        self._ends.start(note.voice, note.channel, note.pitch, note.velocity, order=order, end_beat=end_beat)
        self.punctuality.add(late_seconds * 1000)
