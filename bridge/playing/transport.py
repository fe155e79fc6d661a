"""The transport: which clock gives the time, where the song is, and how long its bars are. Pure.

The one owner of tempo, beat and bar: whoever plays asks here. Beats are quarter notes from the start of the song.
"""

import math
from typing import Literal

from bridge.playing.bugs import guarded
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, Clock, InternalClock
from bridge.playing.midi_clock import MidiClock
from engine.clip import EARLIEST_START_BEATS

START_SECONDS = 0.05
"""From the command to the first beat of the internal clock, so that the first note is not late."""

MISSED_SECONDS = 0.025
"""A bar line (or other grid line) passed within 25 ms still counts as now."""

ROUNDING_BEATS = 1e-6
"""The rounding error of a beat converted to seconds and back, at most."""

EARLY_BEATS = -EARLIEST_START_BEATS
"""How long before its bar line a hit of the bar may lie."""

At = Literal["bar", "beat", "now"]
Change = Literal["stopped", "moved", "gone"]


class Transport:
    """One song on one clock at a time; bars are counted from the song's beginning.

    clock is the one that is followed; midi_clock hears its ports even if that is another. latency_seconds: how much
    earlier than their moment messages are sent. ahead_seconds: how long before its first note a bar is planned
    whole at the latest, more than 0 while clients sound the notes by themselves.
    """

    def __init__(self, tempo_bpm: float = 120.0, beats_per_bar: float = 4.0, latency_seconds: float = 0.0):
        self.midi_clock, self._internal = MidiClock(), InternalClock(tempo_bpm)
        self.clock: Clock = self._internal
        self.beats_per_bar, self.latency_seconds = beats_per_bar, latency_seconds
        self.ahead_seconds = 0.0
        self._jumps, self._played, self._was_gone = self.clock.jumps, False, False

    # Where the song is

    @property
    def tempo_bpm(self) -> float:
        """The tempo, of a song that is stopped the one at which it will start."""
        return self.clock.line.tempo_bpm

    @property
    def moves(self) -> bool:
        """Whether the song is playing, and the sender of its clock is there."""
        return self.clock.playing and not self.clock.gone

    def beat_at(self, now: float) -> float:
        """The beat of the song at a moment, 0 while it is stopped."""
        return self.clock.line.beat_at(now) if self.clock.playing else 0.0

    def sent_beat(self, now: float) -> float:
        """The beat whose messages are sent at a moment of a song that plays."""
        return self.clock.line.beat_at(now + self.latency_seconds)

    def time_at(self, beat: float) -> float:
        """The moment of a beat."""
        return self.clock.line.time_at(beat)

    def beats_in(self, seconds: float) -> float:
        """How many beats go by in so many seconds."""
        return seconds * self.clock.line.tempo_bpm / 60

    @property
    def ahead_beats(self) -> float:
        """How long before its line a bar is planned whole at the latest, 0 where nobody needs it ahead of time."""
        return EARLY_BEATS + self.beats_in(self.ahead_seconds) if self.ahead_seconds else 0.0

    # Bars

    def bar_line(self, beat: float) -> float:
        """The beat on which the bar of a beat begins."""
        return math.floor(beat / self.beats_per_bar) * self.beats_per_bar

    def next_line(self, now: float, at: At = "bar") -> float:
        """The first bar line or beat that is not past by more than MISSED_SECONDS; with at "now" this moment."""
        beat = self.beat_at(now)
        if at == "now":
            return beat
        grid_beats = self.beats_per_bar if at == "bar" else 1.0
        return math.ceil((beat - self.beats_in(MISSED_SECONDS)) / grid_beats) * grid_beats

    def bars_in(self, length_beats: float) -> int:
        """How many bars of the song so many beats fill, the last of them perhaps in part."""
        return max(1, math.ceil(length_beats / self.beats_per_bar - ROUNDING_BEATS))

    def place(self, now: float) -> tuple[int, float] | None:
        """The bar and the beat in it, both from 1, None while the song is stopped."""
        if not self.moves:
            return None
        beat = self.beat_at(now)
        bar = math.floor(beat / self.beats_per_bar)
        return bar + 1, beat - bar * self.beats_per_bar + 1

    def next_beat_at(self, now: float) -> float:
        """When the next beat begins, or the next bar, inf while the song is stopped."""
        place = self.place(now)
        if place is None:
            return math.inf
        bar, beat = place
        return self.time_at(min(math.floor(beat), self.beats_per_bar) + (bar - 1) * self.beats_per_bar)

    # What changes it

    def follow(self, now: float) -> Change | None:
        """Update the clock; what has become of the song since the last call. One that fails is given up."""
        with guarded("the clock", lambda error: self._go_on_alone(now)):
            self.clock.advance(now)
        clock, played, jumps, was_gone = self.clock, self._played, self._jumps, self._was_gone
        self._played, self._jumps, self._was_gone = clock.playing, clock.jumps, clock.gone
        if played and not clock.playing:
            return "stopped"
        if clock.playing and clock.jumps != jumps:
            return "moved"
        return "gone" if clock.gone and not was_gone else None

    def _go_on_alone(self, now: float) -> None:
        """The clock raised an exception: the song goes on at the same beat and tempo on the internal clock."""
        given, self.clock, self._jumps = self.clock, self._internal, -1
        self._internal.stop(now)
        self._internal.set_tempo(min(max(given.line.tempo_bpm, SLOWEST_BPM), FASTEST_BPM), now)
        if given.playing:
            self._internal.start(now, given.line.beat_at(now))

    def use(self, clock: Clock) -> None:
        """Follow another clock from now on; a song that plays on it has moved."""
        self.clock = clock
        clock.set_meter(self.beats_per_bar)
        self._jumps, self._played = -1, False

    def start(self, now: float, beat: float = 0.0) -> bool:
        """Start a song that is stopped, from a beat on; whether that is ours and not a sender's to do."""
        if self.clock.playing or isinstance(self.clock, MidiClock):
            return False
        self.clock.start(now + START_SECONDS, beat)
        return True

    def stop(self, now: float) -> bool:
        """Stop the song; whether that is ours and nobody else's to do."""
        if not isinstance(self.clock, InternalClock):
            return False
        self.clock.stop(now)
        return True

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Change the tempo; ClockError where the clock is another sender's, or if it is out of range."""
        self.clock.set_tempo(tempo_bpm, now)

    def set_meter(self, beats_per_bar: float) -> None:
        """Count bars of so many beats, from the song's beginning."""
        self.beats_per_bar = beats_per_bar
        self.clock.set_meter(beats_per_bar)
