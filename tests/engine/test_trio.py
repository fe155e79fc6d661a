import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI

TRIO = find_representation("trio")

notes = st.builds(
    Note,
    pitch=st.integers(0, 127),
    start_beats=st.floats(-0.125, 7.8),
    duration_beats=st.floats(0.01, 3),
    velocity=st.integers(1, 127),
)


def band(melody, bass, drums, **more):
    parts = (
        Part("lead", 4, 11, 0, len(melody)),
        Part("bass", 5, 38, len(melody), len(bass)),
        Part("kit", 10, 0, len(melody) + len(bass), len(drums)),
    )
    return Clip((*melody, *bass, *drums), 8.0, parts=parts, **more)


def read(clip):
    return TRIO.clip_to_tokens(clip, GENERAL_MIDI)


@given(st.lists(notes, min_size=1, max_size=8), st.lists(notes, max_size=8), st.lists(notes, max_size=8))
def test_a_trio_that_was_read_is_written_and_read_as_the_same_tokens(melody, bass, drums):
    tokens = read(band(melody, bass, drums)).tokens
    assert tokens.shape == (32, 3)
    clip = TRIO.tokens_to_clip(tokens, GENERAL_MIDI)
    np.testing.assert_array_equal(read(clip).tokens, tokens)


def test_each_part_has_its_column():
    clip = band([Note(60, 0, 8, 100)], [Note(40, 0.25, 8, 100)], [Note(36, 0.5, 1, 100), Note(42, 0.5, 1, 100)])
    assert read(clip).tokens[:3].tolist() == [[41, 0, 0], [0, 21, 0], [0, 0, 5]]


def test_a_part_that_is_missing_rests():
    clip = Clip((Note(40, 0, 1, 100),), 4.0, parts=(Part("bass", 2, 33, 0, 1),))
    assert read(clip).tokens[:, [0, 2]].tolist() == [[0, 0]] * 16


def test_a_remark_says_which_part_it_is_on():
    clip = band([Note(60, 0, 1, 100)], [Note(12, 0, 1, 100)], [Note(20, 0, 1, 100)])
    assert read(clip).remarks == (
        "bass: notes outside 21..108 are moved by octaves: 1",
        "drums: notes outside the drum map are read as the nearest: 1",
    )


def test_a_decoded_trio_has_three_parts_with_their_channels_and_programs():
    tokens = np.zeros((16, 3), np.int64)
    tokens[0], tokens[4] = (41, 21, 5), (1, 23, 1)
    clip = TRIO.tokens_to_clip(tokens, GENERAL_MIDI)
    assert [(p.name, p.channel, p.program, p.first, p.count) for p in clip.parts] == [
        ("melody", 1, 0, 0, 1),
        ("bass", 2, 33, 1, 2),
        ("drums", 10, 0, 3, 3),
    ]
    assert [note.pitch for note in clip.notes] == [60, 40, 42, 36, 42, 36]


@pytest.mark.parametrize(
    "clip",
    [
        Clip((Note(60, 0, 1, 100),), 4.0),
        Clip((Note(60, 0, 1, 100),), 4.0, parts=(Part("strings", 1, 48, 0, 1),)),
        band([Note(60, 0, 1, 100, mute=True)], [], []),
    ],
    ids=["no parts", "no part that fits", "no part that sounds"],
)
def test_a_clip_without_a_part_of_a_trio_is_told_what_parts_there_are(clip):
    with pytest.raises(ClipError, match=r"program 0\.\.31.*program 32\.\.39.*channel 10"):
        read(clip)


def test_a_trio_in_another_meter_than_4_4_is_refused():
    with pytest.raises(ClipError, match=r"trio models take 4/4, not 3\.5 beats a bar"):
        read(band([Note(60, 0, 1, 100)], [], [], beats_per_bar=3.5))
