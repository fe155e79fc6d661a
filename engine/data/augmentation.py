"""Data augmentation: changes of a window that keep its feel.

Assumes that a drummer plays with the same feel at a slightly other tempo, without one of the drums, and after
another bar of the same piece.
"""

import torch
from torch import Tensor

from engine.representation.drum_map import CLASSES


def without_some_drums(groove: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(batch, step, 27) -> the same with each drum of each window removed with probability share."""
    kept = (torch.rand(len(groove), 1, 1, CLASSES, generator=generator) >= share).to(groove)
    return (torch.unflatten(groove, -1, (3, CLASSES)) * kept).flatten(2)


def with_other_last_bars(groove: Tensor, other: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(batch, step, 27), a share of them with their second half replaced by that of other."""
    joined = torch.cat(torch.chunk(groove, 2, dim=1)[:1] + torch.chunk(other, 2, dim=1)[1:], dim=1)
    uniform = torch.rand(len(groove), 1, 1, generator=generator).to(groove)
    return torch.where(uniform < share, joined, groove)


def a_little_faster(tempo_bpm: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """(batch,) bpm, each multiplied by a random factor in 1 − spread..1 + spread."""
    uniform = torch.rand(len(tempo_bpm), generator=generator).to(tempo_bpm)
    return tempo_bpm * (1 + spread * (2 * uniform - 1))
