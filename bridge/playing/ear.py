"""Incoming notes: which channels are recorded, which notes are echoes, and at which beat a note lies. Pure."""

import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.playing.recorder import Captured, Recorder
from bridge.playing.transport import Transport
from engine.clip import Clip

logger = logging.getLogger(__name__)

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
SUSTAIN_PEDAL, PEDAL_DOWN = 64, 64

BEFORE_SECONDS = 0.06
"""A note that a DAW sends just before the tick that starts the song belongs to its beginning."""

LATE_BEATS = 0.5
"""A note of a bar played elsewhere that is late by no more is heard as if it came in time."""

ECHO_SECONDS = 0.1
"""How late the daemon's own note may come back through a DAW that sends it on."""
ECHOES_IN_A_ROW, ECHO_SHARE = 8, 0.75
ECHO_SPREAD_SECONDS = 0.012
"""Two periods of an audio driver: by so much the delays of echoes through one loop differ."""


@dataclass(slots=True)
class Sent:
    """A note that the daemon has sent, and whether it has come back."""

    at_seconds: float
    pitch: int
    velocity: int
    returned: bool = False


class EchoGuard:
    """Tells the daemon's own notes that come back from those that are played.

    A MIDI loop returns nearly all of them, with nearly the same delay; somebody who plays along does neither.
    """

    def __init__(self) -> None:
        self._sent: deque[Sent] = deque(maxlen=64)
        self._delays: deque[float] = deque(maxlen=ECHOES_IN_A_ROW)

    def sent(self, at_seconds: float, pitch: int, velocity: int) -> None:
        """A note has been sent."""
        self._sent.append(Sent(at_seconds, pitch, velocity))

    def is_echo(self, at_seconds: float, pitch: int, velocity: int) -> bool:
        """Whether a note that is heard is one that was sent shortly before; each comes back once."""
        lately = (each for each in self._sent if 0 <= at_seconds - each.at_seconds <= ECHO_SECONDS)
        like = (each for each in lately if (each.pitch, each.velocity) == (pitch, velocity))
        found = next((each for each in like if not each.returned), None)
        if found is None:
            self._delays.clear()
            return False
        found.returned = True
        self._delays.append(at_seconds - found.at_seconds)
        return self._most_return(found) and self._is_even

    def _most_return(self, found: Sent) -> bool:
        """Whether ECHO_SHARE of the notes sent lately, up to this one, have come back."""
        lately = [each for each in self._sent if each.at_seconds <= found.at_seconds][-ECHOES_IN_A_ROW:]
        return sum(each.returned for each in lately) >= ECHO_SHARE * len(lately)

    @property
    def _is_even(self) -> bool:
        return max(self._delays) - min(self._delays) <= ECHO_SPREAD_SECONDS

    @property
    def is_loop(self) -> bool:
        """Whether so many have come back in a row that it is a MIDI loop and no coincidence."""
        return len(self._delays) == ECHOES_IN_A_ROW and self._is_even


class Ear:
    """Gives what is played to the recorder.

    channels: those that are heard, each with the one that its answers go to; without any, all are heard as the
    home channel.
    """

    def __init__(self, transport: Transport, recorder: Recorder, channels: Mapping[int, int]):
        self._transport, self._recorder, self._channels = transport, recorder, channels
        self._guard, self._loops_through = EchoGuard(), ""
        self._before: deque[tuple[bytes, float, str]] = deque(maxlen=64)

    @property
    def problem(self) -> str:
        """A sentence on a MIDI loop, empty if there is none."""
        if not self._guard.is_loop:
            return ""
        return f"what is sent comes back through {self._loops_through}: a loop of cables; it is not recorded"

    def sent(self, at_seconds: float, pitch: int, velocity: int) -> None:
        """A note has been sent: should it come back, it is not one that is played."""
        self._guard.sent(at_seconds, pitch, velocity)

    def hear(self, message: bytes, at_seconds: float, port: str) -> None:
        """Take a note or pedal message."""
        if not self._transport.clock.playing:
            self._before.append((message, at_seconds, port))
            return
        kind, channel = message[0] & 0xF0, self._channel((message[0] & 0x0F) + 1)
        if channel is None or len(message) != 3:
            return
        _, number, value = message
        beat = self._transport.beat_at(at_seconds)
        if kind == NOTE_OFF or (kind == NOTE_ON and not value):
            self._recorder.note_off(beat, channel, number)
        elif kind == NOTE_ON and not self._is_echo(at_seconds, number, value, port):
            self._recorder.note_on(beat, channel, number, value)
        elif kind == CONTROL and number == SUSTAIN_PEDAL:
            self._recorder.pedal(beat, channel, down=value >= PEDAL_DOWN)

    def hear_bar(self, line: float, clip: Clip, open_beat: float, beats_per_bar: float) -> float:
        """Take the notes of a bar that was played elsewhere; the line that it is heard from.

        A bar that comes when its notes before open_beat are no longer waited for is heard so many bars later; a
        note that is hardly late counts as played then.
        """
        first = line + min((note.start_beats for note in clip.notes), default=0.0)
        if first < open_beat - LATE_BEATS:
            line += math.ceil((open_beat - first) / beats_per_bar) * beats_per_bar
        channel = self._recorder.home_channel
        for note in sorted(clip.notes, key=lambda note: note.start_beats):
            start = max(line + note.start_beats, open_beat)
            if not note.mute:
                end = line + note.start_beats + note.duration_beats
                self._recorder.add(Captured(channel, note.pitch, note.velocity, start, max(end, start)))
        return line

    def song_moved(self, now: float) -> None:
        """The song has started or jumped: drop what was recorded, but for notes of the last BEFORE_SECONDS."""
        self._recorder.forget()
        for message, at_seconds, port in self._before:
            if now - at_seconds <= BEFORE_SECONDS:
                self.hear(message, at_seconds, port)
        self._before.clear()

    def _channel(self, heard: int) -> int | None:
        return self._channels.get(heard) if self._channels else self._recorder.home_channel

    def _is_echo(self, at_seconds: float, pitch: int, velocity: int, port: str) -> bool:
        if not self._guard.is_echo(at_seconds, pitch, velocity):
            return False
        if self._guard.is_loop and port != self._loops_through:
            self._loops_through = port
            logger.warning("%s", self.problem)
        return True
