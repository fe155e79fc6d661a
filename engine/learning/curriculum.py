"""What a training run needs of what it learns: lessons, an exam, and what is measured at the end."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from engine.learning.prior import Prior
from engine.registry import Recipe

Lesson = Callable[[int], dict[str, Tensor]]
"""The step -> the losses of one batch, each a mean in nats a sequence; "total" is what is trained."""


class Course(Protocol):
    """A model, and the data it learns from.

    size is how many windows make an epoch; facts how many there are of each length in bars, and how many were left
    out and why.
    """

    @property
    def model(self) -> nn.Module:
        """The network that learns."""

    steps_per_bar: int
    size: int
    facts: Mapping[str, int]

    def lessons(self, recipe: Recipe, count: int, chance: np.random.Generator) -> Iterator[Lesson]:
        """An epoch's lessons, the same for the same chance."""

    def exam(self, recipe: Recipe) -> Iterator[tuple[str, float, Lesson]]:
        """Lessons on the validation windows with fixed chance: what each asks, its share of the mark, and it."""

    def settle(self) -> None:
        """Measure on the validation windows what the network cannot learn."""

    def prior(self) -> Prior:
        """Where the train windows lie in z."""
