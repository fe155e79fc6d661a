"""A hierarchical VAE of drum phrases: a z for the phrase, one for each of its bars, and a prior that is learnt.

The decoder (decoder.py) is given z and some bars' z; other bars it draws step by step from what it has
played. So whatever a verb knows (nothing, the bars so far, those around a gap, every bar's idea) is given, and the
rest is drawn. A bar's z is encoded from that bar alone: given bars say nothing of the others.
Sources: MusicVAE's conductor, Roberts et al. 2018, arXiv 1803.05428; pointers that copy, Vinyals et al. 2015, arXiv
1506.03134; couplings, Dinh et al. 2017, arXiv 1605.08803.
"""

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import POSITIONS, Posterior
from engine.model.phrases.decoder import (
    CONDITION_DEPTH,
    STYLE_DEPTH,
    Condition,
    Context,
    PhraseDecoder,
    positions_of,
    read_bars,
)
from engine.representation.drum_map import CLASSES
from engine.representation.measures import BAR_ATTRIBUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseShape:
    """The sizes of a network of phrases; styles: of how many it can be condition."""

    z: int = 32
    bar_z: int = 24
    styles: int = 32
    encoder_hidden: int = 128
    bar_hidden: int = 256
    decoder_hidden: int = 256
    context: int = 48
    conductor: int = 96
    plan: int = 48
    prior_hidden: int = 160
    dropout: float = 0.3


class PhraseEncoder(nn.Module):
    """A bidirectional LSTM over the hits of a phrase -> q(z); its mean and both ends are read."""

    def __init__(self, hidden: int, z: int):
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.lstm = nn.LSTM(CLASSES + POSITIONS, hidden, batch_first=True, bidirectional=True)
        self.mu, self.sigma = nn.Linear(6 * hidden, z), nn.Linear(6 * hidden, z)

    def forward(self, condition: Condition) -> Posterior:
        """All hits of condition -> (batch, z)."""
        outputs, _ = self.lstm(self.dropout(torch.cat([condition.hits, positions_of(condition)], dim=-1)))
        read = torch.cat([outputs.mean(dim=1), outputs[:, -1], outputs[:, 0]], dim=-1)
        return Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-4)


class BarEncoder(nn.Module):
    """A bar's hits -> q(z of the bar)."""

    def __init__(self, hidden: int, z: int):
        super().__init__()
        self.read = nn.Sequential(
            nn.Linear(POSITIONS * CLASSES, hidden), nn.Tanh(), nn.Dropout(0.1), nn.Linear(hidden, 192), nn.Tanh()
        )
        self.mu, self.sigma = nn.Linear(192, z), nn.Linear(192, z)

    def forward(self, condition: Condition) -> Posterior:
        """All hits of condition -> (batch, bar, z)."""
        read = self.read(read_bars(condition.hits, condition.steps_per_bar))
        return Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-4)


