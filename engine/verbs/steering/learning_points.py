"""How the points of a model of tokens are moved to attributes, learnt from corpora and kept beside its weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.sources import credit_of
from engine.errors import ModelError, WeightsError
from engine.learning.constraints import (
    in_deviations,
    learn_generator,
    learn_vectors,
    points_of,
    spreads,
    window_attributes,
)
from engine.learning.token_tasks import cut_songs
from engine.model.constraint import Mover
from engine.model.noise import Noise
from engine.representation.attributes import scale_of
from engine.representation.catalogue import find_representation
from engine.representation.measures import Values
from engine.representation.tokens import Tokens
from engine.verbs.resident import TokenResident, load_resident
from engine.weights import Library, write_steering

MAX_WINDOWS = 8192
"""Of the train split, evenly spread: more tell hardly more, and a large encoder reads them for an hour."""

MOST_GAIN = 2.0
"""By what more is told than asked, at most, where less comes in one draw."""

LEAST_SIGMA = 0.1
"""Of a checkpoint that has come without."""

AT_ONCE, DRAWN, REACH = 64, 128, 2.0
"""Each way is measured on so many points of the prior for each attribute, asked −2..2."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way of moving points.

    Of each attribute ρ and the slope of what came on what was asked, and by how much the others move on average
    for one deviation asked. attributes: mean and deviation of each.
    """

    kind: str
    attributes: Mapping[str, tuple[float, float]]
    mover: Mover
    rho: Values
    slope: Values
    others: Values

    @property
    def merit(self) -> float:
        """See _merit; of rounded figures, as those of a card are."""
        return _merit(np.array(list(self.figures.values())))

    @property
    def figures(self) -> dict[str, list[float]]:
        """As the card has them: ρ, slope and others of each attribute."""
        rows = np.stack([self.rho, self.slope, self.others], axis=1).round(3).tolist()
        return dict(zip(self.attributes, rows, strict=True))


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was learnt for a model: both ways, and where the better one is: None where what was there stays."""

    ways: tuple[Way, ...]
    better: Way
    before: float | None
    path: Path | None


def learn_attributes(
    library: Library,
    name: str,
    data: Sequence[Path],
    *,
    seed: int = 0,
    max_windows: int = MAX_WINDOWS,
    replace: bool = False,
    command: str = "",
    on_progress: Callable[[str], None] = lambda _: None,
) -> Learnt:
    """Learn both ways, measure them on what is decoded, and keep the better one with the model.

    What it had before stays where that does better by the figures of its card, unless it is to be replaced.
    ModelError where the model hears no notes, DataError where the corpora hold too few windows.
    """
    resident = _able(library, name)
    on_progress("reading the data")
    tokens = cut_songs(resident.config, data).train
    tokens = tokens[np.linspace(0, len(tokens) - 1, min(len(tokens), max_windows)).astype(np.int64)]
    representation = find_representation(resident.config.representation)
    values = window_attributes(tokens, representation)
    attributes = spreads(values)
    scales = {of: scale_of(of, *pair) for of, pair in attributes.items()}
    on_progress(f"encoding {len(tokens)} windows")
    mu, sigma = _posteriors(resident, tokens)
    points = points_of(mu, sigma, in_deviations(values, scales))
    torch.set_num_threads(1)  # networks too small to share
    movers: dict[str, Mover] = {
        "vectors": learn_vectors(points, seed),
        "generator": learn_generator(points, resident.prior, seed, on_progress),
    }
    ways = []
    for kind, mover in movers.items():
        on_progress(f"measuring the {kind}")
        ways.append(_measured(kind, mover, resident, attributes, seed))
    better, before = max(ways, key=lambda way: way.merit), _merit_before(library, name)
    if before is not None and before > better.merit and not replace:
        return Learnt(tuple(ways), better, before, None)
    about = {
        "kind": better.kind,
        "data": "; ".join(map(credit_of, data)),
        "windows": len(tokens),
        "date": date.today().isoformat(),
        "command": command,
        "one_draw": better.figures,
    }
    better.mover.gain.copy_(torch.from_numpy(1 / np.clip(better.slope, 1 / MOST_GAIN, 1.0)))
    tensors = {key: each.to(torch.bfloat16).contiguous() for key, each in better.mover.state_dict().items()}
    return Learnt(tuple(ways), better, before, write_steering(library.paths[name], tensors, attributes, about))


