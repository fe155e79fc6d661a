"""What is compared on a task: models, and the baselines that humanizing must beat."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.windows import STEPS_PER_BAR, Windows
from engine.errors import ModelError
from engine.evaluation.hits import Hits, Values, hits_of, played
from engine.model import tasks
from engine.model.noise import Noise
from engine.model.tasks import Example, Given
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, Array
from engine.verbs.resident import GrooveResident, load_resident
from engine.weights import Library

Task = Callable[[Tensor, Given], Example]
"""Which part of a groove the encoder reads and the decoder is given."""

AT_ONCE = 256
"""Windows that are played together."""


@dataclass(frozen=True, slots=True)
class Contender:
    """mean: windows -> its answer at temperature 0; draw: at temperature 1, with a seed.

    Both give grooves [window, step, 27], and must not use what the task does not give of the windows.
    """

    name: str
    mean: Callable[[Windows], Array]
    draw: Callable[[Windows, int], Array]


def models_of_grooves(library: Library, names: Iterable[str]) -> list[GrooveResident]:
    """The models of those names on the CPU; ModelError if one makes no grooves."""
    residents = []
    for name in names:
        resident = load_resident(library, name, torch.device("cpu"))
        if not isinstance(resident, GrooveResident):
            raise ModelError(f"{name} plays no grooves; evaluate measures models of the family groovae")
        residents.append(resident)
    return residents


def of_model(resident: GrooveResident, task: Task) -> Contender:
    """A model at a task; z is encoded from the task's encoder input."""
    return Contender(
        resident.card.name,
        lambda windows: answer(resident, windows, task, temperature=0.0),
        lambda windows, seed: answer(resident, windows, task, temperature=1.0, seed=seed),
    )


