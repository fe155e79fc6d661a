"""The verbs inside the engine, on this machine, beside the floor that streaming the weights sets."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from engine.clip import Clip, Note
from engine.model.walk import PAST
from engine.requests import (
    Continue,
    Drumify,
    Fill,
    Groove,
    Humanize,
    Infill,
    Interpolate,
    Request,
    Sample,
    Vary,
)
from engine.verbs.generator import Generator
from engine.weights import Library, shipped_folder

PHRASES = "drums_16bar"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement in milliseconds. floor_ms is nan where none is known."""

    name: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    floor_ms: float = float("nan")


def percentiles(name: str, times_ms: list[float], floor_ms: float = float("nan")) -> Row:
    """A row from many runs."""
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive")
    return Row(name, cuts[49], cuts[94], cuts[98], floor_ms)


def stiff_clip(bars: int) -> Clip:
    """24 notes a bar: sixteenths on the hat, kick and snare on the eighths."""
    notes = []
    for step in range(bars * 16):
        notes.append(Note(42, step / 4, 0.25, 100))
        if step % 2 == 0:
            notes.append(Note((36, 38)[step // 4 % 2], step / 4, 0.25, 100))
    return Clip(tuple(notes), bars * 4.0)


def requests() -> Iterator[tuple[str, Request]]:
    """What is timed."""
    two, sixteen = stiff_clip(2), stiff_clip(16)
    yield "humanize, 2 bars, 48 notes", Humanize(clip=two)
    yield "humanize, 2 bars, temperature 0", Humanize(clip=two, temperature=0.0)
    yield "humanize, 2 bars, late .5", Humanize(clip=two, late=(0.5,))
    yield "humanize, 2 bars, loudness .5", Humanize(clip=two, loudness=(0.5,))
    yield "humanize, 2 bars, style house", Humanize(clip=two, style="house")
    yield "humanize, 16 bars, 384 notes", Humanize(clip=sixteen)
    yield "humanize, 16 bars, temperature 0", Humanize(clip=sixteen, temperature=0.0)
    yield "groove, 2 bars", Groove(clip=two, feel=two)
    yield "sample, 2 bars", Sample()
    yield "drumify, 2 bars", Drumify(clip=two)
    yield "fill, 2 bars", Fill(clip=two, instrument="crash")
    yield "vary, 2 bars", Vary(clip=two)
    yield "interpolate, 5 × 2 bars", Interpolate(clips=(two, two))
    for bars in (4, 16, 64):
        yield f"{PHRASES}: sample, {bars} bars, played", Sample(model=PHRASES, bars=bars)
    yield f"{PHRASES}: sample, 4 bars, density 1", Sample(model=PHRASES, bars=4, density=(1.0,))
    yield f"{PHRASES}: sample, 4 × 16 bars, played", Sample(model=PHRASES, bars=16, count=4)
    yield f"{PHRASES}: continue, 16 bars, 16 given", Continue(model=PHRASES, clip=sixteen, bars=16)
    yield f"{PHRASES}: infill, 2 bars of 16", Infill(model=PHRASES, clip=sixteen, start=28.0, beats=8.0)


def measure(runs: int = 100) -> list[Row]:
    """A row for each verb, after a warm-up, each run with a seed of its own."""
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load(PHRASES)
    generator.load("drummer")
    generator.warm_up()
    gc.collect()
    gc.freeze()  # as the model process does
    bandwidth = bytes_per_second(generator)
    rows = []
    for name, request in requests():
        times_ms = [generator.run(replace(request, seed=seed)).ms for seed in range(runs)]
        floor_ms = float("nan")
        if isinstance(request, Humanize):
            floor_ms = 1000 * humanize_bytes(generator, request) / bandwidth
        rows.append(percentiles(name, times_ms, floor_ms))
    return rows


def bytes_per_second(generator: Generator, repeats: int = 2000) -> float:
    """How fast this machine streams a matrix of the performer's size through a product with a vector."""
    hidden = generator.resident("drummer").model.decoder.performer.lstm.hidden_size
    matrix, vector = torch.randn(4 * hidden, PAST + hidden), torch.randn(PAST + hidden)
    seconds = _best(lambda: torch.mv(matrix, vector), repeats)
    return matrix.nbytes / seconds


def humanize_bytes(generator: Generator, request: Humanize) -> float:
    """The bytes of weights that a humanize reads in sequence: recurrent layers a step, the walk a hit.

    Temperature 0 reads what it needs once.
    """
    model = generator.resident("drummer").model
    if request.temperature == 0:
        needed = (tensor for name, tensor in model.named_parameters() if "expectation" in name)
        return sum(tensor.nbytes for tensor in needed)
    recurrent = "decoder.performer.context"
    walk = ("lstm.weight_hh", "offset.weight", "velocity_hidden.weight", "velocity.weight")
    steps = int(request.clip.length_beats * 4)
    hits, total = len(request.clip.notes), 0
    for name, tensor in model.named_parameters():
        if "weight_hh" in name and name.startswith(recurrent):
            total += tensor.nbytes * steps
        if name.startswith("decoder.performer") and any(part in name for part in walk) and "context" not in name:
            total += tensor.nbytes * hits
    return total


def _best(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
