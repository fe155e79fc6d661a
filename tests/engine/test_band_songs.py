"""The bands of corpora: leads, basses and drums of pieces, and what in a piano is a bass."""

from pathlib import Path

import numpy as np
import pytest

from engine.clip import Clip, Note, Part
from engine.data.band_songs import read_band_songs
from engine.errors import DataError
from engine.midi.clips import clip_to_midi
from engine.representation.band import BASS, DRUMS, LEAD
from engine.representation.band_clip import voice_notes

MELODY = [Note(72 + k % 5, k / 2, 0.5, 90) for k in range(32)]
PIANO = [Note(pitch, float(beat), 1.0, 80) for beat in range(16) for pitch in (36 + beat % 4, 60, 64)]
HIGH = [Note(57, beat + 0.5, 0.5, 80) for beat in range(16)]
BASS_LINE = [Note(40, float(beat), 1.0, 80) for beat in range(16)]
HITS = [Note((36, 38)[beat % 2], float(beat), 0.25, 99) for beat in range(16)]


def corpus(folder: Path, *parts: tuple[str, int, int, list[Note]]) -> Path:
    """A folder with one piece of such parts: name, channel, program, notes."""
    notes: list[Note] = []
    placed = []
    for name, channel, program, own in parts:
        placed.append(Part(name, channel, program, len(notes), len(own)))
        notes += own
    folder.mkdir()
    clip_to_midi(Clip(tuple(notes), 16.0, parts=tuple(placed)), folder / "a.mid")
    (folder / "info.csv").write_text("midi_filename,split\na.mid,train\n")
    return folder


def test_a_piece_is_its_lead_with_its_bass_and_its_drums(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "x", ("a", 1, 0, MELODY), ("b", 2, 33, BASS_LINE), ("c", 10, 0, HITS))
    (band,) = read_band_songs([folder])
    assert (band.style, band.plays.all()) == ("band", True)
    assert {note.pitch for note in voice_notes(band.states[..., BASS].astype(np.int64), 16)} == {40}
    assert np.unique(band.states[..., DRUMS]).tolist() == [0, 1, 2]


def test_each_lead_of_a_piece_is_a_band_with_the_same_bass(tmp_path: Path) -> None:
    other = [Note(note.pitch - 12, note.start_beats, 0.5, 90) for note in MELODY]
    folder = corpus(tmp_path / "x", ("a", 1, 0, MELODY), ("d", 3, 5, other), ("b", 2, 33, BASS_LINE))
    first, second = read_band_songs([folder])
    assert not np.array_equal(first.states[..., LEAD], second.states[..., LEAD])
    assert np.array_equal(first.states[..., BASS], second.states[..., BASS])


def test_of_pop909_the_lowest_notes_of_the_piano_are_the_bass(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "pop909-beats", ("MELODY", 1, 0, MELODY), ("PIANO", 2, 0, PIANO + HIGH))
    (band,) = read_band_songs([folder])
    bass = voice_notes(band.states[..., BASS].astype(np.int64), 16)
    assert band.style == "pop"
    assert [note.pitch for note in bass] == [36 + beat % 4 for beat in range(16)]
    assert [note.start_beats for note in bass] == [float(beat) for beat in range(16)]


def test_where_nothing_plays_that_is_told(tmp_path: Path) -> None:
    chords = [Note(pitch, float(beat), 1.0, 80) for beat in range(16) for pitch in (60, 64, 67)]
    with pytest.raises(DataError, match="the data holds no melody, bass or drums in 4/4"):
        read_band_songs([corpus(tmp_path / "x", ("a", 1, 0, chords))])
