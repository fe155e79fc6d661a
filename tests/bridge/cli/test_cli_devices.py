import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from max_devices.build import BUILT
from max_devices.devices import DEVICES

BRIDGE = "Presets/MIDI Effects/Max MIDI Effect/VAE Bridge.amxd"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home; nothing of this machine's is touched."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["devices", *arguments], env={"COLUMNS": "200"})


def test_every_device_is_listed_with_what_it_is_and_where_it_goes() -> None:
    lines = run("list", "--to", "lib").output.splitlines()[1:]
    for device, line in zip(DEVICES, lines, strict=True):
        assert device.name in line
        assert device.purpose in line
        assert line.rstrip().endswith(device.file)


@pytest.mark.parametrize(
    ("platform", "library"),
    [
        ("darwin", "Music/Ableton/User Library"),
        ("win32", "Documents/Ableton/User Library"),
        ("win32", "OneDrive/Documents/Ableton/User Library"),
    ],
)
def test_devices_are_copied_into_the_library_where_live_puts_it(
    platform: str, library: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / library).mkdir(parents=True)
    monkeypatch.setattr(sys, "platform", platform)
    assert run("install").exit_code == 0
    assert sorted(path.relative_to(home / library).as_posix() for path in home.rglob("*.amxd")) == [
        "MIDI Tools/Max Generators/VAE Generator.amxd",
        "MIDI Tools/Max Transformations/VAE Transformation.amxd",
        BRIDGE,
        "Presets/MIDI Effects/Max MIDI Effect/VAE Humanize.amxd",
        "Presets/MIDI Effects/Max MIDI Effect/VAE Morph.amxd",
    ]


def test_devices_are_copied_whole_to_the_place_that_is_named(home: Path) -> None:
    result = run("install", "--to", "lib")
    assert "new       lib/" in result.output
    assert (home / "lib" / BRIDGE).read_bytes() == (BUILT / "VAE Bridge.amxd").read_bytes()


def test_an_older_device_is_replaced_and_that_is_told(home: Path) -> None:
    older = home / "lib" / BRIDGE
    older.parent.mkdir(parents=True)
    older.write_bytes(b"older")
    assert f"replaced  lib/{BRIDGE}" in run("install", "--to", "lib").output
    assert older.read_bytes() == (BUILT / "VAE Bridge.amxd").read_bytes()


def test_installing_again_changes_nothing() -> None:
    run("install", "--to", "lib")
    told = run("install", "--to", "lib").output.splitlines()
    assert [line.split()[0] for line in told[: len(DEVICES)]] == ["unchanged"] * len(DEVICES)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_where_there_is_no_library_a_sentence_says_to_name_it(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    result = run("install")
    assert result.exit_code == 1
    assert "name it with --to" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(home: Path) -> None:
    (home / "lib").write_text("a file, no folder")
    result = run("install", "--to", "lib")
    assert result.exit_code == 1
    assert "VAE Bridge.amxd cannot be copied to lib/Presets" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_leaves_the_device_that_was_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = home / "lib" / BRIDGE
    older.parent.mkdir(parents=True)
    older.write_bytes(b"older")

    def full(source: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(source))

    monkeypatch.setattr(Path, "replace", full)
    result = run("install", "--to", "lib")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert older.read_bytes() == b"older"
    assert list(older.parent.iterdir()) == [older]


def test_devices_are_built_into_the_folder_that_is_named(home: Path) -> None:
    result = run("build", "--to", "out")
    assert result.exit_code == 0
    assert {path.name for path in (home / "out").glob("*.amxd")} == {device.file for device in DEVICES}


def test_a_build_that_cannot_be_written_is_one_sentence(home: Path) -> None:
    (home / "out").write_text("a file, no folder")
    result = run("build", "--to", "out")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
