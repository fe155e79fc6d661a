"""Runs steps without Python in between: on a GPU as a CUDA graph, captured once for a size; elsewhere one by one.

Knows no network. Steps are torch's operations on tensors that keep their place.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

STEPS, ROWS = 64, 32
"""Of one graph. What has more has it replayed; all products are of so many rows, so that no row's numbers depend on
the others'."""

MOST_KEPT = 8
"""Sizes of which a network keeps the graph, those used last."""

WARM_UPS = 3
"""Runs before the capture, as torch demands them: libraries set themselves up there."""


def is_captured(device: torch.device) -> bool:
    """Whether steps are captured there: a single one is too small for a GPU."""
    return device.type == "cuda"


def bucket(steps: int) -> int:
    """For how many steps is captured what has so many: a power of two, STEPS at least."""
    return max(STEPS, 1 << (steps - 1).bit_length())


class Steps(Protocol):
    """Steps in buffers. inputs (STEPS, ROWS, n) each, choices (STEPS, ROWS, n); state is what each step changes."""

    inputs: tuple[Tensor, ...]
    choices: Tensor
    state: tuple[Tensor, ...]

    def step(self, index: int) -> None:
        """Do one: read its inputs and the state, write its choice and the state."""


class Captured:
    """Steps that are ready to run. Its buffers are on one device."""

    def __init__(self, steps: Steps):
        self._steps, self._graph = steps, torch.cuda.CUDAGraph() if is_captured(steps.choices.device) else None
        if self._graph is None:
            return
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UPS):
                self._all()
        torch.cuda.current_stream().wait_stream(beside)
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # others may load a model
            self._all()

    def run(self, state: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
        """Run all steps from a state, of which what is not given is 0; inputs (step, row, n) -> their choices.

        Steps and rows that are fewer than the buffers hold leave the others to what nobody reads.
        """
        parts = (slice(first, first + ROWS) for first in range(0, inputs[0].shape[1], ROWS))
        return torch.cat(
            [self._run([s[part] for s in state], [i[:, part] for i in inputs]) for part in parts], dim=1
        )

    def _run(self, state: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
        steps, rows = inputs[0].shape[:2]
        for buffer in self._steps.state:
            buffer.zero_()
        for buffer, values in zip(self._steps.state, state, strict=False):
            buffer[tuple(map(slice, values.shape))] = values
        choices = []
        for first in range(0, steps, STEPS):
            count = min(STEPS, steps - first)
            for buffer, values in zip(self._steps.inputs, inputs, strict=True):
                buffer[:count, :rows] = values[first : first + count]
            self._all() if self._graph is None else self._graph.replay()
            choices.append(self._steps.choices[:count, :rows].clone())
        return torch.cat(choices)

    def _all(self) -> None:
        for index in range(STEPS):
            self._steps.step(index)


class Kept:
    """What was captured of a network."""

    def __init__(self) -> None:
        self._captured: OrderedDict[Hashable, Captured] = OrderedDict()

    def get(self, network: nn.RNNBase, size: Hashable, steps: Callable[[], Steps]) -> Captured:
        """That of a size, captured if need be, and anew where the network's weights or device have changed."""
        weight = network.all_weights[0][0]
        key = size, weight._version, weight.device
        if key not in self._captured:
            self._captured[key] = Captured(steps())
        self._captured.move_to_end(key)
        if len(self._captured) > MOST_KEPT:
            self._captured.popitem(last=False)
        return self._captured[key]
