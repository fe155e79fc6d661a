"""How well hits are humanized: the figures of GrooVAE's table, for weights and for the baselines beside them.

Every 2-bar window of a split (4/4, hop one bar) is stripped to its hits and played again. Timing errors are over
the true hits: MAE in ms, MSE in (sixteenths)². The divergences compare the distributions of all offsets (50 bins
over -1..1) and of all velocities (32 bins over 0..1): KL(played ‖ generated), 1e-9 added to each bin.
Source: Gillick et al. 2019, arXiv 1905.06118, section 5.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.corpus import read_corpus
from engine.data.windows import Windows, cut_windows
from engine.model import tasks
from engine.model.noise import Noise
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, Array
from engine.resident import Resident, load_resident
from engine.weights import Library

Values = NDArray[np.floating[Any]]

BARS = 2
TIMING_BINS, VELOCITY_BINS = 50, 32


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: errors of the deterministic answer, divergences of the sampled one.

    timing_mae_ms, timing_mse in (sixteenths)²; velocity errors in 0..1; divergences in nats.
    """

    name: str
    timing_mae_ms: float
    timing_mse: float
    velocity_mae: float
    velocity_mse: float
    timing_kl: float
    velocity_kl: float


@dataclass(frozen=True, slots=True)
class Hits:
    """All hits of some windows in a row; every array is [hit]. position is the sixteenth in the bar."""

    window: NDArray[np.int64]
    step: NDArray[np.int64]
    drum: NDArray[np.int64]
    offset: Values
    velocity: Values
    tempo_bpm: Values


def evaluate(
    *,
    data: Path,
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Figures]:
    """The baselines' rows, then one for each model that can humanize, on the same windows."""
    performances = read_corpus(data)
    train, windows = (cut_windows(performances, split=name, bars=BARS) for name in ("train", split))
    rows = []
    for name, baseline in BASELINES.items():
        on_progress(name)
        rows.append(baseline(name, train, windows, np.random.default_rng(seed)))
    for model in models:
        resident = load_resident(library, model, torch.device("cpu"))
        if "humanize" in resident.card.verbs:
            on_progress(model)
            rows.append(figures_of(resident, windows, seed))
    return rows


def figures_of(resident: Resident, windows: Windows, seed: int = 0) -> Figures:
    """The row of a model: its mean at temperature 0 for the errors, a draw at 1 for the divergences."""
    mean, drawn = (
        hits_of(Windows(humanized(resident, windows, temperature, seed), windows.tempo_bpm, windows.style, ()))
        for temperature in (0.0, 1.0)
    )
    return compare(resident.card.name, hits_of(windows), mean=mean, drawn=drawn)


@torch.inference_mode()
def humanized(resident: Resident, windows: Windows, temperature: float, seed: int) -> Array:
    """Windows [window, step, 27] with their hits played by the model."""
    played = []
    for first in range(0, len(windows), 256):
        groove = torch.from_numpy(windows.grooves[first : first + 256]).to(resident.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 256]).to(resident.device)
        noise = Noise(seed + first, device=resident.device)
        example = tasks.humanize(groove, tasks.nothing_given(groove, tempo_bpm))
        posterior = resident.model.encode(example.heard)
        z = posterior.mu + temperature * posterior.sigma * noise.normal(*posterior.mu.shape)
        path = z[:, None].expand(-1, groove.shape[1], -1)
        played.append(
            resident.model.decode(path, example.given, temperature=temperature, noise=noise).cpu().numpy()
        )
    return np.concatenate(played)


def hits_of(windows: Windows) -> Hits:
    """The hits of windows in the order of window, step and drum."""
    window, step, drum = np.nonzero(windows.grooves[..., HITS] > 0)
    offset = windows.grooves[..., OFFSETS][window, step, drum]
    velocity = windows.grooves[..., VELOCITIES][window, step, drum]
    return Hits(window, step, drum, offset, velocity, windows.tempo_bpm[window])


def compare(name: str, true: Hits, *, mean: Hits, drawn: Hits) -> Figures:
    """The figures of answers to the same hits."""
    sixteenths, louder = (mean.offset - true.offset) / 2, mean.velocity - true.velocity
    return Figures(
        name,
        timing_mae_ms=float(np.mean(np.abs(sixteenths) * 15000 / true.tempo_bpm, dtype=np.float64)),
        timing_mse=float(np.mean(sixteenths**2, dtype=np.float64)),
        velocity_mae=float(np.mean(np.abs(louder), dtype=np.float64)),
        velocity_mse=float(np.mean(louder**2, dtype=np.float64)),
        timing_kl=divergence(true.offset, drawn.offset, TIMING_BINS, (-1, 1)),
        velocity_kl=divergence(true.velocity, drawn.velocity, VELOCITY_BINS, (0, 1)),
    )


