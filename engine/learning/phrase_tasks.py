"""Training on phrases: stretches of songs of which, at random, much or little is condition."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.drum_songs import SEQUENCED, DrumSong, read_drum_songs, styles_of
from engine.errors import DataError
from engine.learning.curriculum import BatchLosses
from engine.learning.drawing import DATA_SHARE, Drawing
from engine.learning.drawn_phrases import DRUMS, DrawnPhrases
from engine.learning.prior import Prior, standard_prior
from engine.model.phrases.decoder import BAR_NUMBERS, PAST_BARS, Condition
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.registry import Config, Recipe
from engine.representation.attributes import ATTRIBUTES
from engine.representation.drum_map import CLASSES
from engine.representation.measures import BAR_ATTRIBUTES, Hits, bar_attributes
from engine.representation.tokens import STEPS_PER_BAR

FEWEST_BARS = 4
"""A stretch of a song has so many bars of it at least, where the song has them."""

PLAYED_SHARE = 0.7
"""The share of the stretches that is played, not sequenced."""

LEFT_OUT_LICENCE = "GPL"
"""Weights that learnt from pieces with this licence could not be used by everybody."""

COUNT = len(BAR_ATTRIBUTES)
SPLITS = ("train", "validation")
VALIDATION_HOP, VALIDATION_BATCH = 8, 64
STRETCHES_OF_SONG = 12
"""Critics know at most so many stretches of a song."""

STARTS_PER_WINDOW = 4
"""An epoch draws a quarter as many stretches as there are bars to start at."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some bars of a song, from the bar `first` on."""

    song: DrumSong
    first: int


Rng = np.random.Generator
Given = NDArray[np.float32]
"""(bar, step, 9), 1 where a hit is given."""


def nothing(given: Given, rng: Rng) -> None:
    """New bars: nothing is given."""


def past(given: Given, rng: Rng) -> None:
    """The bars so far are given."""
    given[: rng.integers(1, max(2, len(given)))] = 1


def around(given: Given, rng: Rng) -> None:
    """All but one to four bars, and of those at times some drums."""
    first = int(rng.integers(len(given)))
    gap = given[first : first + int(rng.integers(1, 5))].copy()
    if rng.random() < 0.3:
        gap[:, :, rng.random(CLASSES) < 0.4] = 1
    given[:] = 1
    given[first : first + len(gap)] = gap


def drums(given: Given, rng: Rng) -> None:
    """Some drums, throughout."""
    given[:, :, rng.random(CLASSES) < rng.random()] = 1


def bars(given: Given, rng: Rng) -> None:
    """Some bars."""
    given[rng.random(len(given)) < rng.random()] = 1


