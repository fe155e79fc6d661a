import numpy as np
import pytest

from engine.representation.catalogue import find_representation
from engine.representation.measures import bar_attributes
from engine.representation.token_measures import token_attributes

MELODY, DRUMS, TRIO = (find_representation(name) for name in ("melody", "drums", "trio"))


def melody(*bars):
    """Bars of {step: pitch} as tokens (1, step, 1)."""
    tokens = np.zeros((1, 16 * len(bars), 1), np.int64)
    for number, notes in enumerate(bars):
        for step, pitch in notes.items():
            tokens[0, 16 * number + step, 0] = 1 if pitch is None else pitch - 19
    return tokens


def test_a_melody_has_what_its_notes_are_by_bar():
    values = token_attributes(melody({0: 60, 3: 64, 5: None, 8: 62}, {0: 60, 8: 72}), MELODY)
    assert values["density"].tolist() == [[3, 2]]
    assert values["register"].tolist() == [[62, 66]]
    assert values["interval"].tolist() == [[(4 + 2 + 2) / 3, 12]]  # the last note of a bar to the first of the next
    assert values["syncopation"].tolist() == [[1 / 3, 0]]
    assert values["repetition"].tolist() == [[0.25, 0.25]]  # one of four onsets, of the same pitch


def test_a_bar_without_notes_has_no_register_and_a_single_bar_repeats_nothing():
    values = token_attributes(melody({}), MELODY)
    assert values["density"].tolist() == [[0]]
    assert np.isnan([values[name][0, 0] for name in ("register", "interval", "repetition")]).all()


def test_no_interval_leads_from_one_row_to_the_next():
    rows = np.concatenate([melody({0: 60}), melody({0: 72, 4: 74})])
    assert np.isnan(token_attributes(rows, MELODY)["interval"][0, 0])
    assert token_attributes(rows, MELODY)["interval"][1, 0] == 2


def test_drums_have_what_models_of_phrases_are_told():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 512, (3, 64, 1)) * (rng.random((3, 64, 1)) < 0.3)
    values = token_attributes(tokens, DRUMS)
    for row, own in enumerate(tokens):
        table = bar_attributes((own.reshape(4, 16, 1) >> np.arange(9) & 1) > 0)
        for index, name in enumerate(("density", "syncopation", "repetition")):
            assert values[name][row] == pytest.approx(table[:, index], abs=1e-6)


def test_parts_of_a_trio_have_their_own():
    tokens = np.zeros((1, 32, 3), np.int64)
    tokens[0, [0, 4], 0], tokens[0, 0, 1], tokens[0, [0, 16], 2] = (41, 43), 21, 0b11
    values = token_attributes(tokens, TRIO)
    assert values["density.lead"].tolist() == [[2, 0]]
    assert values["register.bass"][0, 0] == 40
    assert values["density.drums"].tolist() == [[2, 2]]
    assert values["repetition"][0, 0] == 2 / 5


def test_several_tracks_have_none():
    assert token_attributes(np.zeros((1, 512, 1), np.int64), find_representation("multitrack")) == {}
