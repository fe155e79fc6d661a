"""Training on tokens: windows of songs, transposed at random, and MusicVAE's schedules."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.songs import Song, read_songs
from engine.data.sources import drum_map_of
from engine.data.token_windows import TokenWindows, cut_token_windows, transposed
from engine.learning.curriculum import BatchLosses
from engine.learning.prior import Prior, fit_prior
from engine.model.musicvae import MusicVae, SequenceShape
from engine.model.token_decoder import TRUTH, Feeding
from engine.registry import Config, Recipe
from engine.representation.catalogue import find_representation
from engine.representation.tokens import Tokens

VALIDATION_WINDOWS, PRIOR_WINDOWS = 2048, 16_384
"""The most windows used for validation, and for fitting the prior, evenly spread over all."""


@dataclass(frozen=True, slots=True)
class Datasets:
    """Training and validation windows [window, step, part]; left_out: training windows left out, by reason."""

    train: Tokens
    validation: Tokens
    left_out: Counter[str]


def cut_songs(config: Config, data: Sequence[Path], max_windows: int | None = None) -> Datasets:
    """The windows of corpora; DataError if there are none."""
    representation, bars = find_representation(config.representation), config.recipe.bars[0]
    cut: dict[str, list[TokenWindows]] = {"train": [], "validation": []}
    for path in data:
        songs = read_songs(path)
        if config.representation == "melody":
            songs = [_named_melody(song) for song in songs]
        for split, windows in cut.items():
            drum_map = drum_map_of(path)
            windows.append(cut_token_windows(songs, representation, split=split, bars=bars, drum_map=drum_map))
    train, validation = (
        np.concatenate([each.tokens for each in windows])[:max_windows] for windows in cut.values()
    )
    return Datasets(train, validation, sum((each.left_out for each in cut["train"]), Counter()))


def _named_melody(song: Song) -> Song:
    """The song with only its track named melody, if there is one; else the song as it is."""
    named = song.only("melody")
    return named if named.tracks else song


class TokenCourse:
    """Windows of tokens; see engine.learning.curriculum.Course."""

    left_out: tuple[str, ...] = ()

    def __init__(self, config: Config, datasets: Datasets, device: torch.device):
        assert isinstance(config.shape, SequenceShape)
        self.shape, self.device = config.shape, device
        self.model = MusicVae(config.shape).to(device)
        self._representation = find_representation(config.representation)
        self._train, self._validation = datasets.train, _spread(datasets.validation, VALIDATION_WINDOWS)
        self.steps_per_bar = self._representation.steps_per_bar
        self.size = len(datasets.train)
        left_out = {f"left out, {reason}": count for reason, count in datasets.left_out.most_common()}
        self.about: Mapping[str, Mapping[str, Sequence[float]]] = {}
        self.facts: Mapping[str, int] = {str(config.recipe.bars[0]): self.size} | left_out

    def training_batches(self, recipe: Recipe, count: int, rng: np.random.Generator) -> Iterator[BatchLosses]:
        """See Course."""
        order = np.resize(rng.permutation(len(self._train)), (count, recipe.batch))
        for chosen in order:
            tokens = self._train[chosen]
            if recipe.transpose:
                by = rng.integers(-recipe.transpose, recipe.transpose + 1, len(tokens))
                tokens = transposed(tokens, by, self._representation)
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            yield partial(self._losses, tokens, recipe, generator)

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """See Course."""
        generator = torch.Generator().manual_seed(0)
        for first in range(0, len(self._validation), 256):
            tokens = self._validation[first : first + 256]
            yield (
                "autoencode",
                len(tokens) / len(self._validation),
                partial(self._losses, tokens, recipe, generator),
            )

    def _losses(self, tokens: Tokens, recipe: Recipe, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        learning = self.model.training
        return self.model.loss(
            torch.from_numpy(tokens).to(self.device),
            beta=beta_at(recipe, step) if learning else recipe.beta,
            free_bits=recipe.free_bits,
            noise=torch.randn(len(tokens), self.shape.z, generator=generator).to(self.device),
            feeding=Feeding(sampling_at(recipe, step), recipe.hidden_past) if learning else TRUTH,
        )

    def calibrate(self) -> None:
        """Nothing to fit."""

    def prior(self) -> Prior:
        """The prior, one normal without style."""
        tokens = torch.from_numpy(_spread(self._train, PRIOR_WINDOWS)).to(self.device)
        posteriors = [self.model.encode(batch) for batch in torch.split(tokens, 256)]
        mu, sigma = (torch.cat([getattr(each, name).cpu() for each in posteriors]) for name in ("mu", "sigma"))
        return fit_prior(mu, sigma, torch.full((len(mu),), -1), ())


def beta_at(recipe: Recipe, step: int) -> float:
    """The KL weight at a training step: (1 − rate^step)·beta, as in MusicVAE's configurations."""
    return recipe.beta * (1 - recipe.beta_rate**step)


def sampling_at(recipe: Recipe, step: int) -> float:
    """The share of steps that are fed samples: 1 − k / (k + e^(step/k)), Bengio et al. 2015, arXiv 1506.03099."""
    k = recipe.sampling_steps
    return 1 / (1 + k * math.exp(-step / k)) if k else 0.0


def _spread(tokens: Tokens, most: int) -> Tokens:
    """At most this many windows, evenly spread."""
    return tokens[:: -(-len(tokens) // most)]
