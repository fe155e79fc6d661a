"""What is heard → a posterior over the latent z: at once, by levels, or pattern and feel each in its own way."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from engine.representation.drum_map import CLASSES
from engine.representation.groove import DEPTH, HITS

POSITIONS = 16
"""Places in a bar: sixteenths in 4/4."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """A diagonal normal distribution: mu and sigma (a standard deviation), each (batch, z)."""

    mu: Tensor
    sigma: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """A draw, from standard normal noise (batch, z)."""
        return self.mu + self.sigma * noise

    def kl(self) -> Tensor:
        """The divergence of each dimension from the standard normal in nats: (batch, z)."""
        return 0.5 * (self.mu**2 + self.sigma**2 - 1) - torch.log(self.sigma)


class BidirectionalEncoder(nn.Module):
    """Stacked bidirectional LSTM; the last h of both directions of the top layer give mu and sigma.

    sigma = softplus(dense). MusicVAE, arXiv 1803.05428, section 3.1. dropout: the share of what is heard that is
    left out in training.
    """

    def __init__(self, depth: int, hidden: int, z: int, *, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(depth, hidden, layers, batch_first=True, bidirectional=True)
        self.mu = nn.Linear(2 * hidden, z)
        self.sigma = nn.Linear(2 * hidden, z)

    def forward(self, heard: Tensor) -> Posterior:
        """(batch, step, depth) -> posterior over z: (batch, z)."""
        _, (h, _) = self.lstm(self.dropout(heard))
        last = torch.cat([h[-2], h[-1]], dim=-1)
        return Posterior(self.mu(last), F.softplus(self.sigma(last)) + 1e-6)


class HierarchicalEncoder(nn.Module):
    """A bidirectional LSTM a level: each reads what the one below has made of its stretches, the last makes z.

    steps are the lengths of the stretches, from the bottom. MusicVAE's released configurations, hier-*.
    """

    def __init__(self, depth: int, hidden: tuple[int, ...], steps: tuple[int, ...], z: int):
        super().__init__()
        self.steps = steps
        below = (depth, *(2 * size for size in hidden[:-1]))
        self.levels = nn.ModuleList(
            [
                nn.LSTM(reads, size, batch_first=True, bidirectional=True)
                for reads, size in zip(below, hidden, strict=True)
            ]
        )
        self.mu = nn.Linear(2 * hidden[-1], z)
        self.sigma = nn.Linear(2 * hidden[-1], z)

    def forward(self, heard: Tensor, lengths: Tensor | None = None) -> Posterior:
        """(batch, step, depth) -> posterior over z: (batch, z).

        lengths (batch, stretch) says how much of each stretch of the bottom level is there.
        """
        for level, steps in zip(self.levels, self.steps, strict=True):
            stretches = torch.unflatten(heard, 1, (-1, steps))
            heard = torch.unflatten(_last(level, stretches.flatten(0, 1), lengths), 0, stretches.shape[:2])
            lengths = None
        return Posterior(self.mu(heard[:, 0]), F.softplus(self.sigma(heard[:, 0])) + 1e-6)


def _last(lstm: nn.Module, heard: Tensor, lengths: Tensor | None) -> Tensor:
    """The last h of both directions: (batch, step, depth) -> (batch, 2·hidden); zero where nothing is there."""
    if lengths is None:
        _, (h, _) = lstm(heard)
        return torch.cat([h[0], h[1]], dim=-1)
    there = lengths.flatten()
    packed = pack_padded_sequence(heard, there.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    _, (h, _) = lstm(packed)
    return torch.cat([h[0], h[1]], dim=-1) * (there > 0)[:, None]


class DrummerEncoder(nn.Module):
    """The pattern is read in the order of time; the feel from the bars laid on one another, a groove template.

    How many bars there are does not matter to the feel, nor which comes first: what a drummer's hand does at a
    place of the bar is what stays. Template = how often each drum is hit at each place, how loud and how early.
    """

    def __init__(self, hidden: int, pattern: int, feel: int):
        super().__init__()
        self.pattern = BidirectionalEncoder(DEPTH, hidden, pattern)
        self.feel = nn.Sequential(
            nn.Linear((POSITIONS + 1) * DEPTH, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.mu, self.sigma = nn.Linear(hidden, feel), nn.Linear(hidden, feel)

    def forward(self, heard: Tensor, position: Tensor, *, hits_told: bool) -> Posterior:
        """heard (batch, step, 27), position (step,) in the bar -> posterior over z: (batch, pattern + feel).

        Where the hits are told no one asks for their pattern: it is not read, and says nothing.
        """
        read = self.feel(_template(heard, position))
        mu, sigma = self.mu(read), F.softplus(self.sigma(read)) + 1e-6
        if hits_told:
            nothing = mu.new_zeros(len(mu), self.pattern.mu.out_features)
            pattern = Posterior(nothing, torch.ones_like(nothing))
        else:
            pattern = self.pattern(heard)
        return Posterior(torch.cat([pattern.mu, mu], dim=-1), torch.cat([pattern.sigma, sigma], dim=-1))


def is_played(heard: Tensor) -> Tensor:
    """Which of (batch, step, 27) say anything of how their hits are played: (batch,)."""
    return (heard[..., CLASSES:] != 0).flatten(1).any(dim=1)


def _template(heard: Tensor, position: Tensor) -> Tensor:
    """(batch, step, 27) -> what each drum does at each place and on the whole, on average: (batch, 17·27)."""
    bars = F.one_hot(position, POSITIONS).to(heard)
    sums = torch.cat([bars.t() @ heard, heard.sum(dim=1, keepdim=True)], dim=1)
    often = sums[..., HITS] / torch.cat([bars.sum(dim=0), bars.sum()[None]])[:, None].clamp(min=1)
    played = sums[..., CLASSES:] / sums[..., HITS].repeat(1, 1, 2).clamp(min=1)
    return torch.cat([often, played], dim=-1).flatten(1)
