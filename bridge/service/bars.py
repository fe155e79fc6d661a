"""Bars told ahead of time to clients that sound them by themselves, and bars that such clients have played. Pure.

What is told is what the scheduler has planned. A bar of which something changes after it was told is told again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bridge.osc.replies import format_clip, format_push
from bridge.playing.scheduler import PlannedNote, Scheduler
from bridge.playing.transport import EARLY_BEATS, ROUNDING_BEATS, Transport
from engine.clip import Clip, Note, Part

AHEAD_SECONDS = 0.15
"""How long before its earliest note a bar is told at the latest: 100 ms and a delay on the way."""

MARGIN_SECONDS = 0.02
"""How much earlier it is planned."""

DRIFT_SECONDS = 0.003
"""Where the end of a bar moves by more than this, because the tempo changes, the bar is told again."""

SHORTEST_NOTE_BEATS = 1 / 64


@dataclass(slots=True)
class ToldBar:
    """A bar that has been told: where it begins, its beats, when it was to end, and its notes still to come."""

    line_beat: float
    beats: float
    ends_at: float
    notes: list[PlannedNote]


class Bars:
    """The bars of the song, told to whoever subscribes. tell sends one datagram to all of them."""

    def __init__(self, transport: Transport, scheduler: Scheduler, tell: Callable[[bytes], None]):
        self._transport, self._scheduler, self._tell = transport, scheduler, tell
        self._told: list[ToldBar] = []
        self._changes = 0

    def listen(self, wanted: bool) -> None:
        """Whether anybody wants to be told; what plays is planned early enough then."""
        self._transport.ahead_seconds = AHEAD_SECONDS + MARGIN_SECONDS if wanted else 0.0
        self._told = []

    def run_due(self, now: float) -> None:
        """Tell the bar that plays, the next in time, and again what has changed of them."""
        if not self._transport.ahead_seconds:
            return
        if not self._transport.moves:
            self._fall_silent(now)
            return
        beat = self._transport.sent_beat(now) + ROUNDING_BEATS
        if self._told and not self._is_there(beat):
            self._told = []
        self._tell_changes(beat, now)
        if not self._told:
            self._tell_bar(self._transport.bar_line(beat), beat, now)
        while beat >= self._next_line - self._lead_beats:
            self._tell_bar(self._next_line, beat, now)
        self._told = [each for each in self._told if each.line_beat + self._bar_beats > beat] or self._told[-1:]

    def next_due(self, now: float) -> float:
        """When run_due has something to tell, inf if nobody wants to know or nothing plays."""
        if not (self._transport.ahead_seconds and self._transport.moves):
            return math.inf
        if not self._told or self._changes != self._scheduler.changes:
            return now
        return self._transport.time_at(self._next_line - self._lead_beats) - self._transport.latency_seconds

    def _is_there(self, beat: float) -> bool:
        """Whether the bars that were told are still those of the song: it may have moved, or its meter changed."""
        first, bar = self._told[0], self._bar_beats
        return first.beats == bar and first.line_beat - bar <= beat < self._next_line + bar

    @property
    def _bar_beats(self) -> float:
        return self._transport.beats_per_bar

    @property
    def _lead_beats(self) -> float:
        return EARLY_BEATS + self._transport.beats_in(AHEAD_SECONDS)

    @property
    def _next_line(self) -> float:
        return self._told[-1].line_beat + self._bar_beats

    def _tell_changes(self, beat: float, now: float) -> None:
        """Tell again the bars whose notes to come, or whose end, are not as they were told."""
        self._changes = self._scheduler.changes
        for each in self._told:
            ends_at = self._transport.time_at(each.line_beat + self._bar_beats)
            expected = [note for note in each.notes if note.start_beat > beat]
            if self._to_come(each.line_beat, beat) != expected or abs(ends_at - each.ends_at) > DRIFT_SECONDS:
                self._told = [other for other in self._told if other is not each]
                self._tell_bar(each.line_beat, beat, now)
        self._told.sort(key=lambda each: each.line_beat)

    def _tell_bar(self, line: float, beat: float, now: float) -> None:
        notes = self._to_come(line, beat)
        ends_at = self._transport.time_at(line + self._bar_beats)
        self._told.append(ToldBar(line, self._bar_beats, ends_at, notes))
        if notes or line >= 0:  # a moment before the song begins is no bar
            self._send(line, notes, now)

    def _to_come(self, line: float, beat: float) -> list[PlannedNote]:
        """The notes of the bar that begins on a line which have not been sent."""
        first = line - EARLY_BEATS
        found = self._scheduler.between(first, first + self._bar_beats)
        return [note for note in found if note.start_beat > beat]

    def _fall_silent(self, now: float) -> None:
        """The song has stopped: nothing more of what was told is to sound."""
        for each in self._told:
            self._send(each.line_beat, [], now)
        self._told = []

    def _send(self, line: float, notes: Sequence[PlannedNote], now: float) -> None:
        number = math.floor(line / self._bar_beats + ROUNDING_BEATS) + 1
        wait_seconds = self._transport.time_at(line) - now
        self._tell(format_push("bar", number, wait_seconds, self._bar_beats, self._transport.tempo_bpm))
        for datagram in format_clip(0, -number, bar_clip(notes, line, self._bar_beats)):
            self._tell(datagram)


def bar_clip(notes: Sequence[PlannedNote], line: float, beats: float) -> Clip:
    """The notes of a bar, which come by channel, as a clip from its line on, with a part for each channel."""
    parts, first = list[Part](), 0
    for channel, group in groupby(notes, lambda note: note.channel):
        count = len(list(group))
        parts.append(Part(f"channel {channel}", channel, 0, first, count))
        first += count
    return Clip(tuple(_note(each, line) for each in notes), beats, min(max(beats, 0.25), 64.0), parts=tuple(parts))


def _note(planned: PlannedNote, line: float) -> Note:
    duration = max(planned.end_beat - planned.start_beat, SHORTEST_NOTE_BEATS)
    return Note(planned.pitch, max(planned.start_beat - line, -EARLY_BEATS), duration, planned.velocity)
