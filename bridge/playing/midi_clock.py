"""MIDI clock as a source of time: tempo, song position, start and stop are the sender's.

Messages come with the moment of their arrival. The next tick after a start, a continue or a song position is where
the song then is. Only a stop stops: a sender that falls silent while it plays is gone, nothing sounds, and with its
ticks the song comes back, however late. Knows nothing of notes, and opens no port.
"""

import logging
import math
from dataclasses import replace

from bridge.errors import ClockError
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, TempoLine
from bridge.playing.tempo_follower import TICKS_PER_BEAT, TempoFollower

logger = logging.getLogger(__name__)

POSITION, TICK, START, CONTINUE, STOP = 0xF2, 0xF8, 0xFA, 0xFB, 0xFC
SIXTEENTHS_PER_BEAT = 4

GONE_SECONDS, OVERDUE_SECONDS = 0.047, 0.006
"""A sender is gone after so long without a tick, or when the next is overdue by this, whichever comes later."""

PASSED_SECONDS, PASSED_TICKS = 0.5, 2.5
"""After a gap shorter than the longer of these the song is assumed to have gone on; after a longer one it resumes
where it stopped. The ticks count in intervals."""

SILENT_SECONDS = 1.0
"""After so long without a message another port that sends is followed instead."""

ELSEWHERE_BEATS = 0.25
"""A larger change of the song position is a jump; a smaller one is a correction of the tempo estimate."""

CERTAIN_TICKS, CERTAIN_SECONDS = 4, 0.2
"""A tempo out of range is reported after so many ticks over so long."""


