"""What a user has made outlives updates: files of every version are read, those of a newer one left alone."""

from pathlib import Path
from typing import Any

import pytest
import typer

from bridge.controls_file import ControlsFile
from bridge.errors import ConfigError
from bridge.kept import kept_folder
from bridge.playing.controls import Control
from engine.kept import KeptFile

FIRST_RELEASE = """\
[freeze]
kind = "note"
channel = 10
number = 36

[temperature]
kind = "control"
channel = 1
number = 20
"""
"""controls.toml as 0.1.0 wrote it, without a version."""


def renamed(content: dict[str, Any]) -> dict[str, Any]:
    return {"level" if key == "volume" else key: value for key, value in content.items()}


def doubled(content: dict[str, Any]) -> dict[str, Any]:
    return {key: 2 * value for key, value in content.items()}


def test_the_folder_is_where_the_first_release_had_it() -> None:
    assert kept_folder() == Path(typer.get_app_dir("vaebridge"))


def test_the_controls_of_the_first_release_are_read_and_kept_with_a_version(tmp_path: Path) -> None:
    path = tmp_path / "controls.toml"
    path.write_text(FIRST_RELEASE)
    file, learned = (
        ControlsFile(path),
        {"freeze": Control("note", 10, 36), "temperature": Control("control", 1, 20)},
    )
    assert file.read() == learned
    file.write(learned)
    assert path.read_text().startswith("version = 1\n")
    assert file.read() == learned


def test_a_file_goes_through_each_step_that_it_has_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "kept.toml"
    file = KeptFile(path, (renamed, doubled))
    for text in ("volume = 3", "version = 1\nvolume = 3", "version = 2\nlevel = 3", "version = 3\nlevel = 6"):
        path.write_text(text)
        assert file.read() == {"level": 6}
    file.write({"level": 7})
    assert file.read() == {"level": 7}


@pytest.mark.parametrize("version", ["2", "0", "-1", "1.5", "true", '"new"'])
def test_a_file_of_another_vaebridge_is_refused_and_stays(tmp_path: Path, version: str) -> None:
    path = tmp_path / "controls.toml"
    path.write_text(f"version = {version}\n{FIRST_RELEASE}")
    with pytest.raises(ConfigError, match=r"controls\.toml has the version .*, this vaebridge knows those up to 1"):
        ControlsFile(path).read()
    assert FIRST_RELEASE in path.read_text()
