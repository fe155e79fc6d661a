"""What is heard → a posterior over the latent z."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Posterior:
    """A diagonal normal distribution: mu and sigma (a standard deviation), each (batch, z)."""

    mu: Tensor
    sigma: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """A draw, from standard normal noise (batch, z)."""
        return self.mu + self.sigma * noise

    def kl(self) -> Tensor:
        """The divergence from the standard normal in nats: (batch,)."""
        return (0.5 * (self.mu**2 + self.sigma**2 - 1) - torch.log(self.sigma)).sum(dim=-1)


class BidirectionalEncoder(nn.Module):
    """Stacked bidirectional LSTM; the last h of both directions of the top layer give mu and sigma.

    sigma = softplus(dense). MusicVAE, arXiv 1803.05428, section 3.1.
    """

    def __init__(self, depth: int, hidden: int, z: int, *, layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(depth, hidden, layers, batch_first=True, bidirectional=True)
        self.mu = nn.Linear(2 * hidden, z)
        self.sigma = nn.Linear(2 * hidden, z)

    def forward(self, heard: Tensor) -> Posterior:
        """(batch, step, depth) -> posterior over z: (batch, z)."""
        _, (h, _) = self.lstm(heard)
        last = torch.cat([h[-2], h[-1]], dim=-1)
        return Posterior(self.mu(last), F.softplus(self.sigma(last)) + 1e-6)
