"""A song whose chosen notes are exchanged: what stays keeps its events, to the byte."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.midi.clips import clip_to_midi
from engine.midi.events import format_midi
from engine.midi.song import MidiSong, load_song, parse_song
from tests.strict_midi import read_strictly

NOTES = tuple(Note(36 + beat % 3, beat / 2, 0.25, 60 + beat) for beat in range(16))
SONG = Clip((*(Note(60, 0.0, 4.0, 90),), *NOTES), 8.0, parts=(Part("lead", 1, 5, 0, 1), Part("kit", 10, 0, 1, 16)))


def song(tmp_path_factory) -> MidiSong:
    path = tmp_path_factory.mktemp("song") / "in.mid"
    clip_to_midi(SONG, path)
    return load_song(path)


def read_again(midi) -> MidiSong:
    return parse_song(format_midi(midi))


def test_with_its_own_notes_it_is_the_same_to_the_byte(tmp_path_factory):
    one = song(tmp_path_factory)
    assert format_midi(one.with_notes(one.clip)) == format_midi(one.midi)


@given(st.sets(st.integers(0, 15)), st.lists(st.integers(0, 63), unique=True, max_size=8))
def test_some_notes_go_and_others_come(tmp_path_factory, gone, steps):
    one = song(tmp_path_factory)
    stays = tuple(note for index, note in enumerate(one.clip.notes) if index not in gone)
    new = tuple(Note(50, step / 4, 0.125, 99) for step in steps)
    if stays + new:
        after = read_again(one.with_notes(one.clip.with_notes((*stays, *new)))).clip
        assert sorted(after.notes, key=repr) == sorted((*stays, *new), key=repr)


def test_a_note_that_is_there_twice_goes_once(tmp_path_factory):
    one = song(tmp_path_factory)
    first = one.clip.notes[0]
    assert len(read_again(one.with_notes(one.clip.with_notes((first,)))).clip.notes) == 1


def test_a_new_note_begins_where_the_one_before_ends(tmp_path_factory):
    one = song(tmp_path_factory)
    end = one.clip.notes[0].start_beats + one.clip.notes[0].duration_beats
    new = replace(one.clip.notes[0], start_beats=end)
    after = read_again(one.with_notes(one.clip.with_notes((*one.clip.notes, new)))).clip
    assert [note.duration_beats for note in after.notes if note.pitch == new.pitch][:2] == [0.25, 0.25]


def test_another_clip_follows_behind_the_last_bar():
    whole = Clip(NOTES[:1], 3.0).followed_by(Clip(NOTES[:1], 4.0))
    assert ([note.start_beats for note in whole.notes], whole.length_beats) == ([0.0, 4.0], 8.0)


def test_a_clip_that_ends_in_silence_lasts_as_long_in_the_file(tmp_path_factory):
    one = song(tmp_path_factory)
    longer = replace(one.clip.with_notes((*one.clip.notes, Note(36, 8.0, 0.25, 90))), length_beats=16.0)
    _, tracks = read_strictly(format_midi(one.with_notes(longer)))
    assert max(track.end for track in tracks) == 16 * 480
