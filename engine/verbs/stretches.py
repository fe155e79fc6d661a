"""Two grooves side by side: one cut into stretches of whole bars, and what the other, in a loop, plays beside each.

numpy alone, no model.
"""

import math

import numpy as np

from engine.representation.groove import Array


def stretches(groove: Array, bar: int, window: int) -> Array:
    """A groove (step, 27) as (stretch, step, 27): each as many bars as a window of steps holds, at least one.

    The last is filled up with rests; a groove that is shorter than a stretch is one as it is.
    """
    steps = min(_bars(bar, window) * bar, len(groove))
    count = math.ceil(len(groove) / steps)
    filled = np.zeros((count * steps, groove.shape[1]), groove.dtype)
    filled[: len(groove)] = groove
    return filled.reshape(count, steps, groove.shape[1])


def beside(groove: Array, bar: int, window: int, *, count: int, steps: int) -> Array:
    """The first steps of each stretch of a groove of whole bars that plays on in a loop: (stretch, step, 27).

    Of count stretches those that differ: from there on they come again.
    """
    bars, at_once = len(groove) // bar, _bars(bar, window)
    first = np.arange(min(count, bars // math.gcd(bars, at_once))) * at_once * bar
    played: Array = groove[(first[:, None] + np.arange(steps)) % len(groove)]
    return played


def _bars(bar: int, window: int) -> int:
    return max(1, window // bar)
