"""The way from one clip to another: how far each point is from the first, and whether each could be music."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.bootstrap import Bootstrap, Interval, Values, mean

Integers = NDArray[np.int64]

POSITIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
ORDER, BITS = 5, 9
"""A step and the four before it; a token is less than 2^9, so that five of them are one number."""


def along(
    away_name: str, away: Sequence[Values], tokens: Sequence[Integers], steps: "StepModel", piece: Integers
) -> dict[str, dict[str, Interval]]:
    """At each position between pairs: how far from the first (pair,), and what a step costs (pair, step)."""
    bootstrap, ones = Bootstrap(piece), np.ones(len(piece))
    cost = [steps.nats(each).mean(axis=1) for each in tokens]
    further = (np.diff(np.stack(away, axis=1), axis=1) >= 0).mean(axis=1)

    def at_each(values: Sequence[Values]) -> dict[str, Interval]:
        return {
            f"{position:g}": bootstrap.of_sums(mean, each, ones)
            for position, each in zip(POSITIONS, values, strict=True)
        }

    return {
        away_name: at_each(away) | {"steps of the way that lead no nearer": bootstrap.of_sums(mean, further, ones)},
        "nats a step": at_each(cost),
    }


class StepModel:
    """What follows on the last four steps, by counts of songs (step,), shorter contexts where those are rare.

    Source: Witten and Bell 1991, The zero-frequency problem, as interpolated.
    """

    def __init__(self, songs: Iterable[Integers]):
        tokens = list(songs)
        self._counts: list[tuple[NDArray[np.int64], ...]] = []
        for order in range(1, ORDER + 1):
            grams, often = np.unique(np.concatenate([_grams(each, order) for each in tokens]), return_counts=True)
            contexts, first, kinds = np.unique(grams >> BITS, return_index=True, return_counts=True)
            self._counts.append((grams, often, contexts, np.add.reduceat(often, first), kinds))

    def nats(self, tokens: Integers) -> Values:
        """(row, step) -> the nats of each step that has four before it: (row, step - 4)."""
        grams = np.stack([_grams(row, ORDER) for row in tokens])
        chance: Values = np.full(grams.shape, 0.5**BITS)
        for order, (known, often, contexts, total, kinds) in enumerate(self._counts, 1):
            # the oldest step has the highest bits, so the youngest `order` of them are a remainder
            gram = grams % (1 << (BITS * order))
            times, (all_times, different) = (
                _looked_up(gram, known, often)[0],
                _looked_up(gram >> BITS, contexts, total, kinds),
            )
            chance = np.where(
                all_times > 0, (times + different * chance) / np.maximum(all_times + different, 1), chance
            )
        return -np.log(chance)


def _grams(tokens: Integers, order: int) -> Integers:
    """So many steps in a row as one number, the last in the lowest bits: (step - order + 1,)."""
    count = max(0, len(tokens) - order + 1)
    return np.asarray(sum(tokens[k : k + count] << (BITS * (order - 1 - k)) for k in range(order)), np.int64)


def _looked_up(keys: Integers, known: Integers, *values: Integers) -> list[Integers]:
    """The values of keys, 0 of those that are not known."""
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return [np.where(known[at] == keys, each[at], 0) for each in values]
