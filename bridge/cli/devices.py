"""devices: list, install and build the Max for Live devices; Live needs no more than files in its User Library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.errors import BridgeError
from engine.files import replacing

if TYPE_CHECKING:
    from max_devices.devices import Device

devices = typer.Typer(help="List, install and build the devices for Ableton Live.", no_args_is_help=True)

USER_LIBRARIES = {
    "darwin": ("Music/Ableton/User Library",),
    "win32": ("Documents/Ableton/User Library", "OneDrive/Documents/Ableton/User Library"),
}
"""Where Live puts it, below the user's home; its settings may name another place."""

To = Annotated[
    Path | None, typer.Option("--to", help="Live's User Library, if it is elsewhere", show_default=False)
]


@devices.command("list")
def list_devices(to: To = None) -> None:
    """All devices: what they are, and where install puts them."""
    from bridge.cli.show import console, table
    from max_devices.devices import DEVICES

    library = to or user_library()
    rows = (
        (device.name, device.purpose, str(place_of(device, library or Path("User Library")))) for device in DEVICES
    )
    console().print(table(("device", "what it is", "where"), rows))
    if not library:
        console().print(NO_LIBRARY)


@devices.command("install")
def install(to: To = None) -> None:
    """Copy the devices into Live's User Library; a device that is there already is replaced."""
    from bridge.cli.show import console
    from max_devices.build import BUILT
    from max_devices.devices import DEVICES

    library = to or user_library()
    if library is None:
        raise BridgeError(NO_LIBRARY)
    for device in DEVICES:
        place = place_of(device, library)
        console().print(f"{copy(BUILT / device.file, place):9} {place}")
    console().print("Live shows them in its browser under User Library")


@devices.command("build")
def build(
    to: Annotated[
        Path | None, typer.Option("--to", help="a folder; else the package's own", show_default=False)
    ] = None,
) -> None:
    """Make the devices from their sources."""
    from bridge.cli.show import console
    from max_devices.build import BUILT, PICTURES
    from max_devices.build import build as run

    try:
        for path in run(to or BUILT, to or PICTURES, _write):
            console().print(str(path))
    except OSError as error:
        raise BridgeError(f"{error.filename} cannot be read or written: {error.strerror}") from error


NO_LIBRARY = (
    "Live's User Library is not where Live puts it; name it with --to "
    "(Live's settings, tab Library, show where it is)"
)


def user_library() -> Path | None:
    """Live's User Library, if it is where Live puts it."""
    places = [Path.home() / place for place in USER_LIBRARIES.get(sys.platform, ())]
    return next((place for place in places if place.is_dir()), None)


def place_of(device: "Device", library: Path) -> Path:
    """The file of a device in a User Library."""
    from max_devices.devices import FOLDERS

    return library / FOLDERS[device.kind] / device.file


def copy(source: Path, target: Path) -> str:
    """Copy a file whole or not at all; whether it is new, replaced or unchanged. BridgeError if it cannot be."""
    try:
        content = source.read_bytes()
        if target.is_file() and target.read_bytes() == content:
            return "unchanged"
        told = "replaced" if target.exists() else "new"
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)
    except OSError as error:
        raise BridgeError(
            f"{target.name} cannot be copied to {target.parent}: {error.strerror or error}"
        ) from error
    return told


def _write(target: Path, content: bytes) -> None:
    """A full disk leaves what was there."""
    with replacing(target) as beside:
        beside.write_bytes(content)
