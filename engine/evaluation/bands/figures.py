"""What comes back from z, what a part costs beside others, how parts go together and repeat, how new they are."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.evaluation.bands.stretches import Integers, Stretches, heard_of, score_of
from engine.evaluation.bootstrap import Bootstrap, Interval, Values, mean
from engine.evaluation.paths import POSITIONS, StepModel, along
from engine.evaluation.strangers import strangers
from engine.model.band.decoder import BAR, PartDecoder, tokens_of
from engine.model.noise import Noise
from engine.representation.band import BASS, DRUMS, LEAD, PITCHES
from engine.representation.melody import FIRST_NOTE_ON, LOWEST
from engine.representation.tokens import Tokens
from engine.verbs.latent import slerp
from engine.verbs.resident import BandResident

Figures = dict[str, Interval]

LAGS = (1, 2, 4, 8)
DISSONANT = (1, 6, 11)
"""Semitones between two parts, but for octaves: a semitone, a tritone, a major seventh."""

COPIED_BARS = 4


def decoder_of(resident: BandResident, part: int) -> PartDecoder:
    """What draws a part."""
    decoder = resident.model.decoders[part]
    assert isinstance(decoder, PartDecoder)
    return decoder


@torch.inference_mode()
def reconstruction_of(resident: BandResident, part: int, stretches: Stretches, *, draw: bool) -> Figures:
    """What comes back at temperature 1 from z and the bars' z, drawn or their mean, nothing else given; its rate.

    The rate is what z says beyond its prior: the phrase's beyond the learnt one, the bars' beyond N(0, I).
    """
    rows = []
    for k, some in enumerate(stretches.parts()):
        noise, model = Noise(k, device=resident.device), resident.model
        score = score_of(resident, some, ())
        posterior, of_bars = model.encoder(score, heard_of(some, (part,))), model.bar_encoders[part](score)
        z, cost = _drawn(posterior, noise)
        rate = cost + model.z_prior.nats(z, score)  # type: ignore[arg-type]
        rate = rate + of_bars.kl().sum(dim=(1, 2))
        bar_z = of_bars.sample(noise.normal(*of_bars.mu.shape)) if draw else of_bars.mu
        z = z if draw else posterior.mu
        told = replace(score, bar_z=bar_z, bar_z_given=torch.ones_like(score.bar_z_given))
        drawn = tokens_of(part, resident.draw_part(part, z, told, 1.0, noise))
        true = tokens_of(part, score.states[..., part])
        back, event = (drawn == true).float(), (true > 0).float()
        columns = (rate, back.sum(dim=1), (back * event).sum(dim=1), event.sum(dim=1))
        rows.append(torch.stack(columns, dim=1).cpu().numpy())
    rate_of, tokens, events, count = np.concatenate(rows).T
    bars, bootstrap = np.full(len(stretches), stretches.states.shape[1]), Bootstrap(stretches.piece)
    return {
        "steps that come back": bootstrap.of_sums(mean, tokens, bars * BAR),
        "events": bootstrap.of_sums(mean, events, count),
        "nats a bar in z": bootstrap.of_sums(mean, rate_of, bars),
    }


@torch.inference_mode()
def interpolation_of(
    resident: BandResident, part: int, pairs: tuple[Stretches, Stretches], steps: StepModel
) -> dict[str, Figures]:
    """Of a part at each position between pairs: the steps a bar that differ from the first, and what a step costs.

    Beside it the same where each step is one of the two stretches' own, the more of the second the nearer it is.
    """
    true = [part_tokens(each.states, part) for each in pairs]
    ours = [
        np.concatenate(
            [
                _between(resident, part, first, second, position)
                for first, second in zip(pairs[0].parts(), pairs[1].parts(), strict=True)
            ]
        )
        for position in POSITIONS
    ]
    from_second = np.random.default_rng(0).random(true[0].shape)
    mixed = [np.where(from_second < position, true[1], true[0]) for position in POSITIONS]
    return {
        f"{name}, {what}": row
        for name, path in (("ours", ours), ("the data mixed", mixed))
        for what, row in along(
            "steps a bar that differ from the first",
            [BAR * (tokens != true[0]).mean(axis=1) for tokens in path],
            path,
            steps,
            pairs[0].piece,
        ).items()
    }


def _between(resident: BandResident, part: int, first: Stretches, second: Stretches, position: float) -> Tokens:
    """The tokens of a part between two, all of the same noise: (stretch, step)."""
    model, score, other = resident.model, score_of(resident, first, ()), score_of(resident, second, ())
    z = slerp(
        model.encoder(score, heard_of(first, (part,))).mu,
        model.encoder(other, heard_of(second, (part,))).mu,
        position,
    )
    bar_z = slerp(model.bar_encoders[part](score).mu, model.bar_encoders[part](other).mu, position)
    told = replace(score, bar_z=bar_z, bar_z_given=torch.ones_like(score.bar_z_given))
    drawn = resident.draw_part(part, z, told, 1.0, Noise(0, shared=True, device=resident.device))
    return tokens_of(part, drawn).cpu().numpy().astype(np.int64)


def part_tokens(states: Tokens, part: int) -> Tokens:
    """The tokens of a part of (stretch, bar, 16, 3): (stretch, step)."""
    own = states[..., part].reshape(len(states), -1)
    return tokens_of(part, torch.from_numpy(own)).numpy()


@torch.inference_mode()
def bounds_of(resident: BandResident, part: int, stretches: Stretches, given: Sequence[int], draws: int) -> Values:
    """The importance-weighted bound of the nats of a part beside given ones: (stretch,).

    z is proposed by the part alone, so that what is given beside it counts only where it should.
    """
    found = []
    for k, some in enumerate(stretches.parts()):
        noise, model, score = Noise(k, device=resident.device), resident.model, score_of(resident, some, given)
        posterior, logs = model.encoder(score, heard_of(some, (part,))), []
        for _ in range(draws):
            z, cost = _drawn(posterior, noise)
            nats = decoder_of(resident, part).nats(z, score).sum(dim=1)
            logs.append(-nats - model.z_prior.nats(z, score) - cost)  # type: ignore[arg-type]
        found.append(-(torch.logsumexp(torch.stack(logs), dim=0) - math.log(draws)).cpu().numpy())
    return np.concatenate(found).astype(np.float64)


def _drawn(posterior: object, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
    """A z (row, z), and the logarithm of how likely the posterior makes it: (row,)."""
    mu, sigma = posterior.mu, posterior.sigma  # type: ignore[attr-defined]
    normal = noise.normal(*mu.shape)
    log = -0.5 * (normal**2).sum(dim=1) - torch.log(sigma).sum(dim=1) - 0.5 * mu.shape[1] * math.log(2 * math.pi)
    return mu + sigma * normal, log


def accompaniment_of(
    resident: BandResident, part: int, stretches: Stretches, given: Sequence[int], draws: int
) -> Figures:
    """What a part costs beside nothing, beside others, and beside those of another piece in the same key."""
    bootstrap, bars = Bootstrap(stretches.piece), np.full(len(stretches), stretches.states.shape[1])
    alone, own = (bounds_of(resident, part, stretches, each, draws) for each in ((), given))
    found = {
        "nats a bar, nothing given": bootstrap.of_sums(mean, alone, bars),
        "its own others": bootstrap.of_sums(mean, own, bars),
    }
    rows, others = strangers(stretches)
    if len(rows):
        asked = stretches[rows]
        states = stretches.states[others].copy()
        states[..., part] = asked.states[..., part]
        plays = stretches.plays[others].copy()
        plays[:, part] = asked.plays[:, part]
        other = bounds_of(resident, part, replace(asked, states=states, plays=plays), given, draws)
        beaten, count = Bootstrap(asked.piece), np.ones(len(rows))
        found["another piece's"] = beaten.of_sums(mean, other, bars[rows])
        found["its own beat another's"] = beaten.of_sums(mean, (own[rows] < other).astype(np.float64), count)
    return found


def music_of(states: Tokens, piece: Integers) -> Figures:
    """How parts (stretch, bar, 16, 3) go together and repeat."""
    bootstrap, found = Bootstrap(piece), Figures()
    lead, bass = (_pitch(states[..., part]) for part in (LEAD, BASS))
    beats = (lead[:, :, ::4] >= 0) & (bass[:, :, ::4] >= 0)
    clash: NDArray[np.bool_] = beats & np.isin((lead - bass)[:, :, ::4] % 12, DISSONANT)
    found["bass and lead clash on beats"] = _mean(bootstrap, clash, np.asarray(beats, bool))
    for part, name in ((LEAD, "lead"), (BASS, "bass"), (DRUMS, "drums")):
        own = states[..., part]
        begins = own > 0 if part == DRUMS else (own >= FIRST_NOTE_ON) & (own < FIRST_NOTE_ON + PITCHES)
        found[f"{name}: steps a bar at which it plays"] = _mean(bootstrap, begins, np.ones(own.shape[:2]))
        for lag in LAGS:
            heard = begins[:, lag:].any(axis=2)
            again = (own[:, lag:] == own[:, :-lag]).all(axis=2) & heard
            found[f"{name}: bars as the one {lag} before"] = _mean(bootstrap, np.asarray(again), np.asarray(heard))
    return found


def nearest_of(states: Tokens, train: Tokens, part: int) -> Values:
    """In what share of the events 4 bars of a part differ from the nearest 4 of train's: (stretch,)."""
    ours, theirs = (_events(each[:, :COPIED_BARS, :, part]) for each in (states, train))
    ours = ours[ours.any(axis=1)]
    found = [(row != theirs).sum(axis=1).min() / max(1, np.count_nonzero(row)) for row in ours]
    return np.array(found, np.float64)


def _events(states: Tokens) -> NDArray[np.int64]:
    """What begins at each step, 0 where nothing does: (stretch, step)."""
    flat = states.reshape(len(states), -1)
    return np.where(flat < FIRST_NOTE_ON + PITCHES, flat, 0) if flat.size else flat


def _pitch(states: Tokens) -> NDArray[np.int64]:
    """What sounds at each step of a voice, -1 where nothing does."""
    return np.where(states >= FIRST_NOTE_ON, LOWEST + (states - FIRST_NOTE_ON) % PITCHES, -1)


def _mean(bootstrap: Bootstrap, values: NDArray[Any], counted: NDArray[Any]) -> Interval:
    rows = len(values)
    return bootstrap.of_sums(mean, values.reshape(rows, -1).sum(axis=1), counted.reshape(rows, -1).sum(axis=1))
