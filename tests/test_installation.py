"""What a producer installs: the wheel by itself does the main job, and install.sh asks uv for the right things."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engine.weights import Library, shipped_folder

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL_BYTES = 60 * 2**20

UV = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
  "tool install"*) exit {code} ;;
  "tool dir --bin") echo "{bin}" ;;
esac
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as a release builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, cwd=folder)
    return next(folder.glob("vaebridge-*.whl"))


def test_the_wheel_is_small_enough_and_holds_all_weights_and_devices(wheel: Path) -> None:
    assert wheel.stat().st_size <= LARGEST_WHEEL_BYTES
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in Library([shipped_folder()]).cards:
        assert {f"engine/shipped_weights/{name}.{end}" for end in ("toml", "safetensors")} <= names
    assert any(name.endswith(".amxd") for name in names)
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_asks_for_midi_where_it_comes_built(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
    asked = [line for line in archive.read(metadata).decode().splitlines() if "python-rtmidi" in line]
    assert "python_version < '3.13'" in asked[0].replace('"', "'")
    assert "extra == 'midi'" in asked[1].replace('"', "'")


def test_what_is_in_the_wheel_alone_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    command = [sys.executable, "-c", "from bridge.entry import main; main()"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}

    def run(*words: str) -> None:
        subprocess.run([*command, *words], check=True, cwd=tmp_path, env=environment, capture_output=True)

    run("sample", "-o", "beat.mid")
    run("humanize", "beat.mid", "-o", "played.mid")
    assert (tmp_path / "played.mid").stat().st_size > 100


@pytest.mark.skipif(sys.platform == "win32", reason="install.ps1 is for Windows")
@pytest.mark.parametrize("code", [0, 7])
def test_install_sh_asks_uv_and_looks_whether_it_works(tmp_path: Path, code: int) -> None:
    tools, log = tmp_path / "bin", tmp_path / "log"
    tools.mkdir()
    (tools / "uv").write_text(UV.format(log=log, bin=tools, code=code))
    (tools / "vaebridge").write_text(f'#!/bin/sh\necho "vaebridge $@" >> "{log}"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["sh", str(ROOT / "install.sh"), "./some.whl"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    asked = log.read_text().splitlines()
    assert asked[0] == "tool install --upgrade --force --python 3.12 --torch-backend auto ./some.whl[page]"
    assert run.returncode == code
    assert (asked[-1] == "vaebridge doctor") is (code == 0)
    assert ("vaebridge serve" in run.stdout) is (code == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="install.ps1 is for Windows")
def test_install_sh_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    run = subprocess.run(
        ["/bin/sh", str(ROOT / "install.sh")], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.startswith("install.sh: needs curl, or uv")
