"""Generating step by step: what a decoder says of one step, and the loop that runs it over all, for any batch.

A step is a pure function (state, known, chance) → (state, choice), in buffers that keep their place: a Step. A new
autoregressive decoder is a small class of that form, beside its network; pattern.py has the shortest.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.model.blocks import STEPS_AT_ONCE, Array, Matrix, product, rows_of_block
from engine.model.lstm import Lstm, LstmState, has_bf16
from engine.pausing import look, looking

Known = TypeVar("Known")
Chance = TypeVar("Chance")
Choice = TypeVar("Choice")


HALF = np.array(0.5, np.float32)
"""numpy takes longer to make an array of a number than to multiply by it."""


class Stepper:
    """Runs a stack one step at a time, in preallocated buffers, on the CPU: a step is too small for a GPU.

    torch multiplies, numpy does the rest in the same memory: its calls cost a third of torch's, and for one row its
    product half. Of the first layer's input only the first `fed` columns, or those that it names, depend on earlier
    steps: the caller writes them to `fed` before each step. The others, the static inputs, are multiplied by their
    weights for all steps at once (`project`), or those that are known bar by bar for a bar (`weights_of`).
    half: products in bf16, where the processor has them; with many rows several times as fast, and less exact.
    blocks: products in blocks of rows, see blocks.py.
    """

    def __init__(
        self,
        lstm: Lstm,
        fed: int | tuple[int, ...],
        state: LstmState,
        *,
        half: bool = False,
        blocks: bool = False,
    ):
        self._hidden, layers = lstm.hidden_size, list[tuple[Matrix | Tensor, Tensor]]()
        if blocks:
            assert isinstance(fed, int)
            _, bias, own = lstm.in_blocks(fed)
            layers.append((own, bias))
        else:
            prepared = lstm.prepared(fed, half=half and has_bf16(torch.device("cpu")))
            self._static, self._bias, of_layers = prepared
            layers += of_layers
        self._cells = [
            _Cell(weights, bias, c.cpu(), h.cpu()) for (weights, bias), (c, h) in zip(layers, state, strict=True)
        ]
        self.fed = self._cells[0].inputs[:, : fed if isinstance(fed, int) else len(fed)]
        self._below = [cell.inputs[:, : self._hidden] for cell in self._cells[1:]]

    def project(self, *parts: Tensor) -> Array:
        """The static inputs' share of the first layer's gates, on the CPU: (step, batch, 4·hidden).

        parts are the last static columns in order, each (batch, step, n), or (batch, 1, n) where all steps have the
        same.
        """
        steps = max(part.shape[1] for part in parts)
        inputs = torch.cat([part.expand(-1, steps, -1) for part in parts], dim=-1)
        weights, rows = self._static[:, -inputs.shape[-1] :], torch.split(inputs, max(1, STEPS_AT_ONCE // steps))
        return (
            torch.cat([F.linear(each, weights, self._bias).cpu() for each in looking(rows)]).transpose(0, 1).numpy()
        )

    def weights_of(self, first: int, count: int) -> Array:
        """Of some of the static columns, for the CPU: (n, 4·hidden)."""
        return self._static[:, first : first + count].t().contiguous().cpu().numpy()

    def top_in_blocks(self) -> Array:
        """Where `step` puts its result, filled up: (block, row, hidden)."""
        return self._cells[-1].filled_up[:, :, -self._hidden :]

    def state(self) -> LstmState:
        """The state after the steps so far: (c, h) of each layer, each (batch, hidden)."""
        return [cell.state() for cell in self._cells]

    def step(self, gates: Tensor | Array) -> Tensor:
        """Advance by one step; gates (batch, 4·hidden) from project -> the top layer's h (batch, hidden).

        The next step overwrites the result.
        """
        top = self._cells[0].step(gates)
        for below, cell in zip(self._below, self._cells[1:], strict=True):
            below[...] = top
            top = cell.step(cell.bias)
        return self._cells[-1].top

    def take(self, rows: NDArray[np.int64]) -> None:
        """Go on in each row from the state of another, or the same (batch,)."""
        for cell in self._cells:
            cell.take(rows)


def projected(lstm: Lstm, fed: int, *parts: Tensor) -> Tensor:
    """As Stepper.project, in blocks, for any number of rows: (step, batch, 4·hidden)."""
    static, bias, _ = lstm.in_blocks(fed)
    steps = max(part.shape[1] for part in parts)
    inputs = torch.cat([part.expand(-1, steps, -1).transpose(0, 1) for part in parts], dim=-1)
    return product(inputs, static, bias)


def spread(gates: Tensor, rows: NDArray[np.int64]) -> Iterable[Array]:
    """Of each step (row, n) these rows, on the CPU."""
    steps: Array = gates.cpu().numpy()
    if np.array_equal(rows, np.arange(steps.shape[1])):
        return steps
    return (step.take(rows, axis=0) for step in steps)


@dataclass(slots=True)
class State:
    """What a step reads of the steps before it, and changes.

    lstm: c, h and `fed`, what the LSTM is fed of earlier choices. past (batch, step, n): those choices, where steps
    look further back than to the last; it begins with what comes before the first. now: where the next one goes.
    """

    lstm: Stepper
    past: Array = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    now: int = 0

    def remember(self, choice: Array) -> None:
        """The choice (batch, n) of this step becomes the past of the next."""
        self.past[:, self.now] = choice
        self.now += 1

    def before(self, steps: int) -> Array:
        """The choice of so many steps before the one to come, the last being 1: (batch, n)."""
        return self.past[:, self.now - steps]


Step = Callable[[State, Known, Chance], Choice]
"""One step, for all rows of a batch: it advances state.lstm, chooses, and leaves in the state what is fed back.

