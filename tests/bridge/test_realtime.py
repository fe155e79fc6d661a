import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.realtime import PATIENCE, PRIORITY, SWITCH_SECONDS, ask_for_realtime

ROOT = Path(__file__).parents[2]

ASK = """
import json, os, subprocess, sys, threading
from bridge.realtime import ask_for_realtime

facts = {"had": ask_for_realtime()}
facts["own"] = [os.sched_getscheduler(0), os.sched_getparam(0).sched_priority]
tell = "import os; print(os.sched_getscheduler(0))"
facts["process"] = int(subprocess.run([sys.executable, "-c", tell], capture_output=True, check=True).stdout)
thread = threading.Thread(target=lambda: facts.update(thread=os.sched_getscheduler(0)))
thread.start()
thread.join()
print(json.dumps(facts))
"""

PATIENT = """
import json, os, threading
from bridge.realtime import go_after_others

def patient():
    go_after_others()
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

facts = {}
thread = threading.Thread(target=lambda: facts.update(thread=patient()))
thread.start()
thread.join()
print(json.dumps({**facts, "process": os.getpriority(os.PRIO_PROCESS, 0)}))
"""

STEADY = """
import gc, json, sys
from bridge.realtime import steady_interpreter

steady_interpreter()
print(json.dumps({"seconds": sys.getswitchinterval(), "frozen": gc.get_freeze_count()}))
"""

SPARED = """
import gc, json
from bridge.realtime import spare_the_old
from engine.clip import Note

full, kept = [], []
gc.callbacks.append(lambda phase, about: phase == "start" and about["generation"] == 2 and full.append(len(kept)))
for _ in range(1000):
    kept.append([Note(36, 0.0, 1.0, 100) for _ in range(1000)])
    spare_the_old()
print(json.dumps({"full": len(full), "frozen": gc.get_freeze_count()}))
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")


def facts_of(program: str, *, own_session: bool = False) -> dict[str, object]:
    """What a program prints, in a process that the test may spoil."""
    command = [sys.executable, "-c", program]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, start_new_session=own_session
    )
    facts: dict[str, object] = json.loads(run.stdout)
    return facts


@linux
def test_it_has_the_lowest_real_time_priority_exactly_if_it_says_so() -> None:
    facts = facts_of(ASK)
    ordinary, real_time = [os.SCHED_OTHER, 0], [os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, PRIORITY]
    assert facts["own"] == (real_time if facts["had"] else ordinary)


@linux
@pytest.mark.parametrize("what", ["process", "thread"])
def test_what_it_starts_then_is_ordinary(what: str) -> None:
    assert facts_of(ASK)[what] == os.SCHED_OTHER


@linux
def test_a_refusal_is_told_once_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with caplog.at_level(logging.INFO, "bridge.realtime"):
        assert not ask_for_realtime()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "/etc/security/limits.d" in record.message


class WindowsLibraries:
    """What ctypes.WinDLL gives, and what was asked of it. allows: whether the priority is granted."""

    def __init__(self, allows: bool) -> None:
        self.asked: list[str] = []
        self.allows = allows

    def __call__(self, name: str, **_: bool) -> "WindowsLibraries":
        return self

    def timeBeginPeriod(self, ms: int) -> int:  # noqa: N802 - Windows names it
        self.asked.append(f"begin {ms}")
        return 0

    def timeEndPeriod(self, ms: int) -> int:  # noqa: N802
        self.asked.append(f"end {ms}")
        return 0

    def AvSetMmThreadCharacteristicsW(self, task: str, _: object) -> int:  # noqa: N802
        self.asked.append(task)
        return int(self.allows)


@pytest.mark.parametrize("allows", [True, False])
def test_windows_is_asked_for_a_fine_timer_and_the_priority_of_audio(
    allows: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    libraries, at_exit = WindowsLibraries(allows), []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("bridge.realtime.ctypes.WinDLL", libraries, raising=False)
    monkeypatch.setattr("bridge.realtime.ctypes.get_last_error", lambda: 5, raising=False)
    monkeypatch.setattr("bridge.realtime.atexit.register", lambda *call: at_exit.append(call))
    with caplog.at_level(logging.INFO, "bridge.realtime"):
        assert ask_for_realtime() is allows
    for call, *arguments in at_exit:
        call(*arguments)
    assert libraries.asked == ["begin 1", "Pro Audio", "end 1"]
    (record,) = caplog.records
    assert ("a timer of 1 ms" if allows else "error 5") in record.message


@pytest.mark.parametrize("error", [0, errno.EPERM])
def test_macos_is_asked_for_the_priority_of_what_a_user_waits_for(
    error: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    class System:
        def pthread_set_qos_class_self_np(self, quality: int, relative: int) -> int:
            asked.append((quality, relative))
            return error

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("bridge.realtime.ctypes.CDLL", lambda _: System())
    with caplog.at_level(logging.INFO, "bridge.realtime"):
        assert ask_for_realtime() is (error == 0)
    assert asked == [(0x21, 0)]
    assert len(caplog.records) == 1


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sys, "platform", "sunos5")
    with caplog.at_level(logging.INFO, "bridge.realtime"):
        assert not ask_for_realtime()
    assert "sunos5" in caplog.records[0].message


def test_threads_give_way_soon_and_the_collector_leaves_alone_what_is_loaded() -> None:
    facts = facts_of(STEADY)
    assert facts["seconds"] == SWITCH_SECONDS
    assert facts["frozen"]


def test_however_much_is_kept_the_collector_never_goes_through_all_of_it() -> None:
    facts = facts_of(SPARED)
    assert facts["full"] == 0
    assert int(str(facts["frozen"])) > 900_000


@pytest.mark.skipif(sys.platform == "win32", reason="there is no niceness on Windows")
def test_a_process_goes_before_ordinary_ones_exactly_if_it_may() -> None:
    program = """
import json, os
from bridge.realtime import go_before_others
before = os.getpriority(os.PRIO_PROCESS, 0)
go_before_others()
print(json.dumps({"root": os.geteuid() == 0, "gained": before - os.getpriority(os.PRIO_PROCESS, 0)}))
"""
    facts = facts_of(program)
    assert facts["gained"] in ((10,) if facts["root"] else (0, 10))


@linux
@pytest.mark.parametrize("own_session", [True, False])
def test_the_group_of_its_session_goes_before_others_too_exactly_if_it_has_one_of_its_own(
    own_session: bool,
) -> None:
    program = """
import json, os
from bridge.realtime import AUTOGROUP, go_before_others
before = AUTOGROUP.read_text() if AUTOGROUP.exists() else ""
go_before_others()
after = AUTOGROUP.read_text() if AUTOGROUP.exists() else ""
print(json.dumps({"root": os.geteuid() == 0, "grouped": bool(before), "changed": before != after, "after": after}))
"""
    facts = facts_of(program, own_session=own_session)
    assert facts["changed"] == (facts["root"] and facts["grouped"] and own_session)
    assert not facts["changed"] or str(facts["after"]).split()[-1] == "-10"


@linux
def test_a_thread_that_goes_after_others_is_alone_in_that() -> None:
    facts = facts_of(PATIENT)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert facts == {"thread": max(PATIENCE, own), "process": own}
