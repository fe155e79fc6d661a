"""A model in memory: its verified weights on a device, and where its styles lie."""

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.model.vae import Vae
from engine.registry import Config, find_config
from engine.weights import Card, Library

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory, ready to run. style_mean and style_spread (style, z) belong to card.styles."""

    card: Card
    config: Config
    model: Vae
    device: torch.device
    style_mean: Tensor
    style_spread: Tensor


def load_resident(library: Library, name: str, device: torch.device) -> Resident:
    """A verified model on a device; on the CPU where a GPU's memory is full."""
    card = library.card(name)
    config = find_config(card.config)
    tensors = {key: tensor.float() for key, tensor in library.tensors(name).items()}
    empty = torch.empty(0, config.shape.z)
    mean, spread = tensors.pop("styles.mean", empty), tensors.pop("styles.spread", empty)
    model = Vae(config.shape)
    _check_tensors(name, model, tensors)
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    try:
        return Resident(card, config, model.to(device), device, mean.to(device), spread.to(device))
    except torch.OutOfMemoryError:
        logger.warning("%s: the GPU is out of memory, loading it on the CPU", name)
        return Resident(card, config, model.cpu(), torch.device("cpu"), mean, spread)


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
