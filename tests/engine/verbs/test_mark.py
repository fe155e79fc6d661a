"""The marked beats of a clip: what makes room, what may come, and what stays to the byte."""

import numpy as np
import pytest

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.groove import HITS, clip_to_groove
from engine.verbs.mark import marked

KICK, SNARE, HAT = 36, 38, 42


def note(pitch: int, start: float, velocity: int = 90, *, mute: bool = False) -> Note:
    return Note(pitch, start, 0.25, velocity, mute)


CLIP = Clip(tuple(note(pitch, beat) for beat in range(8) for pitch in (KICK, HAT)), 8.0)


def everything(mark):
    """A groove that hits each drum on each step."""
    groove = np.zeros_like(mark.groove)
    groove[:, HITS] = 1
    groove[:, 9:18] = 0.5
    return groove


def test_notes_that_start_in_the_mark_make_room_and_all_others_come_back_as_they_were():
    mark = marked(CLIP, GENERAL_MIDI, 2.0, 3.0, ())
    filled = mark.filled(everything(mark), GENERAL_MIDI)
    staying = [each for each in CLIP.notes if not 2 <= each.start_beats < 5]
    assert list(filled.notes[: len(staying)]) == staying
    new = filled.notes[len(staying) :]
    assert len(new) == 12 * 9
    assert all(2 <= each.start_beats < 5 for each in new)


def test_what_is_kept_stays_and_its_drum_gets_nothing_new():
    mark = marked(CLIP, GENERAL_MIDI, 2.0, 3.0, (HAT,))
    filled = mark.filled(everything(mark), GENERAL_MIDI)
    hats = [each for each in filled.notes if each.pitch == HAT]
    assert hats == [each for each in CLIP.notes if each.pitch == HAT]


def test_keep_of_everything_gives_the_clip_back():
    mark = marked(CLIP, GENERAL_MIDI, 0.0, 8.0, tuple(range(128)))
    assert mark.filled(everything(mark), GENERAL_MIDI).notes == CLIP.notes


def test_muted_notes_stay():
    clip = Clip((note(KICK, 2.0, mute=True), note(KICK, 3.0)), 4.0)
    mark = marked(clip, GENERAL_MIDI, 0.0, 4.0, ())
    assert mark.filled(np.zeros_like(mark.groove), GENERAL_MIDI).notes == clip.notes[:1]


def test_an_early_hit_on_the_line_where_the_mark_ends_makes_room_for_one_in_the_mark():
    clip = Clip((note(KICK, 3.98),), 8.0)
    mark = marked(clip, GENERAL_MIDI, 0.0, 4.0, ())
    assert mark.free[16].tolist() == [1] + [0] * 8
    filled = mark.filled(everything(mark), GENERAL_MIDI)
    assert max(each.start_beats for each in filled.notes) < 4


def test_a_hit_that_stays_is_not_doubled_where_the_mark_begins():
    clip = Clip((note(KICK, 3.98), note(SNARE, 5.0)), 8.0)
    mark = marked(clip, GENERAL_MIDI, 4.0, 4.0, ())
    filled = mark.filled(everything(mark), GENERAL_MIDI)
    assert [each.start_beats for each in filled.notes if each.pitch == KICK][:2] == [3.98, 4.25]


def test_a_mark_that_begins_in_a_note_leaves_it_sounding():
    clip = Clip((Note(KICK, 1.0, 2.0, 90),), 4.0)
    mark = marked(clip, GENERAL_MIDI, 2.0, 2.0, ())
    assert mark.filled(np.zeros_like(mark.groove), GENERAL_MIDI).notes == clip.notes


@pytest.mark.parametrize("first", [8.0, 100.0])
def test_a_mark_outside_the_clip_is_refused_with_where_it_may_start(first):
    with pytest.raises(ClipError, match="before the clip's end at 8 beats"):
        marked(CLIP, GENERAL_MIDI, first, 4.0, ())


def test_a_mark_beyond_the_end_goes_to_the_end():
    mark = marked(CLIP, GENERAL_MIDI, 6.0, 400.0, ())
    assert mark.end == 8.0
    assert mark.free[24:].all()


def test_in_a_clip_with_parts_only_the_drums_change():
    notes = (note(60, 0.0), note(62, 2.0), note(KICK, 0.0), note(SNARE, 2.0), note(40, 2.0))
    parts = (Part("lead", 1, 0, 0, 2), Part("drums", 10, 0, 2, 2), Part("bass", 2, 33, 4, 1))
    clip = Clip(notes, 4.0, parts=parts)
    mark = marked(clip, GENERAL_MIDI, 2.0, 1.0, ())
    groove = np.zeros_like(mark.groove)
    groove[8, 0] = groove[8, 2] = 1
    filled = mark.filled(groove, GENERAL_MIDI)
    by_part = {part.name: filled.notes[part.first : part.first + part.count] for part in filled.parts}
    assert by_part["lead"] == notes[:2]
    assert by_part["bass"] == notes[4:]
    assert [(each.pitch, each.start_beats) for each in by_part["drums"]] == [(KICK, 0.0), (KICK, 2.0), (HAT, 2.0)]


def test_a_clip_of_parts_without_drums_is_refused():
    clip = Clip((note(60, 0.0),), 4.0, parts=(Part("lead", 1, 0, 0, 1),))
    with pytest.raises(ClipError, match="channel 10"):
        marked(clip, GENERAL_MIDI, 0.0, 4.0, ())


def test_what_stays_is_what_the_model_hears():
    mark = marked(CLIP, GENERAL_MIDI, 2.0, 3.0, (HAT,))
    staying = CLIP.with_notes(
        tuple(each for each in CLIP.notes if each.pitch == HAT or not 2 <= each.start_beats < 5)
    )
    assert (mark.groove == clip_to_groove(staying, GENERAL_MIDI)).all()
