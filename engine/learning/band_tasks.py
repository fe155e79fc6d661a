"""Training on bands: stretches of songs of which, at random, much or little is given, to draw one part of."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.band_songs import STYLES, BandSong, read_band_songs
from engine.errors import DataError
from engine.learning.curriculum import BatchLosses
from engine.learning.drawing import DATA_SHARE, Drawing
from engine.learning.drawn_bands import DrawnBands
from engine.learning.phrase_tasks import LEFT_OUT_LICENCE, SPLITS, STRETCHES_OF_SONG, Rng, at_most, some_of
from engine.learning.prior import Prior, standard_prior
from engine.model.band.decoder import ATTRIBUTES, BAR, Score
from engine.model.band.vae import BandShape, BandVae
from engine.model.phrases.decoder import BAR_NUMBERS
from engine.registry import Config, Recipe
from engine.representation.band import (
    BASS,
    DRUMS,
    LEAD,
    PARTS,
    key_fits,
    moved,
    part_hits,
    pitch_classes,
    to_c,
)
from engine.representation.measures import part_attributes

PART_SHARES = (0.42, 0.32, 0.26)
"""How often each part is drawn in training."""

STYLE_SHARES = {"band": 0.5, "drums": 0.4, "folk": 0.12, "pop": 0.22, "song": 0.16}
"""How often, of a part, each kind of music is."""

PLAYS_SHARE = 0.25
"""A part that plays in fewer of the bars of a stretch is not known of it."""

KEY_CERTAINTY = 9.0
"""How much surer a key is for a correlation that is higher by 1, as a logit."""

OTHERS_WHOLE, OTHERS_ALIKE = 0.6, 0.15
"""How often another part is given whole, and how often just where the part to be drawn is."""

VALIDATED = 48
STEPS_PER_EPOCH = 300
FEWEST_BARS = 4


@dataclass(frozen=True, slots=True)
class BandStretch:
    """Some bars of a song, from the bar `first` on."""

    song: BandSong
    first: int

    def plays(self, bars: int) -> NDArray[np.bool_]:
        """Which parts play in so many bars of it: (3,)."""
        plays = self.song.plays[self.first : self.first + bars]
        return np.asarray(plays.mean(axis=0) >= PLAYS_SHARE)


class BandCourse:
    """The tasks of a recipe on the parts of songs; see engine.learning.curriculum.Course."""

    steps_per_bar = BAR
    left_out: tuple[str, ...] = (
        f"without pieces under {LEFT_OUT_LICENCE}",
        "of POP909 the melody, and the lowest notes of the piano as a bass",
    )

    def __init__(self, config: Config, songs: Sequence[BandSong], device: torch.device):
        assert isinstance(config.shape, BandShape)
        self.shape, self.device, self.recipe = config.shape, device, config.recipe.second or config.recipe
        self.longest = max(config.recipe.bars)
        self.train, self.validation = ([song for song in songs if song.split == split] for split in SPLITS)
        self.starts = [_starts(self.train, part, self.longest) for part in range(len(PARTS))]
        if not any(self.starts):
            raise DataError(f"the split 'train' holds no {FEWEST_BARS} bars of a part in 4/4")
        self._chances = [_chances(starts) for starts in self.starts]
        shares = np.array([share * bool(own) for share, own in zip(PART_SHARES, self.starts, strict=True)])
        self._part_shares = shares / shares.sum()
        self.validated = [_spread(_starts(self.validation, part, self.longest)) for part in range(len(PARTS))]
        self.model = BandVae(config.shape).to(device)
        for part in range(len(PARTS)):
            told = [part_attributes(song.states, part) for song in self.train if song.plays[:, part].any()]
            if told:
                values = np.concatenate(told)
                values = values[values[:, 0] > 0]
                self.model.attribute_mean[part] = torch.from_numpy(values.mean(axis=0))
                self.model.attribute_deviation[part] = torch.from_numpy(values.std(axis=0) + 1e-6)
        attributes = {
            f"{name}.{PARTS[part]}": (
                float(self.model.attribute_mean[part, index]),
                float(self.model.attribute_deviation[part, index]),
            )
            for part in range(len(PARTS))
            for index, name in enumerate(ATTRIBUTES)
            if part != DRUMS or name == "density"
        }
        self.about: Mapping[str, Mapping[str, Sequence[float]]] = {"attributes": attributes}
        self.size = STEPS_PER_EPOCH * config.recipe.batch
        self.facts: Mapping[str, int] = {
            "songs": len({song.name for song in self.train}),
            **{f"bars of {name}": int(sum(song.plays[:, k].sum() for song in self.train)) for k, name in _named()},
        }

    def training_batches(self, recipe: Recipe, count: int, rng: Rng) -> Iterator[BatchLosses]:
        """See Course: each batch draws one part."""
        if _draws(recipe):
            drawing = self._drawing(recipe, rng)
            few = replace(self.recipe, bars=recipe.bars, batch=max(1, recipe.batch // DATA_SHARE))
            for batch_losses in self.training_batches(few, count, rng):
                yield partial(drawing.losses, batch_losses)
            return
        for _ in range(count):
            bars = int(rng.choice(recipe.bars))
            part = int(rng.choice(len(PARTS), p=self._part_shares))
            rows = max(1, recipe.batch * self.longest // bars)
            chosen = rng.choice(len(self.starts[part]), rows, p=self._chances[part])
            batch = self.scores([self.starts[part][k] for k in chosen], part, bars, recipe.tasks, rng)
            yield partial(self._losses, recipe, part, *batch)

    def validation_batches(self, recipe: Recipe) -> Iterator[tuple[str, float, BatchLosses]]:
        """See Course: of each part new bars, and beside the others; or how often new critics tell what is drawn."""
        if _draws(recipe):
            yield "drawn", 1.0, partial(self._told_apart, recipe)
            return
        parts = [part for part, own in enumerate(self.validated) if own]
        for part in parts:
            for task in ("autoencode", "accompany"):
                rng, stretches = np.random.default_rng(0), self.validated[part]
                batch = self.scores(stretches, part, self.longest, {task: 1.0}, rng, training=False)
                share = 1 / (2 * len(parts))
                yield f"{PARTS[part]}.{task}", share, partial(self._losses, recipe, part, *batch)

    def scores(
        self,
        stretches: Sequence[BandStretch],
        part: int,
        bars: int,
        tasks: Mapping[str, float],
        rng: Rng,
        *,
        training: bool = True,
    ) -> tuple[Score, Tensor, Tensor]:
        """Stretches with what is given of each, the parts that z hears (batch, 3), and the weight (batch, step)."""
        names, shares = list(tasks), np.array(list(tasks.values()))
        rows = [
            self._row(stretch, part, bars, names[rng.choice(len(names), p=shares / shares.sum())], rng, training)
            for stretch in stretches
        ]
        arrays = {name: torch.from_numpy(np.stack([row[name] for row in rows])).to(self.device) for name in rows[0]}
        heard, weight = arrays.pop("heard"), arrays.pop("weight")
        return Score(**arrays, bar_z=weight.new_zeros(len(rows), bars, self.shape.bar_z)), heard, weight

    def _row(
        self, stretch: BandStretch, part: int, bars: int, task: str, rng: Rng, training: bool
    ) -> dict[str, NDArray[Any]]:
        song, first, plays = stretch.song, stretch.first, stretch.plays(bars)
        there = min(bars, len(song.states) - first)
        states = np.zeros((bars, BAR, len(PARTS)), np.int64)
        states[:there] = song.states[first : first + there]
        states[:, :, ~plays] = 0
        flat = states.reshape(-1, len(PARTS))
        flat = moved(flat, _shift(flat, rng) if training else to_c(flat))
        heard = plays & ((rng.random(len(PARTS)) < 0.85) | (np.arange(len(PARTS)) == part) | (not training))

        def tells(share: float) -> bool:
            return not training or rng.random() < share

        style = STYLES.index(song.style) if tells(0.5) else self.shape.styles
        tempo = [math.log2(song.tempo_bpm / 120), 1] if tells(0.5) else [0, 0]
        numbers = (first + np.arange(bars)) % BAR_NUMBERS
        return {
            "states": flat,
            "given": given(part, plays, bars, task, rng).reshape(-1, len(PARTS)),
            "style": np.array(style),
            "tempo": np.array(tempo, np.float32),
            "attributes": self._told(states, part, rng) if training else np.zeros((bars, 4), np.float32),
            "bar_number": numbers if tells(0.6) else np.full(bars, BAR_NUMBERS),
            "bar_z_given": some_of(rng, bars, none=0.5, all_of_them=0.27)
            if training
            else np.zeros(bars, np.float32),
            "heard": heard.astype(np.float32),
            "weight": np.repeat(np.arange(bars) < there, BAR).astype(np.float32),
        }

    def _told(self, states: NDArray[np.int64], part: int, rng: Rng) -> NDArray[np.float32]:
        """The attributes of bars, each of all, as the mean of all, or of none: (bar, 4)."""
        mean, deviation = (
            each[part].cpu().numpy() for each in (self.model.attribute_mean, self.model.attribute_deviation)
        )
        own = part_attributes(states, part)
        values, sounding = (own - mean) / deviation, own[:, 0] > 0
        told = np.zeros((len(states), 2 * len(ATTRIBUTES)), np.float32)
        for index in range(len(ATTRIBUTES)):
            kind, known = rng.random(), np.ones(len(own)) if index == 0 else sounding.astype(float)
            if kind < 0.5 and known.any():
                average = np.full(len(own), values[known > 0, index].mean())
                told[:, index] = (average if kind < 0.25 else values[:, index]) * known
                told[:, len(ATTRIBUTES) + index] = known
        return told

    def _losses(
        self, recipe: Recipe, part: int, score: Score, heard: Tensor, weight: Tensor, step: int
    ) -> dict[str, Tensor]:
        return self.model.loss(
            part,
            score,
            heard,
            weight,
            beta=recipe.beta,
            free_nats=recipe.free_bits * math.log(2),
            bar_beta=recipe.feel_beta,
            bar_free_nats=recipe.feel_bits * math.log(2) * (1.0 if part == DRUMS else VOICE_RATE),
        )

    def _drawing(self, recipe: Recipe, rng: Rng) -> Drawing:
        """Critics who know what the model draws now, and stretches of bands that have all of the parts."""
        (bars,) = recipe.bars
        stretches, piece = [], []
        for number, song in enumerate(song for song in self.train if song.style == STYLES[0]):
            own = [
                BandStretch(song, first)
                for first in range(len(song.states) - bars + 1)
                if song.plays[first : first + bars].mean(axis=0).min() >= 0.5
            ]
            places = np.linspace(0, len(own) - 1, min(len(own), STRETCHES_OF_SONG)).round().astype(int)
            stretches += [own[place] for place in places.tolist()]
            piece += [number] * len(places)
        if not stretches:
            raise DataError(f"the split 'train' holds no {bars} bars in 4/4 of a lead, a bass and drums")

        def ask(verb: str, rows: int, rng: Rng) -> Score:
            return self.asked(verb, [stretches[k] for k in rng.integers(len(stretches), size=rows)], bars, rng)

        whole, _, _ = self.scores(stretches, LEAD, bars, {"autoencode": 1.0}, rng, training=False)
        states = whole.states.view(len(stretches), bars, BAR, len(PARTS)).cpu().numpy()
        played = {name: (part_hits(states, part), np.array(piece)) for part, name in _named()}
        steps = math.ceil(self.size / recipe.batch)
        return Drawing(recipe, DrawnBands(self.model, recipe, ask), played, rng, steps)

    def asked(self, verb: str, stretches: Sequence[BandStretch], bars: int, rng: Rng) -> Score:
        """Whole stretches with what a verb is given of them: `sample` nothing, `accompany` the lead.

        Half of the time their tempo and place are those of a new song.
        """
        score, _, _ = self.scores(stretches, LEAD, bars, {"autoencode": 1.0}, rng, training=False)
        known = torch.zeros_like(score.given)
        if verb == "accompany":
            known[..., LEAD] = 1
        if rng.random() < 0.5:
            numbers = torch.arange(bars, device=known.device) % BAR_NUMBERS
            tempo = score.tempo.new_tensor([0, 1])
            score = replace(
                score, bar_number=numbers.expand(len(known), -1), tempo=tempo.expand(len(known), -1).clone()
            )
        return replace(score, given=known)

    def _told_apart(self, recipe: Recipe, _: int) -> dict[str, Tensor]:
        return {"total": torch.tensor(self._drawing(recipe, np.random.default_rng(0)).told())}

    def calibrate(self) -> None:
        """Count on which roots basses begin beneath leads."""
        both = (song for song in self.train if song.plays[:, LEAD].any() and song.plays[:, BASS].any())
        flat = ((song, song.states.astype(np.int64).reshape(-1, len(PARTS))) for song in both)
        self.model.roots.fit(moved(each, to_c(each)).reshape(song.states.shape) for song, each in flat)

    def prior(self) -> Prior:
        """The styles, each as often as its bars; what z comes from is learnt, a network of the model's own."""
        bars = [sum(len(song.states) for song in self.train if song.style == style) for style in STYLES]
        normal, share = standard_prior(self.shape.z), torch.tensor(bars, dtype=torch.float)
        count = len(STYLES)
        return Prior(STYLES, normal.mean.repeat(count, 1), normal.scale.repeat(count, 1, 1), share / share.sum())


