"""Training on sound: frames at any place of recordings, then, of their scores, what comes after forty of them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio.spectrogram import FRAME_COLUMNS, SHARED_COLUMNS, to_frames, to_levels
from engine.data.recordings import NEEDED, Recording, read_recordings
from engine.errors import DataError
from engine.learning.curriculum import BatchLosses
from engine.learning.phrase_tasks import LEFT_OUT_LICENCE, SPLITS
from engine.learning.prior import Prior, standard_prior
from engine.model.encoder import Posterior
from engine.model.score.vae import ScoreShape, ScoreVae
from engine.registry import Config, Recipe

VALIDATION_FRAMES, VALIDATION_WINDOWS, ENCODED_AT_ONCE = 2048, 512, 512
READ_COLUMNS = SHARED_COLUMNS + FRAME_COLUMNS

SHIFTS = (0, FRAME_COLUMNS // 2)
"""The columns at which the frames of a score begin: a beat is heard at either end of one."""

Levels = Tensor
"""Of one recording, (band, column), in half precision."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The levels of recordings to learn from, and to choose by: the same where there are no others."""

    train: Sequence[Levels]
    validation: Sequence[Levels]


def load_pieces(data: Sequence[Path], max_pieces: int | None = None) -> Pieces:
    """The recordings of corpora, without MIDI whose licence would bind the weights."""
    train, validation = (
        [levels_of(each) for each in islice(recordings(data, split), max_pieces)] for split in SPLITS
    )
    if not train:
        raise DataError(f"{', '.join(map(str, data))}: no sound to learn from; {NEEDED}")
    return Pieces(train, validation or train)


def recordings(data: Sequence[Path], split: str) -> Iterator[Recording]:
    """The recordings of a split of corpora, without MIDI whose licence would bind the weights."""
    return read_recordings(data, split, without_licence=LEFT_OUT_LICENCE)


def levels_of(recording: Recording) -> Levels:
    """What is learnt from of a recording."""
    return to_levels(torch.from_numpy(recording.samples)).half()


