"""Weights of models that nobody has trained."""

from dataclasses import replace
from pathlib import Path

import torch

from engine.learning.prior import Prior
from engine.model.band.vae import BandShape, BandVae
from engine.model.musicvae import MusicVae, SequenceShape
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.model.score.vae import ScoreShape, ScoreVae
from engine.model.vae import Vae
from engine.registry import Config, find_config
from engine.representation.catalogue import find_representation
from engine.weights import Card, write_weights

SMALL = {"z": 8, "encoder": (16,), "decoder": (16, 16)}
"""Sizes by which a model of tokens is built in no time."""


SMALL_PHRASES = {
    **{"z": 6, "bar_z": 4, "styles": 3, "encoder_hidden": 8, "bar_hidden": 16, "decoder_hidden": 16},
    **{"context": 4, "conductor": 8, "plan": 4},
}
"""Those of a model of phrases."""


SMALL_BANDS = {
    **{"z": 6, "bar_z": 4, "styles": 3, "encoder_hidden": 8, "bar_hidden": 16, "decoder_hidden": 16},
    **{"context": 4, "prior_hidden": 8},
}
"""Those of a model of bands."""


SMALL_SCORES = {"z": 4, "channels": 8, "predictor_hidden": 8}
"""Those of a model of sound."""


def small(config: Config) -> dict[str, object]:
    """The sizes of a model of tokens, of its kind but small."""
    shape = config.shape
    if not isinstance(shape, SequenceShape):
        return {}
    sizes: dict[str, object] = {**SMALL, "encoder": (16,) * len(shape.encoder)}
    if shape.nade:
        sizes["nade"] = 8
    return sizes | ({"conductor": (16, 16)} if shape.conductor else {})


def write_random_weights(
    folder: Path,
    config_name: str,
    name: str | None = None,
    *,
    chained: bool = False,
    spread: float = 1.0,
    **sizes: object,
) -> Card:
    """Weights of a configuration that has never been trained, times spread, in other sizes where they are given."""
    config = find_config(config_name)
    shape = replace(config.shape, **sizes)
    torch.manual_seed(0)
    is_groove = config.representation in ("groove", "phrase", "band", "sound")
    model: torch.nn.Module
    if isinstance(shape, PhraseShape):
        model = PhraseVae(shape)
    elif isinstance(shape, BandShape):
        model = BandVae(shape)
    elif isinstance(shape, ScoreShape):
        model = ScoreVae(shape)
    else:
        model = Vae(shape) if is_groove else MusicVae(shape, chained=chained)
    z = shape.z
    prior = Prior(("funk", "rock"), torch.randn(2, z), torch.eye(z).repeat(2, 1, 1), torch.full((2,), 0.5))
    tensors = {key: spread * each for key, each in model.state_dict().items()} | prior.tensors()
    card = Card(
        name=name or config.name,
        config=config.name,
        family=config.family,
        bars=max(config.recipe.bars),
        steps_per_bar=16 if is_groove else find_representation(config.representation).steps_per_bar,
        verbs=tuple(verb for verb in config.verbs if is_groove or shape.encoder or verb != "encode"),
        styles=("funk", "rock"),
        sizes={key: list(size) if isinstance(size, tuple) else size for key, size in sizes.items()},
        chained=chained,
        sha256="",
    )
    return write_weights(folder, {key: value.to(torch.bfloat16) for key, value in tensors.items()}, card)
