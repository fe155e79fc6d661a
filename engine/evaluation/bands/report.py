"""Models of bands on a split of corpora: every figure, as tables, each as soon as it is measured."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.band_songs import BandSong
from engine.errors import DataError, ModelError
from engine.evaluation.bands.figures import (
    Figures,
    accompaniment_of,
    interpolation_of,
    music_of,
    nearest_of,
    part_tokens,
    reconstruction_of,
)
from engine.evaluation.bands.judges import JUDGED_BARS, judged_part
from engine.evaluation.bands.stretches import BARS, Stretches, cut
from engine.evaluation.paths import StepModel
from engine.evaluation.phrases.report import Table
from engine.learning.band_tasks import load_bands
from engine.model.band.decoder import BAR
from engine.model.noise import Noise
from engine.representation.band import BASS, DRUMS, LEAD, PARTS
from engine.representation.harmony import Key
from engine.representation.tokens import Tokens
from engine.verbs.band_drawing import Drawing, Harmony, Sketch
from engine.verbs.band_playing import empty_states
from engine.verbs.resident import BandResident, load_resident
from engine.weights import Library

ALL = (LEAD, BASS, DRUMS)
AT_ONCE = 96
"""Bands that are drawn together."""

QUANTILES = (0.05, 0.25, 0.5, 0.75)
ASKED = ((BASS, (LEAD,)), (BASS, (LEAD, DRUMS)), (DRUMS, (LEAD,)), (DRUMS, (LEAD, BASS)), (LEAD, (BASS, DRUMS)))
"""Which part is asked for beside which others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandAmount:
    """How much is measured.

    Stretches of each piece, draws of z, bands that are sampled, pairs with a way between, how often one is timed,
    how long judges learn.
    """

    windows: int = 6
    draws: int = 8
    samples: int = 96
    pairs: int = 128
    timed: int = 12
    epochs: int = 25


class BandCorpus:
    """The songs of train and of a split, and of these what is measured."""

    def __init__(self, songs: Sequence[BandSong], split: str, amount: BandAmount):
        self.amount, self.split = amount, split
        self._ask, self._train = ([song for song in songs if song.split == each] for each in (split, "train"))
        if not len(self.stretches("band", ALL)):
            raise DataError(f"the split {split!r} must hold {BARS} bars in 4/4 of a lead, a bass and drums")

    def stretches(self, style: str, roles: Sequence[int], *, train: bool = False) -> Stretches:
        """Those of a style in which some parts play."""
        songs = [song for song in (self._train if train else self._ask) if song.style == style]
        return cut(songs, roles, self.amount.windows)

    def styles(self, part: int) -> list[str]:
        """The styles of which a part plays in a stretch."""
        there = sorted({song.style for song in self._ask})
        return [style for style in there if len(self.stretches(style, (part,)))]


def evaluate_bands(
    *,
    data: Sequence[Path],
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    judges: int = 3,
    seed: int = 0,
    amount: BandAmount = BandAmount(),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Table]:
    """Everything that can be measured of each model; DataError where the split holds no band.

    judges: how many are trained for each AUC; with 0 there are none.
    """
    residents = [band_resident(library, name) for name in models]
    corpus = BandCorpus(load_bands(data), split, amount)
    measures: dict[str, Callable[[BandResident, BandCorpus], Table]] = {
        "reconstruction": _reconstruction,
        "accompaniment": _accompaniment,
        "interpolation": partial(_interpolation, seed=seed),
        "music": partial(_music, seed=seed),
    }
    if judges:
        measures["judges"] = partial(_judges, judges=judges, seed=seed)
    for resident in residents:
        for name, measure in measures.items():
            on_progress(f"{resident.card.name}: {name}")
            yield measure(resident, corpus)


def band_resident(library: Library, name: str) -> BandResident:
    """The model of that name on the CPU; ModelError if it is none of bands."""
    resident = load_resident(library, name, torch.device("cpu"))
    if not isinstance(resident, BandResident):
        raise ModelError(f"{name} is no model of bands")
    return resident


def _reconstruction(resident: BandResident, corpus: BandCorpus) -> Table:
    rows = {
        f"{PARTS[part]}, {style}, {'a draw' if draw else 'the mean'}": reconstruction_of(
            resident, part, corpus.stretches(style, (part,)), draw=draw
        )
        for part in ALL
        for style in corpus.styles(part)
        for draw in (True, False)
    }
    return _table(f"{resident.card.name}: what comes back from z, temperature 1", rows)


def _accompaniment(resident: BandResident, corpus: BandCorpus) -> Table:
    rows = {
        f"{PARTS[part]} beside {' and '.join(PARTS[each] for each in given)}, {style}": accompaniment_of(
            resident, part, stretches, given, corpus.amount.draws
        )
        for part, given in ASKED
        for style in corpus.styles(part)
        if len(stretches := corpus.stretches(style, (part, *given)))
    }
    return _table(f"{resident.card.name}: what a part costs beside others", rows)


