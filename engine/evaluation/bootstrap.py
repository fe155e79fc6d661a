"""Bootstrap intervals of figures: resamples whole performances, with replacement.

The windows of a performance are correlated, so windows must not be resampled one by one.
Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 8.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval over the resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g}..{self.high:.4g})"


class Bootstrap:
    """Figures of sums over windows; performance [window] says which windows are drawn together."""

    def __init__(self, performance: NDArray[np.int64], seed: int = 0):
        _, self.performance = np.unique(performance, return_inverse=True)
        count = int(self.performance.max()) + 1
        even = np.full(count, 1 / count)
        self._weights = np.random.default_rng(seed).multinomial(count, even, size=RESAMPLES).astype(np.float64)
        self._count = count

    def of_sums(self, figure: Callable[[Values], Values], *parts: Values) -> Interval:
        """The figure of sums: parts [window, n] side by side are summed; figure takes [sample, n] to [sample]."""
        table = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).astype(np.float64)
        sums = np.zeros((self._count, table.shape[1]))
        np.add.at(sums, self.performance, table)
        value = figure(sums.sum(axis=0, keepdims=True))[0]
        return Interval(float(value), *_middle(figure(self._weights @ sums)))

    def of_weights(self, figure: Callable[[Values], float]) -> Interval:
        """The figure of windows that count weight [window] times."""
        resamples = np.array([figure(weight[self.performance]) for weight in self._weights])
        return Interval(figure(np.ones(len(self.performance))), *_middle(resamples))


def mean(sums: Values) -> Values:
    """[sample, 2] sum and count -> their ratio."""
    ratio: Values = sums[:, 0] / np.maximum(sums[:, 1], 1e-12)
    return ratio


def _middle(resamples: Values) -> tuple[float, float]:
    known = resamples[~np.isnan(resamples)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
