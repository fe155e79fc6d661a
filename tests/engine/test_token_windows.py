import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.songs import Meter, Song, Track, read_songs
from engine.data.token_windows import cut_token_windows, transposed
from engine.errors import DataError
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI
from tests.conftest import data_file

MELODY, DRUMS, TRIO, MULTITRACK = map(find_representation, ("melody", "drums", "trio", "multitrack"))
REST = "with a rest of 1 bar or more"


def track(*notes, program=0, drum=False, name=""):
    """Notes as (start, length, pitch) in beats."""
    start, length, pitch = np.array(notes, np.float64).T
    channel = 10 if drum else 1
    pitches = pitch.astype(np.int64)
    return Track(name, channel, program, drum, start, start + length, pitches, np.full(len(notes), 120))


def song(*tracks, split="train", meters=None):
    end = max(each.end_beats.max() for each in tracks)
    return Song("song", split, "", 120.0, meters or (Meter(0.0, end, 4.0),), tracks)


def every_bar(bars, *, length=4.0, first=60):
    return [(4.0 * bar, length, first + bar) for bar in bars]


def cut(representation, *songs, bars=2, **more):
    return cut_token_windows(songs, representation, split="train", bars=bars, **more)


def first_pitches(windows):
    return [int(window[0, 0]) + 19 for window in windows.tokens]


@pytest.fixture(scope="module")
def real_songs():
    """The pieces of band-midi.zip."""
    return read_songs(data_file("band-midi.zip"))


def test_windows_slide_by_a_bar():
    windows = cut(MELODY, song(track(*every_bar(range(4)))))
    assert windows.tokens.shape == (3, 32, 1)
    assert first_pitches(windows) == [60, 61, 62]


def test_a_window_knows_its_song():
    other = song(track(*every_bar(range(3))), split="test")
    windows = cut(MELODY, song(track(*every_bar(range(3)))), other, song(track(*every_bar(range(2), first=50))))
    assert windows.song.tolist() == [0, 0, 2]


def test_melodies_are_the_tracks_of_the_programs_0_to_31():
    tracks = [track(*every_bar(range(2), first=40 + program), program=program) for program in (0, 31, 32)]
    assert first_pitches(cut(MELODY, song(*tracks))) == [40, 71]


def test_the_tracks_of_one_name_can_be_chosen():
    lead = track(*every_bar(range(2)), name="MELODY")
    windows = cut(MELODY, song(lead, track(*every_bar(range(2), first=80), name="PIANO")), track="melody")
    assert first_pitches(windows) == [60]


def test_a_rest_of_a_bar_ends_a_melody():
    windows = cut(MELODY, song(track((0, 4, 60), (4, 4, 61), (12, 4, 62), (16, 4, 63))))
    assert first_pitches(windows) == [60, 62]
    assert windows.left_out == {REST: 2}


def test_a_shorter_rest_does_not_end_a_melody():
    windows = cut(MELODY, song(track((0, 4, 60), (7.75, 4, 61), (12, 4, 62))))
    assert windows.left_out == {}
    assert len(windows) == 3


def test_a_melody_starts_with_the_bar_of_its_first_note():
    windows = cut(MELODY, song(track((9, 1, 60), (12, 4, 61))))
    assert windows.left_out == {"silent": 1, REST: 1}
    assert windows.tokens[0, 4, 0] == 41


def test_a_window_in_which_no_note_starts_is_silent():
    windows = cut(MELODY, song(track((0, 12, 60), (12, 4, 61))))
    assert windows.left_out == {"silent": 1}


def test_a_note_from_before_a_window_is_not_ended_in_it():
    windows = cut(MELODY, song(track((0, 5, 60), (6, 6, 61))), bars=2)
    assert windows.tokens[1, :, 0].tolist() == [0] * 8 + [42] + [0] * 23


def test_the_same_window_is_taken_once_a_song():
    again = song(track(*((4.0 * bar, 4, 60) for bar in range(5))))
    windows = cut(MELODY, again, again)
    assert windows.song.tolist() == [0, 1]
    assert windows.left_out == {"the same as another of its song": 6}


def test_pitches_outside_the_range_are_not_read():
    windows = cut(MELODY, song(track((0, 4, 60), (1, 1, 110), (4, 4, 61))))
    assert np.flatnonzero(windows.tokens[0, :, 0]).tolist() == [0, 16]


def test_a_stretch_in_another_meter_is_left_out():
    meters = (Meter(0, 9, 3.0), Meter(9, 17, 4.0))
    windows = cut(MELODY, song(track((0, 3, 50), (9, 4, 60), (13, 4, 61)), meters=meters))
    assert first_pitches(windows) == [60]
    assert windows.left_out == {"not in 4/4": 2}


def test_a_song_that_is_shorter_than_a_window_is_counted():
    windows = cut(MELODY, song(track((0, 4, 60))), song(track(*every_bar(range(2)))))
    assert windows.left_out == {"shorter than a window": 1}


def test_a_split_without_a_window_is_refused_with_the_reasons():
    with pytest.raises(DataError, match=r"without a melody \(programs 0\.\.31\): 3"):
        cut(MELODY, song(track(*every_bar(range(4)), program=40)))