class MidiClock:
    """The clock of one port at a time: the first that is heard, until it is silent or vanishes and another sends.

    The new port goes on with the song if its sender has started too. After a gap of up to half a second the song is
    where it would be had no tick been lost; after a longer one it resumes where the ticks stopped.
    """

    source = "midi"

    def __init__(self, tempo_bpm: float = 120.0):
        self.line = TempoLine(0.0, 0.0, tempo_bpm)
        self.playing, self.gone, self.jumps = False, False, 0
        self._follower = TempoFollower(tempo_bpm)
        self._first_beat = 0.0  # the song's beat at the follower's index 0
        self._due_beat: float | None = None  # the song's beat at the next tick, if that is a jump
        self._resume_beat = 0.0  # where a continue goes
        self._port: str | None = None
        self._now = self._heard_at = self._ticked_at = -math.inf
        self._gap = 0.0  # between the last two ticks
        self._unfollowed = 0  # ticks in a row with a tempo out of range
        self._warned = False
        self._started: set[str] = set()  # ports whose sender has sent a start or continue and no stop
        self._ignored: set[str] = set()

    def advance(self, now: float) -> None:
        """See whether the sender has fallen silent."""
        if now >= self.next_due():
            self._lose("has fallen silent")

    def next_due(self) -> float:
        """When the sender is gone unless a tick comes."""
        if not self.playing or self.gone:
            return math.inf
        return self._ticked_at + max(GONE_SECONDS, self._follower.interval + OVERDUE_SECONDS)

    def start(self, now: float, beat: float = 0.0) -> None:
        """Never: ClockError."""
        raise self._refusal("the song is started", "start it there")

    def stop(self, now: float) -> None:
        """Never: ClockError."""
        raise self._refusal("the song is stopped", "stop it there")

    def set_meter(self, beats_per_bar: float) -> None:
        """Nothing to do: MIDI clock has no bars."""

    def set_tempo(self, tempo_bpm: float, now: float) -> None:
        """Never: ClockError."""
        raise self._refusal("the tempo is given", "change it there")

    def hear(self, message: bytes, port: str, at_seconds: float) -> bool:
        """Whether a message is the clock's; it is taken if its port is the one that is followed."""
        kind = message[0] if message else 0
        if kind not in (TICK, START, CONTINUE, STOP) and not (kind == POSITION and len(message) == 3):
            return False
        self._now = max(self._now, at_seconds)
        if kind in (START, CONTINUE):
            self._started.add(port)
        elif kind == STOP:
            self._started.discard(port)
        if self._follows(port):
            self._heard_at = self._now
            self._take(kind, message)
        return True

    def port_vanished(self, port: str) -> None:
        """If it is the port that is followed, the song is gone at once; any other may take over."""
        if port != self._port:
            self._started.discard(port)
            return
        self._heard_at = -math.inf
        if self.playing and not self.gone:
            self._lose("has vanished")

    # Which port

    def _follows(self, port: str) -> bool:
        """Whether this port is the one, or is from now on."""
        if port == self._port:
            return True
        if self._port is not None and self._now < self._heard_at + SILENT_SECONDS:
            if port not in self._ignored:
                self._ignored.add(port)
                logger.warning("MIDI clock: %s sends one as well, ignored while %s does", port, self._port)
            return False
        self._adopt(port)
        return True

    def _adopt(self, port: str) -> None:
        logger.info("MIDI clock: following %s", port)
        if self.playing:
            self._resume_beat = self._next_beat
            self._due_beat = self._resume_beat if port in self._started else None
            self.playing = self.gone = False
        self._port, self._warned = port, False
        self._ignored.discard(port)
        self._follower.reset()

    def _lose(self, how: str) -> None:
        self.gone = True
        logger.warning("MIDI clock: %s %s while it plays: silence until it is back", self._port, how)

    def _refusal(self, what: str, instead: str) -> ClockError:
        sender = self._port or "whoever sends it"
        return ClockError(
            f"{what} by the MIDI clock of {sender}: {instead}, or send /vae/clock source internal first"
        )

    # What it says

    def _take(self, kind: int, message: bytes) -> None:
        if kind == TICK:
            self._tick(self._now)
        elif kind == START:
            self._resume_beat = self._due_beat = 0.0
        elif kind == CONTINUE and not self.playing:
            self._due_beat = self._resume_beat
        elif kind == POSITION:
            self._resume_beat = (message[1] + (message[2] << 7)) / SIXTEENTHS_PER_BEAT
            if self.playing or self._due_beat is not None:
                self._due_beat = self._resume_beat
        elif kind == STOP:
            if self.playing:
                self._resume_beat = self._next_beat
            self._due_beat, self.playing, self.gone = None, False, False

    def _tick(self, now: float) -> None:
        if self._has_paused(now):
            if self.playing and self._due_beat is None:
                self._due_beat = self._next_beat
            self._follower.reset()
        elif self._due_beat is not None and not self._follower.expects(now):
            self._follower.reset()
        self._gap = now - self._ticked_at if math.isfinite(self._ticked_at) else 0.0
        self._ticked_at = now
        self._follower.tick(now)
        if self._due_beat is not None:
            self._begin(self._due_beat, now)
        self._update_line(now)
        if self.gone:
            self.gone = False
            logger.info("MIDI clock: %s is back", self._port)

    def _has_paused(self, now: float) -> bool:
        """Whether ticks were missing for so long that the song resumes where it stopped."""
        return now - self._ticked_at > max(PASSED_SECONDS, PASSED_TICKS * max(self._follower.interval, self._gap))

    def _begin(self, beat: float, now: float) -> None:
        """Play from this beat, which is that of the present tick."""
        self._first_beat = beat - self._follower.index / TICKS_PER_BEAT
        self.line = TempoLine(now, beat, self.line.tempo_bpm)
        self._due_beat, self.playing, self.jumps = None, True, self.jumps + 1
        logger.info("MIDI clock: %s plays from beat %g", self._port, beat)

    @property
    def _next_beat(self) -> float:
        """The song's beat at the next tick."""
        if self._due_beat is not None:
            return self._due_beat
        return self._first_beat + (self._follower.index + 1) / TICKS_PER_BEAT

    def _update_line(self, now: float) -> None:
        """Take over the follower's line, unless its tempo is out of range."""
        if not self._follower.in_range:
            self._warn_of_tempo()
            return
        self._unfollowed = 0
        line = self._follower.line
        if not self.playing:
            self.line = replace(self.line, tempo_bpm=line.tempo_bpm)
            return
        line = replace(line, at_beat=line.at_beat + self._first_beat)
        if abs(line.beat_at(now) - self.line.beat_at(now)) > ELSEWHERE_BEATS:
            self.jumps += 1
        self.line = line

    def _warn_of_tempo(self) -> None:
        self._unfollowed += 1
        seconds = self._unfollowed * self._follower.interval
        if not self._warned and self._unfollowed >= CERTAIN_TICKS and seconds >= CERTAIN_SECONDS:
            self._warned = True
            logger.warning(
                "MIDI clock: %s is not in %g..%g bpm; the last tempo stays", self._port, SLOWEST_BPM, FASTEST_BPM
            )