def _interpolation(resident: BandResident, corpus: BandCorpus, *, seed: int) -> Table:
    rows, rng = dict[str, Figures](), np.random.default_rng(seed)
    for part in ALL:
        clips = corpus.stretches("band", (part,))
        first, second = (clips[each] for each in rng.integers(len(clips), size=(2, corpus.amount.pairs)))
        known = part_tokens(corpus.stretches("band", (part,), train=True).states, part)
        found = interpolation_of(resident, part, (first, second), StepModel(known))
        rows |= {f"{PARTS[part]}: {name}": own for name, own in found.items()}
    return _table(f"{resident.card.name}: from one stretch, 0, to another, 1", rows)


def _music(resident: BandResident, corpus: BandCorpus, *, seed: int) -> Table:
    real, known = corpus.stretches("band", ALL), corpus.stretches("band", ALL, train=True)
    count = corpus.amount.samples
    sampled = _sampled(resident, count, seed)
    times = [_timed(resident, seed) for _ in range(corpus.amount.timed)]
    columns = {
        "sample": music_of(sampled, np.arange(count)),
        corpus.split: music_of(real.states, real.piece),
        "train": music_of(known.states, known.piece),
    }
    rows: dict[str, dict[str, object]] = {
        name: {column: figures[name] for column, figures in columns.items()} for name in columns["sample"]
    }
    for part in (LEAD, BASS):
        name = f"{PARTS[part]}: share of 4 bars' events that differ from train's nearest, quantiles"
        nearest = {"sample": sampled, corpus.split: real.states}
        rows[name] = {
            column: " ".join(
                f"{each:.2f}" for each in np.quantile(nearest_of(states, known.states, part), QUANTILES)
            )
            for column, states in nearest.items()
        }
    rows["ms for 16 bars, unplayed"] = {"sample": f"{np.median(times):.0f}"}
    return _table(f"{resident.card.name}: bands of {BARS} bars", rows)


def _judges(resident: BandResident, corpus: BandCorpus, *, judges: int, seed: int) -> Table:
    """Each part of a new band, and bass and drums to a lead, beside those of bands that have all three."""
    known, asked = corpus.stretches("band", ALL, train=True), corpus.stretches("band", ALL)
    sampled = [_sampled(resident, len(each), seed + k) for k, each in enumerate((known, asked), 1)]
    accompanied = [_accompanied(resident, each.states, seed + k) for k, each in enumerate((known, asked), 1)]
    rows = {
        PARTS[part]: judged_part(
            part,
            known,
            asked,
            {"sample": sampled} | ({} if part == LEAD else {"to its lead": accompanied}),
            judges=judges,
            epochs=corpus.amount.epochs,
        )
        for part in ALL
    }
    return _table(f"{resident.card.name}: AUC of judges of {JUDGED_BARS} bars of a part", rows)


def _sampled(resident: BandResident, count: int, seed: int) -> Tokens:
    nothing = np.zeros((BARS, BAR, len(PARTS)), np.float32)
    return _drawn(resident, empty_states(count, BARS), nothing, ALL, Harmony(np.zeros((BARS, 12))), seed)


def _accompanied(resident: BandResident, states: Tokens, seed: int) -> Tokens:
    """Stretches in C with another bass and other drums."""
    given = np.zeros((BARS, BAR, len(PARTS)), np.float32)
    given[..., LEAD] = 1
    own = np.where(given > 0, states, 0)
    return _drawn(resident, own, given, (BASS, DRUMS), Harmony(np.zeros((BARS, 12)), Key(0)), seed)


def _drawn(
    resident: BandResident,
    states: Tokens,
    given: NDArray[np.float32],
    parts: tuple[int, ...],
    harmony: Harmony,
    seed: int,
) -> Tokens:
    style = "band" if "band" in resident.card.styles else None
    drawing = Drawing(resident, Noise(seed))
    sketch = Sketch(states, given, parts, harmony, style, 120.0, {})
    with torch.inference_mode():
        rows = np.array_split(states, -(-len(states) // AT_ONCE))
        return np.concatenate([drawing.complete(replace(sketch, states=some), 1.0) for some in rows])


def _timed(resident: BandResident, seed: int) -> float:
    began = time.perf_counter()
    _sampled(resident, 1, seed)
    return 1000 * (time.perf_counter() - began)


def _table(title: str, rows: "dict[str, Figures] | dict[str, dict[str, object]]") -> Table:
    """Rows of figures under their names."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    return Table(
        title, ("", *columns), [(name, *(row.get(each) for each in columns)) for name, row in rows.items()]
    )
