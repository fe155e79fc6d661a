"""More performances than there are: changes that leave a feel what it is.

A drummer plays the same a little faster, and without a drum that is not there.
"""

import torch
from torch import Tensor

from engine.representation.drum_map import CLASSES


def without_some_drums(groove: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """(batch, step, 27) in which each drum of each window is silent with a probability."""
    kept = (torch.rand(len(groove), 1, 1, CLASSES, generator=generator) >= share).to(groove)
    return (torch.unflatten(groove, -1, (3, CLASSES)) * kept).flatten(2)


def a_little_faster(tempo_bpm: Tensor, spread: float, generator: torch.Generator) -> Tensor:
    """(batch,) bpm, each by up to a share faster or slower."""
    chance = torch.rand(len(tempo_bpm), generator=generator).to(tempo_bpm)
    return tempo_bpm * (1 + spread * (2 * chance - 1))
