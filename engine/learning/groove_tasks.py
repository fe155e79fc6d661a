"""Training on grooves: windows of drum performances, and the tasks of a recipe on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.augmentation import a_little_faster, with_other_last_bars, without_some_drums
from engine.data.corpus import read_corpus
from engine.data.windows import STEPS_PER_BAR, Windows, cut_windows
from engine.learning.curriculum import BatchLosses
from engine.learning.prior import Prior, fit_prior
from engine.model.drummer_decoder import DrummerDecoder
from engine.model.performer import step_features
from engine.model.tasks import TRAINING_TASKS, autoencode, nothing_given
from engine.model.vae import GrooveShape, Vae
from engine.registry import Config, Recipe
from engine.representation.attributes import FEEL
from engine.representation.groove import HITS, OFFSETS, VELOCITIES
from engine.representation.measures import feel_of, playing_of

FEWEST_HITS = 1000
"""Below this many validation hits, skip calibrating the shrinkage of Expectation."""

BUCKET = 16
"""How many shuffled batches are sorted together by the number of hits, so that a batch needs little padding."""


@dataclass(frozen=True, slots=True)
class Datasets:
    """The training windows, by their length in bars, and the validation windows, which choose the best epoch."""

    train: dict[int, Windows]
    validation: Windows


def load_datasets(config: Config, data: Path, max_windows: int | None = None) -> Datasets:
    """The windows of a corpus's train and validation splits."""
    performances = read_corpus(data)
    shortest, longest = min(config.recipe.bars), max(config.recipe.bars)
    windows = {
        bars: cut_windows(performances, split="train", bars=bars, pad=bars == shortest)[:max_windows]
        for bars in config.recipe.bars
    }
    validation = cut_windows(performances, split="validation", bars=longest)[::longest]  # the others overlap these
    return Datasets(windows, validation[:max_windows])


@dataclass(frozen=True, slots=True)
class _Batch:
    """A task on some windows [window]; companions and joined: another of the same performance for each.

    companions: the encoder's input of the task same_feel. joined: whose second half replaces the window's.
    """

    task: str
    windows: Windows
    chosen: NDArray[np.int64]
    companions: NDArray[np.int64]
    joined: NDArray[np.int64]
    generator: torch.Generator


