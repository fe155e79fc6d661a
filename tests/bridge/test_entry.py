"""Ctrl-C while Python still imports."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SLOW_IMPORT = """
import os, sys
sys.stdout.write("importing\\n")
sys.stdout.flush()
try:
    sys.stdin.readline()
except BaseException:
    raise ValueError("some libraries make any error of it")
os._exit(7)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """`vaebridge --help` with a typer that is slow to import."""
    (tmp_path / "typer.py").write_text(SLOW_IMPORT)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return ["env", f"PYTHONPATH={path}", sys.executable, "-m", "bridge.entry", "--help"]


def started(command: list[str]) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    return process


def test_ctrl_c_while_python_imports_is_silent(command: list[str]) -> None:
    process = started(command)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


def test_where_ctrl_c_is_ignored_it_stays_ignored(command: list[str]) -> None:
    process = started(["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command])
    process.send_signal(signal.SIGINT)
    assert process.communicate("go on\n", timeout=30) == ("", "")
    assert process.returncode == 7
