"""Orthonormal polynomials over equidistant ticks, in which a least-squares fit is a product. Knows no music."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Basis:
    """Orthonormal polynomials of degree 0..3 over a number of ticks: rows (degree, tick).

    ends and slopes (degree,) are their values and slopes at the last tick, bend the second derivative of degree 2,
    steepness the norm of the first three slopes: the deviation of a parabola's slope for noise of deviation 1.
    centred (tick,) are the tick indices less their mean.
    """

    rows: Array
    ends: Array
    slopes: Array
    bend: float
    steepness: float
    centred: Array


@cache
def orthonormal(ticks: int) -> Basis:
    """The polynomials over so many ticks, kept for the next time."""
    centred: Array = np.arange(ticks, dtype=np.float64) - (ticks - 1) / 2
    degrees = np.arange(min(4, ticks))
    powers = centred[:, None] ** degrees
    factors = np.linalg.inv(np.linalg.qr(powers, mode="r"))
    slopes = np.where(degrees > 0, degrees * centred[-1] ** np.maximum(degrees - 1, 0), 0.0) @ factors
    rows = np.ascontiguousarray((powers @ factors).T)
    bent = ticks > 2
    bend = 2 * float(factors[2, 2]) if bent else 0.0
    steepness = float(np.linalg.norm(slopes[:3])) if bent else math.inf
    return Basis(rows, rows[:, -1].copy(), slopes, bend, steepness, centred)
