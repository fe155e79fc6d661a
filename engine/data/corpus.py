"""Drum performances of a corpus: what models of grooves learn from. songs.py reads the files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.listing import NEEDED, find_corpus
from engine.data.songs import Song, read_songs
from engine.errors import DataError


@dataclass(frozen=True, slots=True)
class Performance:
    """One performance: what was hit when, and how hard, in the order of time.

    start_beats, pitches 0..127 and velocities 1..127, each [hit].
    """

    name: str
    split: str
    style: str
    drummer: str
    tempo_bpm: float
    beats_per_bar: float
    start_beats: NDArray[np.float64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.float64]


def read_corpus(path: Path) -> list[Performance]:
    """Every performance of a zip or folder that holds drums; DataError if there is none."""
    path = find_corpus(path)
    found = (_performance(song) for song in read_songs(path))
    performances = [each for each in found if each is not None]
    if not performances:
        raise DataError(f"{path} holds no drum performance: {NEEDED}")
    return performances


def _performance(song: Song) -> Performance | None:
    """The hits on channel 10 (of a file that uses one channel alone: on that), or None if there are none."""
    only_one = len({track.channel for track in song.tracks}) == 1
    drums = [track for track in song.tracks if only_one or track.is_drum]
    if not drums:
        return None
    start_beats, pitches, velocities = (
        np.concatenate(columns)
        for columns in zip(*((each.start_beats, each.pitch, each.velocity) for each in drums), strict=True)
    )
    order = np.lexsort((velocities, pitches, start_beats))
    return Performance(
        song.name,
        song.split,
        song.style,
        song.drummer,
        song.tempo_bpm,
        song.beats_per_bar,
        start_beats[order],
        pitches[order],
        velocities[order].astype(np.float64),
    )
