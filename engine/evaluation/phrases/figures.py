"""What phrases are like: how they repeat, what comes back from their z, how new they are, what lies between two."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.drum_songs import DrumSong
from engine.evaluation.bootstrap import Bootstrap, Interval, Values, mean
from engine.evaluation.paths import POSITIONS, StepModel, along
from engine.evaluation.phrases.samples import Hits, Integers, Phrases, condition_of, drawn, interpolated
from engine.model.noise import Noise
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.measures import similarity
from engine.verbs.resident import PhraseResident

Figures = dict[str, Interval | str]
"""What was measured, and how much it is; a text holds quantiles."""

LAGS = (1, 2, 4, 8)
KICK, SNARE = INSTRUMENTS.index("kick"), INSTRUMENTS.index("snare")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

COPIED_BARS = 4
"""Of so many bars the most similar are looked for."""


def repetition_of(hits: Hits, piece: Integers) -> Figures:
    """How phrases return to their own bars; all figures are means over bars, quartiles are of phrases."""
    bootstrap, found, quartiles = Bootstrap(piece), {}, {}
    exact: Figures = {}
    for lag in LAGS:
        if hits.shape[1] > lag:
            alike = similarity(hits[:, lag:], hits[:, :-lag])
            heard = np.asarray((hits[:, lag:] | hits[:, :-lag]).any(axis=(2, 3)))
            found[f"like the bar {lag} before"] = _mean(bootstrap, alike, heard)
            of_phrase = alike.sum(axis=1)[heard.any(axis=1)] / heard.sum(axis=1)[heard.any(axis=1)]
            quartiles[f"its quartiles, {lag}"] = _quantiles(of_phrase, QUANTILES[1:4])
            exact[f"as the bar {lag} before"] = _mean(bootstrap, alike == 1, np.ones_like(alike))
    ones = np.ones(hits.shape[:2])
    return {
        **found,
        **quartiles,
        **exact,
        "kick on 1": _mean(bootstrap, hits[:, :, 0, KICK], ones),
        "snare on 2 and 4": _mean(bootstrap, hits[:, :, 4, SNARE] & hits[:, :, 12, SNARE], ones),
        "hits a bar": _mean(bootstrap, hits.sum(axis=(2, 3)), ones),
    }


@torch.inference_mode()
def reconstruction_of(resident: PhraseResident, phrases: Phrases, *, bars_given: bool, draw: bool) -> Figures:
    """What comes back at temperature 1 from z, at its mean or drawn; with the bars' z or the phrase's alone.

    The rate is what z says beyond its prior: the phrase's beyond the learnt one, the bars' beyond N(0, I).
    """
    columns: list[Values] = []
    for k, part in enumerate(phrases.parts()):
        noise, model = Noise(k, device=resident.device), resident.model
        condition = condition_of(resident, part)
        of_phrase, of_bars = model.encoder(condition), model.bar_encoder(condition)
        mu, sigma = of_phrase.mu, of_phrase.sigma
        normal = noise.normal(len(mu), mu.shape[1])
        z = of_phrase.sample(normal)
        entropy = (
            -0.5 * (normal**2).sum(dim=1) - torch.log(sigma).sum(dim=1) - 0.5 * mu.shape[1] * np.log(2 * np.pi)
        )
        rate = model.z_prior.nats(z, condition) + entropy
        bar_z = of_bars.sample(noise.normal(*of_bars.mu.shape)) if draw else of_bars.mu
        if bars_given:
            condition = replace(condition, bar_z=bar_z, bar_z_given=torch.ones_like(condition.bar_z_given))
            rate = rate + of_bars.kl().sum(dim=(1, 2))
        back = np.all(drawn(resident, condition, noise, z if draw else mu) == part.hits, axis=3)
        event = np.any(part.hits, axis=3)
        columns.append(
            np.stack([rate.cpu().numpy(), *(_sums(each) for each in (back, back & event, event))], axis=1)
        )
    rate_of, tokens, events, count = np.concatenate(columns).T
    bars, bootstrap = np.full(len(phrases), phrases.hits.shape[1]), Bootstrap(phrases.piece)
    return {
        "steps that come back": bootstrap.of_sums(mean, tokens, bars * phrases.hits.shape[2]),
        "steps with a hit": bootstrap.of_sums(mean, events, count),
        "nats a bar in z": bootstrap.of_sums(mean, rate_of, bars),
    }


def copies_of(hits: Hits, piece: Integers, train: Hits) -> Figures:
    """In how many hits phrases differ from the nearest of train's, which are as long."""
    nearest, bootstrap = nearest_of(hits, train), Bootstrap(piece)
    return {
        "differs in (quantiles 5, 25, 50, 75, 95 %)": _quantiles(nearest, QUANTILES),
        "differs in, mean": bootstrap.of_sums(mean, nearest, np.ones(len(nearest))),
        "is a copy": bootstrap.of_sums(mean, nearest == 0, np.ones(len(nearest))),
    }


def nearest_of(hits: Hits, train: Hits) -> Values:
    """The Hamming distance of each phrase to the nearest of others: (phrase,)."""
    ours, theirs = (each.reshape(len(each), -1).astype(np.float32) for each in (hits, np.unique(train, axis=0)))
    size = theirs.sum(axis=1)
    return np.concatenate(
        [(row.sum() + size - 2 * (row @ theirs.T)).min(axis=1) for row in np.split(ours, len(ours))]
    )


@torch.inference_mode()
def interpolation_of(
    resident: PhraseResident, pairs: tuple[Phrases, Phrases], steps: StepModel
) -> dict[str, dict[str, Interval]]:
    """At each position between pairs: the hits a bar that differ from the first, and what a step costs.

    Beside it the same where each step is one of the two phrases' own, the more of the second the nearer it is.
    """
    first, second = pairs
    from_second = np.random.default_rng(0).random(first.hits.shape[:3])[..., None]
    ours = [
        np.concatenate(
            [
                interpolated(resident, a, b, position, Noise(0, shared=True, device=resident.device))
                for a, b in zip(first.parts(), second.parts(), strict=True)
            ]
        )
        for position in POSITIONS
    ]
    mixed = [np.where(from_second < position, second.hits, first.hits) for position in POSITIONS]
    return {
        f"{name}, {what}": row
        for name, path in (("ours", ours), ("the data mixed", mixed))
        for what, row in along(
            "hits a bar that differ from the first",
            [(hits != first.hits).mean(axis=1).sum(axis=(1, 2)) for hits in path],
            [subsets(hits).reshape(len(hits), -1) for hits in path],
            steps,
            first.piece,
        ).items()
    }


def step_model(songs: Iterable[DrumSong]) -> StepModel:
    """What follows on what in songs."""
    return StepModel(subsets(song.hits).reshape(-1) for song in songs)


def subsets(hits: NDArray[np.bool_]) -> Integers:
    """(…, 9) -> the number of the subset of drums that is hit: (…)."""
    return np.asarray((hits.astype(np.int64) << np.arange(CLASSES)).sum(axis=-1), np.int64)


def _mean(bootstrap: Bootstrap, values: NDArray[Any], counted: NDArray[Any]) -> Interval:
    return bootstrap.of_sums(mean, (values * counted).sum(axis=1), counted.sum(axis=1))


def _sums(steps: NDArray[Any]) -> Values:
    return np.asarray(steps.sum(axis=(1, 2)), np.float64)


def _quantiles(values: NDArray[Any], of: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in np.quantile(values, of)) if len(values) else ""
