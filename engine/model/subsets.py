"""The 512 subsets of the nine drums, what is hit on one step as one choice. Subset n has drum k if n has bit k."""

from functools import cache

import torch
from torch import Tensor

from engine.representation.drum_map import CLASSES

SUBSETS = 2**CLASSES
IMPOSSIBLE = -1e9
"""The logit of what contradicts what is given."""


@cache
def drums_of_subsets(device: torch.device) -> Tensor:
    """Which drums each subset has: (512, 9) of 0 and 1."""
    with torch.inference_mode(False):  # training may use it too
        return ((torch.arange(SUBSETS)[:, None] >> torch.arange(CLASSES)) & 1).float().to(device)


def subset_of(hits: Tensor) -> Tensor:
    """(…, 9) of 0 and 1 -> the number of the subset: (…)."""
    return (hits.long() << torch.arange(CLASSES, device=hits.device)).sum(dim=-1)


def impossible(hits: Tensor, hits_given: Tensor, tapped: Tensor) -> Tensor:
    """A large negative logit for each subset that contradicts what is given, else 0: (batch, step, 512).

    hits and hits_given (batch, step, 9); tapped (batch, step): a tapped step is not empty.
    """
    given, drums = hits * hits_given, drums_of_subsets(hits.device)
    wrong = given @ (1 - drums.t()) + (hits_given - given) @ drums.t()
    wrong[..., 0] += tapped
    return (wrong > 0).to(wrong) * IMPOSSIBLE
