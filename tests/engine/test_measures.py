import numpy as np
import pytest

from engine.representation.attributes import ATTRIBUTES, FEEL
from engine.representation.measures import (
    BAR_ATTRIBUTES,
    bar_attributes,
    feel_of,
    playing_of,
    similarity,
)


def bars(*rows):
    """Bars of (step, drum) pairs."""
    hits = np.zeros((len(rows), 16, 9), bool)
    for bar, row in enumerate(rows):
        for step, drum in row:
            hits[bar, step, drum] = True
    return hits


def column(hits, name):
    return bar_attributes(hits)[:, BAR_ATTRIBUTES.index(name)].tolist()


def test_density_counts_hits():
    assert column(bars([(0, 0), (0, 2), (4, 1)], []), "density") == [3, 0]


def test_syncopation_is_the_share_of_onsets_on_an_off_beat_with_nothing_before():
    assert column(bars([(0, 0), (3, 0)]), "syncopation") == [0.5]
    assert column(bars([(2, 0), (3, 0)]), "syncopation") == [0]


def test_repetition_is_like_the_bar_before_and_the_first_bar_has_that_of_the_second():
    hits = bars([(0, 0), (4, 1)], [(0, 0), (4, 1)], [(0, 0), (8, 1)])
    np.testing.assert_allclose(column(hits, "repetition"), [1, 1, 1 / 3])


def test_a_bar_of_toms_unlike_the_one_before_is_a_fill():
    groove, toms = [(0, 0), (4, 1), (8, 0), (12, 1)], [(8, 4), (10, 5), (12, 6), (14, 6)]
    assert column(bars(groove, toms, toms), "fill") == [0, 1, 0]


def test_two_rests_are_not_alike():
    assert similarity(bars([]), bars([])).tolist() == [0]


def feel(*hits, tempo_bpm=150.0):
    """Of hits of the kick: (step, late in ms, velocity) each; a sixteenth is 100 ms at 150 bpm."""
    groove = np.zeros((1, 16, 27), np.float32)
    for step, late, velocity in hits:
        groove[0, step, [0, 9, 18]] = 1, velocity / 127, -2 * late / (15000 / tempo_bpm)
    return dict(zip(FEEL, feel_of(playing_of(groove, tempo_bpm))[0].tolist(), strict=True))


def test_the_feel_is_computed_as_its_formulas_say():
    found = feel((0, 10, 100), (2, 20, 60), (4, 30, 120), (5, 50, 40), (7, 70, 20))
    assert found["late"] == pytest.approx(36)
    assert found["swing"] == pytest.approx((60 - 20) / 100)
    assert found["tightness"] == pytest.approx(-np.sqrt((100 + 0 + 100 + 100 + 100) / 5), rel=1e-5)
    assert found["loudness"] == pytest.approx(68, rel=1e-5)
    assert found["accent"] == pytest.approx(110 - 40, rel=1e-5)
    assert found["dynamics"] == pytest.approx(np.sqrt((100 + 100 + 400 + 0 + 400) / 5), rel=1e-5)


def test_what_no_hit_can_tell_is_not_known():
    assert np.isnan(feel((0, 10, 100))["swing"])
    assert np.isnan(list(feel().values())).all()


def test_every_attribute_says_what_it_is_and_in_which_unit():
    assert all(about.text and about.unit for about in ATTRIBUTES.values())
