import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI

MELODY = find_representation("melody")

notes = st.builds(
    Note,
    pitch=st.integers(0, 127),
    start_beats=st.floats(-0.125, 7.8),
    duration_beats=st.floats(0.01, 3),
    velocity=st.integers(1, 127),
)
clips = st.lists(notes, min_size=1, max_size=20).map(lambda found: Clip(tuple(found), 8.0))


def read(clip):
    return MELODY.clip_to_tokens(clip, GENERAL_MIDI)


def tokens_of(*found, beats=4.0, **more):
    return read(Clip(found, beats, **more)).tokens[:, 0]


def play(tokens):
    return MELODY.tokens_to_clip(np.array(tokens, np.int64).reshape(-1, 1), GENERAL_MIDI)


def at_steps(clip):
    return [(note.pitch, note.start_beats * 4, note.duration_beats * 4) for note in clip.notes]


@given(clips)
def test_a_melody_that_was_read_is_written_and_read_as_the_same_tokens(clip):
    tokens = read(clip).tokens
    assert tokens.shape == (32, 1)
    assert 0 <= tokens.min() <= tokens.max() < 90
    np.testing.assert_array_equal(read(play(tokens)).tokens, tokens)


@given(st.lists(st.tuples(st.integers(21, 108), st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=12))
def test_a_voice_on_the_grid_keeps_its_pitches_starts_and_lengths(voice):
    found, step = [], 0
    for pitch, length, rest in voice:
        found.append((pitch, step, length))
        step += length + rest
    clip = Clip(tuple(Note(p, s / 4, n / 4, 100) for p, s, n in found), max(4.0, step / 4))
    assert at_steps(play(read(clip).tokens)) == found


@given(st.lists(st.integers(0, 89), min_size=16, max_size=16))
def test_any_tokens_are_a_clip_of_one_voice(tokens):
    clip = play(tokens)
    ends = [note.start_beats + note.duration_beats for note in clip.notes]
    starts = [note.start_beats for note in clip.notes]
    assert len(starts) == sum(token >= 2 for token in tokens)
    assert all(end <= start for end, start in zip(ends, [*starts[1:], 4.0], strict=False))


def test_the_first_and_the_last_class_are_the_pitches_21_and_108():
    assert [note.pitch for note in play([2, 89] + [0] * 14).notes] == [21, 108]


def test_a_note_is_its_pitch_then_nothing_then_its_end():
    assert tokens_of(Note(60, 0.25, 0.75, 100)).tolist() == [0, 41, 0, 0, 1] + [0] * 11


def test_a_note_that_lasts_to_the_end_has_no_note_off():
    assert 1 not in tokens_of(Note(60, 0, 4, 100))


def test_of_notes_that_start_together_the_highest_is_heard():
    reading = read(Clip((Note(60, 0, 1, 100), Note(67, 0.02, 1, 40), Note(64, 0, 1, 120)), 4.0))
    assert reading.tokens[0, 0] == 67 - 19
    assert reading.remarks == ("notes that start together with a higher one are left out: 2",)


def test_a_note_that_starts_ends_the_one_before():
    assert at_steps(play(tokens_of(Note(60, 0, 4, 100), Note(55, 1, 0.5, 100)))) == [(60, 0, 4), (55, 4, 2)]


def test_an_off_grid_note_falls_on_the_nearest_step():
    assert np.flatnonzero(tokens_of(Note(60, 1.1, 4, 100))).tolist() == [4]


def test_a_short_note_is_a_step_long():
    assert tokens_of(Note(60, 0, 0.01, 100))[:2].tolist() == [41, 1]


def test_an_early_first_note_falls_on_step_0():
    assert tokens_of(Note(60, -0.125, 4, 100))[0] == 41


def test_a_muted_note_is_not_read():
    assert tokens_of(Note(60, 0, 1, 100), Note(90, 0, 1, 100, mute=True))[0] == 41


@pytest.mark.parametrize(("pitch", "heard"), [(20, 32), (0, 24), (109, 97), (127, 103), (21, 21), (108, 108)])
def test_a_pitch_outside_the_range_is_moved_by_octaves(pitch, heard):
    reading = read(Clip((Note(pitch, 0, 1, 100),), 4.0))
    assert play(reading.tokens).notes[0].pitch == heard
    assert bool(reading.remarks) == (pitch != heard)


def test_a_note_that_rounds_past_the_last_step_is_left_out_with_a_remark():
    reading = read(Clip((Note(60, 0, 1, 100), Note(62, 3.95, 1, 100)), 4.0))
    assert (reading.tokens >= 2).sum() == 1
    assert reading.remarks == ("notes that start at the clip's end or later are left out: 1",)


def test_a_clip_is_read_in_whole_bars():
    assert len(tokens_of(Note(60, 0, 1, 100), beats=4.5)) == 32


def test_the_part_that_is_a_melody_is_read():
    found = (Note(36, 0, 1, 100), Note(40, 0, 1, 100), Note(60, 0, 1, 100))
    parts = (Part("drums", 10, 0, 0, 1), Part("bass", 2, 33, 1, 1), Part("lead", 1, 5, 2, 1))
    assert tokens_of(*found, parts=parts)[0] == 41


def test_where_no_part_is_a_melody_all_notes_but_the_drums_are_read():
    found = (Note(50, 0, 1, 100), Note(40, 1, 1, 100), Note(45, 0, 1, 100))
    parts = (Part("drums", 10, 0, 0, 1), Part("bass", 2, 33, 1, 1), Part("strings", 3, 48, 2, 1))
    assert tokens_of(*found, parts=parts)[[0, 4]].tolist() == [45 - 19, 40 - 19]


def test_a_second_melody_is_remarked_on():
    parts = (Part("lead", 1, 0, 0, 1), Part("guitar", 2, 25, 1, 1))
    reading = read(Clip((Note(60, 0, 1, 100), Note(72, 0, 1, 100)), 4.0, parts=parts))
    assert reading.tokens[0, 0] == 41
    assert reading.remarks == ("of 2 parts that fit the first is read, lead",)


@pytest.mark.parametrize("found", [(), (Note(60, 0, 1, 100, mute=True),), (Note(60, 3.9, 1, 100),)])
def test_a_clip_in_which_nothing_sounds_is_refused(found):
    with pytest.raises(ClipError, match="at least one note"):
        tokens_of(*found)


@pytest.mark.parametrize("beats_per_bar", [3, 3.5])
def test_another_meter_than_4_4_is_refused(beats_per_bar):
    with pytest.raises(ClipError, match=f"melody models take 4/4, not {beats_per_bar} beats a bar"):
        tokens_of(Note(60, 0, 1, 100), beats_per_bar=beats_per_bar)


def test_a_decoded_melody_is_one_part_on_channel_1():
    clip = play([41, 0, 43, 1] + [0] * 12)
    assert clip.parts == (Part("melody", 1, 0, 0, 2),)
    assert {note.velocity for note in clip.notes} == {80}
