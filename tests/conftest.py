import os
from pathlib import Path

import pytest

GROOVE_ZIP = "groove-v1.0.0-midionly.zip"

SLOW = (
    *("bridge/cli", "bridge/midi/test_ports.py", "bridge/service/test_crowd.py", "engine/learning", "magenta"),
    *("bridge/test_entry.py", "engine/test_evaluation.py"),
)
"""Folders and files of tests that start processes without a fixture, train, or act a crowd."""

STARTERS = frozenset({"fake_daemon", "jack", "launch", "needs", "opens", "start", "weights_folder"})
"""Fixtures that start a process, or make the weights of whole models."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as fast each test that needs no program or data, starts no process and trains nothing."""
    needing = {
        name for name, _, text in (each.partition(": ") for each in config.getini("markers")) if "needs" in text
    }
    slow = tuple(str(Path(__file__).parent / each) for each in SLOW)
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        fixtures = STARTERS.intersection(getattr(item, "fixturenames", ()))
        if not marks & needing and not fixtures and not str(item.path).startswith(slow):
            item.add_marker("fast")


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
