from pathlib import Path

import numpy as np
import pytest

from engine.errors import ClipError
from engine.representation.drum_map import (
    GENERAL_MIDI,
    INSTRUMENTS,
    TD11,
    drum_map_of,
    read_drum_map,
)
from engine.representation.kits import GENERAL_MIDI_PITCHES


@pytest.mark.parametrize(
    ("pitch", "training", "inference"),
    [(45, "mid_tom", "low_tom"), (48, "high_tom", "mid_tom"), (58, "low_tom", "crash"), (36, "kick", "kick")],
)
def test_three_pitches_change_class_between_training_and_inference(pitch, training, inference):
    assert INSTRUMENTS[TD11.class_of[pitch]] == training
    assert INSTRUMENTS[GENERAL_MIDI.class_of[pitch]] == inference


def test_no_pitch_stands_twice():
    pitches = [pitch for group in GENERAL_MIDI_PITCHES for pitch in group]
    assert len(pitches) == len(set(pitches))


def test_a_pitch_outside_the_map_goes_to_the_class_of_the_nearest_pitch():
    assert INSTRUMENTS[GENERAL_MIDI.class_of[100]] == "mid_tom"  # 87
    assert list(GENERAL_MIDI.outside(np.array([36, 100, 100, 0]))) == [0, 100]


def test_a_clip_is_no_drums_when_over_half_of_its_pitches_are_outside():
    assert GENERAL_MIDI.is_drums(np.array([36, 100]))
    assert not GENERAL_MIDI.is_drums(np.array([36, 100, 101]))


def test_a_custom_map_takes_its_pitches_from_the_general_one():
    custom = drum_map_of({"kick": [60], "snare": [36, 61]})
    assert INSTRUMENTS[custom.class_of[60]] == "kick"
    assert INSTRUMENTS[custom.class_of[36]] == "snare"
    assert custom.pitch_of[0] == 60
    assert INSTRUMENTS[custom.class_of[42]] == "closed_hat"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"cowbell": [56]}, "no instrument 'cowbell'"),
        ({"kick": [200]}, "pitches in 0..127"),
        ({"kick": "36"}, "a list of pitches"),
        ({"kick": [36], "snare": [36]}, "pitch 36 stands twice"),
    ],
)
def test_a_wrong_map_is_refused_in_words(content, sentence):
    with pytest.raises(ClipError, match=sentence):
        drum_map_of(content)


def test_a_map_is_read_from_a_file(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text("kick = [60]\n")
    assert read_drum_map(path).pitch_of[0] == 60
    path.write_text("kick = ")
    with pytest.raises(ClipError, match="no readable drum map"):
        read_drum_map(path)


def test_a_map_that_is_missing_is_told_in_plain_words(tmp_path):
    with pytest.raises(ClipError, match=r"no readable drum map: No such file or directory; by name: "):
        read_drum_map(tmp_path / "none.toml")


def test_a_map_that_is_no_file_is_one_sentence():
    with pytest.raises(ClipError, match="no regular file"):
        read_drum_map(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("name", "pitches"),
    [
        ("general_midi", (36, 38, 42, 46, 45, 47, 50, 49, 51)),
        ("roland_td11", (36, 40, 22, 26, 58, 45, 48, 55, 59)),
        ("addictive_drums", (36, 42, 53, 57, 67, 69, 71, 46, 45)),
        ("superior_drummer", (35, 40, 62, 24, 41, 47, 48, 50, 53)),
    ],
)
def test_a_kit_is_known_by_name(name, pitches):
    assert read_drum_map(Path(name)).class_of[list(pitches)].tolist() == list(range(9))


def test_a_kit_that_nobody_knows_is_refused_with_those_that_are_known():
    with pytest.raises(ClipError, match="by name: general_midi, roland_td11, addictive_drums, superior_drummer"):
        read_drum_map(Path("nobodys_kit"))


def test_general_midi_by_name_is_what_is_used_without_a_map():
    named = read_drum_map(Path("general_midi"))
    for column in ("class_of", "inside", "pitch_of"):
        np.testing.assert_array_equal(getattr(named, column), getattr(GENERAL_MIDI, column))
