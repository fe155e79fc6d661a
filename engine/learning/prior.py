"""The prior that `sample` draws from: a mixture of one normal distribution for each style.

With free bits the posteriors do not fill the standard normal, and most samples of it decode to noise. So after
training a normal distribution is fitted to the posteriors of each style's clips; weighted by the number of clips,
they are the mixture. Source of the idea: Ghosh et al. 2020, arXiv 1903.12436, section 4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import ClipError
from engine.model.noise import Noise

FEWEST_CLIPS = 8
"""A style with fewer clips has no component of its own."""

SHRINKAGE_CLIPS = 128
"""The covariance of a style is shrunk to that of all clips, which counts as this many more clips of the style."""


@dataclass(frozen=True, slots=True)
class Prior:
    """A mixture of normal distributions over z, one for each style.

    mean (style, z); scale (style, z, z), lower triangular, a factor of the covariance; share (style,), which sums
    to 1. names is empty where the data has no styles: then there is one component.
    """

    names: tuple[str, ...]
    mean: Tensor
    scale: Tensor
    share: Tensor

    def draw(self, noise: Noise, count: int, style: str | None = None, *, temperature: float = 1.0) -> Tensor:
        """(count, z) from a style, else from all; ClipError if the style is unknown."""
        if style is not None and style not in self.names:
            known = ", ".join(self.names) or "none"
            raise ClipError(f"there is no style {style!r}; there are: {known}")
        if style is None:
            edges = self.share.cumsum(0)
            index = torch.searchsorted(edges, noise.uniform(count, 1)[:, 0] * edges[-1]).clamp(max=len(edges) - 1)
        else:
            index = self.share.new_full((count,), self.names.index(style), dtype=torch.long)
        spread = self.scale[index] @ noise.normal(count, self.mean.shape[1])[..., None]
        return self.mean[index] + temperature * spread[..., 0]

    def and_by_name(self, others: "Prior") -> "Prior":
        """With the components of another, which are drawn only where they are named: players, say."""
        return Prior(
            (*self.names, *others.names),
            torch.cat([self.mean, others.mean]),
            torch.cat([self.scale, others.scale]),
            torch.cat([self.share, torch.zeros_like(others.share)]),
        )

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are stored with the weights, by name."""
        return {"prior.mean": self.mean, "prior.scale": self.scale, "prior.share": self.share}

    def to(self, device: torch.device) -> "Prior":
        """The same on another device."""
        return Prior(self.names, self.mean.to(device), self.scale.to(device), self.share.to(device))


def standard_prior(z: int) -> Prior:
    """The standard normal, for weights that bring no prior."""
    return Prior((), torch.zeros(1, z), torch.eye(z)[None], torch.ones(1))


def fit_prior(mu: Tensor, sigma: Tensor, style: Tensor, style_names: tuple[str, ...]) -> Prior:
    """The prior of clips with posteriors mu and sigma (clip, z); style (clip,) indexes names, -1 where unnamed."""
    counts = [int((style == index).sum()) for index in range(len(style_names))]
    kept = [index for index, count in enumerate(counts) if count >= FEWEST_CLIPS]
    chosen = [style == index for index in kept] or [torch.ones(len(mu), dtype=torch.bool)]
    everywhere = torch.cov(mu.T)
    scales = []
    for clips in chosen:
        count = int(clips.sum())
        own = torch.cov(mu[clips].T)
        covariance = (count * own + SHRINKAGE_CLIPS * everywhere) / (count + SHRINKAGE_CLIPS)
        scales.append(torch.linalg.cholesky(covariance + torch.diag((sigma[clips] ** 2).mean(dim=0))))
    share = torch.tensor([float(clips.sum()) for clips in chosen])
    mean = torch.stack([mu[clips].mean(dim=0) for clips in chosen])
    return Prior(tuple(style_names[index] for index in kept), mean, torch.stack(scales), share / share.sum())
