"""Clips as bands: who is who, bars of other lengths, and states that become notes again."""

import numpy as np
import pytest

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.band import BASS, DRUMS, LEAD
from engine.representation.band_clip import cast_of, read_band, voice_notes
from engine.representation.drum_map import GENERAL_MIDI


def clip_of(*parts: tuple[str, int, int, list[int]], beats_per_bar: float = 4.0) -> Clip:
    """Parts as (name, channel, program, pitches), a note a beat."""
    notes: list[Note] = []
    found = []
    for name, channel, program, pitches in parts:
        found.append(Part(name, channel, program, len(notes), len(pitches)))
        notes += [Note(pitch, float(beat), 1.0, 90) for beat, pitch in enumerate(pitches)]
    length = beats_per_bar * -(-max(len(part[3]) for part in parts) // beats_per_bar)
    return Clip(tuple(notes), length, beats_per_bar, parts=tuple(found))


MELODY, LOW, KICKS = [72, 74, 76, 77], [36, 36, 43, 43], [36, 38, 36, 38]


def roles(clip: Clip) -> list[tuple[int, ...]]:
    """The numbers of the parts that are lead, bass and drums."""
    return list(cast_of(clip, GENERAL_MIDI).roles)


def test_programs_and_the_channel_say_who_is_who() -> None:
    clip = clip_of(("a", 10, 0, KICKS), ("b", 3, 33, LOW), ("c", 4, 5, MELODY))
    assert roles(clip) == [(2,), (1,), (0,)]


def test_names_say_more_than_programs() -> None:
    clip = clip_of(("Lead vocal", 1, 33, LOW), ("Bass guitar", 2, 0, MELODY))
    assert roles(clip)[:2] == [(0,), (1,)]


def test_of_unnamed_voices_the_highest_leads_and_the_lowest_is_a_bass() -> None:
    clip = clip_of(("x", 1, 0, LOW), ("y", 2, 0, [60, 62, 64, 65]), ("z", 3, 0, MELODY))
    cast = cast_of(clip, GENERAL_MIDI)
    assert cast.roles == ((2,), (0,), ())
    assert cast.harmony == (1,)


def test_one_low_voice_alone_leads() -> None:
    assert roles(clip_of(("x", 1, 0, LOW))) == [(0,), (), ()]


def test_of_two_parts_of_one_name_the_first_is_it_and_that_is_told() -> None:
    cast = cast_of(clip_of(("bass", 1, 33, LOW), ("bass", 2, 33, LOW)), GENERAL_MIDI)
    assert cast.roles[BASS] == (0,)
    assert cast.remarks == ("of 2 parts that may be the bass bass is it",)


def test_a_bass_above_the_lead_is_the_bass_and_that_is_told() -> None:
    cast = cast_of(clip_of(("lead", 1, 0, LOW), ("bass", 2, 33, MELODY)), GENERAL_MIDI)
    assert cast.roles[:2] == ((0,), (1,))
    assert cast.remarks == ("bass lies above the lead, and is read as the bass all the same",)


@pytest.mark.parametrize(("pitches", "role"), [(KICKS, DRUMS), (MELODY, LEAD), ([60, 62, 64, 60], LEAD)])
def test_notes_without_parts_are_drums_or_a_lead(pitches: list[int], role: int) -> None:
    clip = Clip(tuple(Note(pitch, float(beat), 1.0, 90) for beat, pitch in enumerate(pitches)), 4.0)
    assert [bool(found) for found in cast_of(clip, GENERAL_MIDI).roles] == [role == each for each in range(3)]


def test_the_highest_voice_of_chords_leads_and_the_rest_is_harmony() -> None:
    chords = tuple(Note(pitch, float(beat), 1.0, 90) for beat in range(4) for pitch in (60, 64, 67))
    band = read_band(Clip(chords, 4.0), GENERAL_MIDI)
    (note, *_) = voice_notes(band.states[..., LEAD], 16)
    assert (note.pitch, band.has_chords) == (67, True)
    assert np.flatnonzero(band.sounding[0]).tolist() == [0, 4, 7]


@pytest.mark.parametrize(("beats_per_bar", "steps"), [(3.0, 12), (3.5, 14), (2.0, 8), (4.0, 16)])
def test_shorter_bars_are_the_beginnings_of_bars_of_4_4(beats_per_bar: float, steps: int) -> None:
    clip = clip_of(("lead", 1, 0, MELODY * 4), beats_per_bar=beats_per_bar)
    band = read_band(clip, GENERAL_MIDI)
    assert band.states.shape == (clip.bars, 16, 3)
    assert not band.states[:, steps:, DRUMS].any()
    starts = [note.start_beats for note in voice_notes(band.states[..., LEAD], steps)]
    assert starts == [float(beat) for beat in range(16)]
    told = [remark for remark in band.remarks if "beats of bars of 4/4" in remark]
    assert bool(told) == (steps < 16)


def test_longer_bars_are_refused_with_what_is_accepted() -> None:
    with pytest.raises(ClipError, match="bars of at most 4 beats, as 4/4, 3/4 or 7/8, not 5/4"):
        read_band(clip_of(("lead", 1, 0, MELODY), beats_per_bar=5.0), GENERAL_MIDI)


def test_a_note_that_begins_behind_a_short_bar_is_left_out_and_none_hangs() -> None:
    states = np.zeros((2, 16), np.int64)
    states[0, 0], states[0, 1:13] = 41, 41 + 88
    states[0, 13], states[0, 14:], states[1, :4] = 45, 45 + 88, 45 + 88
    notes = voice_notes(states, 12)
    assert [(note.pitch, note.start_beats, note.duration_beats) for note in notes] == [(60, 0.0, 3.0)]
