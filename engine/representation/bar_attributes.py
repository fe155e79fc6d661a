"""What can be said of a bar of drums in numbers, from its hits alone: the attributes that a model is told.

density: hits. syncopation: the share of onsets on an off-beat sixteenth with nothing on the sixteenth before.
repetition: the Jaccard similarity of the hits with those of the bar before. fill: 1 where toms replace the groove.
"""

import numpy as np
from numpy.typing import NDArray

from engine.representation.drum_map import INSTRUMENTS

Hits = NDArray[np.bool_]
Array = NDArray[np.float32]

ATTRIBUTES = ("density", "syncopation", "repetition", "fill")

TOMS = slice(INSTRUMENTS.index("low_tom"), INSTRUMENTS.index("high_tom") + 1)
FILL_TOMS, FILL_REPETITION = 3, 0.45
"""A bar with so many hits of toms that is less like the bar before than this is a fill."""


def bar_attributes(hits: Hits) -> Array:
    """Bars of hits (bar, step, 9) -> (bar, 4), in the order of ATTRIBUTES.

    The first bar has the repetition of the second, of a single bar it is 0.
    """
    onset = hits.any(axis=2)
    before = np.pad(onset, ((0, 0), (1, 0)))[:, :-1]
    off_beat = np.arange(onset.shape[1]) % 2 == 1
    syncopation = (onset & ~before & off_beat).sum(axis=1) / np.maximum(onset.sum(axis=1), 1)
    repetition = np.zeros(len(hits))
    repetition[1:] = similarity(hits[1:], hits[:-1])
    fill = (hits[..., TOMS].sum(axis=(1, 2)) >= FILL_TOMS) & (repetition < FILL_REPETITION)
    if len(hits) > 1:
        repetition[0] = repetition[1]
    return np.stack([hits.sum(axis=(1, 2)), syncopation, repetition, fill], axis=1).astype(np.float32)


def similarity(bars: Hits, others: Hits) -> NDArray[np.float64]:
    """The Jaccard similarity of pairs of bars (…, step, 9): hits in both / hits in either, 0 of two rests: (…)."""
    both, either = (bars & others).sum(axis=(-2, -1)), (bars | others).sum(axis=(-2, -1))
    return np.asarray(both / np.maximum(either, 1), np.float64)
