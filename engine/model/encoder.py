"""Encoders, a sequence → a posterior over the latent z: flat, hierarchical, or apart for pattern and feel."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from engine.model.blocks import Laid, in_blocks, product
from engine.representation.drum_map import CLASSES
from engine.representation.groove import DEPTH, HITS

POSITIONS = 16
"""Positions in a bar: its sixteenths in 4/4."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """A diagonal normal distribution: mu and sigma (a standard deviation), each (batch, z)."""

    mu: Tensor
    sigma: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """A sample, from standard normal noise (batch, z)."""
        return self.mu + self.sigma * noise

    def kl(self) -> Tensor:
        """The KL divergence of each dimension from the standard normal in nats: (batch, z)."""
        return 0.5 * (self.mu**2 + self.sigma**2 - 1) - torch.log(self.sigma)


class BidirectionalEncoder(nn.Module):
    """Stacked bidirectional LSTM; the last h of both directions of the top layer give mu and sigma.

    sigma = softplus(dense). MusicVAE, arXiv 1803.05428, section 3.1. dropout: the share of the inputs that is
    zeroed in training.
    """

    def __init__(self, depth: int, hidden: int, z: int, *, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(depth, hidden, layers, batch_first=True, bidirectional=True)
        self.mu = nn.Linear(2 * hidden, z)
        self.sigma = nn.Linear(2 * hidden, z)

    def forward(self, encoder_input: Tensor) -> Posterior:
        """(batch, step, depth) -> posterior over z: (batch, z)."""
        _, (h, _) = self.lstm(self.dropout(encoder_input))
        last = torch.cat([h[-2], h[-1]], dim=-1)
        return Posterior(self.mu(last), F.softplus(self.sigma(last)) + 1e-6)


class HierarchicalEncoder(nn.Module):
    """A bidirectional LSTM for each level: it turns each segment of its inputs into one vector for the level above.

    steps are the lengths of a segment at each level, from the bottom; the top level has one segment, which makes z.
    MusicVAE's released configurations, hier-*.
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

    def forward(self, encoder_input: Tensor, lengths: Tensor | None = None) -> Posterior:
        """(batch, step, depth) -> posterior over z: (batch, z).

        lengths (batch, segment): how many steps of each segment of the bottom level are there; None: all.
        """
        read = encoder_input
        for level, steps in zip(self.levels, self.steps, strict=True):
            segments = torch.unflatten(read, 1, (-1, steps))
            read = torch.unflatten(_last(level, segments.flatten(0, 1), lengths), 0, segments.shape[:2])
            lengths = None
        return Posterior(self.mu(read[:, 0]), F.softplus(self.sigma(read[:, 0])) + 1e-6)


def _last(lstm: nn.Module, inputs: Tensor, lengths: Tensor | None) -> Tensor:
    """The last h of both directions: (batch, step, depth) -> (batch, 2·hidden); zeros for an empty segment."""
    if lengths is None:
        _, (h, _) = lstm(inputs)
        return torch.cat([h[0], h[1]], dim=-1)
    present = lengths.flatten()
    packed = pack_padded_sequence(inputs, present.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    _, (h, _) = lstm(packed)
    return torch.cat([h[0], h[1]], dim=-1) * (present > 0)[:, None]


class DrummerEncoder(nn.Module):
    """An LSTM reads the pattern part of z, an MLP the feel part, from the mean over all bars: a groove template.

    Template = how often each drum is hit at each position in the bar, its mean velocity and its mean offset. The
    mean makes the feel independent of the number and order of the bars: it is what recurs at a position from bar to
    bar.
    """

    def __init__(self, hidden: int, pattern: int, feel: int):
        super().__init__()
        self.pattern = BidirectionalEncoder(DEPTH, hidden, pattern)
        first, second = nn.Linear((POSITIONS + 1) * DEPTH, hidden), nn.Linear(hidden, hidden)
        self.feel = nn.Sequential(first, nn.Tanh(), second, nn.Tanh())
        self.mu, self.sigma = nn.Linear(hidden, feel), nn.Linear(hidden, feel)
        self._laid = Laid(first), Laid(second), Laid(self.mu, self.sigma)

    def forward(self, encoder_input: Tensor, position: Tensor, *, hits_given: bool) -> Posterior:
        """encoder_input (batch, step, 27), position (step,) in the bar -> posterior: (batch, pattern + feel).

        hits_given: all hits are given, so the pattern is not needed: its part of the posterior is the prior.
        """
        read = self.feel(_template(encoder_input, position))
        feel = Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-6)
        return self._with_feel(None if hits_given else self.pattern(encoder_input), feel)

    def in_blocks(self, encoder_input: Tensor, position: Tensor, *, hits_given: bool) -> Posterior:
        """The same in blocks, without gradients: see blocks.py."""
        first, second, last = (laid() for laid in self._laid)
        hidden = torch.tanh(product(_template(encoder_input, position), *first))
        mu, sigma = product(torch.tanh(product(hidden, *second)), *last).chunk(2, dim=-1)
        pattern = None
        if not hits_given:
            both = in_blocks(lambda part: _stacked(self.pattern(part)), encoder_input)
            pattern = Posterior(*both.unbind(1))
        return self._with_feel(pattern, Posterior(mu, F.softplus(sigma) + 1e-6))

    def _with_feel(self, pattern: Posterior | None, feel: Posterior) -> Posterior:
        """Both parts of the posterior; without a pattern its part is the prior."""
        if pattern is None:
            zeros = feel.mu.new_zeros(len(feel.mu), self.pattern.mu.out_features)
            pattern = Posterior(zeros, torch.ones_like(zeros))
        return Posterior(torch.cat([pattern.mu, feel.mu], dim=-1), torch.cat([pattern.sigma, feel.sigma], dim=-1))


def _stacked(posterior: Posterior) -> Tensor:
    """(batch, 2, z)."""
    return torch.stack([posterior.mu, posterior.sigma], dim=1)


def is_played(encoder_input: Tensor) -> Tensor:
    """Which of (batch, step, 27) hold any velocity or offset: (batch,)."""
    return (encoder_input[..., CLASSES:] != 0).flatten(1).any(dim=1)


def _template(groove: Tensor, position: Tensor) -> Tensor:
    """(batch, step, 27) -> each drum's hit rate, mean velocity and mean offset, at each position and overall.

    (batch, 17·27): 16 positions, then overall.
    """
    sums = groove.new_zeros(len(groove), POSITIONS, groove.shape[-1]).index_add_(1, position, groove)
    sums = torch.cat([sums, sums.sum(dim=1, keepdim=True)], dim=1)
    steps = torch.bincount(position, minlength=POSITIONS + 1).clamp(min=1)
    steps[POSITIONS] = len(position)
    rate = sums[..., HITS] / steps[:, None]
    played = sums[..., CLASSES:] / sums[..., HITS].repeat(1, 1, 2).clamp(min=1)
    return torch.cat([rate, played], dim=-1).flatten(1)
