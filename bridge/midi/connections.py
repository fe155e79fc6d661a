"""The MIDI ports and Link for the daemon: those that are there, or why not; ports that appear later are opened."""

from bridge.config import Config
from bridge.midi.ports import MidiPorts, Ports, Starts
from bridge.playing.clock import Clock
from bridge.playing.link_clock import LinkClock


class Connections(MidiPorts):
    """The MIDI ports that the configuration wants, and a clock in a Link session."""

    def __init__(self, config: Config, children: Starts, now: float):
        wanted = Ports(
            config.midi_in,
            config.midi_out,
            config.listen_to,
            config.play_to,
            config.midi_api,
            config.log_level,
        )
        super().__init__(wanted if config.midi else None, children, now)

    def link_clock(self, tempo_bpm: float, beats_per_bar: float, now: float) -> Clock:
        """A clock in a Link session; ClockError where there can be none."""
        return LinkClock(tempo_bpm, beats_per_bar, now)
