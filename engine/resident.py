"""A model in memory: its verified weights and its prior, on a device."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.model.noise import Noise
from engine.model.tasks import Given, positions
from engine.model.vae import Vae
from engine.prior import Prior, standard_prior
from engine.registry import Config, find_config
from engine.weights import Card, Library

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory, ready to run."""

    card: Card
    config: Config
    model: Vae
    device: torch.device
    prior: Prior

    @property
    def window_steps(self) -> int:
        """How many steps share a z."""
        return self.card.bars * self.card.steps_per_bar

    def encode(
        self,
        heard: Tensor,
        *,
        steps_per_bar: int = 16,
        hits_told: bool = False,
        temperature: float,
        noise: Noise,
    ) -> Tensor:
        """(batch, step, 27) -> a z for each window: (batch, window, z), drawn with one noise for all windows.

        hits_told: nothing but the feel is wanted, where z has one.
        """
        position = torch.split(positions(heard.shape[1], steps_per_bar).to(heard.device), self.window_steps)
        windows = list(zip(torch.split(heard, self.window_steps, dim=1), position, strict=True))
        posteriors = [self.model.encode(*window, hits_told=hits_told) for window in windows]
        if temperature == 0:
            pairs = zip(posteriors, windows, strict=True)
            return torch.stack([self.model.expected_z(posterior, part) for posterior, (part, _) in pairs], dim=1)
        mu, sigma = (torch.stack([getattr(each, name) for each in posteriors], dim=1) for name in ("mu", "sigma"))
        return mu + temperature * sigma * noise.normal(len(mu), 1, mu.shape[-1])

    def decode(self, z: Tensor, given: Given, *, temperature: float, noise: Noise) -> Tensor:
        """z (batch, window, z), or (batch, 1, z) for all of it -> (batch, step, 27)."""
        steps = given.groove.shape[1]
        path = (
            z.repeat_interleave(self.window_steps, dim=1)[:, :steps] if z.shape[1] > 1 else z.expand(-1, steps, -1)
        )
        return self.model.decode(path, given, temperature=temperature, noise=noise)


def load_resident(library: Library, name: str, device: torch.device) -> Resident:
    """A verified model on a device; on the CPU where a GPU's memory is full."""
    card = library.card(name)
    config = find_config(card.config)
    tensors = {key: tensor.float() for key, tensor in library.tensors(name).items()}
    stored = [tensors.pop(f"prior.{part}") for part in ("mean", "scale", "share") if f"prior.{part}" in tensors]
    prior = Prior(card.styles, *stored) if len(stored) == 3 else standard_prior(config.shape.z)
    model = Vae(config.shape)
    _check_tensors(name, model, tensors)
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    try:
        return Resident(card, config, model.to(device), device, prior.to(device))
    except torch.OutOfMemoryError:
        logger.warning("%s: the GPU is out of memory, loading it on the CPU", name)
        return Resident(card, config, model.cpu(), torch.device("cpu"), prior)


def _check_tensors(name: str, model: Vae, tensors: dict[str, Tensor]) -> None:
    """WeightsError that names the first tensor that is missing, superfluous, misshapen or not finite."""
    expected = model.state_dict()
    for key in sorted(expected.keys() | tensors.keys()):
        if key not in tensors:
            raise WeightsError(f"the weights of {name} lack the tensor {key}")
        if key not in expected:
            raise WeightsError(f"the weights of {name} hold a tensor that their configuration has not: {key}")
        if tensors[key].shape != expected[key].shape:
            raise WeightsError(
                f"the tensor {key} of {name} has the shape {tuple(tensors[key].shape)}, "
                f"not {tuple(expected[key].shape)}"
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise WeightsError(f"the tensor {key} of {name} holds a number that is not finite")
