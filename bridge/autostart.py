"""Starting the daemon when the user logs in, by each system's means: launchd, systemd for users, the run key."""

import contextlib
import os
import plistlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from bridge.errors import BridgeError
from bridge.worker.children import MAIN
from engine.files import replacing

LABEL = "vaebridge"
PATIENCE_SECONDS = 30

RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"

UNIT = """\
[Unit]
Description=vaebridge: drums and small bands over OSC and MIDI
After=sound.target pipewire.service

[Service]
ExecStart={command}
Restart=on-failure

[Install]
WantedBy=default.target
"""


class Autostart(Protocol):
    """One system's way. place: what is written there, for people to read."""

    place: str

    def is_on(self) -> bool:
        """Whether the daemon starts with the session."""

    def turn_on(self) -> None:
        """From the next login on, and now where the system offers it; BridgeError where it cannot be."""

    def turn_off(self) -> None:
        """Never again; nothing happens where it was off."""


def autostart() -> Autostart:
    """The means of this system; BridgeError where there is none."""
    if sys.platform == "linux":
        return Systemd()
    if sys.platform == "darwin":
        return Launchd()
    if sys.platform == "win32":
        return RunKey()
    raise BridgeError(f"it is not known how {sys.platform} starts programs at login")


def serve_command() -> list[str]:
    """What starts the daemon, without a window on Windows."""
    python = Path(sys.executable)
    windowless = python.with_name("pythonw.exe")
    return [str(windowless if windowless.exists() else python), "-c", MAIN.format("bridge.entry"), "serve"]


class Systemd:
    """A unit of the user's own systemd."""

    def __init__(self) -> None:
        settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._unit = settings / "systemd" / "user" / f"{LABEL}.service"
        self.place = str(self._unit)

    def is_on(self) -> bool:
        """See Autostart."""
        return self._unit.exists()

    def turn_on(self) -> None:
        """See Autostart."""
        with _written(self._unit, UNIT.format(command=" ".join(map(_quoted, serve_command()))).encode()):
            _run("systemctl", "--user", "daemon-reload")
            _run("systemctl", "--user", "enable", "--now", LABEL)

    def turn_off(self) -> None:
        """See Autostart."""
        if self.is_on():
            try:
                _run("systemctl", "--user", "disable", "--now", LABEL)
            finally:
                _remove(self._unit)


class Launchd:
    """A launch agent."""

    def __init__(self) -> None:
        self._plist = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self.place = str(self._plist)

    def is_on(self) -> bool:
        """See Autostart."""
        return self._plist.exists()

    def turn_on(self) -> None:
        """See Autostart."""
        if self.is_on():
            self.turn_off()  # launchd takes no second agent of the same name
        agent = {
            "Label": LABEL,
            "ProgramArguments": serve_command(),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
        }
        with _written(self._plist, plistlib.dumps(agent)):
            _run("launchctl", "bootstrap", self._domain(), str(self._plist))

    def turn_off(self) -> None:
        """See Autostart."""
        if self.is_on():
            try:
                _run("launchctl", "bootout", f"{self._domain()}/{LABEL}")
            finally:
                _remove(self._plist)

    def _domain(self) -> str:
        if sys.platform == "win32":
            raise BridgeError("Windows has no launchd")
        return f"gui/{os.getuid()}"


class RunKey:
    """A value of the registry's key of what runs at login."""

    place = rf"HKEY_CURRENT_USER\{RUN_KEY}\{LABEL}"

    def is_on(self) -> bool:
        """See Autostart."""
        if sys.platform == "win32":
            import winreg

            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
                    winreg.QueryValueEx(key, LABEL)
            except FileNotFoundError:
                return False
        return True

    def turn_on(self) -> None:
        """See Autostart."""
        if sys.platform == "win32":
            import winreg

            with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
                winreg.SetValueEx(key, LABEL, 0, winreg.REG_SZ, subprocess.list2cmdline(serve_command()))

    def turn_off(self) -> None:
        """See Autostart."""
        if sys.platform == "win32" and self.is_on():
            import winreg

            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY, 0, winreg.KEY_SET_VALUE) as key:
                winreg.DeleteValue(key, LABEL)


def _quoted(argument: str) -> str:
    r"""An argument as systemd.service(5) reads it: in quotes, with \ and " escaped, % and $ doubled."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


@contextlib.contextmanager
def _written(path: Path, content: bytes) -> Iterator[None]:
    """A file that is there while what it says is made known, and stays if that can be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        raise BridgeError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield
    except BridgeError as error:
        _remove(path)
        raise BridgeError(f"{error}; let your session start `vaebridge serve` by its own means") from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BridgeError(f"{path} cannot be removed: {error.strerror or error}") from error


def _run(*command: str) -> None:
    """Run one of the system's own programs; BridgeError with what it says where it fails."""
    try:
        done = _completed(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BridgeError(f"{command[0]} cannot be run ({getattr(error, 'strerror', None) or error})") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"it ended with {done.returncode}"
        raise BridgeError(f"`{' '.join(command)}` failed: {said}")


def _completed(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