VOICE_RATE = 1.0
"""The free bits of a voice's bars, as a share of those of the drums' bars."""


def given(part: int, plays: NDArray[np.bool_], bars: int, task: str, rng: Rng) -> NDArray[np.float32]:
    """Where each part is given (bar, 16, 3), as a task of one of them says."""
    mask = np.zeros((bars, BAR, len(PARTS)), np.float32)
    flat, steps = mask.reshape(-1, len(PARTS)), bars * BAR
    own = flat[:, part]
    if task == "continue":
        own[: BAR * int(rng.integers(1, max(2, bars)))] = 1
    elif task == "infill":
        first = int(rng.integers(steps)) if rng.random() < 0.3 else BAR * int(rng.integers(bars))
        own[:] = 1
        own[first : first + BAR * int(rng.integers(1, 9))] = 0
    elif task == "vary":
        own[np.repeat(rng.random(bars) < rng.random(), BAR)] = 1
    for other in np.flatnonzero(plays):
        if other != part:
            kind = 0.0 if task == "accompany" else rng.random()
            if kind < OTHERS_WHOLE:
                flat[:, other] = 1
            elif kind < OTHERS_WHOLE + OTHERS_ALIKE:
                flat[:, other] = own
    return mask


def load_bands(data: Sequence[Path], max_songs: int | None = None) -> list[BandSong]:
    """The bands of corpora, without the pieces whose licence would bind the weights."""
    return at_most(max_songs, read_band_songs(data, without_licence=LEFT_OUT_LICENCE))