def tapped(hits: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    """The steps that are tapped (bar, step), half of the time only some of those that are hit."""
    onset = hits.any(axis=2)
    if rng.random() < 0.5:
        onset = onset & (rng.random(onset.shape) >= 0.8 * rng.random())
    return np.asarray(onset, np.float32)


TASKS: dict[str, Callable[[Given, Rng], None]] = {
    "autoencode": nothing,
    "continue": past,
    "infill": around,
    "drums": drums,
    "vary": bars,
    "tap": nothing,
}


class PhraseCourse:
    """The tasks of a recipe on the drums of songs; see engine.learning.curriculum.Course."""

    steps_per_bar = STEPS_PER_BAR
    left_out: tuple[str, ...] = (f"without pieces under {LEFT_OUT_LICENCE}",)

    def __init__(self, config: Config, songs: Sequence[DrumSong], device: torch.device):
        assert isinstance(config.shape, PhraseShape)
        self.shape, self.device, self.recipe = config.shape, device, config.recipe
        self.styles = styles_of(songs)[: config.shape.styles]
        self.train, self.validation = ([song for song in songs if song.split == split] for split in SPLITS)
        self.starts = [Stretch(song, bar) for song in self.train for bar in range(_starts(len(song.hits)))]
        if not self.starts:
            raise DataError(f"the split 'train' holds no {FEWEST_BARS} bars of drums in 4/4")
        self._chance = _chances(self.starts)
        self.longest = max(config.recipe.bars)
        self.validated = [
            Stretch(song, bar)
            for song in self.validation
            if song.style != SEQUENCED or not any(other.style != SEQUENCED for other in self.validation)
            for bar in range(0, max(1, len(song.hits) - self.longest + 1), VALIDATION_HOP)
        ]
        self.model = PhraseVae(config.shape).to(device)
        everything = np.concatenate([bar_attributes(song.hits) for song in self.train])
        self.model.attribute_mean[:] = torch.from_numpy(everything.mean(axis=0))
        self.model.attribute_deviation[:] = torch.from_numpy(everything.std(axis=0) + 1e-6)
        scales = torch.stack([self.model.attribute_mean, self.model.attribute_deviation], dim=1).tolist()
        told = dict(zip(BAR_ATTRIBUTES, scales, strict=True))
        self.about: Mapping[str, Mapping[str, Sequence[float]]] = {
            "attributes": {name: told[name] for name in told if name in ATTRIBUTES}
        }
        self.size = max(1, len(self.starts) // STARTS_PER_WINDOW)
        self.facts: Mapping[str, int] = {"bars": len(everything), "songs": len(self.train)}

    def training_batches(self, recipe: Recipe, count: int, rng: Rng) -> Iterator[BatchLosses]:
        """See Course."""
        if _draws(recipe):
            drawing = self._drawing(recipe, rng)
            few = replace(self.recipe, bars=recipe.bars, batch=max(1, recipe.batch // DATA_SHARE))
            for batch_losses in self.training_batches(few, count, rng):
                yield partial(drawing.losses, batch_losses)
            return
        for _ in range(count):
            bars = int(rng.choice(recipe.bars))
            rows = max(1, recipe.batch * self.longest // bars)
            chosen = [self.starts[k] for k in rng.choice(len(self.starts), rows, p=self._chance)]
            condition, weight = self.phrases(chosen, bars, recipe.tasks, rng)
            yield partial(self._losses, recipe, condition, weight)

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """See Course: whole stretches, of which tempo, style and bar numbers are given, and no attribute.

        Of a decoder that learns from what it draws it is measured how often new critics tell that.
        """
        if _draws(recipe):
            yield "drawn", 1.0, partial(self._told, recipe)
            return
        shares = sum(recipe.tasks.values())
        for task, share in recipe.tasks.items():
            rng = np.random.default_rng(0)
            for first in range(0, len(self.validated), VALIDATION_BATCH):
                chosen = self.validated[first : first + VALIDATION_BATCH]
                condition, weight = self.phrases(chosen, self.longest, {task: 1.0}, rng, training=False)
                part = share / shares * len(chosen) / len(self.validated)
                yield task, part, partial(self._losses, recipe, condition, weight)

    def phrases(
        self,
        stretches: Sequence[Stretch],
        bars: int,
        tasks: Mapping[str, float],
        rng: Rng,
        *,
        training: bool = True,
    ) -> tuple[Condition, Tensor]:
        """Stretches with what a task of each tells of them, and where they are not yet over (batch, step)."""
        names, shares = list(tasks), np.array(list(tasks.values()))
        rows = [
            self._phrase(stretch, bars, names[rng.choice(len(names), p=shares / shares.sum())], rng, training)
            for stretch in stretches
        ]
        arrays = {name: torch.from_numpy(np.stack([row[name] for row in rows])).to(self.device) for name in rows[0]}
        weight = arrays.pop("weight")
        bar_z = weight.new_zeros(len(rows), bars, self.shape.bar_z)
        return Condition(**arrays, bar_z=bar_z, steps_per_bar=STEPS_PER_BAR), weight

    def _phrase(self, stretch: Stretch, bars: int, task: str, rng: Rng, training: bool) -> dict[str, NDArray[Any]]:
        """One row of a batch."""
        song, first = stretch.song, stretch.first
        own, there = song.hits[first : first + bars], min(bars, len(song.hits) - first)
        hits = np.zeros((bars, STEPS_PER_BAR, CLASSES), np.float32)
        hits[:there] = own
        before = min(first, PAST_BARS) if training and rng.random() < 0.5 else 0
        if before and rng.random() < 0.5:
            before = int(rng.integers(1, before + 1))
        past = np.zeros((PAST_BARS, STEPS_PER_BAR, CLASSES), np.float32)
        past[PAST_BARS - before :] = song.hits[first - before : first]
        given, taps = np.zeros_like(hits), np.zeros((bars, STEPS_PER_BAR, 2), np.float32)
        TASKS[task](given, rng)
        if task == "tap":
            taps[..., 0], taps[..., 1] = tapped(hits, rng), 1

        def tells(share: float) -> bool:
            return not training or rng.random() < share

        known = self.styles.index(song.style) if song.style in self.styles else self.shape.styles
        numbers = (first + np.arange(bars)) % BAR_NUMBERS
        return {
            "hits": hits.reshape(-1, CLASSES),
            "hits_given": given.reshape(-1, CLASSES),
            "past": past.reshape(-1, CLASSES),
            "past_given": (np.arange(PAST_BARS) >= PAST_BARS - before).astype(np.float32),
            "taps": taps.reshape(-1, 2),
            "style": np.array(known if tells(0.5) else self.shape.styles),
            "tempo": np.array([math.log2(song.tempo_bpm / 120), 1] if tells(0.5) else [0, 0], np.float32),
            "attributes": self._attributes(own, bars, rng) if training else np.zeros((bars, 2 * COUNT), np.float32),
            "bar_number": numbers if tells(0.6) else np.full(bars, BAR_NUMBERS),
            "bar_z_given": some_of(rng, bars, none=0.45, all_of_them=0.27)
            if training
            else np.zeros(bars, np.float32),
            "weight": np.repeat(np.arange(bars) < there, STEPS_PER_BAR).astype(np.float32),
        }

    def _attributes(self, hits: Hits, bars: int, rng: Rng) -> NDArray[np.float32]:
        """The attributes of bars, each given of all, as the mean of all, of some, or of none: (bar, 8)."""
        mean, deviation = self.model.attribute_mean.cpu().numpy(), self.model.attribute_deviation.cpu().numpy()
        own = (bar_attributes(hits) - mean) / deviation
        given = np.zeros((bars, 2 * COUNT), np.float32)
        for index, values in enumerate(own.T):
            kind = rng.random()
            which = np.ones(len(own)) if kind < 0.35 else rng.random(len(own)) < rng.random()
            if kind < 0.5:
                given[: len(own), index] = which * (values.mean() if 0.2 <= kind < 0.35 else values)
                given[: len(own), COUNT + index] = which
        return given

    def _losses(self, recipe: Recipe, condition: Condition, weight: Tensor, step: int) -> dict[str, Tensor]:
        if self.recipe.second is not None and recipe.second is None:  # that is the second, or a share of it
            return self.model.prior_loss(condition)
        return self.model.loss(
            condition,
            weight,
            beta=recipe.beta,
            free_nats=recipe.free_bits * math.log(2),
            bar_beta=recipe.feel_beta,
            bar_free_nats=recipe.feel_bits * math.log(2),
        )

    def _drawing(self, recipe: Recipe, rng: Rng) -> Drawing:
        """Critics who know what the model draws now, and whole stretches of songs that are played."""
        (bars,) = recipe.bars
        played = [song for song in self.train if song.style != SEQUENCED] or self.train
        songs = [song for song in played if len(song.hits) >= bars]
        if not songs:
            raise DataError(f"the split 'train' holds no {bars} bars of drums in 4/4 of one piece")
        stretches, piece = [], []
        for number, song in enumerate(songs):
            starts = len(song.hits) - bars + 1
            firsts = np.linspace(0, starts - 1, min(starts, STRETCHES_OF_SONG)).round().astype(int)
            stretches += [Stretch(song, int(first)) for first in firsts]
            piece += [number] * len(firsts)

        def ask(verb: str, rows: int, rng: Rng) -> Condition:
            return self.asked(verb, [stretches[k] for k in rng.integers(len(stretches), size=rows)], bars, rng)

        hits = np.stack([each.song.hits[each.first : each.first + bars] for each in stretches])
        draw, steps = DrawnPhrases(self.model, recipe, ask), math.ceil(self.size / recipe.batch)
        return Drawing(recipe, draw, {DRUMS: (hits, np.array(piece))}, rng, steps)

    def asked(self, verb: str, stretches: Sequence[Stretch], bars: int, rng: Rng) -> Condition:
        """Whole stretches with what a verb is given of them: `sample` their style, others tempo and place as well.

        Half of the time `sample` is to begin a song, else to have the place of each.
        """
        condition, _ = self.phrases(
            stretches, bars, {"tap" if verb == "drumify" else "autoencode": 1.0}, rng, training=False
        )
        if verb != "sample":
            return replace(condition, style=torch.full_like(condition.style, self.shape.styles))
        if rng.random() < 0.5:
            numbers = torch.arange(bars, device=condition.style.device) % BAR_NUMBERS
            condition = replace(condition, bar_number=numbers.expand_as(condition.bar_number))
        return replace(condition, tempo=torch.zeros_like(condition.tempo))

    def _told(self, recipe: Recipe, _: int) -> dict[str, Tensor]:
        return {"total": torch.tensor(self._drawing(recipe, np.random.default_rng(0)).told())}

    def calibrate(self) -> None:
        """Nothing is left to fit."""

    def prior(self) -> Prior:
        """The styles, and how often each is played; what z comes from is learnt, a network of the model's own."""
        bars = {style: sum(len(song.hits) for song in self.train if song.style == style) for style in self.styles}
        if len(bars) > 1:
            bars[SEQUENCED] = 0
        share = torch.tensor([float(bars[style]) for style in self.styles])
        normal = standard_prior(self.shape.z)
        count = len(self.styles)
        return Prior(
            self.styles, normal.mean.repeat(count, 1), normal.scale.repeat(count, 1, 1), share / share.sum()
        )


def load_drums(data: Sequence[Path], max_songs: int | None = None) -> list[DrumSong]:
    """The drums of corpora, without the pieces whose licence would bind the weights."""
    return at_most(max_songs, read_drum_songs(data, without_licence=LEFT_OUT_LICENCE))


class OfSplit(Protocol):
    """A song, of the split that it is in."""

    @property
    def split(self) -> str:
        """Its name."""
        ...


Song = TypeVar("Song", bound=OfSplit)


def at_most(count: int | None, songs: Iterable[Song]) -> list[Song]:
    """The first so many songs of each split."""
    seen = Counter[str]()
    kept = []
    for song in songs:
        seen[song.split] += 1
        if count is None or seen[song.split] <= count:
            kept.append(song)
    return kept


def _draws(recipe: Recipe) -> bool:
    """Whether its tasks are verbs: the decoder learns from what it draws."""
    return not recipe.tasks.keys() <= TASKS.keys()


def _starts(bars: int) -> int:
    """At how many bars of a song a stretch may start."""
    return max(1, bars - FEWEST_BARS + 1) if bars > 1 else 0


def _chances(starts: Sequence[Stretch]) -> NDArray[np.float64]:
    """How often each stretch is drawn: a song by the root of its length, played ones as PLAYED_SHARE says."""
    weight = np.array([len(start.song.hits) ** -0.5 for start in starts])
    played = np.array([start.song.style != SEQUENCED for start in starts])
    for kind, share in ((played, PLAYED_SHARE), (~played, 1 - PLAYED_SHARE)):
        if kind.any():
            weight[kind] *= share / weight[kind].sum()
    return np.asarray(weight / weight.sum(), np.float64)


def some_of(rng: Rng, count: int, *, none: float, all_of_them: float) -> NDArray[np.float32]:
    """Zeros, ones, or a random share of ones, with these chances: (count,)."""
    kind = rng.random()
    some = rng.random(count) < (0.0 if kind < none else 1.0 if kind < none + all_of_them else rng.random())
    return some.astype(np.float32)
