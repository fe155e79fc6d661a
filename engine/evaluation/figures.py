"""How well hits are humanized: the figures of GrooVAE's table, each with a bootstrap interval.

Every 2-bar window of a split (4/4, hop one bar) is stripped to its hits and played again. Timing errors are over
the true hits: MAE in ms, MSE in (sixteenths)². The divergences compare the distributions of all offsets (50 bins
over -1..1) and of all velocities (32 bins over 0..1): KL(played ‖ generated), 1e-9 added to each bin.
Source: Gillick et al. 2019, arXiv 1905.06118, section 5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.data.windows import Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, mean
from engine.evaluation.contenders import Contender
from engine.evaluation.hits import Values, hits_of
from engine.representation.groove import Array

TIMING_BINS, VELOCITY_BINS = 50, 32


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: errors of the deterministic answer, divergences of the sampled one, and what judges say of it.

    timing_mae_ms, timing_mse in (sixteenths)²; velocity errors in 0..1; divergences in nats; auc .5..1, the mean
    of the judges, is None where none was asked.
    """

    name: str
    timing_mae_ms: Interval
    timing_mse: Interval
    velocity_mae: Interval
    velocity_mse: Interval
    timing_kl: Interval
    velocity_kl: Interval
    auc: Interval | None = None


def figures_of(contender: Contender, windows: Windows, seed: int = 0, auc: Interval | None = None) -> Figures:
    """The row of one contender on some windows."""
    return compare(
        contender.name,
        windows,
        mean_grooves=contender.mean(windows),
        drawn=contender.draw(windows, seed),
        auc=auc,
    )


def compare(
    name: str, windows: Windows, *, mean_grooves: Array, drawn: Array, auc: Interval | None = None
) -> Figures:
    """The figures of answers to the hits of windows."""
    true, guess, sampled = (
        hits_of(each) for each in (windows, windows.played_by(mean_grooves), windows.played_by(drawn))
    )
    sixteenths, louder = (guess.offset - true.offset) / 2, guess.velocity - true.velocity
    ms = np.abs(sixteenths) * 15000 / true.tempo_bpm
    bootstrap = Bootstrap(windows.performance)
    one = np.ones_like(sixteenths)

    def average(values: Values) -> Interval:
        return bootstrap.of_sums(
            mean, _by_window(values, true.window, len(windows)), _by_window(one, true.window, len(windows))
        )

    def divergence_of(ours: Values, truth: Values, bins: int, bounds: tuple[float, float]) -> Interval:
        tables = (_histograms(values, true.window, len(windows), bins, bounds) for values in (truth, ours))
        return bootstrap.of_sums(lambda sums: divergence(sums[:, :bins], sums[:, bins:]), *tables)

    return Figures(
        name,
        timing_mae_ms=average(ms),
        timing_mse=average(sixteenths**2),
        velocity_mae=average(np.abs(louder)),
        velocity_mse=average(louder**2),
        timing_kl=divergence_of(sampled.offset, true.offset, TIMING_BINS, (-1, 1)),
        velocity_kl=divergence_of(sampled.velocity, true.velocity, VELOCITY_BINS, (0, 1)),
        auc=auc,
    )


def divergence(true: Values, ours: Values) -> Values:
    """KL(true ‖ ours) in nats between rows of counts [sample, bin], 1e-9 added to each bin."""
    p, q = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) + 1e-9 for counts in (true, ours))
    nats: Values = (p * np.log(p / q)).sum(axis=1)
    return nats


def _by_window(values: Values, window: NDArray[np.int64], count: int) -> Values:
    """[hit] -> the sums of each window: [window, 1]."""
    return np.bincount(window, values, count)[:, None].astype(np.float64)


def _histograms(
    values: Values, window: NDArray[np.int64], count: int, bins: int, bounds: tuple[float, float]
) -> Values:
    """[hit] -> the counts of each window: [window, bin]."""
    low, high = bounds
    place = np.clip(((values - low) / (high - low) * bins).astype(np.int64), 0, bins - 1)
    return np.bincount(window * bins + place, minlength=count * bins).reshape(count, bins).astype(np.float64)
