"""Which drums are hit: taps turned into a kit, and the closed hat added to the rest, against what was played.

Hit F1 is over all cells, drum and sixteenth, that were not given; judges see whole patterns, as they are played.
Source of the tasks: Gillick et al. 2019, arXiv 1905.06118, sections 4.2 and 4.3.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.windows import STEPS_PER_BAR, Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, Values
from engine.evaluation.contenders import Contender, Task
from engine.model import tasks
from engine.model.tasks import Example, Given
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.groove import DEPTH, HITS, Array

CLOSED_HAT = INSTRUMENTS.index("closed_hat")


def fixed_velocity_taps(groove: torch.Tensor, given: Given) -> Example:
    """Each step's loudest hit, with its timing and without its velocity: as tapped with a finger on a table."""
    return tasks.tap(groove, given, velocity_given=False)


def add_closed_hat(groove: torch.Tensor, given: Given) -> Example:
    """All but the closed hat."""
    return tasks.fill(groove, given, CLOSED_HAT)


TASKS: dict[str, tuple[str, Task]] = {
    "taps": ("drumify", fixed_velocity_taps),
    "closed hat": ("fill", add_closed_hat),
}
"""Each task with the verb that it measures."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One row: how a task was done. f1 of a draw at temperature 1 and at 0; auc as in Figures."""

    name: str
    task: str
    f1: Interval
    f1_mean: Interval
    auc: Interval | None = None


def histograms(train: Windows, task: Task) -> Contender:
    """For each sixteenth of the bar a hit, or a tapped subset, of the train split; played like a train hit too."""
    pool = _Pool(train, task)
    return Contender("bar histograms", lambda windows: pool.play(windows, None), pool.play)


class _Pool:
    """The train split's rows [step, 27] by position in the bar and whether it was tapped; given cells are kept."""

    def __init__(self, train: Windows, task: Task):
        self._task = task
        self._rows = train.grooves.reshape(-1, DEPTH)
        self._positions = _positions(train, self._given(train))
        self._by_position = {
            position: np.flatnonzero(self._positions == position) for position in np.unique(self._positions)
        }
        self._commonest = {position: self._mode(rows) for position, rows in self._by_position.items()}

    def play(self, windows: Windows, seed: int | None) -> Array:
        """For each step a random row of its position and tap; without a seed the one with the commonest hits."""
        rng, given = np.random.default_rng(seed), self._given(windows)
        positions = _positions(windows, given)
        rows = np.zeros(len(positions), np.int64)
        for position in np.unique(positions):
            here = positions == position
            if seed is None:
                rows[here] = self._commonest.get(position, 0)
            else:
                rows[here] = rng.choice(self._by_position.get(position, np.arange(1)), int(here.sum()))
        drawn = self._rows[rows].reshape(windows.grooves.shape)
        hits_given = np.tile(given.hits_given.numpy(), 3)
        return np.where(hits_given > 0, windows.grooves, drawn).astype(np.float32)

    def _given(self, windows: Windows) -> Given:
        groove = torch.from_numpy(windows.grooves)
        return self._task(groove, tasks.nothing_given(groove, torch.from_numpy(windows.tempo_bpm))).given

    def _mode(self, rows: NDArray[np.int64]) -> int:
        """The row whose hits are those that most of the rows have."""
        often = self._rows[rows][:, HITS].mean(axis=0) > 0.5
        return int(rows[np.abs(self._rows[rows][:, HITS] - often).sum(axis=1).argmin()])


def _positions(windows: Windows, given: Given) -> NDArray[np.int64]:
    """The sixteenth in the bar of every step, and whether it is tapped: [window·step]."""
    position = np.tile(np.arange(windows.grooves.shape[1]) % STEPS_PER_BAR, len(windows))
    return position + STEPS_PER_BAR * given.taps[..., 0].numpy().astype(np.int64).reshape(-1)


def completion_of(
    contender: Contender, task_name: str, windows: Windows, seed: int = 0, auc: Interval | None = None
) -> Completion:
    """The row of one contender on some windows."""
    unknown = np.ones(CLASSES) if task_name == "taps" else np.eye(CLASSES)[CLOSED_HAT]
    draw, mean = (
        _f1(windows, grooves, unknown) for grooves in (contender.draw(windows, seed), contender.mean(windows))
    )
    return Completion(contender.name, task_name, draw, mean, auc)


def _f1(windows: Windows, grooves: Array, unknown: Values) -> Interval:
    """2·hits that are right / (hits played + hits guessed), over the drums that were not given."""
    true, guess = windows.grooves[..., HITS] * unknown, grooves[..., HITS] * unknown
    right, all_hits = ((true * guess).sum(axis=(1, 2)), (true + guess).sum(axis=(1, 2)))

    def f1(sums: Values) -> Values:
        score: Values = 2 * sums[:, 0] / np.maximum(sums[:, 1], 1)
        return score

    return Bootstrap(windows.performance).of_sums(f1, right, all_hits)
