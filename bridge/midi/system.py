"""The machine's MIDI system: which there is, and what ports others have there."""

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from bridge.errors import PortError
from bridge.midi.jack import JackServer
from bridge.midi.listener import MAX_WAITING
from bridge.midi.orders import Listing

logger = logging.getLogger(__name__)

API_CONSTANTS = {
    "alsa": "API_LINUX_ALSA",
    "jack": "API_UNIX_JACK",
    "core": "API_MACOSX_CORE",
    "windows": "API_WINDOWS_MM",
}
APIS = ("auto", *API_CONSTANTS)

ONLY_API = {"darwin": "core", "win32": "windows"}
"""What auto means where there is no choice."""

ATTEMPTS = 5

ALSA_SEQUENCER = "/dev/snd/seq"

NOTHING = (
    "there is no MIDI system: ALSA's sequencer is missing (modprobe snd-seq) and no JACK server runs "
    "(apt install jackd2, then start it); OSC works without"
)
NO_ALSA = "ALSA's sequencer cannot be opened (modprobe snd-seq, and be in the group audio); OSC works without"
NO_JACK = "no JACK server runs (apt install jackd2, then start it); OSC works without"
NO_RTMIDI = (
    "MIDI ports need python-rtmidi, built for Python 3.10 to 3.12 (newer: pip install "
    "'vaebridge[midi]' and a compiler), and on Linux ALSA's library (apt install libasound2): {}; OSC works without"
)

Load = Callable[[str], Any]


class MidiSystem:
    """One API of rtmidi, opened; PortError if it is not there. on_gone may be called from any thread."""

    def __init__(self, api: str, on_gone: Callable[[], None], load: Load):
        self.api = api
        self.rtmidi = load_rtmidi(load)
        self._code = getattr(self.rtmidi, API_CONSTANTS[api])
        if self._code not in self.rtmidi.get_compiled_api():
            raise PortError(f"this python-rtmidi was built without {api}; OSC works without")
        if api == "alsa" and not os.access(ALSA_SEQUENCER, os.R_OK | os.W_OK):
            raise PortError(NO_ALSA)  # asked first: ALSA would complain on stderr
        self.server = _open_jack(on_gone) if api == "jack" else None

    def new_input(self, client: str) -> Any:
        """An rtmidi.MidiIn without a port."""
        return self.rtmidi.MidiIn(self._code, client, MAX_WAITING)

    def new_output(self, client: str) -> Any:
        """An rtmidi.MidiOut without a port."""
        return self.rtmidi.MidiOut(self._code, client)

    def close(self) -> None:
        """Leave the system, when everything else on it is closed."""
        if self.server:
            self.server.close()


class Names:
    """The ports that all programs have; RtMidiError where they change faster than they can be read."""

    def __init__(self, system: MidiSystem):
        self._error = system.rtmidi.RtMidiError
        try:
            self._inputs, self._outputs = system.new_input("vaebridge"), system.new_output("vaebridge")
        except self._error as error:
            raise PortError(f"{system.api} offers no MIDI ports ({error}); OSC works without") from error

    def sources(self) -> list[str]:
        """The ports that can be listened to, in the order of their numbers."""
        return self._read(self._inputs)

    def destinations(self) -> list[str]:
        """The ports that can be played to, in the order of their numbers."""
        return self._read(self._outputs)

    def close(self) -> None:
        """Ask no more."""
        self._inputs.delete()
        self._outputs.delete()

    def _read(self, lister: Any) -> list[str]:
        """The names; RtMidi counts, then asks for each, so a port that goes in between makes it begin again."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(self._error):
                return [name or "" for name in lister.get_ports()]
        return [name or "" for name in lister.get_ports()]


def list_ports(api: str = "auto", load: Load = importlib.import_module) -> Listing:
    """Everybody's ports at this moment; PortError if there is no MIDI system."""
    system = open_system(api, lambda: None, load)
    try:
        with contextlib.closing(Names(system)) as names:
            return Listing(system.api, tuple(names.sources()), tuple(names.destinations()))
    except system.rtmidi.RtMidiError as error:
        raise PortError(f"the MIDI ports change faster than they can be read ({error})") from error
    finally:
        system.close()


def open_system(api: str, on_gone: Callable[[], None], load: Load = importlib.import_module) -> MidiSystem:
    """The API that is asked for; auto takes the first that is there."""
    if api not in APIS:
        raise PortError(f"the MIDI API must be one of {', '.join(APIS)}, not {api}")
    if api != "auto":
        return MidiSystem(api, on_gone, load)
    if sys.platform in ONLY_API:
        return MidiSystem(ONLY_API[sys.platform], on_gone, load)
    load_rtmidi(load)
    try:
        return MidiSystem("alsa", on_gone, load)
    except PortError as error:
        logger.debug("no ALSA: %s", error)
    try:
        return MidiSystem("jack", on_gone, load)
    except PortError as error:
        raise PortError(NOTHING) from error


def load_rtmidi(load: Load) -> Any:
    """The module, or PortError that says what to install."""
    try:
        return load("rtmidi")
    except (ImportError, OSError) as error:
        raise PortError(NO_RTMIDI.format(error)) from error


def _open_jack(on_gone: Callable[[], None]) -> JackServer:
    try:
        return JackServer("vaebridge watch", on_gone)
    except PortError as error:
        raise PortError(NO_JACK) from error
