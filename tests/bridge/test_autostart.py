"""The daemon at login: each system's own way, its own programs faked."""

import plistlib
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge import autostart as module
from bridge.autostart import LABEL, Launchd, RunKey, Systemd, autostart, serve_command
from bridge.cli.main import app
from bridge.errors import BridgeError
from engine.devices import devices_file


class Programs:
    """Stands in for systemctl and launchctl: what was run, and what it says."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.code, self.said = 0, ""

    def __call__(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        self.ran.append(" ".join(command))
        return subprocess.CompletedProcess(command, self.code, "", self.said)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    """The fake programs, and a home of its own."""
    programs = Programs()
    monkeypatch.setattr(module, "_completed", programs)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return programs


def test_on_linux_it_is_a_unit_of_the_users_own_systemd(programs: Programs, tmp_path: Path) -> None:
    starter = Systemd()
    starter.turn_on()
    unit = tmp_path / "config" / "systemd" / "user" / "vaebridge.service"
    (started,) = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    assert shlex.split(started.removeprefix("ExecStart=")) == serve_command()
    assert starter.is_on()
    starter.turn_off()
    assert not unit.exists()
    assert programs.ran == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now vaebridge",
        "systemctl --user disable --now vaebridge",
    ]


def test_a_path_with_all_that_systemd_reads_otherwise_comes_through(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", '/home/a "b" $c %d/python')
    Systemd().turn_on()
    unit = (tmp_path / "config" / "systemd" / "user" / "vaebridge.service").read_text()
    assert r'ExecStart="/home/a \"b\" $$c %%d/python" "-c" ' in unit


def test_on_macos_it_is_a_launch_agent(programs: Programs, tmp_path: Path) -> None:
    starter = Launchd()
    starter.turn_on()
    starter.turn_on()
    plist = tmp_path / "Library" / "LaunchAgents" / "vaebridge.plist"
    agent = plistlib.loads(plist.read_bytes())
    assert agent["ProgramArguments"] == serve_command()
    assert agent["RunAtLoad"] is True
    starter.turn_off()
    assert not plist.exists()
    assert [ran.split()[1] for ran in programs.ran] == ["bootstrap", "bootout", "bootstrap", "bootout"]


class Registry(ModuleType):
    """Stands in for winreg: one key with values."""

    HKEY_CURRENT_USER, REG_SZ, KEY_SET_VALUE = 1, 1, 2

    def __init__(self) -> None:
        super().__init__("winreg")
        self.values: dict[str, str] = {}

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def CreateKey(self, _: int, path: str) -> "Registry":  # noqa: N802 - Windows names it
        assert path.endswith(r"CurrentVersion\Run")
        return self

    def OpenKey(self, *_: Any) -> "Registry":  # noqa: N802
        return self

    def QueryValueEx(self, _: object, name: str) -> str:  # noqa: N802
        if name not in self.values:
            raise FileNotFoundError
        return self.values[name]

    def SetValueEx(self, _: object, name: str, __: int, ___: int, value: str) -> None:  # noqa: N802
        self.values[name] = value

    def DeleteValue(self, _: object, name: str) -> None:  # noqa: N802
        del self.values[name]


def test_on_windows_it_is_a_value_of_the_run_key_without_a_window(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = Registry()
    monkeypatch.setitem(sys.modules, "winreg", registry)
    monkeypatch.setattr(sys, "platform", "win32")
    for name in ("python.exe", "pythonw.exe"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python.exe"))
    starter = autostart()
    assert isinstance(starter, RunKey)
    assert not starter.is_on()
    starter.turn_on()
    assert registry.values[LABEL].startswith(str(tmp_path / "pythonw.exe"))
    assert registry.values[LABEL].endswith(" serve")
    assert starter.is_on()
    starter.turn_off()
    assert registry.values == {}


def test_where_the_systems_program_fails_it_is_said_in_its_words(programs: Programs) -> None:
    programs.code, programs.said = 1, "Failed to connect to bus: No medium found\n"
    with pytest.raises(BridgeError, match=r"`systemctl --user daemon-reload` failed: Failed to connect to bus"):
        Systemd().turn_on()


def test_a_system_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "sunos5")
    with pytest.raises(BridgeError, match="sunos5"):
        autostart()


@pytest.mark.skipif(sys.platform != "linux", reason="asks systemd, which is faked")
def test_the_command_turns_it_on_and_off_and_uninstall_takes_it_away(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*words: str) -> str:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    library, kept = tmp_path / "User Library", tmp_path / "config" / "vaebridge"
    assert "does not start by itself" in told("autostart")
    assert "starts when you log in" in told("autostart", "on")
    told("devices", "install", "--to", str(library))
    kept.mkdir(parents=True)
    (kept / "controls.toml").write_text("version = 1\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    devices_file().parent.mkdir(parents=True)
    devices_file().write_text("version = 1\n")
    first = told("uninstall", "--to", str(library))
    assert "vaebridge.service" in first
    assert "--purge removes it too" in first
    assert not devices_file().exists()
    assert not [path for path in library.rglob("*") if path.is_file()]
    assert "pip uninstall vaebridge" in first
    assert (kept / "controls.toml").exists()
    assert str(kept) in told("uninstall", "--purge", "--to", str(library)).replace(" ", "")
    assert not kept.exists()
    assert "nothing was there" in told("uninstall", "--purge", "--to", str(library))


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/a/.local/share/uv/tools/vaebridge", "uv tool uninstall vaebridge"),
        ("/home/a/.local/share/pipx/venvs/vaebridge", "pipx uninstall vaebridge"),
    ],
)
def test_uninstall_names_whoever_installed_it(prefix: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.cli.desktop import package_removal

    monkeypatch.setattr(sys, "prefix", prefix)
    assert package_removal() == command


def test_what_could_not_be_turned_on_is_off_again(programs: Programs) -> None:
    programs.code, programs.said = 1, "Failed to connect to bus:\nNo medium found"
    for starter in (Systemd(), Launchd()):
        with pytest.raises(BridgeError, match=r"No medium found; let your session start `vaebridge serve`"):
            starter.turn_on()
        assert not starter.is_on()


@pytest.mark.skipif(sys.platform != "linux", reason="asks systemd, which is faked")
def test_uninstall_goes_through_everything_and_says_what_it_could_not(programs: Programs, tmp_path: Path) -> None:
    Systemd().turn_on()
    kept, elsewhere = tmp_path / "config" / "vaebridge", tmp_path / "dotfiles"
    elsewhere.mkdir()
    kept.symlink_to(elsewhere)
    programs.code, programs.said = 1, "no bus"
    result = CliRunner().invoke(app, ["uninstall", "--purge"])
    assert result.exit_code == 1
    assert "no bus" in result.output
    assert "pip uninstall vaebridge" in " ".join(result.output.split())
    assert not kept.is_symlink()
    assert not elsewhere.exists()
    assert not Systemd().is_on()
