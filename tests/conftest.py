import os
import re
import sys
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests.missing import missing

GROOVE_ZIP = "groove-v1.0.0-midionly.zip"

ROOT = Path(__file__).parents[1]

NETWORKS = re.compile(
    r"^(?:from|import) (?:torch|engine(?:\.| import )(?:model|learning|verbs|evaluation|magenta))\b", re.MULTILINE
)
"""The import of what runs or trains a network, or works for one."""

STARTERS = frozenset(
    {
        "fake_daemon",
        "page",
        "fake_page",
        "daemon",
        "phrase_daemon",
        "jack",
        "needs",
        "opens",
        "start",
        "weights_folder",
        "groove_zip",
        "real_songs",
    }
)
"""Fixtures that start a process, make the weights of whole models, or need data."""

SLOW = tuple(
    f"tests/{each}"
    for each in (
        *(
            "bridge/cli",
            "bridge/midi",
            "bridge/worker",
            "bridge/replicas",
            "magenta",
            "max_devices/test_outside_live.py",
        ),
        *("bridge/test_daemon.py", "bridge/test_entry.py", "bridge/test_log.py", "bridge/test_realtime.py"),
        *("bridge/service/test_crowd.py", "bridge/service/test_state_machine.py"),
        *("bridge/playing/test_tempo_follower.py", "bridge/service/test_queue.py::test_128_clients"),
        "engine/midi/test_song.py::test_a_song_of_3000_bars",
    )
)
"""Tests that start processes without such a fixture, act a crowd or hours of ticks, or read what is long."""

TIMED = "tests/bridge/midi/test_ports.py"
"""Whose turns may take 50 ms: last, when who tests beside it has finished."""

EXAMPLES = 10
"""How many examples the fast tests try of a property, unless a test says otherwise."""


def pytest_configure(config: pytest.Config) -> None:
    """Where fast tests are asked for, properties are tried on few examples."""
    hypothesis.settings.register_profile("fast", max_examples=EXAMPLES)
    if config.option.markexpr == "fast":
        hypothesis.settings.load_profile("fast")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where tests run side by side, they are shared out as tests/side_by_side.py says."""
    from tests.side_by_side import ByFile

    return ByFile(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where fast tests are asked for, leave unread the files that have none."""
    return True if config.option.markexpr == "fast" and _is_slow(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as fast each test that needs no program or data, starts no process and runs no network."""
    markers = (each.partition(": ") for each in config.getini("markers"))
    needing = {name for name, _, text in markers if text.startswith("needs")}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        fixtures = STARTERS.intersection(getattr(item, "fixturenames", ()))
        if not (item.nodeid.startswith(SLOW) or _is_slow(item.path) or fixtures or marks & needing):
            item.add_marker("fast")
    items.sort(key=lambda item: item.nodeid.startswith(TIMED))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where tests run side by side torch computes on one thread: more, on too few cores, spin and wait."""
    if hasattr(session.config, "workerinput") and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@cache
def _is_slow(path: Path) -> bool:
    """Whether no test in a file, or in a folder, is fast."""
    named = path.relative_to(ROOT).as_posix().startswith(SLOW)
    return named or (path.suffix == ".py" and bool(NETWORKS.search(path.read_text())))


@pytest.fixture(scope="session")
def groove_zip() -> Path:
    """The Groove MIDI Dataset as published."""
    return data_file(GROOVE_ZIP)


def data_file(name: str) -> Path:
    """A file of music to test on; not part of the repository, its licence stays with it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("VAEBRIDGE_TEST_DATA", beside)) / name
    if not path.is_file():
        missing(f"{name} is not there; name its folder in VAEBRIDGE_TEST_DATA")
    return path
