"""How near the feel of one groove is to another's: how late and how loud each lies on and off the beat.

numpy alone, no model.
"""

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, Array

SPREAD = 0.4, 0.25
"""Typical differences of offset and of velocity between two hits; they normalise the two terms of a distance."""


def feel_distance(groove: Array, wanted: Array, bar: int, wanted_bar: int) -> NDArray[np.floating]:
    """How far the feels of grooves (…, step, 27) with bars of some steps are from each other: (…).

    The squared differences of mean offset and velocity on the beats, the off-beat eighths and the off-beat
    sixteenths, each as heavy as there are hits in both. The grooves' first axes may be broadcast.
    """
    (hits, means), (wanted_hits, wanted_means) = _by_place(groove, bar), _by_place(wanted, wanted_bar)
    apart = ((means - wanted_means) / np.array(SPREAD)[:, None]) ** 2
    distance: NDArray[np.floating] = (np.sqrt(hits * wanted_hits) * apart.sum(axis=-2)).sum(axis=-1)
    return distance


def _by_place(groove: Array, bar: int) -> tuple[Array, Array]:
    """The hits at each of the three places (…, place), and their mean offset and velocity (…, 2, place)."""
    step = np.arange(groove.shape[-2]) % bar
    place = np.where(step % STEPS_PER_BEAT == 0, 0, 1 + step % 2)
    at_place = np.eye(3, dtype=groove.dtype)[place]
    hits = groove[..., HITS].sum(axis=-1) @ at_place
    sums = [(groove[..., HITS] * groove[..., block]).sum(axis=-1) @ at_place for block in (OFFSETS, VELOCITIES)]
    return hits, np.stack(sums, axis=-2) / np.maximum(hits, 1)[..., None, :]
