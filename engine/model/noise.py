"""Where chance enters: uniform numbers laid out by step and drum, so that a seed means the same notes."""

import torch
from torch import Tensor


class Noise:
    """A seeded source. shared: every row of a batch gets the same numbers (the steps of an interpolation).

    Numbers are drawn on the CPU, so that a seed means the same on every device's first draw.
    """

    def __init__(self, seed: int, *, shared: bool = False, device: torch.device | str = "cpu"):
        self._generator = torch.Generator().manual_seed(seed)
        self._shared = shared
        self._device = device

    def uniform(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape) in 0..1."""
        rows = torch.rand(1 if self._shared else batch, *shape, generator=self._generator)
        return rows.to(self._device).expand(batch, *shape)

    def normal(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), standard normal."""
        rows = torch.randn(1 if self._shared else batch, *shape, generator=self._generator)
        return rows.to(self._device).expand(batch, *shape)

    def gumbel(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape): argmax(logits + temperature·gumbel) is a draw from softmax(logits / temperature).

        Near logits give the same answer to the same numbers, which keeps an interpolation smooth.
        """
        rows = torch.empty(1 if self._shared else batch, *shape).exponential_(generator=self._generator)
        return rows.log_().neg_().to(self._device).expand(batch, *shape)
