"""Attributes computed from notes, as attributes.py defines them: what evaluation, done and steering share.

A bar of drums has one number more that models are told: its fill is 1 where toms replace the groove. numpy alone.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT
from engine.representation.attributes import FEEL
from engine.representation.band import DRUMS, drum_features
from engine.representation.drum_map import INSTRUMENTS
from engine.representation.groove import HITS, OFFSETS, VELOCITIES
from engine.representation.melody import FIRST_NOTE_ON, LOWEST, MELODY_SIZE
from engine.representation.tokens import Tokens

Hits = NDArray[np.bool_]
Array = NDArray[np.float32]
Values = NDArray[np.float64]
Alike = NDArray[np.bool_]
"""Which drums are alike with which: (9, 9), groups without a drum in common."""

BAR_ATTRIBUTES = ("density", "syncopation", "repetition", "fill")
"""What models of drums are told of a bar."""

KICK, SNARE = (slice(INSTRUMENTS.index(name), INSTRUMENTS.index(name) + 1) for name in ("kick", "snare"))
TOMS = slice(INSTRUMENTS.index("low_tom"), INSTRUMENTS.index("high_tom") + 1)
FILL_TOMS, FILL_REPETITION = 3, 0.45
"""A bar with so many hits of toms that is less like the bar before than this is a fill."""

LAGS = (1, 2, 4)
"""How many bars before is looked for what has changed."""

SIXTEENTH_MS = 15000
"""At 1 bpm."""


@dataclass(frozen=True, slots=True)
class Playing:
    """How hits are played: hits 0 and 1, late in ms, velocity 0..127, each (row, step, 9).

    odd and between (step, 1): the steps that are odd sixteenths, and those that lie between the beats.
    """

    hits: Values
    late: Values
    velocity: Values
    odd: NDArray[np.bool_]
    between: NDArray[np.bool_]
    sixteenth_ms: Values

    def among(self, where: NDArray[np.floating | np.bool_]) -> "Playing":
        """The same of some hits alone: where (…, step, 9)."""
        return replace(self, hits=self.hits * where)


def playing_of(grooves: Array, tempo_bpm: float | Array, bar: int = 16) -> Playing:
    """How the hits of grooves (row, step, 27) are played, in bars of some steps; tempo_bpm of all, or (row,)."""
    sixteenth_ms = np.broadcast_to(SIXTEENTH_MS / np.asarray(tempo_bpm, np.float64), len(grooves))[:, None, None]
    position = (np.arange(grooves.shape[1]) % bar)[:, None]
    hits, offsets, velocities = (grooves[..., each].astype(np.float64) for each in (HITS, OFFSETS, VELOCITIES))
    return Playing(
        hits=hits,
        late=-offsets / 2 * sixteenth_ms,
        velocity=velocities * 127,
        odd=position % 2 == 1,
        between=position % STEPS_PER_BEAT > 0,
        sixteenth_ms=sixteenth_ms,
    )


def mean_of(values: Values, hits: Values, alike: Alike | None = None) -> Values:
    """The mean over the hits of each row, nan where there are none: (row, 1, 1).

    With alike of each drum, over the hits of the drums that are alike with it: (row, 1, 9).
    """
    axes = (1, 2) if alike is None else 1
    count, sums = (each.sum(axis=axes, keepdims=True) for each in (hits, values * hits))
    if alike is not None:
        count, sums = count @ alike, sums @ alike
    mean: Values = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)
    return mean


def of_places(
    values: Values, hits: Values, second: NDArray[np.bool_], alike: Alike | None = None
) -> tuple[Values, Values]:
    """The means over the hits of the first places and of the second ones, each as mean_of."""
    return mean_of(values, hits * ~second, alike), mean_of(values, hits * second, alike)


def off_places(values: Values, hits: Values, second: NDArray[np.bool_], alike: Alike | None = None) -> Values:
    """By how much each hit is off the mean of its place: (row, step, 9)."""
    first_mean, second_mean = of_places(values, hits, second, alike)
    return np.where(hits > 0, values - np.where(second, second_mean, first_mean), 0.0)


def spread_of(values: Values, hits: Values, second: NDArray[np.bool_], alike: Alike | None = None) -> Values:
    """The root of the mean square of that: (row, 1, 1)."""
    return np.asarray(np.sqrt(mean_of(off_places(values, hits, second, alike) ** 2, hits)), np.float64)


def between_places(values: Values, hits: Values, second: NDArray[np.bool_], alike: Alike | None = None) -> Values:
    """By how much the mean of the second places is above that of the first: (row, 1, 1).

    With alike, the mean of that over those that have hits on both, by how well their hits can tell it.
    """
    first_mean, second_mean = of_places(values, hits, second, alike)
    apart = second_mean - first_mean
    if alike is None:
        return apart
    share = mean_of(np.broadcast_to(second, hits.shape), hits, alike)
    return mean_of(np.nan_to_num(apart), hits * np.nan_to_num(share * (1 - share)))


def feel_of(playing: Playing, alike: Alike | None = None) -> Values:
    """The attributes of each row's feel (row, 6), in the order of FEEL; nan where there are no such hits.

    alike: which drums have the means of places in common, where that is not all.
    """
    late, velocity, hits = playing.late, playing.velocity, playing.hits
    odd, between = playing.odd, playing.between
    values = {
        "late": mean_of(late, hits),
        "tightness": -spread_of(late, hits, odd, alike),
        "loudness": mean_of(velocity, hits),
        "dynamics": spread_of(velocity, hits, between, alike),
        "swing": between_places(late, hits, odd, alike) / playing.sixteenth_ms,
        "accent": -between_places(velocity, hits, between, alike),
    }
    return np.concatenate([values[name][:, 0] for name in FEEL], axis=1)


def bar_attributes(hits: Hits) -> Array:
    """Bars of hits (bar, step, 9) -> (bar, 4), in the order of BAR_ATTRIBUTES.

    The first bar has the repetition of the second, but is no fill for that; of a single bar it is 0.
    """
    density, syncopation, repetition = rhythm(hits)
    unlike = np.append(0, repetition[1:]) < FILL_REPETITION
    fill = (hits[..., TOMS].sum(axis=(1, 2)) >= FILL_TOMS) & unlike[: len(hits)]
    return np.stack([density, syncopation, repetition, fill], axis=1).astype(np.float32)


def rhythm(hits: Hits) -> tuple[Values, Values, Values]:
    """The density, the syncopation and the repetition of bars of anything (…, bar, step, voice): (…, bar) each.

    The first bar has the repetition of the second, of a single bar it is 0.
    """
    onset = hits.any(axis=-1)
    before = np.roll(onset, 1, axis=-1)
    off_beat = np.arange(onset.shape[-1]) % 2 == 1
    syncopation = (onset & ~before & off_beat).sum(axis=-1) / np.maximum(onset.sum(axis=-1), 1)
    repetition = np.zeros(onset.shape[:-1])
    repetition[..., 1:] = similarity(hits[..., 1:, :, :], hits[..., :-1, :, :])
    if hits.shape[-3] > 1:
        repetition[..., 0] = repetition[..., 1]
    return hits.sum(axis=(-2, -1)).astype(np.float64), syncopation, repetition


def similarity(bars: Hits, others: Hits) -> NDArray[np.float64]:
    """The Jaccard similarity of pairs of bars (…, step, 9): hits in both / hits in either, 0 of two rests: (…)."""
    both, either = (bars & others).sum(axis=(-2, -1)), (bars | others).sum(axis=(-2, -1))
    return np.asarray(both / np.maximum(either, 1), np.float64)


def likeness(bars: Hits, others: Hits) -> tuple[Values, Values, Values]:
    """The similarity of pairs of bars (…, step, 9) as a whole, in the kick and in the snare: three of (…)."""
    whole, kick, snare = (similarity(bars[..., drums], others[..., drums]) for drums in (slice(None), KICK, SNARE))
    return whole, kick, snare


def hits_and_changes(hits: Hits) -> Array:
    """Phrases (phrase, bar, 16, 9) -> their hits, and of each lag what differs, if nothing does, if that is known.

    (phrase, step, 9 + 3·11).
    """
    seen = [hits]
    for lag in LAGS:
        differs = np.zeros_like(hits)
        differs[:, lag:] = hits[:, lag:] != hits[:, :-lag]
        known = np.broadcast_to((np.arange(hits.shape[1]) >= lag)[:, None, None], (*hits.shape[:3], 1))
        seen += [differs, ~differs.any(axis=3, keepdims=True) & known, known]
    table = np.concatenate(seen, axis=3).astype(np.float32)
    return table.reshape(len(hits), -1, table.shape[3])


def part_attributes(states: Tokens, part: int) -> Array:
    """States of a band (bar, 16, 3) -> the density of a part, and its register, 0 where it rests: (bar, 2)."""
    own = states[..., part].astype(np.int64)
    if part == DRUMS:
        hits = drum_features()[own].sum(axis=(1, 2))
        return np.stack([hits, np.zeros_like(hits)], axis=1).astype(np.float32)
    begins = (own >= FIRST_NOTE_ON) & (own < MELODY_SIZE)
    pitch = (begins * (own - FIRST_NOTE_ON + LOWEST)).sum(axis=1) / np.maximum(begins.sum(axis=1), 1)
    return np.stack([begins.sum(axis=1), pitch], axis=1).astype(np.float32)


def of_playing(states: Tokens, part: int, index: int) -> Values:
    """A column of that of bands (row, bar, 16, 3), of register where a voice plays, else nan: (row, bar)."""
    bars = part_attributes(states.reshape(-1, *states.shape[2:]), part)
    rows = bars.reshape(*states.shape[:2], -1).astype(np.float64)
    return np.where((index == 0) | (rows[..., 0] > 0), rows[..., index], np.nan)