@torch.inference_mode()
def answer(
    resident: GrooveResident,
    windows: Windows,
    task: Task,
    *,
    temperature: float,
    seed: int = 0,
    encoder_input: Array | None = None,
    prior: bool = False,
    style: str | None = None,
) -> Array:
    """What a model decodes from the part of windows that a task gives: grooves [window, step, 27].

    z is encoded from the task's encoder input, or from encoder_input [window, step, 27]; with prior it is sampled
    from the prior, of a style if one is named.
    """
    rows = []
    for first in range(0, len(windows), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        groove = torch.from_numpy(windows.grooves[part]).to(resident.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[part]).to(resident.device)
        noise = Noise(seed * 100_003 + first, device=resident.device)
        example = task(groove, tasks.nothing_given(groove, tempo_bpm))
        source = (
            example.encoder_input
            if encoder_input is None
            else torch.from_numpy(encoder_input[part]).to(resident.device)
        )
        if prior:
            z = resident.prior.draw(noise, len(groove), style, temperature=temperature)[:, None]
        else:
            hits_given = bool(example.given.hits_given.all())
            z = resident.encode(source, hits_given=hits_given, temperature=temperature, noise=noise)
        rows.append(resident.decode(z, example.given, temperature=temperature, noise=noise).cpu().numpy())
    return np.concatenate(rows)


def in_their_styles(resident: GrooveResident, windows: Windows, seed: int) -> Array:
    """The hits of windows as a model plays them with a z of the window's own style, or of any where it has none."""
    grooves = np.zeros_like(windows.grooves)
    for index in np.unique(windows.style):
        own = np.flatnonzero(windows.style == index)
        name = windows.style_names[index] if index >= 0 else None
        known = name if name in resident.prior.names else None
        grooves[own] = answer(
            resident, windows[own], tasks.humanize, temperature=1.0, seed=seed, style=known, prior=True
        )
    return grooves


def baselines(train: Windows) -> list[Contender]:
    """Baselines without a network, fitted to the train split."""
    pool = hits_of(train)
    histograms = partial(_histogram_means, pool), partial(_histogram_draws, pool)
    loudness = float(pool.velocity.mean())
    linear = _Linear(train, pool)
    return [
        _same("quantised", lambda windows: quantised(windows, loudness)),
        Contender(
            "random jitter",
            lambda windows: _jitter(windows, 0, loudness),
            lambda windows, seed: _jitter(windows, seed, loudness),
        ),
        Contender("class histograms", *histograms),
        _same("linear", linear.play),
    ]


def _same(name: str, play: Callable[[Windows], Array]) -> Contender:
    """A contender that is deterministic: draw is mean."""
    return Contender(name, play, lambda windows, _: play(windows))


def quantised(windows: Windows, loudness: float) -> Array:
    """Every hit on the grid, at one velocity 0..1."""
    hits = hits_of(windows)
    return played(windows, hits, np.zeros_like(hits.offset), np.full_like(hits.velocity, loudness))


def _jitter(windows: Windows, seed: int, loudness: float) -> Array:
    """A DAW's randomise: normal noise, 10 ms in time, 10 of 127 in velocity about the mean."""
    hits, rng = hits_of(windows), np.random.default_rng(seed)
    offset = rng.normal(0, 10, len(hits.offset)) * hits.tempo_bpm / 7500
    velocity = rng.normal(loudness, 10 / 127, len(hits.offset))
    return played(windows, hits, np.clip(offset, -1, 1), np.clip(velocity, 0, 1))


def _histogram_means(pool: Hits, windows: Windows) -> Array:
    """The mean of the drum's train hits."""
    hits = hits_of(windows)
    means = np.array(
        [[values[_own(pool, drum)].mean() for drum in range(CLASSES)] for values in (pool.offset, pool.velocity)]
    )
    return played(windows, hits, means[0][hits.drum], means[1][hits.drum])


def _histogram_draws(pool: Hits, windows: Windows, seed: int) -> Array:
    """A random one of the drum's train hits."""
    hits, rng = hits_of(windows), np.random.default_rng(seed)
    pick = np.zeros(len(hits.drum), np.int64)
    for drum in range(CLASSES):
        here = hits.drum == drum
        pick[here] = rng.choice(_own(pool, drum), int(here.sum()))
    return played(windows, hits, pool.offset[pick], pool.velocity[pick])


def _own(pool: Hits, drum: int) -> NDArray[np.int64]:
    """The train hits of a drum; all hits of one that is never hit."""
    own = np.flatnonzero(pool.drum == drum).astype(np.int64)
    return own if len(own) else np.arange(len(pool.drum), dtype=np.int64)


class _Linear:
    """Ridge regression for each drum on the hits a beat around, the position in the bar and the tempo."""

    def __init__(self, train: Windows, pool: Hits):
        x, y = _surroundings(train, pool), np.stack([pool.offset, pool.velocity], axis=1)
        self._weights = []
        for drum in range(CLASSES):
            own = pool.drum == drum
            penalty = 10 * np.eye(x.shape[1])
            self._weights.append(np.linalg.solve(x[own].T @ x[own] + penalty, x[own].T @ y[own]))

    def play(self, windows: Windows) -> Array:
        hits = hits_of(windows)
        x, answer = _surroundings(windows, hits), np.zeros((len(hits.drum), 2))
        for drum, weights in enumerate(self._weights):
            answer[hits.drum == drum] = x[hits.drum == drum] @ weights
        return played(windows, hits, np.clip(answer[:, 0], -1, 1), np.clip(answer[:, 1], 0, 1))


def _surroundings(windows: Windows, hits: Hits, reach: int = 4) -> Values:
    """The nine drums from a beat before to a beat after each hit, its position, the tempo and a one."""
    padded = np.pad(windows.grooves[..., HITS], ((0, 0), (reach, reach), (0, 0)))
    around = [padded[hits.window, hits.step + shift] for shift in range(2 * reach + 1)]
    position = np.eye(STEPS_PER_BAR, dtype=np.float32)[hits.step % STEPS_PER_BAR]
    tempo = np.log2(hits.tempo_bpm / 120)[:, None]
    return np.concatenate([*around, position, tempo, np.ones_like(tempo)], axis=1).astype(np.float64)
