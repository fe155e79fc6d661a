"""Models of phrases on a split of corpora: every figure, as tables, each as soon as it is measured.

Played songs are what is measured, unless there are sequenced ones alone; phrases are 16 bars long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engine.data.drum_songs import DrumSong
from engine.errors import DataError, ModelError
from engine.evaluation.bootstrap import Interval
from engine.evaluation.phrases import judge as phrase_judge
from engine.evaluation.phrases.bar_prediction import NEXT, PAST, bar_prediction_of
from engine.evaluation.phrases.figures import (
    COPIED_BARS,
    Figures,
    copies_of,
    interpolation_of,
    reconstruction_of,
    repetition_of,
    step_model,
)
from engine.evaluation.phrases.judge import shuffled
from engine.evaluation.phrases.likelihood import CopyModel, likelihood_of
from engine.evaluation.phrases.samples import (
    SIMILARITY,
    Draw,
    Hits,
    Phrases,
    continued,
    cut_phrases,
    drawn_of,
    drumified,
    sampled,
    sampled_there,
    songs_of,
    varied,
)
from engine.learning.phrase_tasks import load_drums
from engine.verbs.resident import PhraseResident, load_resident
from engine.weights import Library

BARS, JUDGED_BARS = 16, 8

FLOOR_JUDGES = 3
"""How many times as many judges the floor has: it needs no draws, and fewer pieces are asked of each."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under a title; a row begins with its name, and None is an empty cell."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured.

    samples: phrases that are sampled; windows: phrases of each piece, judged: those that judges see; draws and
    few_draws: of z, for the likelihood of whole phrases and of parts; pairs between which is interpolated; epochs:
    the most that judges and predictors learn.
    """

    samples: int = 256
    windows: int = 4
    judged: int = 8
    draws: int = 64
    few_draws: int = 16
    pairs: int = 256
    epochs: int = 25


def evaluate_phrases(
    *,
    data: Sequence[Path],
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    judges: int = 3,
    seed: int = 0,
    amount: Amount = Amount(),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Table]:
    """Everything that can be measured of each model.

    judges: how many are trained for each AUC; with 0 there are none. DataError where the split holds no 16 bars.
    """
    residents = [phrase_resident(library, name) for name in models]
    corpus = Corpus(load_drums(data), split, amount)
    for resident in residents:
        measures: dict[str, Callable[[PhraseResident, Corpus], Table]] = {
            "repetition": partial(_repetition, seed=seed),
            "reconstruction": _reconstruction,
            "likelihood": _likelihood,
            "copies": partial(_copies, seed=seed),
            "interpolation": _interpolation,
            "the z of the next bars": _prediction,
            "judges": partial(_judges, judges=judges, seed=seed),
        }
        for name, measure in measures.items():
            if name != "judges" or judges:
                on_progress(f"{resident.card.name}: {name}")
                yield measure(resident, corpus)


class Corpus:
    """The songs of train and of a split, and of these the phrases that are measured."""

    def __init__(self, songs: Sequence[DrumSong], split: str, amount: Amount):
        self.split, self.amount = split, amount
        sequenced = not cut_phrases(songs_of(songs, split, sequenced=False), BARS, most=1)
        self.train, self.ask = (songs_of(songs, name, sequenced=sequenced) for name in ("train", split))
        self.everything = [song for song in songs if song.split == "train"]
        self.kinds = {
            kind: own
            for kind in ("played", "sequenced")
            if (own := songs_of(songs, split, sequenced=kind == "sequenced"))
        }
        self.whole = cut_phrases(self.ask, BARS)
        if not len(self.whole) or not cut_phrases(self.train, BARS, most=1):
            raise DataError(f"the splits 'train' and {split!r} must hold {BARS} bars of drums in 4/4")
        self.measured = cut_phrases(self.ask, BARS, most=amount.windows)

    def samples(self, resident: PhraseResident, seed: int) -> Hits:
        """Sampled phrases, their styles drawn as they are in the split."""
        rows = np.random.default_rng(seed).integers(len(self.whole), size=self.amount.samples)
        return drawn_of(sampled, resident, self.whole[rows], seed)


def phrase_resident(library: Library, name: str) -> PhraseResident:
    """The model of that name on the CPU; ModelError if it is none of phrases."""
    resident = load_resident(library, name, torch.device("cpu"))
    if not isinstance(resident, PhraseResident):
        raise ModelError(f"{name} is no model of phrases")
    return resident


def _side_by_side(title: str, columns: dict[str, Figures]) -> Table:
    """Each figure in a row, of what it is in a column."""
    names = dict.fromkeys(name for figures in columns.values() for name in figures)
    rows = [(name, *(figures.get(name) for figures in columns.values())) for name in names]
    return Table(title, ("", *columns), rows)


def _repetition(resident: PhraseResident, corpus: Corpus, seed: int) -> Table:
    ours, train = corpus.samples(resident, seed), cut_phrases(corpus.train, BARS)
    return _side_by_side(
        f"{resident.card.name}: how {BARS} bars repeat",
        {
            "sample": repetition_of(ours, np.arange(len(ours))),
            corpus.split: repetition_of(corpus.whole.hits, corpus.whole.piece),
            "train": repetition_of(train.hits, train.piece),
        },
    )


def _reconstruction(resident: PhraseResident, corpus: Corpus) -> Table:
    rows = {}
    for kind, songs in corpus.kinds.items():
        phrases = cut_phrases(songs, BARS, most=corpus.amount.windows)
        for name, bars_given, draw in (
            ("the bars' z, mean", True, False),
            ("the bars' z, drawn", True, True),
            ("the phrase's z alone, drawn", False, True),
        ):
            if len(phrases):
                rows[f"{kind}: {name}"] = reconstruction_of(resident, phrases, bars_given=bars_given, draw=draw)
    return _across(f"{resident.card.name}: what comes back from z at temperature 1", rows)


def _likelihood(resident: PhraseResident, corpus: Corpus) -> Table:
    amount = corpus.amount
    found = likelihood_of(
        resident,
        corpus.measured,
        CopyModel(corpus.train),
        draws=amount.draws,
        few_draws=amount.few_draws,
    )
    names: dict[str, str] = {
        "elbo": "all bars, one draw of z (the ELBO)",
        "bound": f"all bars, the bound of {amount.draws} draws",
        "following": "the next 4 bars, 12 given",
        "following_alone": "these 4, nothing given",
        "following_copied": "these 4, the model of copies",
        "gap": "2 bars in the middle, those around given",
        "gap_alone": "these 2, nothing given",
        "gap_elsewhere": "these 2, those around of another piece given",
        "own_beats_other": "share where their own cost less than those",
    }
    title = f"{resident.card.name}: nats a bar of {len(corpus.measured)} phrases"
    return Table(title, ("", "nats"), [(text, getattr(found, name)) for name, text in names.items()])


def _copies(resident: PhraseResident, corpus: Corpus, seed: int) -> Table:
    train = cut_phrases(corpus.everything, COPIED_BARS).hits
    ours, first = corpus.samples(resident, seed), (BARS - COPIED_BARS) // 2
    held_out = cut_phrases(corpus.ask, COPIED_BARS, most=corpus.amount.windows)
    return _side_by_side(
        f"{resident.card.name}: {COPIED_BARS} bars and the nearest of {len(train)} of train, in hits that differ",
        {
            "sample": copies_of(ours[:, first : first + COPIED_BARS], np.arange(len(ours)), train),
            corpus.split: copies_of(held_out.hits, held_out.piece, train),
        },
    )


def _interpolation(resident: PhraseResident, corpus: Corpus) -> Table:
    clips = cut_phrases(corpus.ask, JUDGED_BARS)
    pairs = np.random.default_rng(0).integers(len(clips), size=(2, corpus.amount.pairs))
    found = interpolation_of(resident, (clips[pairs[0]], clips[pairs[1]]), step_model(corpus.train))
    return _across(f"{resident.card.name}: from one clip, 0, to another, 1", found)


def _across(title: str, rows: Mapping[str, Mapping[str, Interval | str]]) -> Table:
    """What it is in a row, each figure in a column."""
    names = dict.fromkeys(name for figures in rows.values() for name in figures)
    return Table(title, ("", *names), [(row, *(own.get(name) for name in names)) for row, own in rows.items()])


def _prediction(resident: PhraseResident, corpus: Corpus) -> Table:
    ask = [song for songs in corpus.kinds.values() for song in songs]
    found = bar_prediction_of(resident, corpus.everything, ask, epochs=corpus.amount.epochs)
    return Table(
        f"{resident.card.name}: the z of the next {NEXT} bars, {PAST} given",
        ("", "mean squared error", "weights"),
        [(name, error, str(weights) if weights else None) for name, (error, weights) in found.items()],
    )


def _judges(resident: PhraseResident, corpus: Corpus, judges: int, seed: int) -> Table:
    """Whole patterns, each beside played ones: between the floor and the ceiling."""
    long = [cut_phrases(songs, BARS, most=corpus.amount.judged) for songs in (corpus.train, corpus.ask)]
    halves = [phrases.bars(BARS - JUDGED_BARS, JUDGED_BARS) for phrases in long]
    pair = [cut_phrases(songs, JUDGED_BARS, most=corpus.amount.judged) for songs in (corpus.train, corpus.ask)]

    def auc(phrases: list[Phrases], others: list[Hits]) -> Interval:
        train, ask = phrases
        return phrase_judge.judged(train, ask, others, judges=judges, epochs=corpus.amount.epochs)

    def drawn(draw: Draw, phrases: list[Phrases]) -> list[Hits]:
        return [drawn_of(draw, resident, each, seed + part) for part, each in enumerate(phrases, 1)]

    rows = {
        f"the floor: train against {corpus.split}": phrase_judge.floor(
            *pair, judges=FLOOR_JUDGES * judges, epochs=corpus.amount.epochs
        ),
        "the ceiling: the bars of a piece in another order": auc(pair, [shuffled(each, seed) for each in pair]),
        "sample": auc(pair, drawn(sampled, pair)),
        "sample, its bars numbered as the played ones": auc(pair, drawn(sampled_there, pair)),
        f"vary, similarity {SIMILARITY}": auc(pair, drawn(varied, pair)),
        "drumify": auc(pair, drawn(drumified, pair)),
        "continue": auc(halves, drawn(continued, long)),
    }
    return Table(f"{resident.card.name}: judges of {JUDGED_BARS} bars", ("", "AUC"), list(rows.items()))
