"""What z says of each step, without a detour through an LSTM's state."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PLAN_STEPS = 64
"""Four bars: the longest window that is trained; a longer clip has a z for each four bars."""

PLAN_DEPTH = 24


class Plan(nn.Module):
    """A matrix of its own for each step of a window. Without it a decoder that sees its past learns to ignore z."""

    def __init__(self, z: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(PLAN_STEPS, z, PLAN_DEPTH) / z**0.5)

    def forward(self, z: Tensor) -> Tensor:
        """(batch, step, z) -> (batch, step, 24)."""
        repeats = -(-z.shape[1] // PLAN_STEPS)
        weight = self.weight if repeats == 1 else self.weight.repeat(repeats, 1, 1)
        return torch.bmm(z.transpose(0, 1), weight[: z.shape[1]]).transpose(0, 1)


def later(grid: Tensor, by: int) -> Tensor:
    """(batch, step, n) moved to later steps, zeros before."""
    steps = grid.shape[1]
    return F.pad(grid, (0, 0, by, 0))[:, :steps]


def keep_some(past: Tensor, rate: float, training: bool) -> Tensor:
    """(batch, place, n) with whole places zeroed in training, so that what they said must come from z."""
    if not training:
        return past
    return past * (torch.rand(past.shape[:2], device=past.device) >= rate)[..., None]
