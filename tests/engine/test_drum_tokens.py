import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.catalogue import find_representation
from engine.representation.drum_map import GENERAL_MIDI, drum_map_of
from engine.representation.drums import KIT_PITCHES

DRUMS, KIT = find_representation("drums"), find_representation("kit")


def token_of(representation, *pitches, drum_map=GENERAL_MIDI):
    clip = Clip(tuple(Note(pitch, 0, 0.25, 100) for pitch in pitches), 4.0)
    return int(representation.clip_to_tokens(clip, drum_map).tokens[0, 0])


@pytest.mark.parametrize("representation", [DRUMS, KIT], ids=["drums", "kit"])
@given(data=st.data())
def test_any_bar_of_drums_survives_the_way_to_a_clip_and_back(representation, data):
    sets = st.integers(0, representation.sizes[0] - 1)
    row = data.draw(st.lists(sets, min_size=16, max_size=16).filter(any))
    tokens = np.array(row, np.int64)[:, None]
    clip = representation.tokens_to_clip(tokens, GENERAL_MIDI, tempo_bpm=97)
    assert len(clip.notes) == sum(token.bit_count() for token in row)
    np.testing.assert_array_equal(representation.clip_to_tokens(clip, GENERAL_MIDI).tokens, tokens)


@given(st.sets(st.tuples(st.integers(0, 31), st.sampled_from(KIT_PITCHES)), min_size=1))
def test_hits_of_the_kit_keep_their_steps_and_pitches(hits):
    clip = Clip(tuple(Note(pitch, step / 4, 0.25, 90) for step, pitch in sorted(hits)), 8.0)
    again = KIT.tokens_to_clip(KIT.clip_to_tokens(clip, GENERAL_MIDI).tokens, GENERAL_MIDI)
    assert {(note.start_beats * 4, note.pitch) for note in again.notes} == hits


def test_a_bit_is_a_class_of_the_drum_map():
    assert token_of(DRUMS, 36, 35, 38, 51) == 0b100000011


def test_the_pitches_of_a_class_are_written_as_its_first():
    custom = drum_map_of({"kick": [60, 36]})
    clip = DRUMS.tokens_to_clip(np.ones((16, 1), np.int64), custom)
    assert {note.pitch for note in clip.notes} == {60}


def test_the_kit_is_61_distinct_pitches_from_27_to_87():
    assert sorted(KIT_PITCHES) == list(range(27, 88))


def test_a_pitch_outside_the_kit_is_read_as_the_first_of_its_class():
    assert token_of(KIT, 22) == token_of(KIT, 42)


def test_a_pitch_outside_the_map_is_read_as_the_nearest_with_a_remark():
    reading = DRUMS.clip_to_tokens(Clip((Note(20, 0, 1, 100),), 4.0), GENERAL_MIDI)
    assert reading.tokens[0, 0] == 1 << 2
    assert reading.remarks == ("notes outside the drum map are read as the nearest: 1",)


def test_of_a_clip_with_parts_the_drum_channel_is_read():
    parts = (Part("lead", 1, 0, 0, 1), Part("drums", 10, 0, 1, 1))
    clip = Clip((Note(38, 0, 1, 100), Note(36, 0, 1, 100)), 4.0, parts=parts)
    assert DRUMS.clip_to_tokens(clip, GENERAL_MIDI).tokens[0, 0] == 1


def test_a_muted_hit_is_not_read():
    clip = Clip((Note(36, 0, 1, 100), Note(38, 0, 1, 100, mute=True)), 4.0)
    assert DRUMS.clip_to_tokens(clip, GENERAL_MIDI).tokens[0, 0] == 1


def test_an_early_first_hit_falls_on_step_0():
    assert DRUMS.clip_to_tokens(Clip((Note(36, -0.125, 1, 100),), 4.0), GENERAL_MIDI).tokens[0, 0] == 1


@pytest.mark.parametrize("representation", [DRUMS, KIT], ids=["drums", "kit"])
def test_a_clip_of_drums_in_which_nothing_sounds_is_refused(representation):
    with pytest.raises(ClipError, match="at least one note"):
        representation.clip_to_tokens(Clip((), 4.0), GENERAL_MIDI)


def test_drums_in_another_meter_than_4_4_are_refused():
    with pytest.raises(ClipError, match="drums models take 4/4, not 3 beats a bar"):
        DRUMS.clip_to_tokens(Clip((Note(36, 0, 1, 100),), 3.0, beats_per_bar=3), GENERAL_MIDI)