class PhrasePrior(nn.Module):
    """p(z | what is given): a normal distribution bent by affine couplings, of the aggregate posterior.

    From N(0, I), to which the encoder is only drawn, a decoder wanders.
    """

    def __init__(self, z: int, styles: int, hidden: int, *, context: int = 48, couplings: int = 8):
        super().__init__()
        self.z = z
        self.style = nn.Embedding(styles + 1, STYLE_DEPTH)
        self.context: nn.LSTM = Context(context)
        reads = CONDITION_DEPTH + 2 * len(BAR_ATTRIBUTES) + 4 * context
        self.condition = nn.Sequential(nn.Linear(reads, hidden), nn.Tanh(), nn.Dropout(0.1))
        self.base = nn.Linear(hidden, 2 * z)
        self.couplings = nn.ModuleList(
            nn.Sequential(nn.Linear(z // 2 + hidden, hidden), nn.Tanh(), nn.Dropout(0.1), nn.Linear(hidden, z))
            for _ in range(couplings)
        )
        for last in (self.base, *(coupling[-1] for coupling in self.couplings)):  # type: ignore[index]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.orders = [_shuffled(z, k) for k in range(couplings)]

    def nats(self, z: Tensor, condition: Condition) -> Tensor:
        """-log p(z | condition): (batch,)."""
        read, x, logs = self._read(condition), z, z.new_zeros(len(z))
        for coupling, order in zip(self.couplings, self.orders, strict=True):
            first, second = x[:, order].chunk(2, dim=1)
            log_scale, shift = _affine(coupling(torch.cat([first, read], dim=1)))
            logs, x = (
                logs + log_scale.sum(dim=1),
                torch.cat([first, (second - shift) * torch.exp(-log_scale)], dim=1),
            )
        log_scale, shift = _affine(self.base(read))
        normal = 0.5 * ((x - shift) * torch.exp(-log_scale)) ** 2 + 0.5 * math.log(2 * math.pi)
        return (normal + log_scale).sum(dim=1) + logs

    def draw(self, condition: Condition, noise: Tensor) -> Tensor:
        """A z from standard normal noise (batch, z)."""
        read = self._read(condition)
        log_scale, shift = _affine(self.base(read))
        x = shift + torch.exp(log_scale) * noise
        for coupling, order in zip(reversed(self.couplings), reversed(self.orders), strict=True):
            first, second = x.chunk(2, dim=1)
            log_scale, shift = _affine(coupling(torch.cat([first, read], dim=1)))
            x = torch.cat([first, second * torch.exp(log_scale) + shift], dim=1)[:, np.argsort(order)]
        return x

    def _read(self, condition: Condition) -> Tensor:
        outputs = cast(Context, self.context).read(condition)
        of_phrase = torch.cat(
            [self.style(condition.style), condition.tempo, condition.attributes.mean(dim=1)], dim=-1
        )
        return self.condition(torch.cat([of_phrase, outputs.mean(dim=1), outputs.amax(dim=1)], dim=-1))  # type: ignore[no-any-return]


def _shuffled(count: int, by: int) -> list[int]:
    """The places 0..count - 1, the two halves shuffled into one another, each turned by so many places."""
    return [int(place) for place in np.roll(np.arange(count).reshape(2, -1), by, axis=1).T.ravel()]


def _affine(both: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of a scale, within -2..2, and a shift."""
    log_scale, shift = both.chunk(2, dim=1)
    return 2 * torch.tanh(log_scale / 2), shift


class PhraseVae(nn.Module):
    """Encoders, decoder and prior of one shape. attribute_mean and attribute_deviation: of the training bars."""

    attribute_mean: Tensor
    attribute_deviation: Tensor

    def __init__(self, shape: PhraseShape):
        super().__init__()
        self.shape = shape
        self.encoder = PhraseEncoder(shape.encoder_hidden, shape.z)
        self.bar_encoder = BarEncoder(shape.bar_hidden, shape.bar_z)
        self.decoder = PhraseDecoder(
            shape.z,
            shape.bar_z,
            shape.styles,
            shape.decoder_hidden,
            shape.context,
            shape.conductor,
            shape.plan,
            dropout=shape.dropout,
        )
        self.z_prior = PhrasePrior(shape.z, shape.styles, shape.prior_hidden)
        self.register_buffer("attribute_mean", torch.zeros(len(BAR_ATTRIBUTES)))
        self.register_buffer("attribute_deviation", torch.ones(len(BAR_ATTRIBUTES)))

    def standardised(self, attribute: int, value: float) -> float:
        """An attribute's value in standard deviations from the mean of the training bars."""
        return float((value - self.attribute_mean[attribute]) / self.attribute_deviation[attribute])

    def loss(
        self,
        condition: Condition,
        weight: Tensor,
        *,
        beta: float,
        free_nats: float,
        bar_beta: float,
        bar_free_nats: float,
    ) -> dict[str, Tensor]:
        """The negative ELBO of phrases in its parts, each the mean over phrases in nats; "total" is trained.

        condition holds all true hits, and in bar_z_given which bars' z are given; weight (batch, step) is 0 beyond
        the end.
        """
        posterior, of_bars = self.encoder(condition), self.bar_encoder(condition)
        z = posterior.sample(torch.randn_like(posterior.mu))
        condition = replace(condition, bar_z=of_bars.sample(torch.randn_like(of_bars.mu)))
        nats = (self.decoder.nats(z, condition) * weight).sum(dim=1)
        kl, bar_kl = posterior.kl().sum(dim=-1), of_bars.kl().sum(dim=-1) * condition.bar_z_given
        bar_cost = (bar_kl - bar_free_nats).clamp(min=0).sum(dim=1)
        cost = beta * (kl - free_nats).clamp(min=0) + bar_beta * bar_cost
        parts = {"hits": nats, "kl": kl, "bar_kl": bar_kl.sum(dim=1), "total": nats + cost}
        return {name: value.mean() for name, value in parts.items()}

    def prior_loss(self, condition: Condition) -> dict[str, Tensor]:
        """The nats of the phrases' z under the prior, for which alone there is a gradient."""
        with torch.no_grad():
            posterior = self.encoder(condition)
            z = posterior.sample(torch.randn_like(posterior.mu))
        with torch.autocast(z.device.type, enabled=False):  # the couplings multiply up what bf16 leaves out
            return {"total": self.z_prior.nats(z.float(), condition).mean()}
