"""What a training run needs of a model and its data: batches, validation, and what is fitted at the end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from engine.learning.prior import Prior
from engine.registry import Recipe

BatchLosses = Callable[[int], dict[str, Tensor]]
"""One batch as a function: training step -> its losses, each a mean over sequences in nats; "total" is trained."""


class Course(Protocol):
    """A model, its data, and the tasks it is trained on.

    left_out: sentences for the card on what of the data is not learnt from. size: how many windows make an
    epoch. facts, for the card: the number of windows of each length in bars, and of those left out, by reason.
    about: the card's attributes, and where there are any its feels, see engine.weights.Card.
    """

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""

    steps_per_bar: int
    left_out: tuple[str, ...]
    size: int
    facts: Mapping[str, int]
    about: Mapping[str, Mapping[str, Sequence[float]]]

    def training_batches(self, recipe: Recipe, count: int, rng: np.random.Generator) -> Iterator[BatchLosses]:
        """The count training batches of an epoch, determined by the state of rng."""

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """The validation batches, with fixed seeds: (task, weight in the mean, batch); the weights sum to 1."""

    def calibrate(self) -> None:
        """After training, fit on the validation windows what gradient descent does not: Expectation's shrinkage."""

    def prior(self) -> Prior:
        """The distribution of the training windows in z, fitted to their posteriors."""
