"""Whether the attributes that are asked for come, and nothing else: got against asked, the matrix, judges.

Of a drummer the hits of a split are humanized, as the verb does it; models of phrases, bands and tokens sample.
What is asked is spread evenly over −2..2 deviations.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.clip import Clip
from engine.data.corpus import read_corpus
from engine.data.windows import STEPS_PER_BAR, Windows, cut_windows
from engine.evaluation.bootstrap import Bootstrap, Interval, Values
from engine.evaluation.contenders import quantised
from engine.evaluation.feel import STIFF_VELOCITY, clips_of_windows, correlation
from engine.evaluation.judge import judged
from engine.evaluation.phrases.report import Table
from engine.learning.band_tasks import load_bands
from engine.learning.constraints import in_deviations, window_attributes
from engine.learning.phrase_tasks import load_drums
from engine.learning.token_tasks import cut_songs
from engine.model import tasks
from engine.model.band.decoder import ATTRIBUTES as PART_ATTRIBUTES
from engine.model.noise import Noise
from engine.representation.attributes import FEEL
from engine.representation.band import PARTS
from engine.representation.band_clip import read_band
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import CLASSES, GENERAL_MIDI
from engine.representation.groove import HITS, Array, clip_to_groove
from engine.representation.measures import BAR_ATTRIBUTES, bar_attributes, feel_of, part_attributes, playing_of
from engine.representation.tokens import Representation
from engine.requests import Humanize, LearnStyle, Sample
from engine.verbs.drummer import DRAWS_OF_KNOBS
from engine.verbs.generator import Generator
from engine.verbs.resident import BandResident, GrooveResident, PhraseResident, TokenResident
from engine.verbs.steering.moves import Wanted, distance, steered
from engine.weights import Library

CLIPS, REACH = 240, 2.0
AT_ONCE = 128
JUDGED = 0.5, 1.5
"""Judges hear windows whose attribute was played so many deviations from the mean, and others steered to there."""

ALIKE = 8
"""Of so many windows with such hits one says how these are to be played."""

LEARNT, HELD_OUT = 8, 8
"""Windows of two bars of a performance, side by side."""

SAMPLED_BARS = 8
HOW = {"nearest": f"nearest of {DRAWS_OF_KNOBS} draws", "moved": "one draw, moved", "both": "the nearest, moved"}


def evaluate_knobs(
    *,
    data: Sequence[Path],
    library: Library,
    models: Iterable[str],
    split: str = "validation",
    judges: int = 3,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Table]:
    """The tables of each model that has attributes; those of feel need performances, the Groove MIDI Dataset's."""
    generator = Generator(library, device="cpu")
    for name in ("drummer", *models):
        if name in library.cards:
            generator.load(name)
    for name in models:
        resident = generator.resident(name)
        if isinstance(resident, GrooveResident) and resident.card.attributes:
            on_progress(f"{name}: the feel")
            feel = FeelKnobs(resident, data, split, seed)
            yield feel.styles(library, on_progress)
            yield from feel.tables(judges, on_progress)
        elif resident.card.attributes:
            assert not isinstance(resident, GrooveResident)
            on_progress(f"{name}: which notes")
            yield from _of_notes(generator, resident, data, seed)


