"""The hits of windows in one row, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.windows import Windows
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, Array

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Hits:
    """All hits of some windows in the order of window, step and drum; every array is [hit]."""

    window: NDArray[np.int64]
    step: NDArray[np.int64]
    drum: NDArray[np.int64]
    offset: Values
    velocity: Values
    tempo_bpm: Values


def hits_of(windows: Windows) -> Hits:
    """The hits of windows."""
    window, step, drum = np.nonzero(windows.grooves[..., HITS] > 0)
    offset = windows.grooves[..., OFFSETS][window, step, drum]
    velocity = windows.grooves[..., VELOCITIES][window, step, drum]
    return Hits(window, step, drum, offset, velocity, windows.tempo_bpm[window])


def played(windows: Windows, hits: Hits, offset: Values, velocity: Values) -> Array:
    """The hits of windows with other offsets -1..1 and velocities 0..1, as grooves [window, step, 27]."""
    grooves = np.zeros_like(windows.grooves)
    at = hits.window, hits.step, hits.drum
    for block, values in ((HITS, 1.0), (VELOCITIES, velocity), (OFFSETS, offset)):
        grooves[..., block][at] = values
    return grooves
