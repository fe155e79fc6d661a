"""The bands of songs, and leads alone: what a model of parts learns from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT
from engine.data.songs import Song, Track, songs_of_corpora
from engine.data.sources import drum_map_of
from engine.data.tracks import Line, Section, bars_of
from engine.errors import DataError
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, band_states
from engine.representation.drum_map import DrumMap
from engine.representation.drums import Drums
from engine.representation.tokens import BASS_PROGRAMS, BEATS_PER_BAR, STEPS_PER_BAR, Tokens

LEAD_PROGRAMS = (*range(32), *range(40, 112))
SINGLE_NOTES = 0.8
"""A track of which so many notes start alone is a melody."""

BESIDE_THE_MELODY = ("bridge", "piano")
"""Tracks of POP909 that are no melody."""

STYLES = ("band", "drums", "folk", "pop", "song")
"""What kind of music a piece is: of a band, drums alone, a folk tune, a pop melody, an art song."""

_KINDS = {"pop909": "pop", "folk": "folk", "lieder": "song", "groove": "drums"}


@dataclass(frozen=True, slots=True)
class BandSong:
    """The parts of a section in 4/4, states (bar, 16, 3) as engine.representation.band has them.

    plays (bar, 3): whether a part has a note in the bar; a part that the piece has not plays nowhere.
    """

    name: str
    split: str
    style: str
    tempo_bpm: float
    states: Tokens
    plays: NDArray[np.bool_]


def read_band_songs(data: Sequence[Path], *, without_licence: str = "") -> list[BandSong]:
    """Every lead of each piece with its bass and its drums; DataError where there is none.

    without_licence: pieces that are listed with a licence of this beginning are left out.
    """
    found = [
        band
        for path, song in songs_of_corpora(data, without_licence=without_licence)
        for band in _bands(song, _kind(path), drum_map_of(path))
    ]
    if not found:
        raise DataError("the data holds no melody, bass or drums in 4/4")
    return found


def _kind(corpus: Path) -> str:
    return next((kind for name, kind in _KINDS.items() if corpus.name.startswith(name)), "band")


def _bands(song: Song, kind: str, drum_map: DrumMap) -> Iterator[BandSong]:
    melodies = replace(song, tracks=tuple(track for track in song.tracks if _is_melody(track)))
    for meter in song.meters:
        if meter.beats_per_bar != BEATS_PER_BAR:
            continue
        bars = bars_of(meter)
        basses = Section(song, meter, bars).voices(BASS_PROGRAMS)
        if kind == "pop":
            basses = Section(_lowest(song), meter, bars).voices(LEAD_PROGRAMS)
        lines = (
            Section(melodies, meter, bars).voices(LEAD_PROGRAMS),
            basses,
            Section(song, meter, bars).drums(Drums(), drum_map),
        )
        for parts in product(*((*each[:MOST_LINES],) or (None,) for each in lines)):
            if any(parts):
                yield _band(song, kind, parts, bars)


MOST_LINES = 4
"""Of a piece so many leads, and basses, are read."""


def _lowest(song: Song) -> Song:
    """Of a song's piano what is its bass: the low notes that nothing starts below."""
    return replace(song, tracks=tuple(_low(track) for track in song.tracks if track.name.casefold() == "piano"))


def _low(track: Track) -> Track:
    steps = np.round(track.start_beats * STEPS_PER_BEAT)
    order = np.lexsort((track.pitch, steps))
    lowest = order[np.unique(steps[order], return_index=True)[1]]
    kept = lowest[track.pitch[lowest] <= HIGHEST_BASS]
    arrays = {name: getattr(track, name)[kept] for name in ("start_beats", "end_beats", "pitch", "velocity")}
    return replace(track, **arrays)


HIGHEST_BASS = 52
"""The E below middle C: what is higher in a piano's left hand is harmony."""


def _is_melody(track: Track) -> bool:
    steps = np.round(track.start_beats * 4)
    alone = len(np.unique(steps)) >= SINGLE_NOTES * len(steps)
    return not track.is_drum and alone and track.name.casefold() not in BESIDE_THE_MELODY


def _band(song: Song, kind: str, parts: Sequence[Line | None], bars: int) -> BandSong:
    tokens = np.zeros((bars * STEPS_PER_BAR, len(PARTS)), np.int64)
    plays = np.zeros((bars, len(PARTS)), bool)
    for part, line in zip((LEAD, BASS, DRUMS), parts, strict=True):
        if line is not None:
            tokens[:, part] = line.tokens
            plays[line.notes.first // STEPS_PER_BAR, part] = True
    states = band_states(tokens).reshape(bars, STEPS_PER_BAR, len(PARTS))
    return BandSong(song.name, song.split, kind, song.tempo_bpm, states.astype(np.int16), plays)
