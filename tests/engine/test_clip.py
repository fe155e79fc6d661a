import math

import pytest

from engine.clip import Clip, Note, Origin, Part, in_a_row
from engine.errors import ClipError


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pitch": 131}, "pitch must be in 0..127, not 131"),
        ({"velocity": 0}, "velocity must be in 1..127, not 0"),
        ({"start_beats": -0.2}, "start must be at least -0.125 beats, not -0.2"),
        ({"start_beats": math.nan}, "start must be at least -0.125 beats, not nan"),
        ({"duration_beats": 0.0}, "duration must be more than 0 beats, not 0.0"),
        ({"duration_beats": math.inf}, "duration must be more than 0 beats, not inf"),
    ],
)
def test_a_note_outside_its_range_is_refused_with_the_rule_and_the_value(change, sentence):
    settings = {"pitch": 36, "start_beats": 0.0, "duration_beats": 0.25, "velocity": 100} | change
    with pytest.raises(ClipError, match=sentence.replace(".", r"\.")):
        Note(**settings)


@pytest.mark.parametrize(
    "change", [{"length_beats": 0}, {"length_beats": math.nan}, {"beats_per_bar": 0.1}, {"tempo_bpm": 1}]
)
def test_a_clip_outside_its_range_is_refused(change):
    with pytest.raises(ClipError):
        Clip(**({"notes": (), "length_beats": 4.0} | change))


def test_a_part_may_not_reach_beyond_the_notes():
    with pytest.raises(ClipError, match="the clip has 1"):
        Clip((Note(36, 0, 1, 100),), 4.0, parts=(Part("bass", 2, 33, 0, 2),))


@pytest.mark.parametrize(("beats", "meter", "bars"), [(0.5, 4, 1), (4, 4, 1), (4.1, 4, 2), (7, 3.5, 2), (12, 3, 4)])
def test_a_clip_fills_whole_bars(beats, meter, bars):
    assert Clip((), beats, beats_per_bar=meter).bars == bars


def test_other_notes_are_not_what_was_made_at_the_origin():
    clip = Clip((Note(36, 0, 1, 100),), 4.0, tempo_bpm=90.0, origin=Origin("sha", (0.5,)))
    assert clip.with_notes(()) == Clip((), 4.0, tempo_bpm=90.0)


def test_clips_in_a_row_have_as_many_bars_each_and_a_shorter_one_goes_round():
    short = Clip((Note(36, -0.1, 0.25, 100), Note(38, 1.0, 0.25, 100)), 4.0, tempo_bpm=90.0)
    long = Clip((Note(50, 0.0, 0.25, 100), Note(51, 8.0, 0.25, 100)), 12.0)
    row = in_a_row((short, long), 2)
    assert [(note.pitch, note.start_beats) for note in row.notes] == [
        (36, -0.1),
        (38, 1.0),
        (36, 3.9),
        (38, 5.0),
        (50, 8.0),
    ]
    assert (row.length_beats, row.tempo_bpm) == (16.0, 90.0)
