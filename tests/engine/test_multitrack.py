import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.multitrack import transposed_band

MULTITRACK = find_representation("multitrack")
END = 489

notes = st.builds(
    Note,
    pitch=st.integers(0, 127),
    start_beats=st.floats(-0.125, 7.8),
    duration_beats=st.floats(0.01, 6),
    velocity=st.integers(1, 127),
)
bands = st.lists(
    st.tuples(st.integers(1, 16), st.integers(0, 127), st.lists(notes, max_size=30)), min_size=1, max_size=10
)


def band(*tracks, beats=8.0):
    """(channel, program, notes) each."""
    found, parts = [], []
    for channel, program, played in tracks:
        parts.append(Part("", channel, program, len(found), len(played)))
        found += played
    return Clip(tuple(found), beats, parts=tuple(parts))


def read(clip):
    return MULTITRACK.clip_to_tokens(clip, GENERAL_MIDI)


def play(tokens):
    return MULTITRACK.tokens_to_clip(tokens, GENERAL_MIDI)


def first_tracks(clip, count=1):
    tokens = read(clip).tokens.reshape(-1, 64)
    return [row[row >= 0].tolist() for row in tokens[:count]]


@given(bands.filter(lambda tracks: any(played for _, _, played in tracks)))
def test_a_band_that_was_read_is_written_and_read_as_the_same_tokens(tracks):
    tokens = read(band(*tracks)).tokens
    assert tokens.shape == (1024, 1)
    assert -1 <= tokens.min() <= tokens.max() <= END
    assert (tokens == END).sum() == 16
    np.testing.assert_array_equal(read(play(tokens)).tokens, tokens)


@given(
    st.sets(st.tuples(st.integers(0, 95), st.integers(0, 127)), min_size=1, max_size=12),
    st.integers(0, 7),
    st.integers(0, 127),
)
def test_notes_on_the_grid_keep_their_pitches_starts_lengths_and_program(starts, loudness, program):
    found = [Note(pitch, step / 24, 1 / 24, 1 + 16 * loudness) for step, pitch in sorted(starts)]
    clip = play(read(band((3, program, found), beats=4.0)).tokens)
    assert [(n.pitch, n.start_beats, n.velocity) for n in clip.notes] == [
        (n.pitch, n.start_beats, n.velocity) for n in found
    ]
    assert [n.duration_beats for n in clip.notes] == pytest.approx([1 / 24] * len(found))
    assert clip.parts[0].program == program


@given(st.lists(st.integers(-1, END), min_size=512, max_size=512))
def test_any_tokens_are_a_clip_of_a_bar(tokens):
    clip = play(np.array(tokens)[:, None])
    assert clip.length_beats == 4
    assert all(note.start_beats >= 0 and note.start_beats + note.duration_beats <= 4 + 1e-9 for note in clip.notes)
    assert sum(part.count for part in clip.parts) == len(clip.notes)


def test_a_track_is_its_program_its_events_and_the_end():
    clip = band((1, 5, [Note(60, 1, 1, 100), Note(64, 2, 2, 127)]), beats=4.0)
    program, on, off, shift, velocity = 360, 0, 128, 256 - 1, 352
    first, second = [velocity + 6, on + 60, shift + 24, off + 60], [velocity + 7, on + 64, shift + 48, off + 64]
    assert first_tracks(clip) == [[program + 5, shift + 24, *first, *second, END]]


def test_the_end_of_a_bar_in_which_nothing_more_happens_is_a_time_shift():
    assert first_tracks(band((1, 0, [Note(60, 0, 1, 127)]), beats=4.0)) == [[360, 60, 279, 188, 256 + 71, END]]


def test_a_track_that_is_not_there_is_an_end_alone():
    tokens = read(band((1, 0, [Note(60, 0, 1, 127)]), beats=4.0)).tokens.reshape(8, 64)
    assert tokens[1:, 0].tolist() == [END] * 7
    assert set(tokens[1:, 1:].flat) == {-1}