known: what is given for the step, such as the gates that Stepper.project gives. chance: its random numbers, drawn
before the first step; what else is added to the same logits may be in them already. Nothing else may change a
choice, so that rows which are decoded together choose as they would alone.
"""


def run(
    step: Step[Known, Chance, Choice], state: State, known: Iterable[Known], chance: Iterable[Chance]
) -> list[Choice]:
    """Run all steps, on the CPU; known and chance have an entry for each -> their choices.

    Before each it is looked whether somebody is in a hurry.
    """
    choices = []
    for its_known, its_chance in zip(known, chance, strict=True):
        look()
        choices.append(step(state, its_known, its_chance))
    return choices


def by_step(table: Tensor) -> NDArray[Any]:
    """(batch, step, n) -> (step, batch, n), on the CPU."""
    return table.transpose(0, 1).contiguous().cpu().numpy()


class Head:
    """A linear layer at a step. weights (n, m) are on the CPU; its next call overwrites the result, `out`."""

    def __init__(self, weights: Tensor, rows: int):
        self._weights, self._result = weights, torch.empty(rows, weights.shape[1])
        self.out: Array = self._result.numpy()
        self._for_one = weights.numpy() if rows == 1 else None

    def __call__(self, inputs: Tensor | Array, bias: Array) -> Array:
        """inputs (batch, n), bias (batch, m) -> inputs·weights + bias: (batch, m)."""
        if self._for_one is None:
            torch.addmm(torch.from_numpy(bias), _tensor(inputs), self._weights, out=self._result)
        else:
            np.dot(_array(inputs), self._for_one, out=self.out)
            self.out += bias
        return self.out


class BlockHead:
    """A Head whose inputs keep their place, (batch, n) filled up to blocks: (block, row, n)."""

    def __init__(self, weights: Matrix, inputs: Array, rows: int):
        result = np.empty((*inputs.shape[:2], weights.says), np.float32)
        self._multiply, self.out = weights.ready(inputs, result), result.reshape(-1, weights.says)[:rows]

    def __call__(self, bias: Array) -> Array:
        """bias (batch, m) -> inputs·weights + bias: (batch, m)."""
        self._multiply()
        self.out += bias
        return self.out


def _array(values: Tensor | Array) -> Array:
    return values.numpy() if isinstance(values, Tensor) else values


def _tensor(values: Tensor | Array) -> Tensor:
    return values if isinstance(values, Tensor) else torch.from_numpy(values)


class _Cell:
    """One layer. inputs (batch, fed or hidden of the layer below + hidden); the last columns are its own h.

    A Matrix multiplies blocks.
    """

    def __init__(self, weights: Tensor | Matrix, bias: Tensor, c: Tensor, h: Tensor):
        batch, n = h.shape
        self.bias = bias
        block = rows_of_block(batch) if isinstance(weights, Matrix) else batch
        rows, reads = batch + -batch % block, weights.reads if isinstance(weights, Matrix) else len(weights)
        inputs, gates = torch.zeros(rows, reads), torch.empty(rows, 4 * n)
        self.top, self.inputs = inputs[:batch, -n:], inputs.numpy()[:batch]
        self._inputs, self._result = inputs, gates
        self._all, self._c, self._h = gates.numpy()[:batch], c.numpy().copy(), self.inputs[:, -n:]
        self._h[...] = h.numpy()
        self._i, self._f, self._o, self._g = (self._all[:, k * n : (k + 1) * n] for k in range(4))
        self._sigmoids = self._all[:, : 3 * n]
        self._multiply: Callable[[], Array] | None = None
        if isinstance(weights, Matrix):
            self.filled_up: Array = inputs.numpy().reshape(-1, block, reads)
            self._multiply = weights.ready(self.filled_up, gates.numpy().reshape(-1, block, 4 * n))
            return
        self._tensor = weights
        if rows == 1 and weights.dtype == torch.float32:
            self._multiply = partial(np.dot, self.inputs, weights.numpy(), out=self._all)

    def state(self) -> tuple[Tensor, Tensor]:
        """(c, h)."""
        return torch.from_numpy(self._c.copy()), torch.from_numpy(self._h.copy())

    def step(self, gates: Tensor | Array) -> Array:
        """Advance by one step; gates (batch, 4·hidden), as far as computed before -> h (batch, hidden)."""
        if self._multiply is not None:
            self._multiply()
            self._all += _array(gates)
        elif self._tensor.dtype == torch.bfloat16:
            torch.add(_tensor(gates), self._inputs.to(torch.bfloat16) @ self._tensor, out=self._result)
        else:
            torch.addmm(_tensor(gates), self._inputs, self._tensor, out=self._result)
        np.tanh(self._all, out=self._all)
        self._sigmoids *= HALF
        self._sigmoids += HALF
        c = self._c
        c *= self._f
        self._g *= self._i
        c += self._g
        np.tanh(c, out=self._h)
        self._h *= self._o
        return self._h

    def take(self, rows: NDArray[np.int64]) -> None:
        """See Stepper."""
        self._c[...], self._h[...] = self._c[rows], self._h[rows]
