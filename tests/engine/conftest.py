from pathlib import Path

import pytest
import torch

from engine.model.vae import Vae
from engine.prior import Prior
from engine.registry import find_config
from engine.weights import Card, Library, write_weights


def write_random_weights(folder: Path, config_name: str, name: str | None = None) -> Card:
    """Weights of a configuration that has never been trained."""
    config = find_config(config_name)
    torch.manual_seed(0)
    tensors = {key: value.to(torch.bfloat16) for key, value in Vae(config.shape).state_dict().items()}
    z = config.shape.z
    prior = Prior(("funk", "rock"), torch.randn(2, z), torch.eye(z).repeat(2, 1, 1), torch.full((2,), 0.5))
    tensors |= {key: value.to(torch.bfloat16) for key, value in prior.tensors().items()}
    card = Card(
        name=name or config.name,
        config=config.name,
        family=config.family,
        bars=max(config.recipe.bars),
        steps_per_bar=16,
        verbs=config.verbs,
        styles=("funk", "rock"),
        sha256="",
    )
    return write_weights(folder, tensors, card)


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory) -> Path:
    """Untrained weights of our own configuration and of two published ones."""
    folder = tmp_path_factory.mktemp("weights")
    for config in ("groovae_2bar_humanize", "groovae_4bar", "drummer"):
        write_random_weights(folder, config)
    return folder


@pytest.fixture
def library(weights_folder) -> Library:
    return Library([weights_folder])