def _merit_before(library: Library, name: str) -> float | None:
    """Of what a model has learnt before, see Way.merit; None where it has nothing, or nothing that is sound."""
    figures = library.card(name).steering.get("one_draw")
    try:
        if library.verify_steering(name) is None or not isinstance(figures, Mapping):
            return None
        return _merit(np.array(list(figures.values()), float))
    except (WeightsError, TypeError, ValueError, IndexError):
        return None


def _merit(figures: Values) -> float:
    """How much of what is asked comes while the rest stays: mean ρ less others of (attribute, ρ slope others)."""
    return float(figures[:, 0].mean() - figures[:, 2].mean())


def _able(library: Library, name: str) -> TokenResident:
    """The model, if it is one of tokens in steps that hears clips."""
    resident = load_resident(library, name, torch.device("cpu"), steered=False)
    if not isinstance(resident, TokenResident):
        raise ModelError(f"{name} is no model of tokens: what can be asked of it stands on its card")
    if not resident.steerable:
        raise ModelError(
            f"{name} {'hears several tracks' if resident.model.shape.encoder else 'has no encoder'}: "
            "attributes are learnt by models that hear melodies, drums or trios"
        )
    return resident


@torch.inference_mode()
def _posteriors(resident: TokenResident, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """mu and sigma of windows (window, step, part), without chords: (window, z) each.

    Where a checkpoint has come without sigma, all windows have one by which all of them together fill the prior.
    """
    mu, sigma = list[Tensor](), list[Tensor]()
    for part in torch.split(torch.from_numpy(tokens), AT_ONCE):
        posterior = resident.model.encode(part, _no_chords(resident, len(part), part.shape[1]))
        mu.append(posterior.mu)
        sigma.append(posterior.sigma)
    means, own = torch.cat(mu), torch.cat(sigma)
    assert resident.model.encoder is not None
    if not bool(resident.model.encoder.sigma.weight.any()):
        room = 1 - means.var(dim=0)
        own = room.clamp(min=LEAST_SIGMA**2).sqrt().expand_as(means)
    return means.clone(), own.clone()


def _no_chords(resident: TokenResident, rows: int, steps: int) -> Tensor | None:
    return torch.zeros(rows, steps, dtype=torch.long) if resident.model.shape.control else None


@torch.inference_mode()
def _measured(
    kind: str, mover: Mover, resident: TokenResident, attributes: Mapping[str, tuple[float, float]], seed: int
) -> Way:
    """What comes where one attribute at a time is asked, in one draw each."""
    scales = {of: scale_of(of, *pair) for of, pair in attributes.items()}
    count, steps = len(scales), resident.window_steps
    noise, rng = Noise(seed), np.random.default_rng(seed)
    rho, slope, others = np.zeros(count), np.zeros(count), np.zeros(count)
    for index in range(count):
        asked, mask = torch.zeros(DRAWN, count), torch.zeros(DRAWN, count)
        asked[:, index], mask[:, index] = torch.from_numpy(rng.uniform(-REACH, REACH, DRAWN)), 1
        z = mover(resident.prior.draw(noise, DRAWN), asked, mask)
        tokens = torch.cat(
            [
                resident.model.decode(
                    part, steps, control=_no_chords(resident, len(part), steps), temperature=1.0, noise=noise
                )
                for part in torch.split(z, AT_ONCE)
            ]
        )
        came = in_deviations(
            window_attributes(tokens.numpy(), find_representation(resident.config.representation)), scales
        )
        slopes = [_slope(asked[:, index].numpy(), each) for each in came.T]
        rho[index], slope[index] = _rank_correlation(asked[:, index].numpy(), came[:, index]), slopes[index]
        others[index] = np.abs(np.delete(slopes, index)).mean() if count > 1 else 0.0
    return Way(kind, attributes, mover, rho, slope, others)


def _slope(asked: Values, came: Values) -> float:
    known = ~np.isnan(came)
    return float(np.polyfit(asked[known], came[known], 1)[0]) if known.sum() > 1 else 0.0


def _rank_correlation(asked: Values, came: Values) -> float:
    """Spearman's ρ, 0 where nothing differs."""
    known = ~np.isnan(came)
    if known.sum() < 2 or np.ptp(came[known]) == 0:
        return 0.0
    ranks = [np.argsort(np.argsort(each[known], kind="stable"), kind="stable") for each in (asked, came)]
    table = np.cov(np.stack(ranks))
    return float(table[0, 1] / np.sqrt(table[0, 0] * table[1, 1]))