def test_drums_are_the_hits_of_the_drum_channel():
    hits = track((0, 1, 36), (0, 1, 42), (4, 1, 38), (4.5, 1, 20), drum=True)
    windows = cut(DRUMS, song(hits, track(*every_bar(range(2)))))
    assert {step: int(windows.tokens[0, step, 0]) for step in np.flatnonzero(windows.tokens[0, :, 0])} == {
        0: 0b101,
        16: 0b10,
    }


def test_a_rest_of_a_bar_ends_the_drums():
    hits = track((0, 1, 36), (4, 1, 38), (8.25, 1, 42), (12, 1, 36), (15, 1, 36), drum=True)
    assert cut(DRUMS, song(hits)).left_out == {REST: 1}


def test_a_shorter_rest_does_not_end_the_drums():
    hits = track((0, 1, 36), (4, 1, 38), (8, 1, 42), (12, 1, 36), (15, 1, 36), drum=True)
    assert cut(DRUMS, song(hits)).left_out == {}


def test_a_trio_is_every_melody_with_every_bass_and_the_drums():
    drums = track(*every_bar(range(2), length=0.25, first=36), drum=True)
    melodies = [track(*every_bar(range(2), first=first)) for first in (60, 70)]
    basses = [track(*every_bar(range(2), first=first), program=33) for first in (30, 40)]
    windows = cut(TRIO, song(*melodies, *basses, drums))
    assert {tuple(window[0] + 19) for window in windows.tokens[:, :, :2]} == {
        (60, 30),
        (60, 40),
        (70, 30),
        (70, 40),
    }
    assert set(windows.tokens[:, 0, 2]) == {1}


def trio_with_a_bass_in(*bars, total=24):
    melody, drums = every_bar(range(total), first=50), every_bar(range(total), length=0.25, first=36)
    bass = track(*every_bar(bars, first=30), program=33)
    return song(track(*melody), bass, track(*drums, drum=True))


def test_a_part_of_a_trio_may_rest_two_bars_from_where_it_sounds():
    assert len(cut(TRIO, trio_with_a_bass_in(2, 7, 12, 17, 21), bars=24)) == 1


def test_a_part_of_a_trio_may_not_rest_longer():
    windows = cut(TRIO, trio_with_a_bass_in(*range(8), *range(13, 24)), bars=8)
    assert windows.left_out == {"with a part that rests for more than 2 bars": 8}


def test_a_trio_lacking_a_part_is_counted():
    with pytest.raises(DataError, match=r"without a melody .* or drums \(channel 10\): 3"):
        cut(TRIO, song(track(*every_bar(range(4))), track(*every_bar(range(4)), program=33)))


def test_a_bar_of_a_band_has_its_instruments_by_program_and_drums_last():
    drums = track((0, 1, 36), (2, 1, 38), drum=True)
    windows = cut(MULTITRACK, song(drums, track((0, 2, 60), (2, 2, 62)), track((0, 4, 40), program=33)), bars=1)
    assert windows.tokens.reshape(8, 64)[:4, 0].tolist() == [360, 360 + 33, 488, 489]


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ([track((0, 2, 60), (2, 2, 62))], "with fewer than 2 or more than 8 instruments"),
        ([track((0, 4, 60)), track((0, 4, 40), program=33)], "with fewer than 8 events"),
        (
            [track(*((i / 8, 0.125, 60 + i) for i in range(32))), track((0, 4, 40), program=33)],
            "with more than 62 events of one instrument",
        ),
    ],
)
def test_a_bar_of_a_band_that_is_too_thin_or_too_full_is_left_out(tracks, reason):
    with pytest.raises(DataError, match=reason):
        cut(MULTITRACK, song(*tracks), bars=1)


melodies = st.lists(st.integers(0, 89), min_size=16, max_size=16)


@given(melodies, st.integers(-60, 60))
def test_transposing_moves_every_note_by_the_interval_or_none(tokens, semitones):
    window = np.array(tokens, np.int64)[None, :, None]
    on = window >= 2
    fits = ((window[on] + semitones >= 2) & (window[on] + semitones <= 89)).all()
    np.testing.assert_array_equal(
        transposed(window, semitones, MELODY), np.where(on & fits, window + semitones, window)
    )


def test_each_window_can_have_its_own_interval():
    windows = np.full((2, 16, 1), 41)
    assert transposed(windows, np.array([-1, 2]), MELODY)[:, 0, 0].tolist() == [40, 43]


def test_the_drums_of_a_trio_are_not_transposed():
    assert transposed(np.array([[[41, 21, 5]]]), 3, TRIO).tolist() == [[[44, 24, 5]]]


@pytest.mark.parametrize(("representation", "bars"), [(MELODY, 2), (TRIO, 16), (MULTITRACK, 1)])
def test_every_window_of_real_music_is_read_again_as_it_is(real_songs, representation, bars):
    windows = cut_token_windows(real_songs, representation, split="test", bars=bars)
    for window in windows.tokens[:: len(windows) // 40]:
        clip = representation.tokens_to_clip(window, GENERAL_MIDI)
        np.testing.assert_array_equal(representation.clip_to_tokens(clip, GENERAL_MIDI).tokens, window)
