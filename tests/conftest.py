import os
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

GROOVE_ZIP = "groove-v1.0.0-midionly.zip"

NETWORKS = ("torch", "engine.model", "engine.learning", "engine.verbs", "engine.evaluation", "engine.magenta")
"""What runs or trains a network, or works for one."""

STARTERS = frozenset(
    {"fake_daemon", "daemon", "jack", "needs", "opens", "start", "weights_folder", "groove_zip", "real_songs"}
)
"""Fixtures that start a process, make the weights of whole models, or need data."""

SLOW = tuple(
    f"tests/{each}"
    for each in (
        *("bridge/cli", "bridge/midi", "bridge/worker", "magenta", "max_devices/test_outside_live.py"),
        *("bridge/test_daemon.py", "bridge/test_entry.py", "bridge/test_log.py", "bridge/test_realtime.py"),
        *("bridge/service/test_crowd.py", "bridge/service/test_state_machine.py"),
        *("bridge/playing/test_tempo_follower.py", "bridge/service/test_queue.py::test_128_clients"),
        "engine/midi/test_song.py::test_a_song_of_3000_bars",
    )
)
"""Tests that start processes without such a fixture, act a crowd or hours of ticks, or read what is long."""

EXAMPLES = 10
"""How many examples the fast tests try of a property, unless a test says otherwise."""


def pytest_configure(config: pytest.Config) -> None:
    """Where fast tests are asked for, properties are tried on few examples."""
    hypothesis.settings.register_profile("fast", max_examples=EXAMPLES)
    if config.option.markexpr == "fast":
        hypothesis.settings.load_profile("fast")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as fast each test that needs no program or data, starts no process and runs no network."""
    markers = (each.partition(": ") for each in config.getini("markers"))
    needing = {name for name, _, text in markers if text.startswith("needs")}
    networks = {module for module in {_module_of(item) for item in items} if _has_networks(module)}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        fixtures = STARTERS.intersection(getattr(item, "fixturenames", ()))
        is_slow = item.nodeid.startswith(SLOW) or _module_of(item) in networks
        if not (is_slow or fixtures or marks & needing):
            item.add_marker("fast")


def _module_of(item: pytest.Item) -> ModuleType | None:
    return getattr(item, "module", None)


def _has_networks(module: ModuleType | None) -> bool:
    """Whether a test module has imported what runs networks."""
    homes = (getattr(each, "__module__", None) or getattr(each, "__name__", "") for each in vars(module).values())
    return any(str(home).startswith(NETWORKS) for home in homes)


@pytest.fixture(scope="session")
def groove_zip() -> Path:
    """The Groove MIDI Dataset as published."""
    return data_file(GROOVE_ZIP)


def data_file(name: str) -> Path:
    """A file of music to test on; not part of the repository, its licence stays with it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("VAEBRIDGE_TEST_DATA", beside)) / name
    if not path.is_file():
        sentence = f"{name} is not there; name its folder in VAEBRIDGE_TEST_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path
