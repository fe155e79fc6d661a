"""autostart and uninstall: what vaebridge leaves on a machine beside its own package, and how it goes again."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from bridge.errors import BridgeError

Thing = tuple[str, Callable[[], object]]
"""What was put somewhere: where, and what takes it away."""

INSTALLERS = {"uv/tools": "uv tool uninstall vaebridge", "pipx/venvs": "pipx uninstall vaebridge"}
"""A part of the path of the environments that an installer makes, and how it takes vaebridge away."""


def autostart(
    state: Annotated[
        Literal["on", "off", "status"], typer.Argument(help="on: start the daemon at login; off: no more")
    ] = "status",
) -> None:
    """Start the daemon whenever you log in, or no more."""
    from bridge.autostart import autostart as of_system
    from bridge.cli.show import console

    starter = of_system()
    if state == "on":
        starter.turn_on()
    if state == "off":
        starter.turn_off()
    if starter.is_on():
        console().print(f"the daemon starts when you log in: {starter.place}")
    else:
        console().print("the daemon does not start by itself: `vaebridge autostart on` changes that")


def uninstall(
    purge: Annotated[
        bool, typer.Option("--purge", help="also what you have made: settings, learned controls, styles, feels")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Live's User Library, if it is elsewhere", show_default=False)
    ] = None,
) -> None:
    """Take away what vaebridge has put outside its own package, and say how the package itself goes."""
    from bridge.cli.show import console
    from bridge.kept import kept_folder

    kept, left, found = kept_folder(), False, False
    for place, remove in (*_autostart(), *_devices(to), *_measured(), *(_kept(kept) if purge else ())):
        found = True
        try:
            remove()
            console().print(f"removed {place}")
        except (BridgeError, OSError) as error:
            left = True
            console().print(f"{place}: {error}")
    if not found:
        console().print("nothing was there to remove")
    if not purge and kept.is_dir():
        console().print(f"what you have made stays in {kept}; --purge removes it too")
    console().print(f"now: {package_removal()}")
    if left:
        raise typer.Exit(1)


def package_removal() -> str:
    """The command that takes the package itself away, by who installed it."""
    here = Path(sys.prefix).as_posix()
    return next(
        (command for part, command in INSTALLERS.items() if part in here),
        f'"{sys.executable}" -m pip uninstall vaebridge',
    )


def _autostart() -> Iterator[Thing]:
    from bridge.autostart import autostart as of_system

    with contextlib.suppress(BridgeError):  # a system on which it cannot be on
        starter = of_system()
        if starter.is_on():
            yield starter.place, starter.turn_off


def _devices(to: Path | None) -> Iterator[Thing]:
    """Those of our devices that lie in Live's User Library."""
    from bridge.cli.devices import place_of, user_library
    from max_devices.devices import DEVICES

    library = to or user_library()
    places = [place_of(device, library) for device in DEVICES] if library else []
    yield from ((str(place), place.unlink) for place in places if place.is_file())


def _measured() -> Iterator[Thing]:
    """The file that says which device is fastest, and its folder."""
    from engine.devices import devices_file

    folder = devices_file().parent
    if folder.is_dir():
        yield str(folder), lambda: shutil.rmtree(folder)


def _kept(folder: Path) -> Iterator[Thing]:
    """The folder, or what a link in its place leads to."""
    if folder.is_dir():
        yield str(folder), lambda: shutil.rmtree(folder.resolve())
    if folder.is_symlink():
        yield str(folder), folder.unlink
