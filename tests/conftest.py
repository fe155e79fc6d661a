import os
from pathlib import Path

import pytest

GROOVE_ZIP = "groove-v1.0.0-midionly.zip"


@pytest.fixture(scope="session")
def groove_zip() -> Path:
    """The Groove MIDI Dataset as published; not part of the repository, its licence stays with it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    path = Path(os.environ.get("VAEBRIDGE_TEST_DATA", beside)) / GROOVE_ZIP
    if not path.is_file():
        sentence = f"{GROOVE_ZIP} is not there; name its folder in VAEBRIDGE_TEST_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return path