def test_tracks_are_sorted_by_program_and_drums_come_last():
    one = [Note(60, 0, 1, 127)]
    rows = first_tracks(band((10, 0, one), (2, 40, one), (1, 7, one), beats=4.0), 3)
    assert [row[0] for row in rows] == [360 + 7, 360 + 40, 488]


def test_a_note_that_crosses_the_bar_line_ends_there():
    clip = play(read(band((1, 0, [Note(60, 3, 3, 127)]))).tokens)
    assert [(note.start_beats, note.duration_beats) for note in clip.notes] == [(3, 1)]


def test_a_loudness_is_played_with_the_lowest_velocity_of_its_bin():
    found = [Note(60, i / 4, 0.25, velocity) for i, velocity in enumerate((1, 16, 17, 112, 113, 127))]
    clip = play(read(band((1, 0, found), beats=4.0)).tokens)
    assert [note.velocity for note in clip.notes] == [1, 1, 17, 97, 113, 113]


def test_a_decoded_band_has_a_channel_for_each_instrument_and_10_for_drums():
    one = [Note(60, 0, 1, 127)]
    clip = play(read(band(*((1, program, one) for program in range(7)), (10, 0, one), beats=4.0)).tokens)
    assert [part.channel for part in clip.parts] == [1, 2, 3, 4, 5, 6, 7, 10]
    assert [part.program for part in clip.parts] == [*range(7), 0]


def test_an_instrument_keeps_its_part_through_the_bars():
    piano, flute = [Note(60, 0, 1, 113), Note(62, 4, 1, 113)], [Note(72, 4, 1, 113)]
    clip = play(read(band((1, 0, piano), (2, 73, flute))).tokens)
    assert [(part.program, part.count) for part in clip.parts] == [(0, 2), (73, 1)]


def test_of_more_than_eight_parts_those_with_the_most_notes_are_read_with_a_remark():
    few, many = [Note(60, 0, 1, 127)], [Note(60, 0, 1, 127), Note(60, 2, 1, 127)]
    reading = read(band((1, 0, few), *((1, program, many) for program in range(1, 9)), beats=4.0))
    assert reading.tokens.reshape(8, 64)[:, 0].tolist() == [360 + program for program in range(1, 9)]
    assert reading.remarks == ("parts beyond the 8 with the most notes are left out: 1",)


def test_of_a_bar_with_too_many_events_the_last_notes_are_left_out_with_a_remark():
    reading = read(band((1, 0, [Note(60, i / 8, 1 / 16, 127) for i in range(32)]), beats=4.0))
    heard = play(reading.tokens).notes
    assert [note.start_beats for note in heard] == [i / 8 for i in range(len(heard))]
    assert reading.remarks == (f"notes that do not fit into 62 events a bar are left out: {32 - len(heard)}",)


def test_a_clip_without_parts_is_a_piano():
    assert first_tracks(Clip((Note(60, 0, 1, 127),), 4.0))[0][0] == 360


def test_a_band_of_which_nothing_sounds_is_refused():
    with pytest.raises(ClipError, match="at least one note"):
        read(band((1, 0, [Note(60, 0, 1, 100, mute=True)])))


def test_a_band_in_another_meter_than_4_4_is_refused():
    with pytest.raises(ClipError, match="multitrack models take 4/4, not 3 beats a bar"):
        read(Clip((Note(60, 0, 1, 100),), 3.0, beats_per_bar=3))


def test_all_tracks_but_drums_are_transposed():
    one = [Note(60, 0, 1, 113)]
    tokens = read(band((1, 0, one), (10, 0, one), beats=4.0)).tokens[None]
    moved = play(transposed_band(tokens, np.array([-3]))[0])
    assert [note.pitch for note in moved.notes] == [57, 60]


def test_a_band_that_would_leave_the_range_is_not_transposed():
    tokens = read(band((1, 0, [Note(2, 0, 1, 113)]), beats=4.0)).tokens[None]
    np.testing.assert_array_equal(transposed_band(tokens, np.array([-3])), tokens)
