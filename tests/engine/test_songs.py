import logging
import zipfile
from pathlib import Path

import mido
import pytest

from engine.data.songs import read_songs
from engine.errors import DataError

BEAT = 480


def note(channel, pitch, wait=0, length=BEAT, velocity=90):
    return [
        mido.Message("note_on", channel=channel - 1, note=pitch, velocity=velocity, time=wait),
        mido.Message("note_off", channel=channel - 1, note=pitch, time=length),
    ]


def program(channel, number, wait=0):
    return [mido.Message("program_change", channel=channel - 1, program=number, time=wait)]


def meter(numerator, wait=0):
    return [mido.MetaMessage("time_signature", numerator=numerator, denominator=4, time=wait)]


def write(path: Path, *tracks, name="lead"):
    """A file of these tracks, the first of them named."""
    file = mido.MidiFile(ticks_per_beat=BEAT)
    for index, messages in enumerate(tracks):
        named = [mido.MetaMessage("track_name", name=name)] if index == 0 else []
        file.tracks.append(mido.MidiTrack([*named, *messages]))
    path.parent.mkdir(exist_ok=True)
    file.save(path)
    return path.parent


def only_song(folder):
    (song,) = read_songs(folder)
    return song


def test_a_note_has_its_pitch_times_and_velocity(tmp_path):
    (track,) = only_song(write(tmp_path / "a.mid", note(1, 60, wait=BEAT // 2, velocity=77))).tracks
    row = track.pitch[0], track.start_beats[0], track.end_beats[0], track.velocity[0]
    assert row == (60, 0.5, 1.5, 77)


def test_a_track_is_a_channel_with_one_program(tmp_path):
    first = program(1, 5) + note(1, 60) + note(2, 50) + program(1, 40) + note(1, 61)
    song = only_song(write(tmp_path / "a.mid", first, note(1, 70)))
    found = {(track.channel, track.program, tuple(track.pitch)) for track in song.tracks}
    assert found == {(1, 5, (60,)), (2, 0, (50,)), (1, 40, (61,)), (1, 5, (70,))}


def test_a_program_of_another_track_holds_for_a_channel_that_has_none_of_its_own(tmp_path):
    song = only_song(write(tmp_path / "a.mid", program(3, 33), note(3, 40)))
    assert [track.program for track in song.tracks] == [33]


def test_a_program_of_its_own_track_comes_before_that_of_another(tmp_path):
    song = only_song(write(tmp_path / "a.mid", program(3, 33), program(3, 7) + note(3, 40)))
    assert [track.program for track in song.tracks] == [7]


def test_the_drums_of_all_tracks_are_one(tmp_path):
    song = only_song(write(tmp_path / "a.mid", note(10, 36), program(10, 16) + note(10, 38)))
    (drums,) = song.tracks
    assert (drums.is_drum, drums.program, drums.pitch.tolist()) == (True, 0, [36, 38])


def test_a_song_has_its_meters(tmp_path):
    song = only_song(write(tmp_path / "a.mid", meter(4) + meter(3, wait=8 * BEAT) + note(1, 60, wait=3 * BEAT)))
    assert [(m.start_beats, m.beats_per_bar) for m in song.meters] == [(0, 4), (8, 3)]


def test_a_song_can_be_had_with_the_tracks_of_one_name(tmp_path):
    song = only_song(write(tmp_path / "a.mid", note(1, 60), note(2, 70), name="MELODY"))
    assert [track.channel for track in song.only("melody").tracks] == [1]


def test_splits_and_tempos_are_as_listed(tmp_path):
    folder = write(tmp_path / "songs" / "a.mid", note(1, 60))
    (folder / "info.csv").write_text("midi_filename,split,bpm\na.mid,test,97\n")
    song = only_song(folder)
    assert (song.split, song.tempo_bpm) == ("test", 97)


def test_a_zip_is_read_as_a_folder_is(tmp_path):
    folder = write(tmp_path / "songs" / "a.mid", note(1, 60))
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        archive.write(folder / "a.mid", "a.mid")
    assert only_song(tmp_path / "songs.zip").name == "a.mid"


@pytest.mark.parametrize("content", [b"", b"MThd", b"RIFF and more of it", b"\x00" * 100])
def test_a_broken_file_is_skipped_named_and_counted(tmp_path, caplog, content):
    folder = write(tmp_path / "songs" / "good.mid", note(1, 60))
    (folder / "broken.mid").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert [song.name for song in read_songs(folder)] == ["good.mid"]
    assert "left out: broken.mid" in caplog.text
    assert "1 of 2 files could not be read" in caplog.text


def test_a_folder_without_a_readable_song_is_refused(tmp_path):
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    with pytest.raises(DataError, match="no song that can be read"):
        read_songs(tmp_path)
