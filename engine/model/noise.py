"""The random source: numbers laid out by step and drum, so that a seed gives the same notes on every device."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


class Noise:
    """A seeded random source. shared: every row of a batch gets the same numbers (the points of an interpolation).

    numpy generates them on the CPU: four times as fast as torch, and a seed gives the same on every device.
    """

    def __init__(self, seed: int, *, shared: bool = False, device: torch.device | str = "cpu"):
        self._random = np.random.default_rng(seed)
        self._shared = shared
        self._device = device

    def uniform(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), uniform in 0..1."""
        return self._spread(self._random.random(self._rows(batch, shape), dtype=np.float32), batch)

    def normal(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), standard normal."""
        return self._spread(self._random.standard_normal(self._rows(batch, shape), dtype=np.float32), batch)

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

    def _rows(self, batch: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1 if self._shared else batch, *shape)

    def _spread(self, rows: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", batch: int) -> Tensor:
        return torch.from_numpy(rows).to(self._device).expand(batch, *rows.shape[1:])
