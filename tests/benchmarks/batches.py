"""The verbs of the drummer when 1, 8 or 64 requests run together: `python -m tests.benchmarks.batches`.

For each what a request takes, how many a second that is beside one at a time, what share of it the floor is, and
how long a request in a hurry waits at most until it is looked for it.
The floor of several is what their matrix products take at the best rate that such products, in blocks, reach in the
same run; that of one is what it takes to stream their weights from the cache. Times are those of the processor, on
one core: a machine that is busy measures nearly the same.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.model.blocks import ROWS, Matrix
from engine.pausing import letting_first
from engine.requests import Decode, Drumify, Encode, Fill, Groove, Humanize, Interpolate, Request, Sample, Vary
from engine.verbs.generator import Generator
from engine.weights import Library, shipped_folder
from tests.benchmarks.engine_latency import stiff_clip

BATCHES = (1, 8, 64)


def requests(bars: int) -> Iterator[tuple[str, Request]]:
    """What is measured."""
    clip = stiff_clip(bars)
    yield "humanize", Humanize(clip=clip)
    yield "humanize, t 0", Humanize(clip=clip, temperature=0.0)
    yield "groove", Groove(clip=clip, feel=clip)
    yield "sample", Sample(bars=bars)
    yield "drumify", Drumify(clip=clip)
    yield "fill", Fill(clip=clip, instrument="crash")
    yield "vary", Vary(clip=clip)
    yield "interpolate, 5", Interpolate(clips=(clip, clip))
    yield "encode", Encode(clip=clip)
    yield "decode", Decode(z=(0.0,) * 128)


@dataclass
class Work:
    """What matrix products come to: floating point operations, and bytes of weights that are read in sequence."""

    flop: float = 0.0
    read: float = 0.0

    def add(self, rows: int, weights: int) -> None:
        """A product of rows with a matrix of so many numbers."""
        self.flop += 2.0 * rows * weights
        self.read += 4.0 * weights


@contextmanager
def counted() -> Iterator[Work]:
    """What is done within it."""
    work = Work()
    bmm, matmul, lstm, linear, layer = (
        *(torch.bmm, np.matmul, nn.LSTM.forward, nn.Linear.forward),
        nn.TransformerEncoderLayer.forward,
    )

    def counted_bmm(inputs: torch.Tensor, weights: torch.Tensor, **to: Any) -> torch.Tensor:
        for _ in range(1 if weights.stride(0) == 0 else len(weights)):
            rows = inputs.shape[0] * inputs.shape[1] if weights.stride(0) == 0 else inputs.shape[1]
            work.add(rows, weights.shape[1] * weights.shape[2])
        return bmm(inputs, weights, **to)

    def counted_matmul(inputs: Any, weights: Any, **to: Any) -> Any:
        result = matmul(inputs, weights, **to)
        work.flop += 2.0 * result.size * inputs.shape[-1]
        work.read += weights.nbytes
        return result

    def counted_lstm(self: nn.LSTM, inputs: torch.Tensor, *state: Any) -> Any:
        for _ in range(inputs.shape[1]):
            work.add(
                inputs.shape[0], sum(each.numel() for name, each in self.named_parameters() if "weight" in name)
            )
        return lstm(self, inputs, *state)

    def counted_linear(self: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
        work.add(inputs.numel() // inputs.shape[-1], self.weight.numel())
        return linear(self, inputs)

    def counted_layer(self: nn.TransformerEncoderLayer, inputs: torch.Tensor, *rest: Any, **more: Any) -> Any:
        matrices = sum(each.numel() for each in self.parameters() if each.dim() == 2)
        work.add(inputs.shape[0] * inputs.shape[1], matrices)
        work.flop += 4.0 * inputs.shape[0] * inputs.shape[1] ** 2 * inputs.shape[2]
        return layer(self, inputs, *rest, **more)

    patched: Any = (torch, np, nn.LSTM, nn.Linear, nn.TransformerEncoderLayer)
    names = ("bmm", "matmul", "forward", "forward", "forward")
    counting = (counted_bmm, counted_matmul, counted_lstm, counted_linear, counted_layer)
    try:
        for where, name, function in zip(patched, names, counting, strict=True):
            setattr(where, name, function)
        yield work
    finally:
        for where, name, function in zip(patched, names, (bmm, matmul, lstm, linear, layer), strict=True):
            setattr(where, name, function)


def best(run: Callable[[], object], repeats: int) -> float:
    """The least seconds of the processor that it takes."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


class Gaps:
    """The longest time between two looks, whether somebody is in a hurry, in seconds of the processor."""

    def __init__(self) -> None:
        self.last, self.longest = time.process_time(), 0.0

    def look(self) -> None:
        """One more."""
        now = time.process_time()
        self.longest, self.last = max(self.longest, now - self.last), now


def peak(batch: int) -> float:
    """Operations a second of the fastest product of a step of so many rows: in blocks, or as torch has it."""
    rows = max(ROWS, batch)
    inputs, weights, result = torch.randn(rows, 320), torch.randn(320, 768), torch.empty(rows, 768)
    in_blocks = Matrix(weights).ready(*(each.view(-1, ROWS, each.shape[1]).numpy() for each in (inputs, result)))
    many = max(1, 200 // rows)

    def of_torch() -> None:
        torch.mm(inputs, weights, out=result)

    def several(once: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(many):
                once()

        return run

    return max(2.0 * rows * 320 * 768 * many / best(several(once), 40) for once in (of_torch, in_blocks))


def bandwidth() -> float:
    """The bytes a second of a product of one row."""
    weights, row, result = (
        np.ones((320, 768), np.float32),
        np.ones((1, 320), np.float32),
        np.empty((1, 768), np.float32),
    )

    def several() -> None:
        for _ in range(200):
            np.dot(row, weights, out=result)

    return 200 * weights.nbytes / best(several, 15)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drummer")
    generator.warm_up()
    gc.collect()
    gc.freeze()
    peaks, streamed = {batch: peak(batch) for batch in BATCHES}, bandwidth()
    rates = ", ".join(f"{peaks[batch] / 1e9:.0f} GFLOP/s at {batch}" for batch in BATCHES[1:])
    sys.stdout.write(f"products in blocks: {rates}; weights are streamed at {streamed / 1e9:.0f} GB/s\n")
    sys.stdout.write(
        f"{'':15}{'together':>9}{'ms each':>9}{'× alone':>9}{'floor ms':>10}{'floor':>7}{'pause ms':>10}\n"
    )
    for name, request in requests(given.bars):
        alone = 0.0
        for batch in BATCHES:
            several = (
                [replace(request, seed=seed) for seed in range(batch)] if name != "encode" else [request] * batch
            )

            def run(several: list[Request] = several) -> None:
                for _, results in generator.run_together(several):
                    assert not isinstance(results, Exception), results

            with counted() as work:
                run()
            each = best(run, 40 if batch == 1 else 6) / batch
            alone = alone or each
            gaps = Gaps()
            with letting_first(gaps.look):
                run()
            floor = work.read / streamed if batch == 1 else work.flop / peaks[batch] / batch
            sys.stdout.write(
                f"{name:15}{batch:9}{1000 * each:9.2f}{alone / each:9.2f}{1000 * floor:10.2f}{floor / each:7.0%}"
                f"{1000 * gaps.longest:10.2f}\n"
            )


if __name__ == "__main__":
    main()