class ScoreCourse:
    """The frames of recordings, and windows of their scores; see engine.learning.curriculum.Course."""

    steps_per_bar = FRAME_COLUMNS
    left_out: tuple[str, ...] = (f"MIDI as FluidSynth plays it, without pieces under {LEFT_OUT_LICENCE}",)

    def __init__(self, config: Config, pieces: Pieces, device: torch.device):
        assert isinstance(config.shape, ScoreShape)
        self.shape, self.device, self._second = config.shape, device, config.recipe.second
        self._window = config.shape.past + config.shape.future
        self._pieces = pieces
        self._columns = torch.cat(list(pieces.train), dim=1)
        self._starts = _starts(pieces.train)
        self.size = sum(each.shape[1] // FRAME_COLUMNS for each in pieces.train)
        if not any(each.shape[1] >= self._window * FRAME_COLUMNS for each in pieces.train):
            raise DataError(
                f"no recording to learn from lasts {self._window / 4:g} s: {self._window} frames of 1/4 s"
            )
        self.model = ScoreVae(config.shape).to(device)
        self.about: Mapping[str, Mapping[str, Sequence[float]]] = {}
        self.facts: Mapping[str, int] = {"frames": self.size, "pieces": len(pieces.train)}
        self._scores: dict[str, Windows] = {}

    def training_batches(self, recipe: Recipe, count: int, rng: np.random.Generator) -> Iterator[BatchLosses]:
        """See Course."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        for _ in range(count):
            if recipe is self._second:
                windows = self._windows("train")
                yield partial(self._prediction, windows, rng.choice(len(windows.starts), recipe.batch), generator)
            else:
                starts = torch.from_numpy(rng.choice(self._starts, recipe.batch))
                levels = self._columns.unfold(1, READ_COLUMNS, 1)[:, starts].permute(1, 0, 2)
                yield partial(self._reconstruction, recipe, levels, generator)

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """See Course."""
        generator = torch.Generator().manual_seed(0)
        if recipe is self._second:
            windows = self._windows("validation")
            chosen = _spread(np.arange(len(windows.starts)), VALIDATION_WINDOWS)
            yield "predict", 1.0, partial(self._prediction, windows, chosen, generator)
            return
        frames = torch.cat([to_frames(each) for each in self._pieces.validation])
        frames = frames[_spread(np.arange(len(frames)), VALIDATION_FRAMES)]
        for levels in torch.split(frames, ENCODED_AT_ONCE):
            share = len(levels) / len(frames)
            yield "autoencode", share, partial(self._reconstruction, recipe, levels, generator)

    def _reconstruction(
        self, recipe: Recipe, levels: Tensor, generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        noise = torch.randn(len(levels), self.shape.z, generator=generator)
        free_nats = recipe.free_bits * math.log(2)
        levels = levels.float().to(self.device)
        return self.model.loss(levels, noise.to(self.device), beta=recipe.beta, free_nats=free_nats)

    def _prediction(
        self, windows: "Windows", chosen: NDArray[np.int64], generator: torch.Generator, step: int
    ) -> dict[str, Tensor]:
        """What follows is foreseen from draws of the past, which is what it follows when it is made."""
        places = torch.from_numpy(windows.starts[chosen])[:, None] + torch.arange(self._window)
        mu, sigma = (each[places].to(self.device) for each in (windows.mu, windows.sigma))
        noise = torch.randn(mu.shape, generator=generator).to(self.device)
        past = (mu + sigma * noise)[:, : self.shape.past]
        nats = self.model.predictor(past).nats(mu[:, self.shape.past :])
        return {"total": nats.mean()}

    def _windows(self, split: str) -> "Windows":
        """The scores of a split, by the encoder as it is when the second stage begins."""
        if split not in self._scores:
            pieces = getattr(self._pieces, split)
            self._scores[split] = windows_of(self.model, pieces, self._window, self.device)
        return self._scores[split]

    def calibrate(self) -> None:
        """Nothing is left to fit."""

    def prior(self) -> Prior:
        """What comes next is learnt, by a network of the model's own."""
        return standard_prior(self.shape.z)


@dataclass(frozen=True, slots=True)
class Windows:
    """The posteriors of frames, one score after the other, mu and sigma (frame, z); starts: of windows in one."""

    mu: Tensor
    sigma: Tensor
    starts: NDArray[np.int64]


@torch.no_grad()
def windows_of(
    model: ScoreVae, pieces: Sequence[Levels], window: int, device: torch.device, shifts: Sequence[int] = SHIFTS
) -> Windows:
    """The scores of pieces, each read from every shift on."""
    was_training = model.training
    model.eval()
    scores = [read_score(model, piece[:, shift:].to(device)) for piece in pieces for shift in shifts]
    model.train(was_training)
    ends = np.cumsum([len(each.mu) for each in scores])
    starts = [np.arange(end - len(each.mu), end - window + 1) for each, end in zip(scores, ends, strict=True)]
    mu, sigma = (torch.cat([getattr(each, name).cpu() for each in scores]) for name in ("mu", "sigma"))
    return Windows(mu, sigma, np.concatenate(starts).astype(np.int64))


def read_score(model: ScoreVae, levels: Tensor) -> Posterior:
    """The posteriors of the whole frames in levels (band, column): (frame, z)."""
    parts = [model.encoder(frames.float()) for frames in torch.split(to_frames(levels), ENCODED_AT_ONCE)]
    return Posterior(torch.cat([each.mu for each in parts]), torch.cat([each.sigma for each in parts]))


def _starts(pieces: Sequence[Levels]) -> NDArray[np.int64]:
    """The columns at which a frame may begin, of pieces that stand one behind the other."""
    ends = np.cumsum([each.shape[1] for each in pieces])
    ranges = [
        np.arange(end - each.shape[1], end - READ_COLUMNS + 1) for each, end in zip(pieces, ends, strict=True)
    ]
    return np.concatenate(ranges).astype(np.int64)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most this many, evenly spread."""
    return places[:: -(-len(places) // most) or 1]
