"""The random source: numbers laid out by step and drum, so that a seed gives the same notes on every device."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.pausing import look

Array = NDArray[np.float32]

AT_ONCE = 1 << 16
"""How many numbers are made, or changed, before it is looked whether somebody is in a hurry."""


class Noise:
    """A seeded random source. shared: every row of a seed gets the same numbers (the points of an interpolation).

    seed: one for the whole batch, or several, each for as many of its rows, in order, as any other: they get the
    numbers that they would get alone, as do those of sources that go together (`Noise.together`).
    numpy generates them on the CPU: four times as fast as torch, and a seed gives the same on every device.
    """

    def __init__(self, seed: int | Sequence[int], *, shared: bool = False, device: torch.device | str = "cpu"):
        seeds = [seed] if isinstance(seed, int) else seed
        self._sources = [_Source(np.random.default_rng(each), 1, shared) for each in seeds]
        self._device = device

    @classmethod
    def together(cls, noises: Sequence["Noise"], rows: Sequence[int]) -> "Noise":
        """One source for a batch of so many rows of each, or a multiple; what it draws each has drawn then."""
        together = cls(())
        together._device = noises[0]._device
        for noise, count in zip(noises, rows, strict=True):
            each, rest = divmod(count, sum(source.rows for source in noise._sources))
            assert not rest, f"{count} rows, not so many for each of {len(noise._sources)} seeds"
            together._sources += [replace(source, rows=each * source.rows) for source in noise._sources]
        return together

    def uniform(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), uniform in 0..1."""
        return self._draw(lambda source, out: source.random(dtype=np.float32, out=out), batch, shape)

    def normal(self, batch: int, *shape: int) -> Tensor:
        """(batch, *shape), standard normal."""
        return self._draw(lambda source, out: source.standard_normal(dtype=np.float32, out=out), batch, shape)

    def gumbel(self, batch: int, *shape: int, wanted: Callable[[Tensor], Tensor] = lambda each: each) -> Tensor:
        """(batch, *shape): argmax(logits + temperature·gumbel) is a sample of softmax(logits / temperature).

        With the same numbers similar logits mostly give the same sample, which keeps an interpolation smooth.
        wanted selects the numbers that are needed, before the logarithms are taken.
        """
        numbers = wanted(self.uniform(batch, *shape)).contiguous()
        for part in torch.split(numbers.view(-1), AT_ONCE):
            part.clamp_(min=1e-30).log_().neg_().log_().neg_()
            look()
        return numbers

    def again(self) -> "Noise":
        """A copy that gives the same numbers from here on as this one."""
        return copy.deepcopy(self)

    @property
    def is_shared(self) -> bool:
        """Whether every row of a seed gets the same numbers."""
        return any(source.shared for source in self._sources)

    def _draw(
        self, draw: Callable[[np.random.Generator, Array], Array], batch: int, shape: tuple[int, ...]
    ) -> Tensor:
        """The rows of each source, one after the other: (batch, *shape)."""
        times, rest = divmod(batch, sum(source.rows for source in self._sources))
        assert not rest, f"a batch of {batch} rows, not of so many for each of {len(self._sources)} seeds"
        numbers, first = np.empty((batch, *shape), np.float32), 0
        for source in self._sources:
            rows = numbers[first : first + times * source.rows]
            own = (rows[:1] if source.shared else rows).reshape(-1)
            for begin in range(0, own.size, AT_ONCE):
                look()
                draw(source.numbers, own[begin : begin + AT_ONCE])
            if source.shared:
                rows[1:] = rows[0]
            first += len(rows)
        return torch.from_numpy(numbers).to(self._device)


@dataclass(frozen=True, slots=True)
class _Source:
    """The numbers of a seed, for so many rows of the fewest that all sources draw."""

    numbers: np.random.Generator
    rows: int
    shared: bool
