from pathlib import Path

import numpy as np
import pytest

from engine.errors import ClipError
from engine.representation.drum_map import (
    GENERAL_MIDI,
    GENERAL_MIDI_PITCHES,
    INSTRUMENTS,
    TD11,
    drum_map_of,
    read_drum_map,
)


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


def test_a_kit_is_known_by_name():
    named = read_drum_map(Path("addictive_drums"))
    assert [INSTRUMENTS[named.class_of[pitch]] for pitch in (36, 38, 49, 54, 60, 77)] == [
        *("kick", "snare", "closed_hat", "open_hat", "ride", "crash")
    ]
    with pytest.raises(ClipError, match="by name: general_midi, roland_td11, addictive_drums"):
        read_drum_map(Path("nobodys_kit"))
