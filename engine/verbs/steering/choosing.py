"""Of several draws of a bar of drums the one is kept that comes nearest to what is asked; the next bar follows it.

numpy alone, no model.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.representation.attributes import Scales
from engine.representation.measures import BAR_ATTRIBUTES, Values, bar_attributes
from engine.verbs.steering.knobs import Knobs

DRAWS = 8

ASKED = BAR_ATTRIBUTES[:3]
"""What can be asked of them: a fill is told alone."""

TOLD_APART, LEAN = 1.0, (1.0, 2.0, 2.0)
"""Of each of these: by how many deviations the draws that are furthest apart are told less and more than is asked,
and what is taken from and added to their logits of hits, as a network that hears other bars may not listen."""

APART = 0.15
"""How much it counts, in deviations, to be one of these: what is told as asked sounds best."""

MADE_UP = 0.5
"""What share of what the bars so far lack is made up for in the next."""

UNASKED = 0.15
"""How much it counts that another attribute is off the mean of the draws, beside one that is asked for."""

Hits = NDArray[np.float32]


class NearestBar:
    """Of one request: rows of DRAWS draws each. made (bar,): the bars of the song that are made.

    apart (row·draw, 3): how far a draw is told apart in each of ASKED, -1..1, in another order for each; 0 where it
    is not asked.
    """

    def __init__(self, knobs: Knobs, scales: Scales, made: NDArray[np.bool_], first_bar: int, rows: int):
        names, steps = [name for name in ASKED if name in knobs.asked], np.linspace(-1, 1, DRAWS)
        orders = [steps[np.arange(DRAWS) * (2 * k + 1) % DRAWS] * (name in names) for k, name in enumerate(ASKED)]
        self.apart: NDArray[np.float32] = np.tile(np.stack(orders, axis=1), (rows, 1)).astype(np.float32)
        self._scales, self._open, self._rows = scales, made.copy(), rows
        self._asked = {name: knobs.of_bars(name, len(made), first_bar) for name in names}
        self._of_each_bar = {name for name in names if len(knobs.asked[name]) > 1}
        self._lacking = {name: np.zeros(rows) for name in names}

    def choose(self, bar: int, pair: Hits) -> NDArray[np.int64]:
        """From which row each goes on (row·draw,), when a bar of the song is drawn.

        pair (row·draw, 2, step, 9): the bar before it, and it.
        """
        if not self._open[bar]:
            return np.arange(len(pair))
        self._open[bar], values = False, self._values(pair, alone=bar == 0)
        off = APART * np.abs(self.apart).max(axis=1)
        for name, each in values.items():
            off = off + self._off(name, bar, each)
        nearest = off.reshape(self._rows, DRAWS).argmin(axis=1) + DRAWS * np.arange(self._rows)
        for name, lacking in self._lacking.items():
            if name in values and name not in self._of_each_bar:
                lacking += self._scales[name].value(self._asked[name][bar]) - values[name][nearest]
        return np.asarray(nearest.repeat(DRAWS), np.int64)

    def _values(self, pair: Hits, *, alone: bool) -> Mapping[str, Values]:
        """Each attribute of the second of two bars, in its unit: (row·draw,). alone: there is no bar before it."""
        table = bar_attributes(pair.reshape(-1, *pair.shape[2:]) > 0)[1::2].astype(np.float64)
        names = [name for name in self._scales if not (alone and name == "repetition")]
        return {name: table[:, BAR_ATTRIBUTES.index(name)] for name in names}

    def _off(self, name: str, bar: int, values: Values) -> Values:
        """By how much each draw is off what is wanted of an attribute of a bar, in deviations: (row·draw,)."""
        scale = self._scales[name]
        if name not in self._asked:
            mean = values.reshape(self._rows, DRAWS).mean(axis=1).repeat(DRAWS)
            return np.asarray(UNASKED * np.abs(scale.asked(values) - scale.asked(mean)), np.float64)
        wanted = scale.value(self._asked[name][bar]) + MADE_UP * self._lacking[name].repeat(DRAWS)
        return np.asarray(np.abs(scale.asked(values) - scale.asked(wanted)), np.float64)
