"""Ableton Link as a source of time: tempo, phase, start and stop are those of the session in the local network.

The library runs the session in its own threads; here it is only read and set. Knows nothing of notes or OSC.
"""

import importlib
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from bridge.errors import ClockError
from bridge.playing.clock import FASTEST_BPM, TempoLine, checked_tempo

logger = logging.getLogger(__name__)

SLOWEST_SESSION_BPM = 20.0
POLL_SECONDS = 0.02
"""Between two looks at the session; one takes a tenth of a millisecond. The library would also call back, but from
a thread of its own, which would wait for the interpreter; and a start is heard of 50 ms late anyway."""

JUMP_SECONDS = 0.01
"""A larger change of the song position is a jump; a smaller one is Link's own clock correction."""

NEWS_SECONDS = 0.1
"""A change of tempo is known this late at the most: by then the song has gone on at the old one."""

PAIRS = 5
"""Readings of both clocks, of which the one that took least counts: in the others somebody came between."""


class LinkClock:
    """One of the session's peers; ClockError if the library is missing. A bar is the session's quantum.

    Where others play too, a start comes with their next bar: until then the line is before the beat that was asked
    for. A start by another is beat 0 at the first bar line from then on.
    """

    source = "link"
    gone = False

    def __init__(self, tempo_bpm: float, beats_per_bar: float, now: float):
        self._link = _library().Link(_session_tempo(tempo_bpm))
        self._clock, self._bar = self._link.clock(), beats_per_bar
        self._first_beat = 0.0  # the session's beat that is the song's beat 0: a bar line
        self._asked_at = now
        self.line = TempoLine(now, 0.0, tempo_bpm)
        self.playing, self.jumps, self.peers = False, 0, 0
        self._link.startStopSyncEnabled = True
        self._link.enabled = True
        self.advance(now)

    def close(self) -> None:
        """Leave the session."""
        self._link.enabled = False

    def advance(self, now: float) -> None:
        """Look at the session."""
        self._asked_at = now
        self._follow(self._link.captureSessionState(), now)
        if (peers := self._link.numPeers()) != self.peers:
            logger.info("Link: %d others in the session, %.2f bpm", peers, self.line.tempo_bpm)
            self.peers = peers

    def next_due(self) -> float:
        """After POLL_SECONDS: the session has to be polled."""
        return self._asked_at + POLL_SECONDS

    def start(self, now: float, beat: float = 0.0) -> None:
        """Start the session from a beat on: at once if alone, else when the others come to its place in the bar."""
        state = self._link.captureSessionState()
        state.setIsPlayingAndRequestBeatAtTime(True, self._micros_at(now), beat, self._bar)
        self._link.commitSessionState(state)
        self._first_beat = 0.0
        self.playing, self.jumps = True, self.jumps + 1
        self.line = self._line(state, now)

    def stop(self, now: float) -> None:
        """Stop the session; its beats go on."""
        state = self._link.captureSessionState()
        state.setIsPlaying(False, self._micros_at(now))
        self._link.commitSessionState(state)
        self._follow(state, now)

    def set_meter(self, beats_per_bar: float) -> None:
        """Set the quantum: the phase with the other peers is that of bars of so many beats."""
        self._bar = beats_per_bar

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Change the tempo of all; ClockError if it is out of range."""
        state = self._link.captureSessionState()
        state.setTempo(_session_tempo(tempo_bpm), self._micros_at(now))
        self._link.commitSessionState(state)
        self._follow(state, now)

    def _follow(self, state: Any, now: float) -> None:
        """Take over what the session does; see whether the song has started or is elsewhere."""
        started = state.isPlaying() and not self.playing
        if started:
            self._first_beat = self._first_bar_line(state, now)
        line = self._line(state, now)
        self.playing = state.isPlaying()
        if started or (self.playing and _is_elsewhere(self.line, line, now)):
            self.jumps += 1
        self.line = line

    def _first_bar_line(self, state: Any, now: float) -> float:
        """The session's beat at its first bar line since it plays; one that has just been is that one.

        The library refuses moments before this machine was switched on, when the session may have started.
        """
        micros = self._micros_at(now)
        seconds = (micros - state.timeForIsPlaying()) / 1e6 + JUMP_SECONDS
        began = state.beatAtTime(micros, self._bar) - seconds * state.tempo() / 60
        return float(math.ceil(began / self._bar) * self._bar)

    def _line(self, state: Any, now: float) -> TempoLine:
        beat = state.beatAtTime(self._micros_at(now), self._bar)
        return TempoLine(now, beat - self._first_beat, state.tempo())

    def _micros_at(self, now: float) -> int:
        """A moment in the library's time, which is no time.perf_counter() and drifts against it."""
        return round((now + seconds_ahead(self._clock.micros)) * 1e6)


def seconds_ahead(micros: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> float:
    """How far a clock of microseconds is ahead of time.perf_counter(), to about a microsecond."""
    readings = []
    for _ in range(PAIRS):
        before, between, after = clock(), micros(), clock()
        readings.append((after - before, between / 1e6 - (before + after) / 2))
    return min(readings)[1]


def _is_elsewhere(before: TempoLine, after: TempoLine, now: float) -> bool:
    """Whether the song position changed by more than a change of tempo explains that was read late."""
    seconds = abs(after.beat_at(now) - before.beat_at(now)) * 60 / after.tempo_bpm
    return seconds > JUMP_SECONDS + NEWS_SECONDS * abs(after.tempo_bpm / before.tempo_bpm - 1)


def _session_tempo(tempo_bpm: float) -> float:
    """The tempo, if a session can have it."""
    if checked_tempo(tempo_bpm) < SLOWEST_SESSION_BPM:
        raise ClockError(
            f"tempo must be in {SLOWEST_SESSION_BPM:g}..{FASTEST_BPM:g} bpm in a Link session, not {tempo_bpm:g}"
        )
    return tempo_bpm


def _library() -> Any:
    try:
        return importlib.import_module("link")
    except ImportError as error:
        raise ClockError(f"Ableton Link needs a library ({error}): pip install 'vaebridge[link]'") from error
