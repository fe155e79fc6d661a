"""Of several draws of a bar the one is kept that comes nearest to what is asked; the next bar follows it.

numpy alone, no model.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.representation.attributes import Scales
from engine.representation.measures import Values
from engine.verbs.steering.knobs import Knobs, known_mean

DRAWS = 8

TOLD_APART = 2.0
"""By how many deviations the draws that are furthest apart are told less and more than is asked."""

APART = 0.15
"""How much it counts, in deviations, to be one of these: what is told as asked sounds best."""

MADE_UP = 0.5
"""What share of what the bars so far lack is made up for in the next."""

UNASKED = 0.15
"""How much it counts that another attribute is off the mean of the draws, beside one that is asked for."""

RESTS = 3.0
"""How far off a bar is that has not what is asked for, in deviations."""


class NearestBar:
    """Of one request: rows of DRAWS draws each. made (bar,): the bars of the song that are made, from first_bar on.

    keys: of each attribute of the model under which key it is asked for, empty where it is not.
    apart (row·draw, attribute): how far a draw is told apart in each, -1..1, in another order for each; 0 where it
    is not asked.
    """

    def __init__(
        self,
        knobs: Knobs,
        keys: Mapping[str, str],
        scales: Scales,
        made: NDArray[np.bool_],
        first_bar: int,
        rows: int,
    ):
        even, asked = np.linspace(-1, 1, DRAWS), {name: key for name, key in keys.items() if key}
        steps = even * np.abs(even)  # most are told nearly as asked
        orders = [steps[np.arange(DRAWS) * (2 * k + 1) % DRAWS] * (name in asked) for k, name in enumerate(keys)]
        self.apart: NDArray[np.float32] = np.tile(np.stack(orders, axis=1), (rows, 1)).astype(np.float32)
        self._scales, self._open, self._rows = scales, made.copy(), rows
        self._asked = {name: knobs.of_bars(key, len(made), first_bar) for name, key in asked.items()}
        self._lacking = {name: np.zeros(rows) for name, key in asked.items() if len(knobs.asked[key]) == 1}

    def choose(self, bar: int, values: Mapping[str, Values]) -> NDArray[np.int64]:
        """From which row each goes on (row·draw,), when a bar of the song is drawn.

        values (row·draw,): each attribute of the bar in its unit, nan where it has none.
        """
        if not self._open[bar]:
            return np.arange(len(self.apart))
        self._open[bar] = False
        off = APART * np.abs(self.apart).max(axis=1)
        for name, each in values.items():
            off = off + self._off(name, bar, each)
        nearest = off.reshape(self._rows, DRAWS).argmin(axis=1) + DRAWS * np.arange(self._rows)
        for name, lacking in self._lacking.items():
            lacking += np.nan_to_num(self._scales[name].value(self._asked[name][bar]) - values[name][nearest])
        return np.asarray(nearest.repeat(DRAWS), np.int64)

    def _off(self, name: str, bar: int, values: Values) -> Values:
        """By how much each draw is off what is wanted of an attribute of a bar, in deviations: (row·draw,)."""
        scale = self._scales[name]
        if name not in self._asked:
            mean = known_mean(values.reshape(self._rows, DRAWS).T).repeat(DRAWS)
            return np.asarray(np.nan_to_num(UNASKED * np.abs(scale.asked(values) - scale.asked(mean))), np.float64)
        lacking = self._lacking[name].repeat(DRAWS) if name in self._lacking else 0.0
        wanted = scale.value(self._asked[name][bar]) + MADE_UP * lacking
        off = np.abs(scale.asked(values) - scale.asked(wanted))
        return np.asarray(np.nan_to_num(off, nan=RESTS), np.float64)
