"""The drums of songs and performances as bars of hits: what models of whole phrases learn from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.songs import Song, songs_of_corpora
from engine.data.sources import drum_map_of
from engine.data.tracks import Section, bars_of
from engine.errors import DataError
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.drums import Drums
from engine.representation.tokens import BEATS_PER_BAR, STEPS_PER_BAR

SEQUENCED = "sequenced"
"""The style of songs that are listed without one."""


@dataclass(frozen=True, slots=True)
class DrumSong:
    """The drum part of a section in 4/4, hits (bar, 16, 9), from its first bar to the last that is hit."""

    name: str
    split: str
    style: str
    tempo_bpm: float
    hits: NDArray[np.bool_]


def read_drum_songs(data: Sequence[Path], *, without_licence: str = "") -> list[DrumSong]:
    """The drum parts of corpora; DataError where there is none.

    without_licence: pieces that are listed with a licence of this beginning are left out.
    """
    found = [
        part
        for path, song in songs_of_corpora(data, without_licence=without_licence)
        for part in _parts(song, drum_map_of(path))
    ]
    if not found:
        raise DataError("the data holds no drums (channel 10) in 4/4")
    return found


def styles_of(songs: Iterable[DrumSong]) -> tuple[str, ...]:
    """The styles of the songs, sorted."""
    return tuple(sorted({song.style for song in songs}))


def _parts(song: Song, drum_map: DrumMap) -> Iterator[DrumSong]:
    for meter in song.meters:
        if meter.beats_per_bar == BEATS_PER_BAR:
            for line in Section(song, meter, bars_of(meter)).drums(Drums(), drum_map):
                hits = (line.tokens.reshape(-1, STEPS_PER_BAR, 1) >> np.arange(CLASSES)) & 1 > 0
                bars = int(np.flatnonzero(hits.any(axis=(1, 2)))[-1]) + 1
                yield DrumSong(song.name, song.split, song.style or SEQUENCED, song.tempo_bpm, hits[:bars])
