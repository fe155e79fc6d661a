"""Moving through the latent space."""

import torch
from torch import Tensor


def slerp(a: Tensor, b: Tensor, position: float) -> Tensor:
    """The point on the great circle from a to b, each (…, z), position 0..1.

    Shoemake 1985, as MusicVAE interpolates (arXiv 1803.05428, section 4.2). Parallel, opposite and zero vectors
    have no unique great circle.
    """
    norms = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    cosine = (a * b).sum(dim=-1, keepdim=True) / norms.clamp(min=1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    arc = (torch.sin((1 - position) * angle) * a + torch.sin(position * angle) * b) / sine.clamp(min=1e-12)
    return torch.where((sine < 1e-4) | (norms < 1e-12), torch.lerp(a, b, position), arc)


def plane(corners: list[Tensor], x: float, y: float) -> Tensor:
    """A point between four: x from the first to the second and the third to the fourth, y between these two."""
    return slerp(slerp(corners[0], corners[1], x), slerp(corners[2], corners[3], x), y)