class FeelKnobs:
    """A drummer on the windows of a split."""

    def __init__(self, resident: GrooveResident, data: Sequence[Path], split: str, seed: int):
        performances = [performance for path in data for performance in read_corpus(path)]
        self.train, self.validation, self.all = (
            cut_windows(performances, split=each, bars=2) for each in ("train", "validation", split)
        )
        self.resident, self.split, self._rng = resident, split, np.random.default_rng(seed)
        measured = self.in_deviations(self.all.grooves, self.all)
        known = np.flatnonzero(~np.isnan(measured).any(axis=1))
        self.ask = self.all[np.sort(self._rng.permutation(known)[:CLIPS])]

    def in_deviations(self, grooves: Array, windows: Windows) -> Values:
        """The feel of grooves on windows: (window, 6)."""
        feel, scales = feel_of(playing_of(grooves, windows.tempo_bpm)), self.resident.scales
        return np.stack([scales[name].asked(feel[:, k]) for k, name in enumerate(FEEL)], axis=1)

    def tables(self, judges: int, on_progress: Callable[[str], None]) -> Iterator[Table]:
        """Got against asked by each way of steering; the matrix of the one that is used; judges."""
        name, bootstrap = self.resident.card.name, Bootstrap(self.ask.performance)
        rows, matrix = list[list[object]](), list[list[object]]()
        beside = _regression(self.in_deviations(self.train.grooves, self.train))
        for index, attribute in enumerate(FEEL):
            asked = self._rng.uniform(-REACH, REACH, len(self.ask))
            row: list[object] = [attribute]
            for how in HOW:
                got = self.in_deviations(self.played(self.ask, attribute, asked, 1, how), self.ask)
                row += _got_against_asked(bootstrap, asked, got[:, index])
            rows.append(row)
            slopes = [_slope(asked, got[:, other]) for other in range(len(FEEL))]
            matrix.append(
                [attribute, *(f"{slope:+.2f} ({beside[index, k]:+.2f})" for k, slope in enumerate(slopes))]
            )
        columns = [f"{what}, {how}" for how in HOW.values() for what in ("ρ", "slope")]
        title = f"{name}: got against asked over −2..2, {len(self.ask)} windows of the {self.split} split"
        yield Table(title, ("", *columns), rows)
        title = f"{name}: by how much each moves for one deviation asked (in the train split)"
        yield Table(title, ("asked", *FEEL), matrix)
        if judges:
            title = f"{name}: judges' AUC while steered by .5 to 1.5 deviations"
            columns = ["", "unsteered", "to where the hits were played", "to where hits like these were"]
            yield Table(title, columns, [self._judged(attribute, judges, on_progress) for attribute in FEEL])

    def styles(self, library: Library, on_progress: Callable[[str], None]) -> Table:
        """How a style that is learnt from 16 bars of a performance plays others: its feel against theirs."""
        rows = {name: list[Values]() for name in ("held out", "learnt from", "played")}
        performances = list[int]()
        with TemporaryDirectory() as folder:
            generator = Generator(library, device="cpu", own=Path(folder))
            generator.load(self.resident.card.name)
            for performance in np.unique(self.all.performance).tolist():
                own = self.all[np.flatnonzero(self.all.performance == performance)[::2]]
                if len(own) < LEARNT + HELD_OUT:
                    continue
                on_progress(f"{self.resident.card.name}: styles, performance {performance}")
                learnt, held_out = own[:LEARNT], own[LEARNT : LEARNT + HELD_OUT]
                generator.run(LearnStyle(name="own", clips=tuple(clips_of_windows(learnt))))
                stiff = clips_of_windows(held_out.played_by(quantised(held_out, STIFF_VELOCITY)))
                played = [generator.run(Humanize(clip=clip, style="own", seed=1)).clips[0] for clip in stiff]
                grooves = np.stack([clip_to_groove(clip, GENERAL_MIDI) for clip in played])
                came = held_out.played_by(grooves)
                for name, each in (("held out", held_out), ("learnt from", learnt), ("played", came)):
                    rows[name].append(np.nanmean(self.in_deviations(each.grooves, each), axis=0))
                performances.append(performance)
        truth, own_mean, result = (np.array(rows[name]) for name in rows)
        bootstrap = Bootstrap(np.array(performances))
        table = [
            [name, *(bootstrap.of_weights(correlation(truth[:, k], each[:, k])) for each in (own_mean, result))]
            for k, name in enumerate(FEEL)
        ]
        title = f"{self.resident.card.name}: a style from 16 bars against 16 more, of {len(truth)} performances (r)"
        return Table(title, ("", "the 16 bars themselves", "played in the style"), table)

    def played(self, windows: Windows, attribute: str, asked: Values, seed: int, how: str = "both") -> Array:
        """The hits of windows, humanized with an attribute that is asked of each: [window, step, 27]."""
        scale, rows = self.resident.scales[attribute], []
        for first in range(0, len(windows), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            some = windows[part]
            drawn = self._drawn(some, seed * 100_003 + first, 1 if how == "moved" else DRAWS_OF_KNOBS)
            everywhere, on_grid = np.ones((drawn.shape[2], CLASSES), np.bool_), None
            if attribute == "swing":  # as where a request asks for swing and not how late
                on_grid = np.ones(CLASSES, np.bool_)
            wanted = [Wanted(attribute, _column(scale.value(asked[part])), everywhere, on_grid=on_grid)]
            apart = [
                distance(drawn[:, k], wanted, self.resident.scales, tempo_bpm=some.tempo_bpm, bar=STEPS_PER_BAR)
                for k in range(drawn.shape[1])
            ]
            near = drawn[np.arange(len(drawn)), np.argmin(apart, axis=0)]
            moved = how != "nearest"
            rows.append(steered(near, wanted, tempo_bpm=some.tempo_bpm, bar=STEPS_PER_BAR) if moved else near)
        return np.concatenate(rows)

    @torch.inference_mode()
    def _drawn(self, windows: Windows, seed: int, draws: int) -> Array:
        """Draws of how the hits of windows are played, without knobs: [window, draw, step, 27]."""
        grooves, noise = torch.from_numpy(windows.grooves), Noise(seed)
        example = tasks.humanize(grooves, tasks.nothing_given(grooves, torch.from_numpy(windows.tempo_bpm)))
        z = self.resident.encode(example.encoder_input, hits_given=True, temperature=1.0, noise=noise)
        drawn = self.resident.decode(z, example.given, temperature=1.0, noise=noise, draws=draws)
        return drawn.numpy().reshape(len(grooves), draws, *grooves.shape[1:])

    def _judged(self, attribute: str, judges: int, on_progress: Callable[[str], None]) -> list[object]:
        on_progress(f"{self.resident.card.name}: judges of {attribute}")
        index, (low, high) = FEEL.index(attribute), JUDGED
        sets, values = list[Windows](), list[Values]()
        for windows in (self.train, self.validation, self.all):
            own = self.in_deviations(windows.grooves, windows)
            far = np.abs(own[:, index])
            chosen = np.flatnonzero((far > low) & (far < high) & ~np.isnan(own).any(axis=1))
            sets.append(windows[chosen])
            values.append(own[chosen, index])

        def to_own(windows: Windows, seed: int) -> Array:
            return self.played(windows, attribute, self.in_deviations(windows.grooves, windows)[:, index], seed)

        def to_alike(windows: Windows, seed: int) -> Array:
            alike = _alike(windows, sets[0])
            chosen = np.random.default_rng(seed).integers(alike.shape[1], size=len(windows))
            return self.played(windows, attribute, values[0][alike[np.arange(len(windows)), chosen]], seed)

        def plain(windows: Windows, seed: int) -> Array:
            return np.concatenate(
                [
                    self._drawn(windows[first : first + AT_ONCE], seed * 100_003 + first, 1)[:, 0]
                    for first in range(0, len(windows), AT_ONCE)
                ]
            )

        aucs = [judged(each, *sets, judges=judges).auc() for each in (plain, to_own, to_alike)]
        return [attribute, *aucs]


OfNotes = PhraseResident | BandResident | TokenResident


def _of_notes(generator: Generator, resident: OfNotes, data: Sequence[Path], seed: int) -> Iterator[Table]:
    """Got against asked in new bars, one attribute of one part at a time, and the matrix."""
    name, names, rng = resident.card.name, list(resident.scales), np.random.default_rng(seed)
    bootstrap, parts = Bootstrap(np.arange(CLIPS)), PARTS if isinstance(resident, BandResident) else ()
    bars = resident.card.bars if isinstance(resident, TokenResident) else SAMPLED_BARS
    beside = _regression(_in_deviations(resident, _stretches(resident, data)))
    rows, matrix = list[list[object]](), list[list[object]]()
    for index, attribute in enumerate(names):
        asked, clips = rng.uniform(-REACH, REACH, CLIPS), list[Bars]()
        for number, value in enumerate(asked.tolist()):
            common = {} if "." in attribute else {attribute: (value,)}
            of_part = ((attribute, (value,)),) if "." in attribute else ()
            about = {"model": name, "bars": bars, "seed": number, "parts": parts, "of_drum": of_part}
            (clip,) = generator.run(Sample(**about, **common)).clips  # type: ignore[arg-type]
            clips.append(_bars_of(resident, clip))
        got = _in_deviations(resident, clips)
        rows.append([attribute, *_got_against_asked(bootstrap, asked, got[:, index])])
        slopes = [_slope(asked, got[:, other]) for other in range(len(names))]
        matrix.append([attribute, *_cells(slopes, beside[index])])
    title = f"{name}: got against asked over −2..2, {CLIPS} times {bars} bars, sampled"
    yield Table(title, ("", "ρ", "slope"), rows)
    yield Table(
        f"{name}: by how much each moves for one deviation asked (in the train split)", ("asked", *names), matrix
    )


Bars = NDArray[Any]
"""What a model's attributes are measured on: hits (bar, 16, 9), the states of a band (bar, 16, 3), or tokens
(step, part)."""


def _bars_of(resident: OfNotes, clip: Clip) -> Bars:
    if isinstance(resident, TokenResident):
        representation = _representation(resident)
        if not clip.notes:
            return np.zeros((clip.bars * STEPS_PER_BAR, len(representation.sizes)), np.int64)
        return representation.clip_to_tokens(clip, GENERAL_MIDI).tokens
    if isinstance(resident, BandResident):
        return read_band(clip, GENERAL_MIDI).states
    return clip_to_groove(clip, GENERAL_MIDI)[:, HITS].reshape(-1, STEPS_PER_BAR, CLASSES)


def _representation(resident: TokenResident) -> Representation:
    return find_representation(resident.config.representation)


def _stretches(resident: OfNotes, data: Sequence[Path]) -> Sequence[Bars]:
    """Stretches of the train split as long as what is sampled."""
    if isinstance(resident, TokenResident):
        return cut_songs(resident.config, data).train  # type: ignore[return-value]
    songs: list[Bars]
    if isinstance(resident, BandResident):
        songs = [song.states for song in load_bands(data) if song.split == "train"]
    else:
        songs = [song.hits for song in load_drums(data) if song.split == "train"]
    starts = [(song, first) for song in songs for first in range(0, len(song) - SAMPLED_BARS + 1, SAMPLED_BARS)]
    return [song[first : first + SAMPLED_BARS] for song, first in starts]


def _in_deviations(resident: OfNotes, stretches: Sequence[Bars]) -> Values:
    """The attributes of stretches of bars, in the order of the card: (stretch, attribute), nan where it rests."""
    if isinstance(resident, TokenResident):
        return in_deviations(window_attributes(np.stack(stretches), _representation(resident)), resident.scales)
    return np.array([[_of(resident, name, bars) for name in resident.scales] for bars in stretches])


def _of(resident: PhraseResident | BandResident, name: str, bars: Bars) -> float:
    own, _, part = name.partition(".")
    if not part:
        values = bar_attributes(bars > 0)[:, BAR_ATTRIBUTES.index(own)]
    else:
        both = part_attributes(bars, PARTS.index(part))
        values = both[:, PART_ATTRIBUTES.index(own)][(both[:, 0] > 0) | (own == "density")]
    return float(resident.scales[name].asked(values.mean())) if len(values) else float("nan")


def _got_against_asked(bootstrap: Bootstrap, asked: Values, got: Values) -> list[Interval]:
    """Spearman's ρ and the slope of what came on what was asked."""
    known = ~np.isnan(got)
    ranks = _ranks(asked[known]), _ranks(got[known])

    def rho(weight: Values) -> float:
        table = np.cov(*ranks, aweights=weight[known])
        return float(table[0, 1] / max(np.sqrt(table[0, 0] * table[1, 1]), 1e-12))

    def slope(weight: Values) -> float:
        table = np.cov(asked[known], got[known], aweights=weight[known])
        return float(table[0, 1] / table[0, 0])

    return [bootstrap.of_weights(rho), bootstrap.of_weights(slope)]


def _alike(windows: Windows, among: Windows) -> NDArray[np.int64]:
    """The ALIKE windows of other performances whose hits are most like those of each window: (window, ALIKE).

    Which hits are played goes with how: loud playing has other hits than soft playing.
    """
    own, others = (each.grooves[..., HITS].reshape(len(each), -1) for each in (windows, among))
    differ = own.sum(axis=1)[:, None] + others.sum(axis=1) - 2 * own @ others.T
    differ[windows.performance[:, None] == among.performance] = np.inf
    return np.argpartition(differ, min(ALIKE, len(among)) - 1, axis=1)[:, :ALIKE]


def _column(values: Values) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)[:, None, None]


def _cells(slopes: Iterable[float], beside: Values) -> list[str]:
    return [f"{slope:+.2f} ({other:+.2f})" for slope, other in zip(slopes, beside, strict=True)]


def _ranks(values: Values) -> Values:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _slope(asked: Values, got: Values) -> float:
    known = ~np.isnan(got)
    return float(np.polyfit(asked[known], got[known], 1)[0])


def _regression(feel: Values) -> Values:
    """By how much each attribute differs for one deviation of another, in deviations: (of, other)."""
    known = feel[~np.isnan(feel).any(axis=1)]
    table = np.cov(known.T)
    return np.asarray(table / np.diag(table)[:, None], np.float64)
