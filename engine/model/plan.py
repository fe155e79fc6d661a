"""What z says of each step, without a detour through an LSTM's state."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Plan(nn.Module):
    """A matrix of its own for each place. Without it a decoder that sees its past learns to ignore z."""

    def __init__(self, z: int, places: int, depth: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(places, z, depth) / z**0.5)

    def forward(self, z: Tensor, place: Tensor) -> Tensor:
        """z (batch, step, z), the place of each step (step,) -> (batch, step, depth)."""
        return torch.bmm(z.transpose(0, 1), self.weight[place]).transpose(0, 1)


def later(grid: Tensor, by: int) -> Tensor:
    """(batch, step, n) moved to later steps, zeros before."""
    steps = grid.shape[1]
    return F.pad(grid, (0, 0, by, 0))[:, :steps]


def keep_some(past: Tensor, hidden_share: float) -> Tensor:
    """(batch, place, n) with whole places zeroed, so that what they said must come from z."""
    if hidden_share == 0:
        return past
    return past * (torch.rand(past.shape[:2], device=past.device) >= hidden_share)[..., None]
