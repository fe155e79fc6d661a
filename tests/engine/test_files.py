import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.files import read_at_most, read_toml, regular, replacing


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell which processes run")
def test_what_a_killed_process_left_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    parts = {name: tmp_path / f".{name}.wav.part" for name in (gone.pid, os.getppid(), "mine")}
    fresh = tmp_path / f".{gone.pid}.mid.part"
    for part in (*parts.values(), fresh):
        part.write_text("half")
    for part in parts.values():
        os.utime(part, (0, 0))
    with replacing(tmp_path / "a.txt") as beside:
        beside.write_text("whole")
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {"a.txt", fresh.name, *(parts[name].name for name in (os.getppid(), "mine"))}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as beside:
            beside.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_written_to_itself(tmp_path: Path) -> None:
    with replacing(Path(os.devnull)) as beside:
        beside.write_text("nothing")
    assert not Path(os.devnull).is_file()


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("old")
    link.symlink_to(path)
    with replacing(link) as beside:
        beside.write_text("new")
    assert (path.read_text(), link.is_symlink()) == ("new", True)


def test_a_pipe_a_device_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull), tmp_path):
        with pytest.raises(OSError, match="it is no regular file"):
            regular(path)
    with pytest.raises(FileNotFoundError):
        regular(tmp_path / "none")


def test_what_has_no_end_is_not_read_to_it() -> None:
    with pytest.raises(OSError, match="it has more than 1000 bytes"):
        read_at_most(Path("/dev/zero"), 1000)


def test_a_toml_that_is_nested_without_end_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = [1]")
    assert read_toml(path) == {"a": [1]}
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ValueError, match="it is nested too deep"):
        read_toml(path)


@pytest.mark.skipif(sys.platform == "win32" or sys.version_info >= (3, 13), reason="there such a link is a name")
def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic links"), replacing(tmp_path / "round"):
        pass
