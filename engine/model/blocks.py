"""Networks and products in blocks of as many rows: the numbers of a row are the same bits alone and in any company.

A product of another number of rows may be computed in another order, and rounded otherwise. So that never happens
here: a block is filled up where rows are lacking, and each block is a product of its own. What never has company is
computed whole, which is faster.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.pausing import look

Array = NDArray[np.float32]

ROWS = 4
"""Of a block. One row costs twice what it costs as a product with a vector, 64 no more than in one product."""

QUICK = 1_000_000
"""OpenBLAS multiplies a block by weights as they lie while row·n·m is no more (with AVX-512); else it copies them
first, and takes three times as long. So larger weights are cut into columns."""

AT_ONCE, STEPS_AT_ONCE = 128, 256
"""Rows of one product, and rows × steps of one network, after which it is looked whether somebody is in a hurry."""


_whole = ContextVar("whole", default=False)


@contextmanager
def whole(is_so: bool) -> Iterator[None]:
    """Meanwhile all rows are one block, or blocks have four again."""
    before = _whole.set(is_so)
    try:
        yield
    finally:
        _whole.reset(before)


def rows_of_block(rows: int) -> int:
    """How many a block of so many rows has now."""
    return rows if _whole.get() else ROWS


def in_blocks(network: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What a network says of its inputs (row, …), block after block: (row, …)."""
    rows = len(inputs[0])
    said, block = [], min(rows_of_block(rows), max(ROWS, STEPS_AT_ONCE // inputs[0].shape[1]))
    for first in range(0, rows, block):
        said.append(network(*(_block(each, first, block) for each in inputs)))
        look()
    return said[0][:rows] if len(said) == 1 else torch.cat(said)[:rows]


class Matrix:
    """Weights (…, n, m) by which blocks are multiplied; reads: n, says: m."""

    def __init__(self, weights: Tensor):
        self.reads, self.says = n, m = weights.shape[-2:]
        columns = next((k for k in range(1, m + 1) if m % k == 0 and ROWS * n * m <= k * QUICK), 1)
        self._cut = torch.unflatten(weights, -1, (columns, -1)).transpose(-2, -3).contiguous()[..., None, :, :]

    def whole(self) -> Tensor:
        """(…, n, m)."""
        return torch.flatten(self._cut[..., 0, :, :].transpose(-2, -3), -2)

    def ready(self, blocks: Array, out: Array) -> Callable[[], Array]:
        """What multiplies blocks (…, block, row, n), as they are when it is called, into out (…, block, row, m)."""
        apart = np.moveaxis(out.reshape(*out.shape[:-1], self._cut.shape[-4], -1), -2, -4)
        return partial(np.matmul, blocks[..., None, :, :, :], self._cut.cpu().numpy(), out=apart)

    def multiply(self, blocks: Tensor, out: Tensor) -> None:
        """The same now, on any device."""
        if blocks.device.type == "cpu":
            self.ready(blocks.numpy(), out.numpy())()
        else:
            torch.matmul(blocks, self.whole(), out=out)


def product(inputs: Tensor, weights: Matrix, bias: Tensor) -> Tensor:
    """inputs (…, n)·weights (n, m) + bias (m,), in blocks: (…, m)."""
    flat = inputs.reshape(-1, inputs.shape[-1])
    rows = flat if _whole.get() else F.pad(flat, (0, 0, 0, -len(flat) % ROWS))
    result = rows.new_empty(len(rows), len(bias))
    for part, said in zip(torch.split(rows, AT_ONCE), torch.split(result, AT_ONCE), strict=True):
        block = rows_of_block(len(part))
        weights.multiply(*(each.view(-1, block, each.shape[1]) for each in (part, said)))
        said += bias
        look()
    return result[: len(flat)].view(*inputs.shape[:-1], -1)


class Laid:
    """The weights of linear layers of the same inputs, side by side as product needs them."""

    def __init__(self, *layers: nn.Linear):
        self._layers = layers
        self._kept: tuple[object, tuple[Matrix, Tensor]] | None = None

    def __call__(self) -> tuple[Matrix, Tensor]:
        """(n, m) and the bias (m,); kept until a weight or its device changes."""
        key = [(id(each.weight), each.weight._version, each.weight.device) for each in self._layers]
        if self._kept is None or self._kept[0] != key:
            weights = torch.cat([each.weight for each in self._layers]).t().contiguous()
            self._kept = key, (Matrix(weights.detach()), torch.cat([each.bias for each in self._layers]))
        return self._kept[1]


def _block(rows: Tensor, first: int, count: int) -> Tensor:
    """So many rows, the last of them repeated where some lack."""
    part = rows[first : first + count]
    return part if len(part) == count else torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
