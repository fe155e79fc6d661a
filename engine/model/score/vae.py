"""A VAE of sound: a quarter of a second as a few numbers, the score that a machine writes for itself.

Frames come from engine.audio.spectrogram. Predictors (predictors.py) write the numbers on. Sources: Kingma and
Welling 2014, arXiv 1312.6114; a predictor beside a VAE: Ha and Schmidhuber 2018, arXiv 1803.10122.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import Posterior
from engine.model.score.predictors import ConvPredictor, LstmPredictor

HALVINGS = 3
DEVIATION = 0.25
"""In levels, 5 dB: the standard deviation with which the decoder is taken to be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreShape:
    """The sizes of a network of sound. past, future: how many frames a predictor reads, and writes.

    z: the numbers of a frame; bands and columns are those of engine.audio.spectrogram.
    """

    predictor: Literal["lstm", "conv"]
    bands: int = 96
    columns: int = 32
    z: int = 96
    channels: int = 192
    predictor_hidden: int = 256
    past: int = 40
    future: int = 5


class FrameEncoder(nn.Module):
    """Convolutions along the columns, the bands as channels -> q(z)."""

    def __init__(self, shape: ScoreShape):
        super().__init__()
        channels, reads = shape.channels, shape.channels * shape.columns >> HALVINGS
        self.first = nn.Conv1d(shape.bands, channels, 3, padding=1)
        self.halving = nn.ModuleList(nn.Conv1d(channels, channels, 4, 2, 1) for _ in range(HALVINGS))
        self.mu, self.sigma = (nn.Linear(reads, shape.z) for _ in range(2))

    def forward(self, levels: Tensor) -> Posterior:
        """(batch, band, column) -> (batch, z)."""
        hidden = F.silu(self.first(levels))
        for layer in self.halving:
            hidden = F.silu(layer(hidden))
        read = hidden.flatten(1)
        return Posterior(self.mu(read), F.softplus(self.sigma(read)) + 1e-4)


class FrameDecoder(nn.Module):
    """The encoder's way back."""

    def __init__(self, shape: ScoreShape):
        super().__init__()
        channels, self.columns = shape.channels, shape.columns >> HALVINGS
        self.first = nn.Linear(shape.z, channels * self.columns)
        self.doubling = nn.ModuleList(nn.ConvTranspose1d(channels, channels, 4, 2, 1) for _ in range(HALVINGS))
        self.last = nn.Conv1d(channels, shape.bands, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """(batch, z) -> levels (batch, band, column)."""
        hidden = F.silu(self.first(z)).view(len(z), -1, self.columns)
        for layer in self.doubling:
            hidden = F.silu(layer(hidden))
        return self.last(hidden)  # type: ignore[no-any-return]


class ScoreVae(nn.Module):
    """Frames of sound as numbers and back, and the numbers that come next."""

    def __init__(self, shape: ScoreShape):
        super().__init__()
        self.shape = shape
        self.encoder = FrameEncoder(shape)
        self.decoder = FrameDecoder(shape)
        kind = {"lstm": LstmPredictor, "conv": ConvPredictor}[shape.predictor]
        self.predictor = kind(shape.z, shape.predictor_hidden, shape.past, shape.future)

    def loss(self, levels: Tensor, noise: Tensor, *, beta: float, free_nats: float) -> dict[str, Tensor]:
        """Of frames (batch, band, column), with noise (batch, z): what comes back and what z costs, in nats."""
        posterior = self.encoder(levels)
        error = (self.decoder(posterior.sample(noise)) - levels) / DEVIATION
        reconstruction, kl = 0.5 * (error**2).sum(dim=(1, 2)).mean(), posterior.kl().sum(dim=1).mean()
        total = reconstruction + beta * F.relu(kl - free_nats)
        return {"total": total, "reconstruction": reconstruction, "kl": kl}
