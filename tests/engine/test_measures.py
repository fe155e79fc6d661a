import numpy as np

from engine.representation.measures import BAR_ATTRIBUTES, bar_attributes, similarity


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
