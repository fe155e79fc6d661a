"""What it helps to hear some hits as they were played: the errors of the other drums with the hats and without.

The pair is of the same windows and seed, so that the share by which an error is lower has an interval of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.data.windows import Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, Values, mean
from engine.evaluation.contenders import answer
from engine.evaluation.hits import Hits, hits_of
from engine.model import tasks
from engine.model.tasks import Example, Given
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.verbs.resident import GrooveResident

HATS = [INSTRUMENTS.index("closed_hat"), INSTRUMENTS.index("open_hat")]


def hats_given(groove: torch.Tensor, given: Given) -> Example:
    """All hits, and how the hats are played."""
    hats = torch.zeros(CLASSES, device=groove.device)
    hats[HATS] = 1
    ones = torch.ones_like(given.hits_given)
    return tasks.with_some_timing(replace(given, hits_given=ones, timing_given=ones * hats))


@dataclass(frozen=True, slots=True)
class Hearing:
    """One row: the errors of all drums but the hats. timing in ms, velocity in 0..1.

    Each is the error without the hats, that with them, and the share by which it is lower. auc: of the judges on
    what is drawn with the hats given, hats and all.
    """

    name: str
    temperature: int
    timing: tuple[Interval, Interval, Interval]
    velocity: tuple[Interval, Interval, Interval]
    auc: Interval | None = None


def hearing_of(
    resident: GrooveResident, windows: Windows, seed: int = 0, auc: Interval | None = None
) -> Iterator[Hearing]:
    """The rows of a model: of a draw, and of temperature 0."""
    for temperature in (1, 0):
        without, heard = (
            hits_of(windows.played_by(answer(resident, windows, task, temperature=temperature, seed=seed)))
            for task in (tasks.humanize, hats_given)
        )
        true, name = hits_of(windows), resident.card.name
        late_ms = [np.abs(each.offset - true.offset) * 7500 / true.tempo_bpm for each in (without, heard)]
        louder = [np.abs(each.velocity - true.velocity) for each in (without, heard)]
        timing, velocity = (_of_others(windows, true, *pair) for pair in (late_ms, louder))
        yield Hearing(name, temperature, timing, velocity, auc if temperature else None)


def _of_others(windows: Windows, true: Hits, without: Values, heard: Values) -> tuple[Interval, Interval, Interval]:
    """The means of two errors [hit] over the hits that are no hats, and by which share the second is lower."""
    others = ~np.isin(true.drum, HATS)
    bootstrap = Bootstrap(windows.performance)
    before, after, count = (
        np.bincount(true.window, values * others, len(windows))[:, None].astype(np.float64)
        for values in (without, heard, np.ones_like(heard))
    )

    def lower(sums: Values) -> Values:
        share: Values = 1 - sums[:, 1] / np.maximum(sums[:, 0], 1e-12)
        return share

    means = (bootstrap.of_sums(mean, error, count) for error in (before, after))
    return *means, bootstrap.of_sums(lower, before, after)  # type: ignore[return-value]
