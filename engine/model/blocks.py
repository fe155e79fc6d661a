"""Networks and products in blocks of as many rows: the numbers of a row are the same bits alone and in any company.

A product of another number of rows may be computed in another order, and rounded otherwise. So that never happens
here: a block is filled up where rows are lacking, and each block is a product of its own. What never has company is
computed whole, which is faster.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.pausing import look

ROWS = 4
"""Of a block. One row costs twice what it costs as a product with a vector, 64 half as much again as in one."""

ROWS_OF_MANY = 16
"""Of a block of `product`, whose rows are many: the hits of a clip, say."""

AT_ONCE = 16
"""Blocks of one call, after which it is looked whether somebody is in a hurry."""


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
    said, block = [], rows_of_block(rows)
    for first in range(0, rows, block):
        said.append(network(*(_block(each, first, block) for each in inputs)))
        look()
    return said[0][:rows] if len(said) == 1 else torch.cat(said)[:rows]


def product(inputs: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """inputs (…, n)·weights (n, m) + bias (m,), in blocks of sixteen rows: (…, m)."""
    flat = inputs.reshape(-1, inputs.shape[-1])
    if _whole.get():
        return torch.addmm(bias, flat, weights).view(*inputs.shape[:-1], -1)
    blocks = F.pad(flat, (0, 0, 0, -len(flat) % ROWS_OF_MANY)).view(-1, ROWS_OF_MANY, flat.shape[1])
    result = torch.empty(len(blocks), ROWS_OF_MANY, weights.shape[1], dtype=flat.dtype, device=flat.device)
    for first in range(0, len(blocks), AT_ONCE):
        part, said = blocks[first : first + AT_ONCE], result[first : first + AT_ONCE]
        torch.bmm(part, weights.expand(len(part), -1, -1), out=said)
        said += bias
        look()
    return result.flatten(0, 1)[: len(flat)].view(*inputs.shape[:-1], -1)


class Laid:
    """The weights of linear layers of the same inputs, side by side as product needs them."""

    def __init__(self, *layers: nn.Linear):
        self._layers = layers
        self._kept: tuple[object, tuple[Tensor, Tensor]] | None = None

    def __call__(self) -> tuple[Tensor, Tensor]:
        """(n, m) and the bias (m,); kept until a weight or its device changes."""
        key = [(id(each.weight), each.weight._version, each.weight.device) for each in self._layers]
        if self._kept is None or self._kept[0] != key:
            weights = torch.cat([each.weight for each in self._layers]).t().contiguous()
            self._kept = key, (weights, torch.cat([each.bias for each in self._layers]))
        return self._kept[1]


def _block(rows: Tensor, first: int, count: int) -> Tensor:
    """So many rows, the last of them repeated where some lack."""
    part = rows[first : first + count]
    return part if len(part) == count else torch.cat([part, part[-1:].expand(count - len(part), *part.shape[1:])])
