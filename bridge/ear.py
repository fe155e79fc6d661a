"""What comes in as notes: which channels are heard, what is an echo, and where in the song a note lies. Pure."""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.clock import TempoLine
from bridge.recorder import Recorder

logger = logging.getLogger(__name__)

NOTE_OFF, NOTE_ON, CONTROL = 0x80, 0x90, 0xB0
SUSTAIN_PEDAL, PEDAL_DOWN = 64, 64

BEFORE_SECONDS = 0.06
"""A note that a DAW sends just before the tick that starts the song belongs to its beginning."""

ECHO_SECONDS = 0.1
"""How late the daemon's own note may come back through a DAW that sends it on."""
ECHOES_IN_A_ROW = 8


@dataclass(slots=True)
class EchoGuard:
    """Tells the daemon's own notes that come back from those that are played. echoes counts them."""

    echoes: int = 0
    _sent: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=512))
    _in_a_row: int = 0

    def sent(self, at_seconds: float, pitch: int, velocity: int) -> None:
        """A note has been sent."""
        self._sent.append((at_seconds, pitch, velocity))

    def is_echo(self, at_seconds: float, pitch: int, velocity: int) -> bool:
        """Whether a note that is heard is one that was sent shortly before; each comes back once."""
        while self._sent and at_seconds - self._sent[0][0] > ECHO_SECONDS:
            self._sent.popleft()
        found = next((each for each in self._sent if each[1:] == (pitch, velocity)), None)
        if found is None:
            self._in_a_row = 0
            return False
        self._sent.remove(found)
        self.echoes, self._in_a_row = self.echoes + 1, self._in_a_row + 1
        return True

    @property
    def is_loop(self) -> bool:
        """Whether so much has come back in a row that it is a loop of cables and no chance."""
        return self._in_a_row >= ECHOES_IN_A_ROW


class Ear:
    """Gives what is played to the recorder.

    channels: those that are heard, each with the one that its answers go to; without any, all are heard as the
    home channel.
    """

    def __init__(self, recorder: Recorder, channels: Mapping[int, int]):
        self._recorder, self._channels = recorder, channels
        self._guard, self._loops_through = EchoGuard(), ""
        self._before: deque[tuple[bytes, float, str]] = deque(maxlen=64)

    @property
    def problem(self) -> str:
        """What is wrong with the cables, empty if nothing is."""
        if not self._guard.is_loop:
            return ""
        return f"what is sent comes back through {self._loops_through}: a loop of cables; it is not recorded"

    def sent(self, at_seconds: float, pitch: int, velocity: int) -> None:
        """A note has been sent: should it come back, it is not one that is played."""
        self._guard.sent(at_seconds, pitch, velocity)

    def hear(self, message: bytes, at_seconds: float, port: str, line: TempoLine | None) -> None:
        """A note or a pedal, at a moment of the song; line is None while that stands."""
        if line is None:
            self._before.append((message, at_seconds, port))
            return
        kind, channel = message[0] & 0xF0, self._channel((message[0] & 0x0F) + 1)
        if channel is None or len(message) != 3:
            return
        _, number, value = message
        beat = line.beat_at(at_seconds)
        if kind == NOTE_OFF or (kind == NOTE_ON and not value):
            self._recorder.note_off(beat, channel, number)
        elif kind == NOTE_ON and not self._is_echo(at_seconds, number, value, port):
            self._recorder.note_on(beat, channel, number, value)
        elif kind == CONTROL and number == SUSTAIN_PEDAL:
            self._recorder.pedal(beat, channel, down=value >= PEDAL_DOWN)

    def song_moved(self, line: TempoLine, now: float) -> None:
        """The song has begun, or is elsewhere: forget what lies nowhere in it, and hear what came just before."""
        self._recorder.forget()
        for message, at_seconds, port in self._before:
            if now - at_seconds <= BEFORE_SECONDS:
                self.hear(message, at_seconds, port, line)
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
