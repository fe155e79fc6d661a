"""What programmed music a clip of drums is, by its hits and its tempo. numpy alone, no model."""

import numpy as np
from numpy.typing import NDArray

from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.groove import HITS, Array

KICK, SNARE, HAT = (INSTRUMENTS.index(name) for name in ("kick", "snare", "closed_hat"))
ACOUSTIC = [INSTRUMENTS.index(name) for name in ("low_tom", "mid_tom", "high_tom", "ride")]

MOST = 0.75
"""In what share of the bars a pattern must be."""


def recognised(groove: Array, bar: int, tempo_bpm: float) -> str:
    """The name of a style of engine.styles.PROGRAMMED, or nothing where a groove (step, 27) is none of them."""
    if bar != 16 or len(groove) < bar:
        return ""
    bars = groove[: len(groove) // bar * bar, HITS].reshape(-1, bar, CLASSES) > 0
    bars = bars[bars.any(axis=(1, 2))]
    if not len(bars) or bars[..., ACOUSTIC].sum() > 2 * len(bars):
        return ""
    kick, snare, hats = bars[..., KICK], bars[..., SNARE], bars[..., HAT].sum(axis=1)

    def mostly(is_so: NDArray[np.bool_]) -> bool:
        return bool(np.count_nonzero(is_so) >= MOST * len(bars))

    if 96 <= tempo_bpm <= 150 and mostly(kick[:, ::4].all(axis=1) & (kick.sum(axis=1) <= 6)):
        return "house" if tempo_bpm < 130 else "techno"
    if 110 <= tempo_bpm <= 170 and mostly(snare[:, 8] & ~snare[:, 4] & ~snare[:, 12] & (hats >= 7)):
        return "trap"
    backbeat = snare[:, 4] & snare[:, 12] & kick[:, 0] & ~kick[:, 8]
    if 158 <= tempo_bpm <= 186 and mostly(backbeat & kick[:, 10]):
        return "drumandbass"
    if 78 <= tempo_bpm <= 99 and mostly(backbeat & kick[:, [7, 9, 10, 11]].any(axis=1) & (hats >= 6)):
        return "boombap"
    return ""