def divergence(true: Values, ours: Values, bins: int, bounds: tuple[float, float]) -> float:
    """KL(true ‖ ours) in nats between histograms, 1e-9 added to each bin."""
    p, q = (np.histogram(np.clip(values, *bounds), bins, bounds)[0] / len(values) + 1e-9 for values in (true, ours))
    return float((p * np.log(p / q)).sum())


def _quantised(name: str, train: Windows, windows: Windows, chance: np.random.Generator) -> Figures:
    """Every hit on the grid, at the mean velocity of the train split."""
    true, mean_velocity = hits_of(windows), hits_of(train).velocity.mean()
    flat = _played(true, np.zeros_like(true.offset), np.full_like(true.velocity, mean_velocity))
    return compare(name, true, mean=flat, drawn=flat)


def _jitter(name: str, train: Windows, windows: Windows, chance: np.random.Generator) -> Figures:
    """What a DAW's randomise does: normal, 10 ms in time, 10 of 127 in velocity about the mean."""
    true, mean_velocity = hits_of(windows), hits_of(train).velocity.mean()
    ms_to_offset = true.tempo_bpm / 7500
    offset = chance.normal(0, 10, len(true.offset)) * ms_to_offset
    velocity = np.clip(chance.normal(mean_velocity, 10 / 127, len(true.offset)), 0, 1)
    jittered = _played(true, offset, velocity)
    return compare(name, true, mean=jittered, drawn=jittered)


def _histograms(name: str, train: Windows, windows: Windows, chance: np.random.Generator) -> Figures:
    """The mean of the drum's train hits for the errors, a random one of them for the divergences."""
    true, pool = hits_of(windows), hits_of(train)
    mean, drawn = (_played(true, true.offset.copy(), true.velocity.copy()) for _ in range(2))
    for drum in range(CLASSES):
        own, here = np.flatnonzero(pool.drum == drum), true.drum == drum
        own = own if len(own) else np.arange(len(pool.drum))
        pick = chance.choice(own, int(here.sum()))
        drawn.offset[here], drawn.velocity[here] = pool.offset[pick], pool.velocity[pick]
        mean.offset[here], mean.velocity[here] = pool.offset[own].mean(), pool.velocity[own].mean()
    return compare(name, true, mean=mean, drawn=drawn)


def _linear(name: str, train: Windows, windows: Windows, chance: np.random.Generator) -> Figures:
    """Ridge regression for each drum on the hits a beat around, the position in the bar and the tempo."""
    true, pool = hits_of(windows), hits_of(train)
    x_train, x_true = _surroundings(train, pool), _surroundings(windows, true)
    played = _played(true, true.offset.copy(), true.velocity.copy())
    for drum in range(CLASSES):
        own, here = pool.drum == drum, true.drum == drum
        x = x_train[own]
        y = np.stack([pool.offset[own], pool.velocity[own]], axis=1)
        weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
        played.offset[here], played.velocity[here] = (x_true[here] @ weights).T
    return compare(name, true, mean=played, drawn=played)


def _surroundings(windows: Windows, hits: Hits, reach: int = 4) -> Values:
    """The nine drums from a beat before to a beat after each hit, its position, the tempo and a one."""
    padded = np.pad(windows.grooves[..., HITS], ((0, 0), (reach, reach), (0, 0)))
    around = [padded[hits.window, hits.step + shift] for shift in range(2 * reach + 1)]
    position = np.eye(16, dtype=np.float32)[hits.step % 16]
    tempo = np.log2(hits.tempo_bpm / 120)[:, None]
    return np.concatenate([*around, position, tempo, np.ones_like(tempo)], axis=1).astype(np.float64)


def _played(hits: Hits, offset: Values, velocity: Values) -> Hits:
    return Hits(hits.window, hits.step, hits.drum, offset, velocity, hits.tempo_bpm)


BASELINES: dict[str, Callable[[str, Windows, Windows, np.random.Generator], Figures]] = {
    "quantised": _quantised,
    "random jitter": _jitter,
    "class histograms": _histograms,
    "linear": _linear,
}
"""Every baseline by its name in the table."""
