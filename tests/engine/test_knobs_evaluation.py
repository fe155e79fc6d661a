"""evaluate --knobs on a few windows: what comes is told with intervals, and the ways of steering are compared."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.evaluation import knobs
from engine.evaluation.bootstrap import Interval
from engine.learning.token_tasks import Datasets
from engine.representation.attributes import FEEL
from engine.verbs.generator import Generator
from engine.verbs.resident import GrooveResident
from engine.weights import Library, shipped_folder
from tests.engine.test_evaluation import swung


@pytest.fixture
def feel(monkeypatch):
    """The shipped drummer on windows that nobody has played."""
    splits = {"train": 0, "validation": 1}
    monkeypatch.setattr(knobs, "read_corpus", lambda path: [])
    monkeypatch.setattr(knobs, "cut_windows", lambda performances, *, split, bars: swung(40, seed=splits[split]))
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drummer")
    resident = generator.resident("drummer")
    assert isinstance(resident, GrooveResident)
    return knobs.FeelKnobs(resident, [Path("groove.zip")], "validation", 0)


def test_what_is_asked_comes_where_the_nearest_draw_is_moved_and_less_where_it_is_not(feel):
    against, matrix = feel.tables(0, lambda text: None)
    assert [row[0] for row in against.rows] == list(FEEL)
    for name, *cells in against.rows:
        assert all(isinstance(cell, Interval) for cell in cells)
        nearest, moved, both = cells[1::2]
        assert nearest.value < moved.value + 0.1
        assert both.value == pytest.approx(1, abs=0.15), name
    for index, (_, *cells) in enumerate(matrix.rows):
        slopes = np.abs([float(cell.split()[0]) for cell in cells])
        assert slopes.argmax() == index


def test_of_a_model_of_tokens_new_bars_are_sampled_and_the_matrix_is_told(monkeypatch):
    monkeypatch.setattr(knobs, "CLIPS", 24)
    tokens = np.random.default_rng(0).integers(0, 512, (80, 32, 1))
    monkeypatch.setattr(knobs, "cut_songs", lambda config, data: Datasets(tokens, tokens, Counter()))
    library = Library([shipped_folder()])
    against, matrix = knobs.evaluate_knobs(data=[Path("groove.zip")], library=library, models=["drums_2bar"])
    assert [row[0] for row in against.rows] == ["density", "syncopation", "repetition"]
    for _, rho, slope in against.rows:
        assert rho.value > 0.7
        assert 0.4 < slope.value < 1.6
    slopes = np.array([[float(cell.split()[0]) for cell in cells] for _, *cells in matrix.rows])
    assert (np.abs(slopes).argmax(axis=1) == np.arange(3)).all()
