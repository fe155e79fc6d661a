"""The MIDI ports and Link as the daemon has them: what is there, or why it is not; what comes later is taken."""

import logging
import math
import time
from types import TracebackType

from bridge.config import Config
from bridge.errors import PortError
from bridge.midi.ports import MidiPorts, Ports
from bridge.playing.clock import Clock
from bridge.playing.link_clock import LinkClock

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""Where there is no MIDI system, one is looked for again so often."""


class Wires:
    """The MIDI ports, or why there are none: then OSC goes on without."""

    def __init__(self, config: Config):
        self.midi: MidiPorts | None = None
        self.why_none = "MIDI is switched off (--no-midi)"
        self._wanted = Ports(config.midi_in, config.midi_out, config.listen_to, config.play_to, config.midi_api)
        self._next_try = math.inf
        if config.midi:
            self._try_to_open(time.monotonic())
            if self.midi is None:
                logger.warning("no MIDI ports: %s", self.why_none)

    @property
    def next_check(self) -> float:
        """When check must be called."""
        return self.midi.next_check if self.midi else self._next_try

    def check(self, now: float) -> tuple[list[str], list[str]]:
        """Open what has come, or come back; the names of ports that have vanished, and of those that are back."""
        if self.midi is not None:
            return self.midi.check(now)
        self._try_to_open(now)
        return [], list(self.names)

    def _try_to_open(self, now: float) -> None:
        try:
            self.midi, self.why_none, self._next_try = MidiPorts(self._wanted, now), "", math.inf
        except PortError as error:
            self.why_none, self._next_try = str(error), now + RETRY_SECONDS

    def __enter__(self) -> "Wires":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.midi is not None:
            self.midi.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the ports that are open."""
        return self.midi.open_names if self.midi else ()

    def send(self, message: bytes) -> None:
        """One MIDI message to every port out."""
        if self.midi is not None:
            self.midi.send(message)

    def link_clock(self, tempo_bpm: float, beats_per_bar: float, now: float) -> Clock:
        """A clock in a Link session; ClockError where there can be none."""
        return LinkClock(tempo_bpm, beats_per_bar, now)