def _draws(recipe: Recipe) -> bool:
    """Whether its tasks are verbs: decoders learn from what they draw."""
    return "sample" in recipe.tasks


def _named() -> list[tuple[int, str]]:
    return list(enumerate(PARTS))


def _shift(states: NDArray[np.int64], rng: Rng) -> int:
    """To C or A minor, or, the less certain the key is the more often, to another."""
    sounding = states.copy()
    if rng.random() < 0.5 and sounding[:, LEAD].any():
        sounding[:, 1] = 0
    logits = KEY_CERTAINTY * key_fits(pitch_classes(sounding))
    chance = np.exp(logits - logits.max())
    return int(rng.choice(12, p=chance / chance.sum())) - 6


def _starts(songs: Sequence[BandSong], part: int, bars: int) -> list[BandStretch]:
    """Where a stretch in which the part plays may start: in a bar in which it does."""
    return [
        BandStretch(song, bar)
        for song in songs
        if song.plays[:, part].sum() >= FEWEST_BARS
        for bar in range(max(1, len(song.states) - bars // 2))
        if song.plays[bar, part] and song.plays[bar : bar + bars, part].mean() >= 0.5
    ]


def _spread(stretches: list[BandStretch]) -> list[BandStretch]:
    """So many of them as are measured, those of bands first."""
    bands = [each for each in stretches if each.song.style == "band"] or stretches
    return [bands[int(k)] for k in np.linspace(0, len(bands) - 1, VALIDATED)] if bands else []


def _chances(starts: Sequence[BandStretch]) -> NDArray[np.float64]:
    """How often each stretch is drawn: a song by the root of its length, a style as STYLE_SHARES says."""
    names: dict[str, int] = {}
    for start in starts:
        names[start.song.name] = names.get(start.song.name, 0) + 1
    weight = np.array([names[start.song.name] ** -0.5 for start in starts])
    styles = np.array([start.song.style for start in starts])
    for style, share in STYLE_SHARES.items():
        if (own := styles == style).any():
            weight[own] *= share / weight[own].sum()
    return np.asarray(weight / weight.sum(), np.float64)