class GrooveCourse:
    """The tasks of a recipe on the windows of a corpus; see engine.learning.curriculum.Course."""

    left_out: tuple[str, ...] = ()
    steps_per_bar = STEPS_PER_BAR

    def __init__(self, config: Config, datasets: Datasets, device: torch.device):
        assert isinstance(config.shape, GrooveShape)
        self.shape, self.datasets, self.device = config.shape, datasets, device
        self.model = Vae(config.shape).to(device)
        self._second = config.recipe.second
        self.size = len(datasets.train[min(datasets.train)])
        self.facts: Mapping[str, int] = {str(bars): len(windows) for bars, windows in datasets.train.items()}
        self.about: Mapping[str, Mapping[str, Sequence[float]]] = about_feel(datasets.train[min(datasets.train)])

    def training_batches(self, recipe: Recipe, count: int, rng: np.random.Generator) -> Iterator[BatchLosses]:
        """See Course."""
        orders = {bars: self._order(self.datasets.train[bars], recipe.batch, rng) for bars in recipe.bars}
        tasks, shares = list(recipe.tasks), np.array(list(recipe.tasks.values()))
        for _ in range(count):
            bars = int(rng.choice(list(orders)))
            task = str(rng.choice(tasks, p=shares / shares.sum()))
            chosen = next(orders[bars])
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            windows = self.datasets.train[bars]
            companions = windows.companions(chosen, rng)
            joined = windows.companions(chosen, rng) if recipe.joined_bars else chosen
            batch = _Batch(task, windows, chosen, companions, joined, generator)
            yield partial(self._losses, batch, recipe)

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """See Course."""
        windows, shares = self.datasets.validation, sum(recipe.tasks.values())
        for task, share in recipe.tasks.items():
            generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
            for first in range(0, len(windows), 256):
                chosen = np.arange(first, min(first + 256, len(windows)))
                batch = _Batch(task, windows, chosen, windows.companions(chosen, rng), chosen, generator)
                yield task, share / shares * len(chosen) / len(windows), partial(self._losses, batch, recipe)

    def _order(self, windows: Windows, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The windows of each batch [batch], shuffled; those of a batch have about the same number of hits."""
        hits = windows.grooves[..., HITS].sum(axis=(1, 2))
        while True:
            shuffled = np.resize(rng.permutation(len(windows)), -(-len(windows) // batch) * batch)
            rows = []
            for first in range(0, len(shuffled), BUCKET * batch):
                bucket = shuffled[first : first + BUCKET * batch]
                rows.append(bucket[np.argsort(hits[bucket], kind="stable")].reshape(-1, batch))
            yield from rng.permutation(np.concatenate(rows))

    def _losses(self, batch: _Batch, recipe: Recipe, step: int) -> dict[str, Tensor]:
        """The parts of the loss of one batch."""
        windows, generator = batch.windows, batch.generator
        groove = torch.from_numpy(windows.grooves[batch.chosen]).to(self.device)
        other = torch.from_numpy(windows.grooves[batch.companions]).to(self.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[batch.chosen]).to(self.device)
        if self.model.training:
            if recipe.joined_bars:
                joined = torch.from_numpy(windows.grooves[batch.joined]).to(self.device)
                groove = with_other_last_bars(groove, joined, recipe.joined_bars, generator)
            groove, other = (without_some_drums(each, recipe.silent_drums, generator) for each in (groove, other))
            tempo_bpm = a_little_faster(tempo_bpm, recipe.tempo_spread, generator)
        example = TRAINING_TASKS[batch.task](groove, other, nothing_given(groove, tempo_bpm), generator)
        noise = torch.randn(len(groove), self.shape.z, generator=generator).to(self.device)
        if self._second is not None and recipe.second is None:  # that is the second, or a share of it
            return {"total": self.model.expectation_loss(example, groove)}
        return self.model.loss(
            example,
            groove,
            beta=recipe.beta,
            free_bits=recipe.free_bits,
            feel_beta=recipe.feel_beta,
            feel_bits=recipe.feel_bits,
            noise=noise,
        )

    def calibrate(self) -> None:
        """Fit Expectation's shrinkage where no feel is given: least squares over the hits of validation windows.

        For offset and for velocity: centre is the mean prediction, trust the slope of the truth on the prediction.
        """
        decoder, windows = self.model.decoder, self.datasets.validation
        if not isinstance(decoder, DrummerDecoder) or windows.grooves[..., HITS].sum() < FEWEST_HITS:
            return
        expectation, predicted, true = decoder.performer.expectation, [], []
        for first in range(0, len(windows), 64):
            groove = torch.from_numpy(windows.grooves[first : first + 64]).to(self.device)
            tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 64]).to(self.device)
            hits, nothing = groove[..., HITS], groove.new_zeros(len(groove), 1, self.shape.feel)
            mean = expectation.predictions(step_features(hits, nothing_given(groove, tempo_bpm)), nothing).mean(
                dim=0
            )
            predicted.append(mean.transpose(2, 3)[hits > 0])
            true.append(torch.stack([groove[..., OFFSETS], groove[..., VELOCITIES]], dim=-1)[hits > 0])
        answers, truth = torch.cat(predicted), torch.cat(true)
        centre = answers.mean(dim=0)
        away = answers - centre
        expectation.centre[:] = centre
        expectation.trust[:] = (away * (truth - truth.mean(dim=0))).sum(dim=0) / (away**2).sum(dim=0)

    def prior(self) -> Prior:
        """The prior, one normal for each style of the training windows, and for each player."""
        posteriors = []
        styles, players = list[Tensor](), list[Tensor]()
        names, drummers = (
            tuple(sorted({name for windows in self.datasets.train.values() for name in getattr(windows, which)}))
            for which in ("style_names", "drummer_names")
        )
        for windows in self.datasets.train.values():
            for first in range(0, len(windows), 512):
                grooves = torch.from_numpy(windows.grooves[first : first + 512]).to(self.device)
                tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 512]).to(self.device)
                example = autoencode(grooves, nothing_given(grooves, tempo_bpm))
                posteriors.append(self.model.encode(example.encoder_input, example.given.position[0]))
            for rows, known, own, which in (
                (styles, names, windows.style_names, windows.style),
                (players, drummers, windows.drummer_names, windows.drummer),
            ):
                places = [known.index(name) for name in own] + [-1]
                rows.append(torch.tensor(places)[torch.from_numpy(which)])
        mu, sigma = (torch.cat([getattr(each, name).cpu() for each in posteriors]) for name in ("mu", "sigma"))
        prior = fit_prior(mu, sigma, torch.cat(styles), names)
        if not (prior.names and drummers):
            return prior
        return prior.and_by_name(fit_prior(mu, sigma, torch.cat(players), drummers))


FEWEST_HITS_OF_FEEL = 8
"""Windows with fewer hits say little of a feel."""


FEWEST_OF_A_STYLE = 8
"""Styles and players with fewer windows have no feel of their own."""


def about_feel(windows: Windows) -> dict[str, dict[str, list[float]]]:
    """The card's attributes, mean and deviation of the feel's, and its feels, the means of styles and players."""
    feel = feel_of(playing_of(windows.grooves, windows.tempo_bpm))
    known = ~np.isnan(feel).any(axis=1) & (windows.grooves[..., HITS].sum(axis=(1, 2)) >= FEWEST_HITS_OF_FEEL)
    rows = feel[known] if known.any() else np.zeros((1, len(FEEL)))
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    feels = dict[str, list[float]]()
    for names, which in ((windows.style_names, windows.style), (windows.drummer_names, windows.drummer)):
        for index, name in enumerate(names):
            own = known & (which == index)
            if own.sum() >= FEWEST_OF_A_STYLE:
                feels[name] = ((feel[own].mean(axis=0) - mean) / deviation).tolist()
    scales = np.stack([mean, deviation], axis=1).tolist()
    return {"attributes": dict(zip(FEEL, scales, strict=True)), "feels": feels}
