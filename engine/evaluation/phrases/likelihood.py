"""What bars cost under a model of phrases, in nats, alone and beside others; and under a model that copies bars.

z is never known, so what is told is an upper bound: of one draw of z the negative ELBO, of many the
importance-weighted one, which is nearer. Source: Burda et al. 2016, Importance Weighted Autoencoders, arXiv
1509.00519.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.drum_songs import DrumSong
from engine.evaluation.bootstrap import Bootstrap, Interval, Values, mean
from engine.evaluation.phrases.samples import Hits, Integers, Phrases, condition_of, with_given
from engine.evaluation.strangers import strangers
from engine.model.noise import Noise
from engine.representation.drum_map import CLASSES
from engine.verbs.resident import PhraseResident

LAGS = (1, 2, 4, 8)
ITERATIONS = 30

NEXT, GAP = 4, 2
"""Bars that are to be continued with, and bars that are to be filled in."""


@dataclass(frozen=True, slots=True)
class PhraseLikelihood:
    """Nats a bar. whole: of whole phrases, elbo and bound; then of the bars that follow and of those in a gap.

    own_beats_other: the share of gaps that cost less among their own bars than among those of another piece of the
    same style and tempo, None where there is none.
    """

    elbo: Interval
    bound: Interval
    following: Interval
    following_alone: Interval
    following_copied: Interval
    gap: Interval
    gap_alone: Interval
    gap_elsewhere: Interval | None
    own_beats_other: Interval | None


def likelihood_of(
    resident: PhraseResident, phrases: Phrases, copies: "CopyModel", *, draws: int, few_draws: int
) -> PhraseLikelihood:
    """Of phrases of 16 bars; draws of z for whole ones, few_draws of each of the others."""
    bars, bootstrap = phrases.hits.shape[1], Bootstrap(phrases.piece)

    def a_bar(nats: Values, count: int, rows: Integers | slice = slice(None)) -> Interval:
        own = bootstrap if isinstance(rows, slice) else Bootstrap(phrases.piece[rows])
        return own.of_sums(mean, nats[rows], np.full(len(nats[rows]), count))

    nothing, place = np.zeros(bars, np.bool_), np.arange(bars)
    elbo, bound = bounds_of(resident, phrases, nothing, draws)
    lead = max(LAGS) - NEXT
    told = bounds_of(resident, phrases, place < bars - NEXT, few_draws, first=bars - NEXT - lead)[1]
    alone = bounds_of(resident, phrases.bars(bars - NEXT, NEXT), nothing[:NEXT], few_draws)[1]
    copied = copies.nats(phrases.hits)[:, -NEXT:].sum(axis=1)
    first = (bars - GAP) // 2
    given = (place < first) | (place >= first + GAP)
    own = bounds_of(resident, phrases, given, few_draws)[1]
    gap_alone = bounds_of(resident, phrases.bars(first, GAP), nothing[:GAP], few_draws)[1]
    rows, others = strangers(phrases)
    elsewhere, beats = None, None
    if len(rows):
        hits = np.where(given[:, None, None], phrases.hits[others], phrases.hits[rows])
        other = bounds_of(resident, replace(phrases[rows], hits=hits), given, few_draws)[1]
        beaten, count = Bootstrap(phrases.piece[rows]), np.ones(len(rows))
        elsewhere = beaten.of_sums(mean, other, GAP * count)
        beats = beaten.of_sums(mean, (own[rows] < other).astype(np.float64), count)
    return PhraseLikelihood(
        a_bar(elbo, bars),
        a_bar(bound, bars),
        a_bar(told, NEXT),
        a_bar(alone, NEXT),
        a_bar(copied, NEXT),
        a_bar(own, GAP),
        a_bar(gap_alone, GAP),
        elsewhere,
        beats,
    )


@torch.inference_mode()
def bounds_of(
    resident: PhraseResident, phrases: Phrases, given: NDArray[np.bool_], draws: int, first: int = 0
) -> tuple[Values, Values]:
    """The nats of the bars that are not given (bar,), by draws of z: the negative ELBO and the bound of all draws.

    first: the bar with which the window begins that shares z; those before it are its past. Each (phrase,).
    """
    model, found = resident.model, []
    for k, part in enumerate(phrases.parts()):
        noise = Noise(k, device=resident.device)
        condition = with_given(condition_of(resident, part), given).some_bars(first, len(given) - first)
        posterior = model.encoder(condition)
        rows = []
        for _ in range(draws):
            normal = noise.normal(*posterior.mu.shape)
            z = posterior.sample(normal)
            log_q = -(0.5 * normal**2 + torch.log(posterior.sigma) + 0.5 * math.log(2 * math.pi)).sum(dim=1)
            rows.append(model.decoder.nats(z, condition).sum(dim=1) + model.z_prior.nats(z, condition) + log_q)
        nats = torch.stack(rows).double()
        bound = math.log(draws) - torch.logsumexp(-nats, dim=0)
        found.append(torch.stack([nats.mean(dim=0), bound]).cpu().numpy())
    elbo, bound = np.concatenate(found, axis=1)
    return elbo, bound


class CopyModel:
    """A bar is that 1, 2, 4 or 8 bars before with some hits flipped, or one of independent hits; fitted by EM.

    How often a hit stays and how often one is added is fitted for each lag and drum.
    """

    def __init__(self, songs: Iterable[DrumSong]):
        hits = [song.hits for song in songs]
        everything = np.concatenate(hits)
        self._chance = (everything.sum(axis=0) + 0.5) / (len(everything) + 1)
        pairs = np.concatenate([_pairs(each) for each in hits])
        fresh = self._fresh(np.concatenate([each[max(LAGS) :] for each in hits]))
        self._rates = np.full((len(LAGS), 2, 2, CLASSES), 0.5)
        self._weights = np.full(len(LAGS) + 1, 1 / (len(LAGS) + 1))
        for same in range(2):
            self._rates[:, same, same] = 0.9
            self._rates[:, same, 1 - same] = 0.1
        for _ in range(ITERATIONS):
            parts = self._log_parts(pairs, fresh)
            share = np.exp(parts - np.logaddexp.reduce(parts, axis=1, keepdims=True))
            self._weights = (share.sum(axis=0) + 1) / (len(share) + parts.shape[1])
            counted = np.einsum("nk,nkchd->kchd", share[:, :-1], pairs) + 0.5
            self._rates = counted / counted.sum(axis=2, keepdims=True)

    def nats(self, hits: Hits) -> Values:
        """Phrases of 9 bars or more -> the nats of each bar from the ninth on: (phrase, bar - 8)."""
        parts = (self._log_parts(_pairs(each), self._fresh(each[max(LAGS) :])) for each in hits)
        nats: Values = np.stack([-np.logaddexp.reduce(each, axis=1) for each in parts])
        return nats

    def _log_parts(self, pairs: Values, fresh: Values) -> Values:
        """log p(bar, which part it is of): (bar, lag + 1)."""
        copied = np.einsum("nkchd,kchd->nk", pairs, np.log(self._rates))
        parts: Values = np.concatenate([copied, fresh[:, None]], axis=1) + np.log(self._weights)
        return parts

    def _fresh(self, bars: NDArray[np.bool_]) -> Values:
        """log p of bars whose hits are independent: (bar,)."""
        chance = np.where(bars, np.log(self._chance), np.log1p(-self._chance))
        return np.asarray(chance.sum(axis=(1, 2)))


def _pairs(hits: NDArray[np.bool_]) -> Values:
    """How often a drum is (not) hit where it was (not) in the bar copied: (bar from the ninth on, lag, 2, 2, 9)."""
    furthest = max(LAGS)
    now = hits[furthest:]

    def counts(lag: int) -> Iterator[Values]:
        before = hits[furthest - lag : len(hits) - lag] if len(now) else now
        for old in (~before, before):
            for new in (~now, now):
                yield (old & new).sum(axis=1).astype(np.float64)

    table = np.stack([np.stack(list(counts(lag)), axis=1) for lag in LAGS], axis=1)
    return table.reshape(len(now), len(LAGS), 2, 2, CLASSES)
