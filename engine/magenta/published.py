"""The tensors of a published checkpoint, each to be taken once and in the shape that it must have.

Knows nothing of what they are for; a WeightsError names the tensor.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError

Array = NDArray[np.float32]

_BOOKKEEPING = re.compile(r"(^|/)(global_step|beta[12]_power|Adam(_\d+)?)$")
"""What an optimiser leaves in a checkpoint; released ones may lack it."""


class Published:
    """What is left to take of a checkpoint's tensors."""

    def __init__(self, tensors: Mapping[str, Array]):
        self._left = {name: tensor for name, tensor in tensors.items() if not _BOOKKEEPING.search(name)}

    def has(self, prefix: str) -> bool:
        """Whether a name begins so."""
        return any(name.startswith(prefix) for name in self._left)

    def count(self, pattern: str) -> int:
        """How many there are of "…{}…": one more than the largest number in its place."""
        numbered = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d{1,3})"))
        return max((int(found[1]) + 1 for found in map(numbered.match, self._left) if found), default=0)

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of a tensor, which must have so many axes."""
        shape = self._tensor(name).shape
        if len(shape) != axes:
            raise WeightsError(f"the tensor {name} has the shape {shape}, which should have {axes} numbers")
        return shape

    def take(self, name: str, *shape: int) -> Array:
        """A tensor of a shape, all of whose numbers are finite."""
        tensor = self._tensor(name)
        if tensor.shape != shape:
            raise WeightsError(f"the tensor {name} has the shape {tensor.shape}, not {shape}")
        if not np.isfinite(tensor).all():
            raise WeightsError(f"the tensor {name} holds a number that is not finite")
        return self._left.pop(name)

    def check_empty(self) -> None:
        """Nothing may be left at the end."""
        for name in sorted(self._left):
            raise WeightsError(f"the checkpoint holds a tensor that its configuration has not: {name}")

    def _tensor(self, name: str) -> Array:
        if name not in self._left:
            raise WeightsError(f"the checkpoint lacks the tensor {name}")
        return self._left[name]
