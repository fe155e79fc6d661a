"""A classifier two-sample test: a judge is trained to tell played windows from generated ones; AUC .5: it cannot.

Marginals can be right where the joint is wrong; a listener hears that, a histogram does not. A judge is a
bidirectional GRU over hits, velocities, offsets and tempo. It learns from played train windows against windows
generated on the hits of other train windows, and is evaluated on a split that it was not trained on.
Source of the idea: Lopez-Paz and Oquab 2017, arXiv 1610.06545.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data.windows import Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, Values
from engine.representation.groove import DEPTH, Array

SIZE = 64
"""Units in each direction."""

SAMPLES = 4000
"""Windows of each kind to learn from, or half of those there are."""

EPOCHS, BATCH, RATE = 12, 64, 2e-3

EARLY_STOP_AUC = 0.99
"""Training stops early once the validation AUC is above this."""

Play = Callable[[Windows, int], Array]
"""(windows, seed) -> other grooves on the windows, [window, step, 27]."""


class Judge(nn.Module):
    """Groove and tempo -> the logit that it was played."""

    def __init__(self, size: int):
        super().__init__()
        self.gru = nn.GRU(DEPTH + 1, size, batch_first=True, bidirectional=True)
        self.verdict = nn.Linear(4 * size, 1)

    def forward(self, groove: Tensor, tempo_bpm: Tensor) -> Tensor:
        """(batch, step, 27), (batch,) -> (batch,)."""
        tempo = torch.log2(tempo_bpm / 120)[:, None, None].expand(-1, groove.shape[1], 1)
        states, last = self.gru(torch.cat([groove, tempo], dim=-1))
        pooled = torch.cat([states.mean(dim=1), last[0], last[1]], dim=-1)
        return self.verdict(pooled)[:, 0]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Samples:
    """Played and generated windows in one batch: grooves (window, step, 27), tempo_bpm and played (window,)."""

    groove: Tensor
    tempo_bpm: Tensor
    played: Tensor

    def __len__(self) -> int:
        return len(self.played)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The logits of judges on the windows of a split, of_played and of_generated, each [judge, window].

    performance [window]: for the bootstrap interval.
    """

    of_played: Values
    of_generated: Values
    performance: NDArray[np.int64]

    def auc(self) -> Interval:
        """The mean AUC over the judges."""
        return Bootstrap(self.performance).of_weights(
            lambda weight: float(
                np.mean([auc(*pair, weight) for pair in zip(self.of_played, self.of_generated, strict=True)])
            )
        )


def judged(
    play: Play, train: Windows, choose: Windows, ask: Windows, *, judges: int = 5, size: int = SIZE
) -> Verdicts:
    """Train judges with the seeds 0, 1, … on `train`, the best epoch chosen on `choose`; their logits on `ask`.

    They are trained in parallel, each on one core.
    """
    played, other = _halves(train)
    training = _samples(train[played], train[other], play, seed=1)
    validation, test = (_samples(windows, windows, play, seed=seed) for seed, windows in ((2, choose), (3, ask)))

    def verdict(seed: int) -> Values:
        return _logits(_trained(training, validation, size, seed), test)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(judges, os.cpu_count() or 1)) as executor:
            logits = np.stack(list(executor.map(verdict, range(judges))))
    finally:
        torch.set_num_threads(threads)
    return Verdicts(logits[:, : len(ask)], logits[:, len(ask) :], ask.performance)


def auc(positive: Values, negative: Values, weight: Values | None = None, others: Values | None = None) -> float:
    """The share of pairs in which the positive score is higher; equals count half.

    weight [window] is of the positive, and of the negative where these have no others.
    """
    values, ranks = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    weight, others = (np.ones(len(positive)), np.ones(len(negative))) if weight is None else (weight, others)
    counts = weight, weight if others is None else others
    winners = np.bincount(ranks[: len(positive)], counts[0], len(values))
    beaten = np.bincount(ranks[len(positive) :], counts[1], len(values))
    below = np.cumsum(beaten) - beaten / 2
    return float((winners * below).sum() / (winners.sum() * beaten.sum()))


def _halves(windows: Windows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two sets of windows with none in common."""
    order = np.random.default_rng(0).permutation(len(windows))
    count = min(SAMPLES, len(windows) // 2)
    return order[:count], order[count : 2 * count]


def _samples(real: Windows, other: Windows, play: Play, seed: int) -> Samples:
    grooves = np.concatenate([real.grooves, play(other, seed)])
    tempos = np.concatenate([real.tempo_bpm, other.tempo_bpm])
    played = torch.cat([torch.ones(len(real)), torch.zeros(len(other))])
    return Samples(torch.from_numpy(grooves), torch.from_numpy(tempos), played)


def _trained(training: Samples, validation: Samples, size: int, seed: int) -> Judge:
    """A judge after the epoch with its best AUC on validation."""
    rng = torch.Generator().manual_seed(seed)
    judge = Judge(size)
    for weights in judge.parameters():
        nn.init.uniform_(weights, -(size**-0.5), size**-0.5, generator=rng)
    optimizer = torch.optim.Adam(judge.parameters(), RATE)
    best, state = -1.0, judge.state_dict()
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(training), generator=rng), BATCH):
            loss = F.binary_cross_entropy_with_logits(
                judge(training.groove[rows], training.tempo_bpm[rows]), training.played[rows]
            )
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
            optimizer.step()
        logits = _logits(judge, validation)
        score = auc(logits[validation.played.numpy() > 0], logits[validation.played.numpy() == 0])
        if score > best:
            best, state = score, {key: value.clone() for key, value in judge.state_dict().items()}
        if score > EARLY_STOP_AUC:
            break
    judge.load_state_dict(state)
    return judge


@torch.no_grad()
def _logits(judge: Judge, samples: Samples) -> Values:
    """The logit of each sample: [window]."""
    parts = [
        judge(groove, tempo_bpm)
        for groove, tempo_bpm in zip(
            torch.split(samples.groove, 512), torch.split(samples.tempo_bpm, 512), strict=True
        )
    ]
    return torch.cat(parts).double().numpy()
