"""Musical time, whichever clock is the source: from a moment to the beat of the song, and back.

Beats are quarter notes from the start of the song; moments are seconds of time.perf_counter(). The sources
(internal, MIDI clock, Link) differ only in where a TempoLine comes from. Pure: time is a number that is passed in.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol

from bridge.errors import ClockError

SLOWEST_BPM, FASTEST_BPM = 3.0, 600.0


@dataclass(frozen=True, slots=True)
class TempoLine:
    """Beat as a linear function of time: at_beat at the moment at_seconds, then tempo_bpm. May be extrapolated."""

    at_seconds: float
    at_beat: float
    tempo_bpm: float

    def beat_at(self, now: float) -> float:
        """The beat at a moment."""
        return self.at_beat + (now - self.at_seconds) * self.tempo_bpm / 60

    def time_at(self, beat: float) -> float:
        """The moment of a beat."""
        return self.at_seconds + (beat - self.at_beat) * 60 / self.tempo_bpm


class Clock(Protocol):
    """What the sources have in common.

    line holds while playing, its tempo while the song is stopped, too. jumps counts the starts and the changes of
    song position, by which those that plan notes see that they must plan anew. gone: the sender fell silent while
    it played; nothing may sound, though the song may go on at any moment.
    """

    source: str
    line: TempoLine
    playing: bool
    gone: bool
    jumps: int

    def advance(self, now: float) -> None:
        """Update playing, gone and line to this moment."""

    def next_due(self) -> float:
        """When advance must be called even if no message has come, inf if never."""

    def start(self, now: float, beat: float = 0.0) -> None:
        """Start the song at a beat; ClockError where only the sender of the clock can."""

    def stop(self, now: float) -> None:
        """Stop the song; ClockError where only the sender of the clock can."""

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Change the tempo from now on; ClockError where only the sender can, or if it is out of range."""

    def set_meter(self, beats_per_bar: float) -> None:
        """Count bars of so many beats, where the source has bars."""


def checked_tempo(tempo_bpm: float) -> float:
    """The tempo, if a song can have it."""
    if not (math.isfinite(tempo_bpm) and SLOWEST_BPM <= tempo_bpm <= FASTEST_BPM):
        raise ClockError(f"tempo must be in {SLOWEST_BPM:g}..{FASTEST_BPM:g} bpm, not {tempo_bpm:g}")
    return tempo_bpm


class InternalClock:
    """The daemon's own clock: starts, stops and changes its tempo when it is told to."""

    source = "internal"
    gone = False

    def __init__(self, tempo_bpm: float = 120.0):
        self.line = TempoLine(0.0, 0.0, checked_tempo(tempo_bpm))
        self.playing, self.jumps = False, 0

    def advance(self, now: float) -> None:
        """Nothing comes from outside."""

    def next_due(self) -> float:
        """Never."""
        return math.inf

    def start(self, now: float, beat: float = 0.0) -> None:
        """Start the song at a beat."""
        self.line = TempoLine(now, beat, self.line.tempo_bpm)
        self.playing, self.jumps = True, self.jumps + 1

    def stop(self, now: float) -> None:
        """Stop the song."""
        self.playing = False

    def set_meter(self, beats_per_bar: float) -> None:
        """Nothing to do: this clock has no bars."""

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Change the tempo; the song goes on from where it is."""
        if self.playing:
            self.line = TempoLine(now, self.line.beat_at(now), checked_tempo(tempo_bpm))
        else:
            self.line = replace(self.line, tempo_bpm=checked_tempo(tempo_bpm))
