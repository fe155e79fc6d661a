"""Critics: networks that tell drawn phrases of drums from played ones, while a decoder learns to deceive them.

A critic's logit after some bars estimates log p(played) / p(drawn) of them (arXiv 1406.2661);
what a bar adds to it is that bar's reward. They are of three designs, so that no blind spot of one is made use of,
see a phrase bar after bar, and are trained anew in each epoch. The judges of evaluation are others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.representation.drum_map import CLASSES
from engine.representation.measures import LAGS, hits_and_changes, likeness
from engine.representation.tokens import STEPS_PER_BAR

Hits = NDArray[np.bool_]
"""(phrase, bar, 16, 9)."""

SEEN = CLASSES + len(LAGS) * (CLASSES + 2)
SIZE, OF_BAR, BEAT = 64, 96, 4
BATCH, RATE, DECAY, CLIP_NORM = 64, 1e-3, 1e-2, 1.0
SURE = 0.95
"""What a critic is taught to say of a played phrase, and 1 - SURE of a drawn one: nobody can be sure."""

EXACT = torch.autocast("cpu", enabled=False)
"""Critics whose sums are rounded to bf16 tell nothing."""


class BarsCompared(nn.Module):
    """How alike each bar is with those before, and how full, as bars_so_far gives it -> (batch, bar, 64)."""

    def __init__(self, bars: int):
        super().__init__()
        inputs = 5 * (bars - 1) + 2 * CLASSES
        self.read = nn.Sequential(
            nn.Linear(inputs, SIZE), nn.ReLU(), nn.Dropout(0.3), nn.Linear(SIZE, SIZE), nn.ReLU()
        )

    def forward(self, bars: Tensor) -> Tensor:
        """(batch, bar, n) -> (batch, bar, 64)."""
        return self.read(bars)  # type: ignore[no-any-return]


class ByBeats(nn.Module):
    """Convolutions over the beats of a bar."""

    def __init__(self, bars: int):
        super().__init__()
        self.bars, self.drop = bars, nn.Dropout(0.3)
        self.beats = nn.Conv1d(SEEN, SIZE, 2 * BEAT, stride=BEAT, padding=BEAT // 2)
        self.bar = nn.Linear(STEPS_PER_BAR // BEAT * SIZE, OF_BAR)

    def forward(self, steps: Tensor) -> Tensor:
        """(batch, step, 42) -> (batch, bar, 96)."""
        apart = self.drop(steps).reshape(-1, STEPS_PER_BAR, SEEN)
        beats = F.relu(self.beats(apart.transpose(1, 2))).flatten(1)
        return F.relu(self.bar(beats)).view(-1, self.bars, OF_BAR)


class ByBars(nn.Module):
    """Bars read whole, and attention to those before."""

    def __init__(self, bars: int):
        super().__init__()
        self.bars = bars
        self.read = nn.Sequential(
            nn.Dropout(0.3),
            nn.Linear(STEPS_PER_BAR * CLASSES, 128),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(128, OF_BAR),
        )
        self.place = nn.Parameter(torch.zeros(bars, OF_BAR))
        self.attention = nn.MultiheadAttention(OF_BAR, 4, dropout=0.1, batch_first=True)
        self.register_buffer("later", torch.triu(torch.ones(bars, bars, dtype=torch.bool), 1), persistent=False)

    def forward(self, steps: Tensor) -> Tensor:
        """(batch, step, 42) -> (batch, bar, 96)."""
        read = self.read(steps[..., :CLASSES].reshape(len(steps), self.bars, -1)) + self.place
        heard, _ = self.attention(read, read, read, attn_mask=self.later, need_weights=False)
        return F.relu(read + heard)


class BySteps(nn.Module):
    """Step after step."""

    def __init__(self, bars: int):
        super().__init__()
        self.drop, self.gru = nn.Dropout(0.3), nn.GRU(SEEN, OF_BAR, batch_first=True)

    def forward(self, steps: Tensor) -> Tensor:
        """(batch, step, 42) -> (batch, bar, 96)."""
        states, _ = self.gru(self.drop(steps))
        return states[:, STEPS_PER_BAR - 1 :: STEPS_PER_BAR]  # type: ignore[no-any-return]


DESIGNS = (ByBeats, ByBars, BySteps)


class Critic(nn.Module):
    """What a design reads of the bars so far -> the logit that they were played."""

    def __init__(self, design: type[nn.Module], bars: int):
        super().__init__()
        self.read, self.compared = design(bars), BarsCompared(bars)
        self.gru = None if design is BySteps else nn.GRU(OF_BAR + SIZE, OF_BAR, batch_first=True)
        self.drop, self.verdict = nn.Dropout(0.3), nn.Linear(OF_BAR + SIZE, 1)

    def forward(self, steps: Tensor, bars: Tensor) -> Tensor:
        """As seen gives them -> the logit after each bar: (batch, bar)."""
        read, compared = self.read(steps), self.compared(bars)
        if self.gru is not None:
            read, _ = self.gru(self.drop(torch.cat([read, compared], dim=-1)))
        return self.verdict(self.drop(torch.cat([read, compared], dim=-1)))[..., 0]  # type: ignore[no-any-return]


def bars_so_far(hits: Hits) -> NDArray[np.float32]:
    """How alike each bar is with each before, whole, exactly, in kick and snare, and how full: (phrase, bar, n)."""
    phrases, bars = hits.shape[:2]
    alike = np.zeros((phrases, bars, bars - 1, 5))
    for lag in range(1, bars):
        whole, kick, snare = likeness(hits[:, lag:], hits[:, :-lag])
        alike[:, lag:, lag - 1] = np.stack([np.ones_like(whole), whole, whole == 1, kick, snare], axis=-1)
    full = 3 * hits.mean(axis=2)
    so_far = np.cumsum(full, axis=1) / np.arange(1, bars + 1)[:, None]
    return np.concatenate([alike.reshape(phrases, bars, -1), full, so_far], axis=2).astype(np.float32)


Seen = tuple[Tensor, Tensor]


def seen(hits: Hits) -> Seen:
    """What critics see of phrases: of steps (phrase, step, 42) and of bars (phrase, bar, n)."""
    return torch.from_numpy(hits_and_changes(hits)), torch.from_numpy(bars_so_far(hits))


@dataclass(frozen=True, slots=True)
class Member:
    """One critic, and the rows of the played phrases that it learns from and that it is asked of."""

    critic: Critic
    optimizer: torch.optim.Optimizer
    learns: Tensor
    asked: Tensor


@dataclass(slots=True)
class Critics:
    """One critic of each design, on the CPU. hits: played phrases of equally many bars; piece (phrase,): of which.

    A sixth of the pieces, another for each critic, is left out of what it learns from; of fewer pieces than six, a
    sixth of the phrases.
    """

    hits: Hits
    piece: NDArray[np.int64]
    rng: np.random.Generator
    members: list[Member] = field(default_factory=list)
    played: Seen = field(init=False)

    def __post_init__(self) -> None:
        self.played = seen(self.hits)
        parts = 2 * len(DESIGNS)
        group = self.piece if len(np.unique(self.piece)) >= parts else np.arange(len(self.piece))
        groups = self.rng.permutation(np.unique(group))
        for index, design in enumerate(DESIGNS):
            out = np.isin(group, groups[index::parts])
            critic = Critic(design, self.hits.shape[1])
            optimizer = torch.optim.AdamW(critic.parameters(), RATE, weight_decay=DECAY)
            rows = (torch.from_numpy(np.flatnonzero(mask if mask.any() else ~mask)) for mask in (~out, out))
            self.members.append(Member(critic, optimizer, *rows))

    @torch.enable_grad()
    def learn(self, drawn: Seen, steps: int) -> None:
        """Learn to tell drawn phrases from played ones, so many batches."""
        truth = torch.cat([torch.full((BATCH, 1), SURE), torch.full((BATCH, 1), 1 - SURE)])
        for member in self.members:
            member.critic.train()
            for _ in range(steps):
                rows = torch.from_numpy(self.rng.choice(member.learns.numpy(), BATCH))
                others = torch.from_numpy(self.rng.integers(len(drawn[0]), size=BATCH))
                both = [
                    torch.cat([real[rows], made[others]]) for real, made in zip(self.played, drawn, strict=True)
                ]
                with EXACT:
                    logits = member.critic(*both)
                loss = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits))
                member.optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(member.critic.parameters(), CLIP_NORM)
                member.optimizer.step()

    @torch.no_grad()
    def logits(self, drawn: Seen) -> Tensor:
        """The mean logit that the bars so far were played: (phrase, bar)."""
        return torch.stack([self._asked(member, drawn) for member in self.members]).mean(dim=0)

    @torch.no_grad()
    def told(self, drawn: Seen) -> float:
        """In what share of pairs they tell a played phrase that they never saw from a drawn one."""
        shares = []
        for member in self.members:
            real, made = (
                self._asked(member, each)[:, -1]
                for each in ((self.played[0][member.asked], self.played[1][member.asked]), drawn)
            )
            shares.append(float((real[:, None] > made).float().mean()))
        return float(np.mean(shares))

    def _asked(self, member: Member, phrases: Seen) -> Tensor:
        member.critic.eval()
        with EXACT:
            return member.critic(*phrases)  # type: ignore[no-any-return]


def joined(parts: Sequence[Seen]) -> Seen:
    """Several as one."""
    steps, bars = zip(*parts, strict=True)
    return torch.cat(steps), torch.cat(bars)
