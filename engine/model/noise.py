"""The random source: numbers laid out by step and drum, so that a seed gives the same notes on every device."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]


class Noise:
    """A seeded random source. shared: every row of a seed gets the same numbers (the points of an interpolation).

    seed: one for the whole batch, or several, each for as many of its rows, in order, as any other: they get the
    numbers that they would get alone.
    numpy generates them on the CPU: four times as fast as torch, and a seed gives the same on every device.
    """

    def __init__(self, seed: int | Sequence[int], *, shared: bool = False, device: torch.device | str = "cpu"):
        seeds = [seed] if isinstance(seed, int) else seed
        self._sources = [np.random.default_rng(each) for each in seeds]
        self._shared = shared
        self._device = device

    def uniform(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), uniform in 0..1."""
        return self._draw(lambda source, rows: source.random(rows, dtype=np.float32), batch, shape)

    def normal(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), standard normal."""
        return self._draw(lambda source, rows: source.standard_normal(rows, dtype=np.float32), batch, shape)

    def gumbel(self, batch: int, *shape: int, wanted: Callable[[Tensor], Tensor] = lambda each: each) -> Tensor:
        """(batch, *shape): argmax(logits + temperature·gumbel) is a sample of softmax(logits / temperature).

        With the same numbers similar logits mostly give the same sample, which keeps an interpolation smooth.
        wanted selects the numbers that are needed, before the logarithms are taken.
        """
        return -torch.log(-torch.log(wanted(self.uniform(batch, *shape)).clamp(min=1e-30)))

    def again(self) -> "Noise":
        """A copy that gives the same numbers from here on as this one."""
        return copy.deepcopy(self)

    @property
    def is_shared(self) -> bool:
        """Whether every row gets the same numbers."""
        return self._shared

    def _draw(
        self, draw: Callable[[np.random.Generator, tuple[int, ...]], Array], batch: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The rows of each source, one after the other: (batch, *shape)."""
        each, rest = divmod(batch, len(self._sources))
        assert not rest, f"a batch of {batch} rows, not of so many for each of {len(self._sources)} seeds"
        rows = (1 if self._shared else each, *shape)
        parts = [torch.from_numpy(draw(source, rows)).to(self._device) for source in self._sources]
        parts = [part.expand(each, *shape) for part in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
