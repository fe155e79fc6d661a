"""Processes of ours: what they import, and that none is left when the daemon is killed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.midi.orders import NoSystem, Watch
from bridge.worker.children import Children
from tests.bridge.conftest import ROOT, runs

PATIENCE_SECONDS = 10

STARTS = """
import sys
from bridge.worker.children import Children

child = Children().start("tests.bridge.waits", None)
child.channel.set_blocking(True)
sys.stdout.write(f"{child.process.pid} {child.channel.read()}\\n")
sys.stdout.flush()
child.process.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_process_that_waits_with_pythons_lock_held_does_not_outlive_a_killed_daemon() -> None:
    daemon = subprocess.Popen([sys.executable, "-c", STARTS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    pid, _, said = daemon.stdout.readline().partition(" ")
    assert said == "['it waits']\n"
    daemon.kill()
    daemon.wait()
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while runs(int(pid)):
        assert time.perf_counter() < deadline, "the process lives on"
        time.sleep(0.001)


@pytest.mark.skipif(sys.platform == "win32", reason="there every environment has such a launcher")
def test_a_process_that_a_launcher_starts_has_the_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = tmp_path / "python"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')  # no exec: another pid, as on Windows
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    children = Children()
    child = children.start("bridge.midi.watch_process", Watch("windows", "info"))
    child.channel.set_blocking(True)
    assert [type(each) for each in child.channel.read()] == [NoSystem]
    children.let_go(child, 0.0)
    children.end_all(PATIENCE_SECONDS)


def test_a_file_in_the_users_folder_stands_in_for_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("bridge", "engine", "select"):
        (tmp_path / f"{module}.py").write_text('raise RuntimeError("this is the user\'s own")\n')
    monkeypatch.chdir(tmp_path)
    children = Children()
    child = children.start("bridge.midi.watch_process", Watch("windows", "info"))
    child.channel.set_blocking(True)
    (said,) = child.channel.read()
    assert isinstance(said, NoSystem)
    children.let_go(child, 0.0)
    children.end_all(PATIENCE_SECONDS)
