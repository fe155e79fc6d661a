"""What stands for another piece where a model is asked whether it hears which music goes together."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

NEAR_TEMPO = 1.1
"""Pieces are of one tempo where these are less than this factor apart."""

Integers = NDArray[np.int64]


class OfPieces(Protocol):
    """Stretches of pieces, each (row,)."""

    @property
    def piece(self) -> Integers:
        """Which piece each is of."""
        ...

    @property
    def style(self) -> NDArray[np.str_]:
        """And its style."""
        ...

    @property
    def tempo_bpm(self) -> NDArray[Any]:
        """And its tempo."""
        ...


def strangers(rows: OfPieces) -> tuple[Integers, Integers]:
    """The rows that have one in another piece of the same style and near tempo, and which that is: each (row,)."""
    rng, found, others = np.random.default_rng(0), [], []
    for row in range(len(rows.piece)):
        ratio = rows.tempo_bpm / rows.tempo_bpm[row]
        near = (ratio <= NEAR_TEMPO) & (ratio >= 1 / NEAR_TEMPO) & (rows.style == rows.style[row])
        there = np.flatnonzero(near & (rows.piece != rows.piece[row]))
        if len(there):
            found.append(row)
            others.append(int(rng.choice(there)))
    return np.array(found, np.int64), np.array(others, np.int64)
