"""Judges of whole patterns, 8 bars of hits: they see each hit, if it was there bars before, and how bars are alike.

As engine/evaluation/judge.py, whose judges do not see repetition. Each learns from its own halves of the train
pieces, played ones against those from the other half, until it gets no better at pieces that it does not learn
from, and is asked of a split that it never saw.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import DataError
from engine.evaluation.bootstrap import Bootstrap, Interval, Values
from engine.evaluation.judge import auc
from engine.evaluation.phrases.samples import Hits, Integers, Phrases
from engine.representation.drum_map import CLASSES
from engine.representation.measures import LAGS, hits_and_changes, likeness

SIZE, BEAT = 64, 4
BATCH, RATE, DECAY = 64, 2e-3, 1e-3
PATIENCE, EPOCHS = 4, 25
"""A judge stops after so many passes over what it learns from without a better AUC; or after so many in all."""

CHOOSING = 0.2
"""The share of train's pieces by which a judge is stopped."""


class PhraseJudge(nn.Module):
    """Hits -> the logit that they were played: convolutions over beats, a GRU over them, and beside it the bars."""

    def __init__(self, of_bars: int) -> None:
        super().__init__()
        seen = CLASSES + len(LAGS) * (CLASSES + 2)
        self.beats = nn.Conv1d(seen, SIZE, 2 * BEAT, stride=BEAT, padding=BEAT // 2)
        self.more = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        self.gru = nn.GRU(SIZE, SIZE // 2, batch_first=True, bidirectional=True)
        self.bars = nn.Sequential(nn.Linear(of_bars, SIZE), nn.ReLU(), nn.Dropout(0.3), nn.Linear(SIZE, SIZE))
        self.drop, self.verdict = nn.Dropout(0.3), nn.Linear(3 * SIZE, 1)

    def forward(self, compared: Tensor, bars: Tensor) -> Tensor:
        """compared(hits), (batch, step, n), and bars_compared(hits), (batch, n) -> (batch,)."""
        beats = F.relu(self.beats(self.drop(compared.transpose(1, 2))))
        states, _ = self.gru(self.drop(F.relu(self.more(beats))).transpose(1, 2))
        pooled = torch.cat([states.mean(dim=1), states.amax(dim=1), F.relu(self.bars(bars))], dim=1)
        return self.verdict(self.drop(pooled))[:, 0]  # type: ignore[no-any-return]


def compared(hits: Hits) -> Tensor:
    """What judges see of each step of hits (phrase, bar, 16, 9): (phrase, step, 42)."""
    return torch.from_numpy(hits_and_changes(hits))


def bars_compared(hits: Hits) -> Tensor:
    """How alike each two bars of hits (phrase, bar, 16, 9) are, whether they are equal, and how full: (phrase, n).

    Alike as a whole, in the kick and in the snare; full of each drum.
    """
    first, second = np.triu_indices(hits.shape[1], 1)
    whole, kick, snare = likeness(hits[:, first], hits[:, second])
    full = hits.mean(axis=2).reshape(len(hits), -1)
    return torch.from_numpy(np.concatenate([whole, whole == 1, kick, snare, full], axis=1).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Side:
    """Phrases that are the same kind for a judge, played or not. piece (phrase,)."""

    hits: Hits
    piece: Integers


def judged(train: Phrases, ask: Phrases, others: Sequence[Hits], *, judges: int, epochs: int = EPOCHS) -> Interval:
    """The mean AUC of judges who learn to tell train's phrases from what stands against them; .5: they cannot.

    others: against train's and against the others, phrase by phrase. Of a piece of which a judge learns something
    played it learns nothing that is not.
    """
    against, asked = Side(others[0], train.piece), Side(others[1], ask.piece)
    verdicts = []
    for seed in range(judges):
        played, made, choosing = parted(train.piece, (1 - CHOOSING) / 2, (1 - CHOOSING) / 2, seed=seed)
        judge = trained(
            (_some(Side(train.hits, train.piece), played), _some(against, made)),
            (_some(Side(train.hits, train.piece), choosing), _some(against, choosing)),
            seed,
            epochs,
        )
        verdicts.append((logits(judge, ask.hits), logits(judge, asked.hits)))
    return _mean_auc(verdicts, [(Side(ask.hits, ask.piece), asked)] * judges)


def floor(train: Phrases, ask: Phrases, *, judges: int, epochs: int = EPOCHS) -> Interval:
    """The mean AUC of judges who learn to tell some of train's pieces from some of another split's, of the rest."""
    verdicts, sides = [], []
    apart = ask.piece + train.piece.max() + 1
    for seed in range(judges):
        parts = [
            [_some(Side(phrases.hits, piece), rows) for rows in parted(piece, 0.4, 0.4, seed=seed)]
            for phrases, piece in ((train, train.piece), (ask, apart))
        ]
        lessons, exams, choosing = zip(*parts, strict=True)
        judge = trained(lessons, choosing, seed, epochs)
        verdicts.append((logits(judge, exams[0].hits), logits(judge, exams[1].hits)))
        sides.append(exams)
    return _mean_auc(verdicts, sides)


def shuffled(phrases: Phrases, seed: int) -> Hits:
    """The bars of each piece in another order: the ceiling, who cannot tell these is no judge."""
    rng, hits = np.random.default_rng(seed), np.empty_like(phrases.hits)
    number = phrases.first[:, None] + np.arange(hits.shape[1])
    for piece in np.unique(phrases.piece):
        own = np.flatnonzero(phrases.piece == piece)
        _, first, place = np.unique(number[own], return_index=True, return_inverse=True)
        bars = phrases.hits[own].reshape(-1, *hits.shape[2:])[first]
        hits[own] = rng.permutation(bars)[place.reshape(number[own].shape)]
    return hits


def parted(piece: Integers, *shares: float, seed: int) -> list[Integers]:
    """The rows of pieces drawn at random, with these shares of the pieces, and those of the rest; none is empty.

    DataError where there are fewer pieces than parts.
    """
    pieces = np.random.default_rng(seed).permutation(np.unique(piece))
    count, place = len(shares), np.arange(len(shares))
    if len(pieces) <= count:
        raise DataError(f"judges need {count + 1} pieces or more of each split, not {len(pieces)}; or --judges 0")
    ends = np.clip(np.round(np.cumsum(shares) * len(pieces)).astype(int), place + 1, len(pieces) - count + place)
    return [np.flatnonzero(np.isin(piece, part)).astype(np.int64) for part in np.split(pieces, ends)]


def trained(lessons: Iterable[Side], choosing: Iterable[Side], seed: int, epochs: int) -> PhraseJudge:
    """A judge as it was when it told what it is stopped by best; sides are played, then the others."""
    (hits, truth), (real, made) = _together(lessons), [side.hits for side in choosing]
    seen, bars = compared(hits), bars_compared(hits)
    torch.manual_seed(seed)
    judge = PhraseJudge(bars.shape[1])
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=DECAY)
    best, state, since = -1.0, judge.state_dict(), 0
    for _ in range(epochs):
        judge.train()
        for rows in torch.split(torch.randperm(len(truth)), BATCH):
            loss = F.binary_cross_entropy_with_logits(judge(seen[rows], bars[rows]), truth[rows])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
            optimizer.step()
        score = auc(logits(judge, real), logits(judge, made))
        since += 1
        if score > best:
            best, state, since = score, copy.deepcopy(judge.state_dict()), 0
        if since >= PATIENCE:
            break
    judge.load_state_dict(state)
    return judge


@torch.no_grad()
def logits(judge: PhraseJudge, hits: Hits) -> Values:
    """The logit of each phrase: (phrase,)."""
    judge.eval()
    seen = zip(torch.split(compared(hits), 512), torch.split(bars_compared(hits), 512), strict=True)
    return torch.cat([judge(*part) for part in seen]).double().numpy()


def _together(sides: Iterable[Side]) -> tuple[Hits, Tensor]:
    """The hits of two sides with as many phrases each, and the truth; the smaller side is there again."""
    real, made = sides
    count = max(len(real.hits), len(made.hits))
    hits = [side.hits[np.arange(count) % len(side.hits)] for side in (real, made)]
    return np.concatenate(hits), torch.cat([torch.ones(count), torch.zeros(count)])


def _some(side: Side, rows: NDArray[np.int64]) -> Side:
    return Side(side.hits[rows], side.piece[rows])


def _mean_auc(verdicts: list[tuple[Values, Values]], sides: list[tuple[Side, Side]]) -> Interval:
    """With an interval over the pieces of both sides."""
    pieces = np.concatenate([side.piece for pair in sides for side in pair])
    ends = np.cumsum([len(side.piece) for pair in sides for side in pair])[:-1]

    def figure(weights: Values) -> float:
        of_sides = np.split(weights, ends)
        pairs = zip(verdicts, of_sides[::2], of_sides[1::2], strict=True)
        with np.errstate(invalid="ignore"):  # a resample without a piece of one side is no figure
            return float(np.mean([auc(*verdict, weight, others) for verdict, weight, others in pairs]))

    return Bootstrap(pieces).of_weights(figure)
