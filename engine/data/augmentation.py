"""More performances than there are: changes that leave a feel what it is.

A drummer plays the same a little faster, without a drum that is not there, and after another bar of the same piece.
"""

import torch
from torch import Tensor

from engine.representation.drum_map import CLASSES


def without_some_drums(groove: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(batch, step, 27) in which each drum of each window is silent with a probability."""
    kept = (torch.rand(len(groove), 1, 1, CLASSES, generator=generator) >= share).to(groove)
    return (torch.unflatten(groove, -1, (3, CLASSES)) * kept).flatten(2)


def with_other_last_bars(groove: Tensor, other: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(batch, step, 27), a share of them with the second half of another window of the same performance."""
    joined = torch.cat(torch.chunk(groove, 2, dim=1)[:1] + torch.chunk(other, 2, dim=1)[1:], dim=1)
    chance = torch.rand(len(groove), 1, 1, generator=generator).to(groove)
    return torch.where(chance < share, joined, groove)


def a_little_faster(tempo_bpm: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """(batch,) bpm, each by up to a share faster or slower."""
    chance = torch.rand(len(tempo_bpm), generator=generator).to(tempo_bpm)
    return tempo_bpm * (1 + spread * (2 * chance - 1))
