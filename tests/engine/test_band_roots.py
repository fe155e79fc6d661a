"""The roots of a bass beneath a lead, counted in songs of which they are known."""

import numpy as np
import pytest

from engine.model.band.roots import Roots, heard_tones
from engine.representation.band import BASS, LEAD, band_states
from engine.representation.tokens import Tokens

CHORDS = {0: (0, 4, 7), 9: (9, 0, 4), 5: (5, 9, 0), 7: (7, 11, 2)}
TURN = (0, 9, 5, 7)
C = 41


def song(bars: int, roots: tuple[int, ...] = TURN) -> Tokens:
    """A root a bar: the lead breaks its chord, the bass is on it in both halves."""
    tokens = np.zeros((bars, 16, 3), np.int64)
    for bar in range(bars):
        root = roots[bar % len(roots)]
        tokens[bar, ::4, LEAD] = [C + tone for tone in (*CHORDS[root], CHORDS[root][0])]
        tokens[bar, ::8, BASS] = C - 24 + root
    return band_states(tokens.reshape(-1, 3)).reshape(bars, 16, 3)


@pytest.fixture
def roots() -> Roots:
    model = Roots()
    model.fit([song(16)] * 4)
    return model


def test_what_sounds_is_counted_in_half_bars() -> None:
    assert heard_tones(song(1)[..., LEAD])[:, [0, 4, 7]].tolist() == [[4, 4, 0], [4, 0, 4]]


def test_the_roots_of_a_lead_that_was_heard_are_found(roots: Roots) -> None:
    found = roots.likeliest(song(8)[..., LEAD])
    assert found.reshape(-1, 2).tolist() == [[root] * 2 for root in TURN * 2]


def test_where_the_lead_rests_what_mostly_follows_is_expected(roots: Roots) -> None:
    lead = song(8)[..., LEAD].copy()
    lead[2] = 0
    assert roots.likeliest(lead)[4:6].tolist() == [5, 5]


def test_a_bass_that_rests_counts_nowhere() -> None:
    silent = song(8).copy()
    silent[..., BASS] = 0
    model = Roots()
    model.fit([silent])
    assert float(model.moves.std()) == pytest.approx(0, abs=1e-5)


def test_one_bar_is_enough(roots: Roots) -> None:
    assert roots.likeliest(song(1)[..., LEAD]).tolist() == [0, 0]
