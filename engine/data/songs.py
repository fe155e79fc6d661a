"""Songs of several tracks in a zip or folder of MIDI files: what the token models learn from.

Knows nothing of tokens; corpus.py lists the files and their splits.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.corpus import NEEDED, Source, list_sources
from engine.errors import DataError, MidiFileError
from engine.midi.events import parse_midi
from engine.midi.notes import DRUM_CHANNEL, Instrument, file_notes, instruments, sections

_log = logging.getLogger(__name__)


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
    """One file. tempo_bpm is as listed, else what lasts longest in the first meter; style and licence as listed."""

    name: str
    split: str
    style: str
    tempo_bpm: float
    meters: tuple[Meter, ...]
    tracks: tuple[Track, ...]
    licence: str = ""

    def only(self, track: str) -> "Song":
        """The song with its tracks of that name alone."""
        named = (each for each in self.tracks if each.name.casefold() == track.casefold())
        return replace(self, tracks=tuple(named))


def read_songs(path: Path) -> list[Song]:
    """Every song of a zip or folder; files that cannot be read are logged and counted.

    DataError where none can be read.
    """
    read = [_song_or_reason(source) for source in list_sources(path)]
    songs = [each for each in read if isinstance(each, Song)]
    if len(songs) < len(read):
        _log.warning("%d of %d files could not be read", len(read) - len(songs), len(read))
    if not songs:
        raise DataError(f"{path} holds no song that can be read: {NEEDED}")
    return songs


def _song_or_reason(source: Source) -> Song | MidiFileError:
    try:
        return _read_song(source)
    except MidiFileError as error:
        _log.warning("%s is left out: %s", source.name, error)
        return error


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
    return Song(source.name, source.split, source.style, tempo_bpm, tuple(meters), tracks, source.licence)


def _track(instrument: Instrument, ticks_per_beat: int) -> Track:
    rows = sorted((note.tick, note.pitch, note.end_tick, note.velocity) for note in instrument.notes)
    tick, pitch, end_tick, velocity = np.array(rows, np.int64).T.copy()
    channel, is_drum = instrument.channel, instrument.channel == DRUM_CHANNEL
    start_beats, end_beats = tick / ticks_per_beat, end_tick / ticks_per_beat
    return Track(instrument.name, channel, instrument.program, is_drum, start_beats, end_beats, pitch, velocity)
