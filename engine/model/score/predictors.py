"""Predictors: from the last frames of a score to normal distributions of the next ones."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.lstm import Lstm

NARROWEST = 0.05
"""The least deviation that a number is predicted with."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A normal distribution for each number of the next frames: mean and deviation (batch, future, z)."""

    mean: Tensor
    deviation: Tensor

    def nats(self, truth: Tensor) -> Tensor:
        """-log p of what came, (batch, future, z): (batch, future)."""
        error = (truth - self.mean) / self.deviation
        return (0.5 * error**2 + torch.log(self.deviation) + 0.5 * math.log(2 * math.pi)).sum(dim=-1)


class Predictor(nn.Module):
    """What both have: two numbers for each that is to come. past and future are numbers of frames."""

    def __init__(self, reads: int, z: int, future: int):
        super().__init__()
        self.future, self.dropout = future, nn.Dropout(0.2)
        self.mean, self.spread = nn.Linear(reads, future * z), nn.Linear(reads, future * z)

    def predict(self, hidden: Tensor) -> Prediction:
        """What a network has read, (batch, reads) -> what it expects."""
        read = self.dropout(hidden)
        mean, spread = (layer(read).unflatten(1, (self.future, -1)) for layer in (self.mean, self.spread))
        return Prediction(mean, F.softplus(spread) + NARROWEST)


class LstmPredictor(Predictor):
    """An LSTM over the past."""

    def __init__(self, z: int, hidden: int, past: int, future: int):
        super().__init__(hidden, z, future)
        self.lstm = Lstm(z, hidden)

    def forward(self, score: Tensor) -> Prediction:
        """(batch, past, z) -> the next frames."""
        _, (last, _) = self.lstm(score)
        return self.predict(last[-1])


class ConvPredictor(Predictor):
    """Two convolutions along the past, each halving it."""

    def __init__(self, z: int, hidden: int, past: int, future: int):
        channels = hidden // 2
        super().__init__(channels * (past // 4), z, future)
        self.layers = nn.ModuleList(nn.Conv1d(size, channels, 4, 2, 1) for size in (z, channels))

    def forward(self, score: Tensor) -> Prediction:
        """(batch, past, z) -> the next frames."""
        hidden = score.transpose(1, 2)
        for layer in self.layers:
            hidden = F.silu(layer(hidden))
        return self.predict(hidden.flatten(1))
