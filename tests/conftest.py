import os
from pathlib import Path

import pytest

GROOVE_ZIP = "groove-v1.0.0-midionly.zip"


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
