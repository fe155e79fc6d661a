"""The process that tells which MIDI ports there are: asking may make it wait for other programs, or end it."""

import contextlib
import importlib
import os
import select

from bridge.errors import PortError
from bridge.log import set_up_log
from bridge.midi.orders import Listing, NoSystem, Watch
from bridge.midi.system import Load, MidiSystem, Names, open_system
from bridge.worker.children import inherited
from bridge.worker.pipe import Channel

LOOK_SECONDS = 1.0
RETRY_SECONDS = 2.0
"""Where there is no MIDI system, one is looked for again so often."""


def main() -> None:
    """Read what to watch, and watch."""
    order, channel = inherited()
    set_up_log(order.log_level)
    run(order, channel)


def run(order: Watch, channel: Channel, load: Load = importlib.import_module) -> None:
    """Tell until the daemon closes the channel; the process ends with the MIDI system, which tells its death."""
    while True:
        try:
            system = open_system(order.api, lambda: os._exit(0), load)
            _tell(system, channel)
        except PortError as error:
            channel.put(NoSystem(str(error)))
        else:
            return
        if _has_gone(channel, RETRY_SECONDS):
            return


def _tell(system: MidiSystem, channel: Channel) -> None:
    """Tell again and again; PortError if the system offers no ports."""
    with contextlib.closing(Names(system)) as names:
        while True:
            with contextlib.suppress(system.rtmidi.RtMidiError):  # they change faster than they can be read
                channel.put(Listing(system.api, tuple(names.sources()), tuple(names.destinations())))
            if _has_gone(channel, LOOK_SECONDS):
                return


def _has_gone(channel: Channel, seconds: float) -> bool:
    """Whether the daemon closes the channel within so many seconds; it says nothing else."""
    return bool(select.select([channel], [], [], seconds)[0])
