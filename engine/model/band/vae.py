"""A hierarchical VAE of bands: a z for the phrase of all parts, one for each bar of each part, and a learnt prior.

The parts are drawn one after the other, each given those before it, whole (decoder.py). What a verb knows (nothing,
the bars so far, other parts, every bar's idea) is given, and the rest is drawn.
Sources: as engine.model.phrases.vae.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.band.decoder import (
    BAR,
    CONDITION_DEPTH,
    FEATURES,
    OF_ALL_PARTS,
    STYLE_DEPTH,
    Alphabets,
    PartDecoder,
    Score,
)
from engine.model.band.roots import Roots
from engine.model.encoder import Posterior
from engine.model.phrases.vae import PhrasePrior
from engine.representation.band import PARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class BandShape:
    """The sizes of a network of bands; styles: of how many it can be told."""

    z: int = 48
    bar_z: int = 24
    styles: int = 8
    encoder_hidden: int = 128
    bar_hidden: int = 256
    decoder_hidden: int = 192
    context: int = 48
    prior_hidden: int = 128
    dropout: float = 0.42


OF_BARS_ALONE = 0.5
"""How much it counts that a bar's z says by itself what is played, beside what the phrase is drawn with.

Each bar of a batch teaches it, and needs no past: what bars are is learnt long before how they follow each other.
"""


BEAT = BAR // 4
OF_A_BEAT = BEAT * OF_ALL_PARTS + BAR // BEAT


def by_beat(read: Tensor) -> Tensor:
    """What is read of each step (batch, step, n), as of each beat with its place in the bar: (batch, beat, 4n + 4).

    To know what kind of phrase it is takes no finer steps, and they take a quarter of the time.
    """
    beats = torch.unflatten(read, 1, (-1, BEAT)).flatten(2)
    place = torch.eye(BAR // BEAT, device=read.device).repeat(beats.shape[1] * BEAT // BAR, 1)
    return torch.cat([beats, place.expand(len(beats), -1, -1)], dim=-1)


class BandEncoder(nn.Module):
    """A bidirectional LSTM over the parts of a band that are heard -> q(z); its mean and both ends are read."""

    def __init__(self, hidden: int, z: int):
        super().__init__()
        self.alphabets, self.dropout = Alphabets(), nn.Dropout(0.2)
        self.lstm = nn.LSTM(OF_A_BEAT, hidden, batch_first=True, bidirectional=True)
        self.mu, self.sigma = nn.Linear(6 * hidden, z), nn.Linear(6 * hidden, z)

    def forward(self, score: Score, heard: Tensor) -> Posterior:
        """The parts of a score that are heard (batch, 3) -> (batch, z)."""
        known = heard[:, None].expand(-1, score.states.shape[1], -1)
        outputs, _ = self.lstm(self.dropout(by_beat(self.alphabets.all_parts(score.states, known))))
        read = torch.cat([outputs.mean(dim=1), outputs[:, -1], outputs[:, 0]], dim=-1)
        return Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-4)


class PartEncoder(nn.Module):
    """A bar of a part -> q(z of the bar), from that bar alone."""

    def __init__(self, part: int, hidden: int, z: int):
        super().__init__()
        self.part, self.alphabets = part, Alphabets()
        self.read = nn.Sequential(
            nn.Linear(BAR * FEATURES[part], hidden), nn.Tanh(), nn.Dropout(0.1), nn.Linear(hidden, 192), nn.Tanh()
        )
        self.mu, self.sigma = nn.Linear(192, z), nn.Linear(192, z)

    def forward(self, score: Score) -> Posterior:
        """All states of the part -> (batch, bar, z)."""
        features = self.alphabets.features(self.part)[score.states[..., self.part]]
        read = self.read(torch.unflatten(features, 1, (-1, BAR)).flatten(2))
        return Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-4)


class BandPrior(PhrasePrior):
    """p(z | what is given of all parts)."""

    def __init__(self, z: int, styles: int, hidden: int, *, context: int = 48):
        super().__init__(z, styles, hidden, context=context)
        self.alphabets = Alphabets()
        self.style = nn.Embedding(styles + 1, STYLE_DEPTH)
        self.context = nn.LSTM(OF_A_BEAT, context, batch_first=True, bidirectional=True)
        self.condition = nn.Sequential(nn.Linear(CONDITION_DEPTH + 4 * context, hidden), nn.Tanh(), nn.Dropout(0.1))

    def _read(self, score: Score) -> Tensor:  # type: ignore[override]
        outputs, _ = self.context(by_beat(self.alphabets.all_parts(score.states, score.given)))
        of_phrase = torch.cat([self.style(score.style), score.tempo], dim=-1)
        return self.condition(torch.cat([of_phrase, outputs.mean(dim=1), outputs.amax(dim=1)], dim=-1))  # type: ignore[no-any-return]


class BandVae(nn.Module):
    """Encoders, a decoder for each part, and a prior, of one shape.

    attribute_mean and attribute_deviation (3, 2): of the training bars of each part.
    """

    attribute_mean: Tensor
    attribute_deviation: Tensor

    def __init__(self, shape: BandShape):
        super().__init__()
        self.shape, parts = shape, range(len(PARTS))
        self.encoder = BandEncoder(shape.encoder_hidden, shape.z)
        self.bar_encoders = nn.ModuleList(PartEncoder(part, shape.bar_hidden, shape.bar_z) for part in parts)
        self.decoders = nn.ModuleList(
            PartDecoder(
                part,
                shape.z,
                shape.bar_z,
                shape.styles,
                shape.decoder_hidden,
                shape.context,
                shape.dropout,
            )
            for part in parts
        )
        self.roots = Roots()
        self.z_prior = BandPrior(shape.z, shape.styles, shape.prior_hidden, context=shape.context)
        self.register_buffer("attribute_mean", torch.zeros(len(PARTS), 2))
        self.register_buffer("attribute_deviation", torch.ones(len(PARTS), 2))

    def loss(
        self,
        part: int,
        score: Score,
        heard: Tensor,
        weight: Tensor,
        *,
        beta: float,
        free_nats: float,
        bar_beta: float,
        bar_free_nats: float,
    ) -> dict[str, Tensor]:
        """The negative ELBO of a part in its parts, each the mean over phrases in nats; "total" is trained.

        score holds all true states; heard (batch, 3): the parts that z is encoded from; weight (batch, step) is 0
        beyond the end. The prior learns z as it is: for it alone is there a gradient.
        """
        posterior, of_bars = self.encoder(score, heard), self.bar_encoders[part](score)
        z = posterior.sample(torch.randn_like(posterior.mu))
        score = replace(score, bar_z=of_bars.sample(torch.randn_like(of_bars.mu)))
        decoder = cast(PartDecoder, self.decoders[part])
        nats = (decoder.nats(z, score) * weight).sum(dim=1)
        bars = (decoder.bar_nats(score) * weight).sum(dim=1)
        there = weight[:, ::BAR]
        kl, bar_kl = posterior.kl().sum(dim=-1), of_bars.kl().sum(dim=-1) * there
        bar_cost = ((bar_kl - bar_free_nats).clamp(min=0) * (score.bar_z_given + OF_BARS_ALONE)).sum(dim=1)
        cost = beta * (kl - free_nats).clamp(min=0) + bar_beta * bar_cost + OF_BARS_ALONE * bars
        with torch.autocast(z.device.type, enabled=False):  # the couplings multiply up what bf16 leaves out
            prior = self.z_prior.nats(z.detach().float(), score)  # type: ignore[arg-type]
        bar_kl = bar_kl.sum(dim=1) / there.sum(dim=1)
        parts = {"notes": nats, "kl": kl, "bar": bars, "bar_kl": bar_kl, "prior": prior}
        return {name: value.mean() for name, value in (parts | {"total": nats + cost + prior}).items()}
