"""A direct, linear path from z to each step of a decoder, beside the one through the LSTM's initial state."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Plan(nn.Module):
    """One matrix (z, depth) for each position. Without it a decoder that sees earlier steps learns to ignore z."""

    def __init__(self, z: int, positions: int, depth: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(positions, z, depth) / z**0.5)

    def forward(self, z: Tensor, position: Tensor) -> Tensor:
        """z (batch, step, z), position of each step (step,) in 0..positions - 1 -> (batch, step, depth)."""
        return torch.bmm(z.transpose(0, 1), self.weight[position]).transpose(0, 1)


def later(grid: Tensor, by: int) -> Tensor:
    """(batch, step, n) shifted to later steps by `by`, with zeros in front."""
    steps = grid.shape[1]
    return F.pad(grid, (0, 0, by, 0))[:, :steps]


def keep_some(past: Tensor, hidden_share: float) -> Tensor:
    """(batch, step, n) with a random share of the steps zeroed, so that their information must come from z."""
    if hidden_share == 0:
        return past
    return past * (torch.rand(past.shape[:2], device=past.device) >= hidden_share)[..., None]
