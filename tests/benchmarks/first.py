"""How long a live request waits while others run: `python -m tests.benchmarks.first`.

A model process is given other work, and at a random moment a humanize that goes first. For each kind of work: how
long it took from there until that one began, which is when its answer came less what it took itself.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bridge.worker.children import Children
from bridge.worker.messages import Finished, HaveBegun, Recipe, Refused, Run, Together
from engine.requests import (
    Continue,
    Drumify,
    Encode,
    Groove,
    Humanize,
    Infill,
    Interpolate,
    Request,
    Sample,
    Vary,
)
from engine.weights import shipped_folder
from tests.benchmarks.engine_latency import PHRASES, stiff_clip

DRUMMER, BAND = "drummer", "trio_16bar"
TOGETHER = 32


def work() -> Iterator[tuple[str, list[Request]]]:
    """What runs meanwhile: several together, or one that is long."""
    two, sixteen, long = (stiff_clip(bars) for bars in (2, 16, 64))
    yield "32 humanize", [Humanize(clip=two, model=DRUMMER)] * TOGETHER
    yield "32 sample", [Sample(bars=4, model=DRUMMER)] * TOGETHER
    yield "32 drumify", [Drumify(clip=two, model=DRUMMER)] * TOGETHER
    yield "32 vary", [Vary(clip=two, model=DRUMMER)] * TOGETHER
    yield "8 groove", [Groove(clip=two, feel=two, model=DRUMMER)] * 8
    yield "6 interpolate", [Interpolate(clips=(two, two), model=DRUMMER)] * 6
    yield "32 encode", [Encode(clip=two, model=DRUMMER)] * TOGETHER
    yield "humanize, 64 bars", [Humanize(clip=long, model=DRUMMER)]
    yield "humanize, 64 bars, t 0", [Humanize(clip=long, model=DRUMMER, temperature=0.0)]
    yield "humanize, 16 × 16 bars", [Humanize(clip=sixteen, model=DRUMMER, count=16)]
    yield "sample, 64 bars", [Sample(bars=64, model=PHRASES)]
    yield "sample, 16 × 16 bars", [Sample(bars=16, model=PHRASES, count=16)]
    yield "continue, 16 bars", [Continue(clip=sixteen, bars=16, model=PHRASES)]
    yield "infill, 8 bars of 64", [Infill(clip=long, start=64.0, beats=32.0, model=PHRASES)]
    yield "band: sample, 16 bars", [Sample(bars=16, model=BAND)]
    yield "melody: sample, 8 × 2 bars", [Sample(bars=2, model="melody_2bar", count=8)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    given = parser.parse_args()
    children, rng = Children(), random.Random(0)
    recipe = Recipe((DRUMMER, PHRASES, BAND, "melody_2bar"), (shipped_folder(),), device="cpu")
    child = children.start("bridge.worker.main", recipe)
    child.channel.set_blocking(True)
    read = _reports(child.channel.read)
    next(read)
    live, number = Humanize(clip=stiff_clip(1), model=DRUMMER), 0
    sys.stdout.write(f"{'':28}{'takes ms':>9}{'p50':>7}{'p90':>7}{'most':>7}\n")
    for name, requests in work():
        waited, takes = list[float](), 0.1
        for turn in range(given.runs + 1):
            runs = tuple(Run(number + k, replace(each, seed=number + k)) for k, each in enumerate(requests, 1))
            number += len(runs) + 1
            began = time.perf_counter()
            child.channel.put(Together(runs) if len(runs) > 1 else runs[0])
            if turn:  # the first tells how long they take
                time.sleep(takes * rng.random())
                asked = time.perf_counter()
                child.channel.put(Run(number, live, first=True))
            left = {run.number for run in runs} | ({number} if turn else set())
            while left:
                report = next(read)
                if isinstance(report, Refused):
                    raise SystemExit(f"{name}: {report.text}")
                if isinstance(report, Finished):
                    left.remove(report.number)
                    if turn and report.number == number:
                        waited.append((time.perf_counter() - asked) * 1000 - report.about.ms)
                        was_beside = bool(left)
                        if not was_beside:
                            waited.pop()
            takes = time.perf_counter() - began if not turn else takes
        p50, p90 = np.percentile(waited, [50, 90])
        sys.stdout.write(f"{name:28}{takes * 1000:9.1f}{p50:7.1f}{p90:7.1f}{max(waited):7.1f}\n")
        sys.stdout.flush()
    children.let_go(child, time.perf_counter())
    children.end_all(2.0)


def _reports(read: Callable[[], list[object]]) -> Iterator[object]:
    """One after the other, but that requests have begun."""
    while True:
        yield from (each for each in read() if not isinstance(each, HaveBegun))


if __name__ == "__main__":
    main()
