"""Parts in files: what is new comes onto the part's own track, or onto a new one; every other event stays."""

from io import BytesIO
from pathlib import Path

import mido
import pytest

from engine.clip import Clip, Note, Part
from engine.midi.clips import clip_to_midi
from engine.midi.events import format_midi
from engine.midi.parts import followed_by, made_since, with_parts
from engine.midi.song import MidiSong, load_song, parse_song
from tests.strict_midi import read_strictly

LEAD = tuple(Note(60 + beat, float(beat), 0.5, 90) for beat in range(4))
BASS = tuple(Note(36, float(beat), 1.0, 80) for beat in range(4))
SONG = Clip((*LEAD, *BASS), 4.0, parts=(Part("lead", 1, 5, 0, 4), Part("bass", 2, 33, 4, 4)))


@pytest.fixture
def song(tmp_path: Path) -> MidiSong:
    clip_to_midi(SONG, tmp_path / "in.mid")
    return load_song(tmp_path / "in.mid", drums=False)


def again(song: MidiSong, clip: Clip) -> MidiSong:
    """What is written, as it is read."""
    return parse_song(format_midi(with_parts(song, clip)), drums=False)


def messages(song: MidiSong, track: int) -> list[str]:
    return [str(each) for each in mido.MidiFile(file=BytesIO(format_midi(song.midi))).tracks[track]]


def test_what_is_unchanged_is_written_to_the_byte(song: MidiSong) -> None:
    assert format_midi(with_parts(song, song.clip_in_parts)) == format_midi(song.midi)


def test_a_new_part_is_a_track_of_its_own_at_the_end(song: MidiSong) -> None:
    drums = Clip((Note(36, 0.03, 0.25, 99),), 4.0, parts=(Part("drums", 10, 0, 0, 1),))
    written = again(song, drums)
    assert [(part.name, part.channel) for part in written.clip_in_parts.parts] == [
        ("lead", 1),
        ("bass", 2),
        ("drums", 10),
    ]
    assert [messages(written, track) for track in range(3)] == [messages(song, track) for track in range(3)]


def test_drums_on_another_channel_are_a_part_on_channel_10_and_new_hits_come_onto_theirs(tmp_path: Path) -> None:
    beat = Clip((*LEAD, *BASS), 4.0, parts=(Part("lead", 1, 5, 0, 4), Part("Drums", 3, 7, 4, 4)))
    clip_to_midi(beat, tmp_path / "beat.mid")
    song = load_song(tmp_path / "beat.mid", drums=False)
    assert [(part.channel, part.program) for part in song.clip_in_parts.parts] == [(1, 5), (10, 0)]
    assert song.remarks[0].startswith("played as drums: track 3 'Drums' (channel 3), 4 of 8 notes")
    written = again(song, followed_by(song.clip_in_parts, song.clip_in_parts))
    assert {note.channel for passage in written.passages for note in passage.notes} == {1, 3}
    assert len(written.clip_in_parts.notes) == 16


def test_a_new_part_takes_no_channel_of_other_notes(song: MidiSong) -> None:
    melody = parse_song(format_midi(song.midi), track="lead")
    bass = Clip(BASS, 4.0, parts=(Part("new bass", 2, 38, 0, 4),))
    written = again(melody, bass)
    assert [(part.name, part.channel, part.program) for part in written.clip_in_parts.parts] == [
        ("lead", 1, 5),
        ("bass", 2, 33),
        ("new bass", 3, 38),
    ]


def test_a_file_of_one_track_gets_more(tmp_path: Path) -> None:
    file = mido.MidiFile(type=0)
    file.tracks.append(
        mido.MidiTrack([mido.Message("note_on", note=72), mido.Message("note_off", note=72, time=480)])
    )
    file.save(tmp_path / "one.mid")
    one = load_song(tmp_path / "one.mid", drums=False)
    bass = Clip((Note(36, 0.0, 1.0, 80),), 4.0, parts=(Part("bass", 2, 33, 0, 1),))
    written = again(one, bass)
    assert written.midi.kind == 1
    assert [(part.channel, part.program) for part in written.clip_in_parts.parts] == [(1, 0), (2, 33)]


def test_exchanged_notes_come_onto_the_track_of_their_part(song: MidiSong) -> None:
    new = Note(40, 2.0, 1.5, 77)
    notes = (*LEAD, *BASS[:2], new)
    clip = Clip(notes, 4.0, parts=(Part("lead", 1, 5, 0, 4), Part("bass", 2, 33, 4, 3)))
    written = again(song, clip)
    assert messages(written, 1) == messages(song, 1)
    assert written.clip_in_parts.notes[4:] == (*BASS[:2], new)


def test_two_parts_alike_stay_two() -> None:
    twice = Clip((*BASS, *BASS), 4.0, parts=(Part("bass", 2, 33, 0, 4), Part("bass", 2, 33, 4, 4)))
    after = followed_by(twice, Clip(BASS, 4.0, parts=(Part("bass", 2, 33, 0, 4),)))
    assert [part.count for part in after.parts] == [8, 4]


def test_what_follows_goes_on_in_the_parts_and_new_ones_come_last() -> None:
    drums = (Note(36, -0.02, 0.25, 99),)
    new = Clip((*LEAD[:1], *drums), 4.0, parts=(Part("lead", 1, 5, 0, 1), Part("drums", 10, 0, 1, 1)))
    after = followed_by(SONG, new)
    assert [(part.name, part.count) for part in after.parts] == [("lead", 5), ("bass", 4), ("drums", 1)]
    assert [note.start_beats for note in after.notes] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 3.98]
    assert after.length_beats == 8


def test_what_was_made_since_a_beat_leaves_what_was_there_before_it() -> None:
    made = Clip((Note(41, 0.0, 1.0, 70),), 2.0, parts=(Part("bass", 2, 33, 0, 1),))
    placed = made_since(SONG, made, 2.0)
    assert [(note.pitch, note.start_beats) for note in placed.notes] == [(36, 0.0), (36, 1.0), (41, 2.0)]
    assert [(part.name, part.count) for part in placed.parts] == [("bass", 3)]


def test_no_track_ends_behind_the_bar_line_that_the_longest_ends_on(song: MidiSong) -> None:
    file = mido.MidiFile(file=BytesIO(format_midi(song.midi)))
    for track, late in zip(file.tracks, (17, 15, 0), strict=True):
        track[-1].time += late
    content = BytesIO()
    file.save(file=content)
    late_song = parse_song(content.getvalue(), drums=False)
    bass = Clip((*LEAD, *BASS[:2]), 4.0, parts=(Part("lead", 1, 5, 0, 4), Part("bass", 2, 33, 4, 2)))
    _, tracks = read_strictly(format_midi(with_parts(late_song, bass)))
    assert max(track.end for track in tracks) == 1920
