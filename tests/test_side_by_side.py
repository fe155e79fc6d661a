from pathlib import Path

import pytest

pytest.importorskip("xdist", reason="pytest-xdist is missing; install the extra test")

from tests.side_by_side import ROOT, group

PROGRAMS = ("tests.bridge.jack", "tests.bridge.ardour", "tests.bridge.link_peer", "tests.benchmarks")
"""What starts JACK servers, DAWs and peers of Link."""


def files() -> dict[str, str]:
    """The other files with tests, and what is in them."""
    here = Path(__file__)
    others = (path for path in here.parent.rglob("test_*.py") if path != here)
    return {str(path.relative_to(ROOT)): path.read_text() for path in others}


def test_whatever_plays_in_real_time_is_tested_by_one_worker() -> None:
    playing = [file for file, text in files().items() if any(f"from {each}" in text for each in PROGRAMS)]
    assert "tests/bridge/test_ardour.py" in playing
    assert len({group(file) for file in playing}) == 1


def test_what_installs_the_original_models_is_tested_by_one_worker() -> None:
    installing = [file for file, text in files().items() if "import Original" in text]
    assert len(installing) > 1
    assert len({group(file) for file in installing}) == 1


def test_any_other_file_is_tested_for_itself() -> None:
    assert group("tests/engine/test_clip.py") != group("tests/engine/test_groove.py")
