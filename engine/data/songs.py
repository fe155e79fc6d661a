"""Songs of several tracks in a zip or folder of MIDI files: what the token models learn from.

Knows nothing of tokens; listing.py lists the files and their splits.
"""

import logging
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.listing import NEEDED, Source, find_corpus, list_sources
from engine.errors import DataError, EngineError, MidiFileError
from engine.midi.events import parse_midi
from engine.midi.meters import sections
from engine.midi.notes import DRUM_CHANNEL, Instrument, file_notes, instruments

_log = logging.getLogger(__name__)

UNREADABLE = (EngineError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What a damaged file or zip raises; RuntimeError: an encrypted one."""


@dataclass(frozen=True, slots=True)
class Track:
    """The notes of one instrument, in the order of time; the drums of a song are one track.

    channel 1..16, program 0..127; start_beats and end_beats from the song's start, pitch 0..127 and velocity
    1..127, each [note].
    """

    name: str
    channel: int
    program: int
    is_drum: bool
    start_beats: NDArray[np.float64]
    end_beats: NDArray[np.float64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Meter:
    """A section of a song in one meter: bars are counted from its start."""

    start_beats: float
    end_beats: float
    beats_per_bar: float


@dataclass(frozen=True, slots=True)
class Song:
    """One file. tempo_bpm is as listed, else what lasts longest in the first meter; what else is listed as listed.

    beats_per_bar: as listed, else of the first meter.
    """

    name: str
    split: str
    style: str
    tempo_bpm: float
    meters: tuple[Meter, ...]
    tracks: tuple[Track, ...]
    licence: str = ""
    drummer: str = ""
    beats_per_bar: float = 4.0

    def only(self, track: str) -> "Song":
        """The song with its tracks of that name alone."""
        named = (each for each in self.tracks if each.name.casefold() == track.casefold())
        return replace(self, tracks=tuple(named))


def songs_of_corpora(data: Iterable[Path], *, without_licence: str = "") -> Iterator[tuple[Path, Song]]:
    """Each song of corpora, with the zip or folder that it is from.

    without_licence: pieces that are listed with a licence of this beginning are left out.
    """
    for path in map(find_corpus, data):
        for song in read_songs(path):
            if not (without_licence and song.licence.startswith(without_licence)):
                yield path, song


def read_songs(path: Path) -> list[Song]:
    """Every song of a zip or folder; files that cannot be read are left out, named and counted.

    DataError where none can be read.
    """
    read = [_song_or_reason(source) for source in list_sources(path)]
    songs = [each for each in read if isinstance(each, Song)]
    reasons = [each for each in read if isinstance(each, str)]
    for reason in reasons:
        _log.warning("left out: %s", reason)
    if reasons:
        _log.warning("%d of %d files could not be read", len(reasons), len(read))
    if not songs:
        why = f" ({reasons[0]})" if reasons else ""
        raise DataError(f"{path} holds no song that can be read{why}: {NEEDED}")
    return songs


def _song_or_reason(source: Source) -> Song | str:
    try:
        return _read_song(source)
    except UNREADABLE as error:
        return f"{source.name}: {error or type(error).__name__}"


def _read_song(source: Source) -> Song:
    midi = parse_midi(source.read())
    notes = file_notes(midi)
    if not notes:
        raise MidiFileError("it holds no notes")
    per_beat = midi.ticks_per_beat
    found = sections(midi, max(note.end_tick for note in notes) + 1)
    meters = (Meter(each.tick / per_beat, each.end_tick / per_beat, each.beats_per_bar) for each in found)
    tempo_bpm = source.tempo_bpm or found[0].tempo_bpm
    tracks = tuple(_track(each, per_beat) for each in instruments(midi, notes))
    beats_per_bar = source.beats_per_bar or found[0].beats_per_bar
    return Song(
        source.name,
        source.split,
        source.style,
        tempo_bpm,
        tuple(meters),
        tracks,
        source.licence,
        source.drummer,
        beats_per_bar,
    )


def _track(instrument: Instrument, ticks_per_beat: int) -> Track:
    rows = sorted((note.tick, note.pitch, note.end_tick, note.velocity) for note in instrument.notes)
    tick, pitch, end_tick, velocity = np.array(rows, np.int64).T.copy()
    channel, is_drum = instrument.channel, instrument.channel == DRUM_CHANNEL
    start_beats, end_beats = tick / ticks_per_beat, end_tick / ticks_per_beat
    return Track(instrument.name, channel, instrument.program, is_drum, start_beats, end_beats, pitch, velocity)
