"""What a machine has and lacks for vaebridge, and what to do about it.

Finds and tells; mends nothing, prints nothing.
"""

import importlib
import platform
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.addresses import resolved, shown_address
from bridge.autostart import autostart
from bridge.errors import BridgeError, PortError
from bridge.kept import kept_folder
from bridge.midi.system import Load, list_ports
from bridge.osc.remote import Remote
from engine.audio.files import libraries
from engine.errors import AudioError, VaebridgeError
from engine.requests import VERBS
from engine.weights import Library

if TYPE_CHECKING:
    from bridge.config import Config
    from engine.devices import Devices

OLDEST_PYTHON = (3, 10)
State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. broken means that serve or the verbs cannot work; advice says what to do."""

    subject: str
    state: State
    text: str
    advice: str = ""


def examine(config: "Config") -> Iterator[Finding]:
    """Everything that was found, in the order in which it matters."""
    yield find_python()
    yield find_torch()
    yield from find_devices(config)
    yield from find_weights(config)
    yield find_daemon(config)
    yield find_midi(config.midi_api)
    yield find_sound()
    yield find_kept(config)
    yield find_page()
    yield find_autostart()


def find_page() -> Finding:
    """Whether the page in the browser can be served."""
    from bridge.page.process import check_installed

    try:
        check_installed()
    except BridgeError as error:
        return Finding("page", "note", f"serve --page cannot run: {error}")
    return Finding("page", "ok", "`vaebridge serve --page` opens it")


def find_kept(config: "Config") -> Finding:
    """Where what the user makes is kept, and whether serve can read it."""
    from bridge.controls_file import ControlsFile

    folder = kept_folder()
    try:
        ControlsFile(config.controls).read()
    except BridgeError as error:
        return Finding("yours", "broken", str(error), "serve does not start before that")
    there = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    return Finding("yours", "ok", f"{folder}: {', '.join(there) or 'nothing yet'}")


def find_autostart() -> Finding:
    """Whether the daemon starts at login."""
    try:
        starter = autostart()
    except BridgeError as error:
        return Finding("login", "ok", str(error))
    if starter.is_on():
        return Finding("login", "ok", f"the daemon starts when you log in: {starter.place}")
    return Finding("login", "ok", "the daemon does not start by itself; `vaebridge autostart on` changes that")


def find_sound() -> Finding:
    """What --wav and play sound with."""
    from engine.audio.soundfont import BETTER, found_soundfont

    font = found_soundfont()
    if font is None:
        return Finding("sound", "note", "--wav and play have simple sounds: no FluidSynth with a SoundFont", BETTER)
    return Finding("sound", "ok", f"FluidSynth with {font}")


def find_python() -> Finding:
    """The interpreter and the system."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "broken", text, "install Python 3.10 or newer")
    return Finding("python", "ok", text)


def find_torch() -> Finding:
    """PyTorch and the device it offers."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return Finding("torch", "broken", f"cannot be imported: {error}", "pip install torch")
    if torch.cuda.is_available():
        return Finding("torch", "ok", f"{torch.__version__}, {torch.cuda.get_device_name(0)}")
    return Finding("torch", "ok", f"{torch.__version__}, on the CPU with {torch.get_num_threads()} threads")


def find_devices(config: "Config", here: "Devices | None" = None) -> Iterator[Finding]:
    """Where each model runs, and why. here: the devices of this machine."""
    from engine.devices import devices_here, shown

    if config.device != "auto":
        yield Finding("device", "ok", f"{config.device} for all models, as the settings say")
        return
    devices = here or devices_here()
    if not devices.gpus:
        yield Finding("device", "ok", "cpu for all models: there is no GPU, so nothing is measured")
        return
    for measured in devices.measured():
        yield Finding("device", "ok", f"{measured.fastest} for {measured.model}: {shown(measured)}")
    yield Finding("device", "ok", f"a model that is new here is measured when it is loaded; kept in {devices.kept}")


def find_weights(config: "Config") -> Iterator[Finding]:
    """Each model, and whether every verb has one."""
    library = Library(config.weight_folders)
    for problem in library.problems:
        yield Finding("weights", "note", problem, "restore the file, or delete it and its card")
    served: set[str] = set()
    for name, card in sorted(library.cards.items()):
        finding = find_model(library, name)
        served.update(card.verbs if finding.state == "ok" else ())
        yield finding
    if missing := [verb for verb in VERBS if verb not in served]:
        folders = ", ".join(map(str, config.weight_folders))
        advice = f"put NAME.safetensors and NAME.toml into {folders}"
        yield Finding("weights", "broken", f"no model for {', '.join(missing)}", advice)


def find_model(library: Library, name: str) -> Finding:
    """One model's file, compared with its card."""
    try:
        path = library.verify(name)
    except VaebridgeError as error:
        return Finding("weights", "note", str(error), "install vaebridge again, or train the model again")
    card = library.card(name)
    verbs = ", ".join(card.verbs)
    if card.family == "score":
        verbs = "continue on files of sound"
        try:
            libraries()
        except AudioError as error:
            return Finding("weights", "note", f"{name}: {verbs}", str(error))
    return Finding("weights", "ok", f"{name}: {path.stat().st_size / 2**20:.1f} MiB, {verbs}")


def find_daemon(config: "Config") -> Finding:
    """Whether the OSC port is free, a daemon's, or somebody else's."""
    address = shown_address(config.osc_host, config.osc_port)
    try:
        family, place = resolved(config.osc_host, config.osc_port)
    except OSError as error:
        advice = "osc_host takes an address of this machine, such as 127.0.0.1 or ::1"
        return Finding("osc", "broken", f"{address} cannot be used: {error.strerror}", advice)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(place)
    except OSError as error:
        return _taken(config, address, error)
    return Finding("osc", "ok", f"{address} is free; `vaebridge serve` starts a daemon there")


def _taken(config: "Config", address: str, error: OSError) -> Finding:
    """Who is on a port that could not be bound."""
    advice = "stop that program, or serve with another --osc-port"
    try:
        with Remote(config.osc_host, config.osc_port, timeout_seconds=1) as daemon:
            status = daemon.ask("status")[-1].keys
    except VaebridgeError:
        return Finding("osc", "broken", f"{address} cannot be used: {error.strerror}", advice)
    told = ", ".join(f"{key} {value}" for key, value in status.items())
    return Finding("osc", "ok", f"a daemon answers on {address}: {told}")


def find_midi(api: str = "auto", load: Load = importlib.import_module) -> Finding:
    """The MIDI ports; without them OSC and files still work."""
    try:
        listing = list_ports(api, load)
    except PortError as error:
        return Finding("midi", "note", str(error))
    sources, destinations = (", ".join(names) or "none" for names in (listing.sources, listing.destinations))
    return Finding("midi", "ok", f"{listing.api}; to listen to: {sources}; to play to: {destinations}")
