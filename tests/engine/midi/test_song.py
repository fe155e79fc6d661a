import io
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import MidiFileError
from engine.midi.clips import clip_to_midi
from engine.midi.events import format_midi
from engine.midi.files import save_midi
from engine.midi.notes import file_notes
from engine.midi.song import (
    MidiSong,
    clip_from_midi,
    load_song,
    parse_song,
    parts_from_midi,
)

END = b"\x00\xff\x2f\x00"


def midi_bytes(*tracks: bytes, kind: int = 1, division: int = 96) -> bytes:
    """A file of raw tracks."""
    head = b"MThd" + (6).to_bytes(4, "big")
    head += b"".join(n.to_bytes(2, "big") for n in (kind, len(tracks), division))
    return head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def hit(pitch: int = 36, *, wait: int = 0, length: int = 24, channel: int = 10, velocity: int = 100) -> bytes:
    """A note on and its note off; wait and length are under 128 ticks."""
    status = channel - 1
    return bytes([wait, 0x90 | status, pitch, velocity, length, 0x80 | status, pitch, 64])


def song(*tracks: bytes, kind: int = 1, **choice: object) -> MidiSong:
    return parse_song(midi_bytes(*tracks, kind=kind), **choice)  # type: ignore[arg-type]


def shifted(clip: Clip, beats: float, velocity: int | None = None) -> Clip:
    notes = (replace(n, start_beats=n.start_beats + beats, velocity=velocity or n.velocity) for n in clip.notes)
    return clip.with_notes(tuple(notes))


def moved(source: MidiSong, beats: float, velocity: int | None = None) -> MidiSong:
    """The song after its notes were moved and it was written and read again."""
    clips = [shifted(clip, beats, velocity) for clip in source.clips]
    return parse_song(format_midi(source.with_clips(clips)))


def as_mido(content: bytes) -> mido.MidiFile:
    return mido.MidiFile(file=io.BytesIO(content))


def test_a_file_in_which_nothing_moves_is_written_byte_for_byte() -> None:
    content = midi_bytes(b"\x00\xff\x03\x04song\x00\xff\x51\x03\x07\xa1\x20" + END, hit() + hit(38, wait=24) + END)
    source = parse_song(content)
    assert format_midi(source.with_clips(source.clips)) == content


def test_running_status_is_kept() -> None:
    content = midi_bytes(b"\x00\x99\x24\x64\x18\x24\x00\x18\x26\x64\x18\x26\x00" + END)
    source = parse_song(content)
    assert len(source.clip.notes) == 2
    assert format_midi(source.with_clips(source.clips)) == content


def test_running_status_outlives_a_meta_event() -> None:
    source = song(b"\x00\x99\x24\x64\x00\xff\x01\x01a\x18\x24\x00" + END)
    assert [note.duration_beats for note in source.clip.notes] == [0.25]


@pytest.mark.parametrize(
    "event",
    [
        b"\x00\xff\x6e\x03abc",
        b"\x00\xff\x03\x04Tr\xe9s",
        b"\x00\xff\x03\x05Tr\xc3\xa9s",
        b"\x00\xf0\x04\x7e\x7f\x09\xf7",
        b"\x00\xf0\x02\x7e\x7f\x05\xf7\x02\x09\xf7",
        b"\x00\xff\x54\x05\x60\x00\x00\x00\x00",
    ],
    ids=["unknown meta", "latin-1 name", "utf-8 name", "sysex", "split sysex", "smpte offset"],
)
def test_events_that_mean_nothing_here_survive_an_edit(event: bytes) -> None:
    source = song(event + hit(wait=48) + END)
    written = format_midi(source.with_clips([shifted(source.clip, 0.1)]))
    assert event in written


def test_a_chunk_that_is_no_track_survives() -> None:
    content = midi_bytes(hit() + END) + b"XFIH\x00\x00\x00\x02ab"
    source = parse_song(content)
    assert format_midi(source.with_clips(source.clips)) == content


def test_a_chunk_that_is_no_track_is_written_behind_the_tracks() -> None:
    content, other = midi_bytes(hit() + END), b"XFIH\x00\x00\x00\x02ab"
    assert format_midi(parse_song(content[:14] + other + content[14:]).midi) == content + other


def test_another_track_and_channel_stay_as_they_are() -> None:
    piano = b"\x00\xff\x03\x05piano" + hit(60, channel=1) + END
    source = song(hit(wait=24) + hit(60, channel=2) + END, piano)
    written = source.with_clips([shifted(source.clip, 0.125, 70)])
    assert piano in format_midi(written)
    others = [m for m in as_mido(format_midi(written)).tracks[0] if not m.is_meta and m.channel == 1]
    assert [m.velocity for m in others if m.type == "note_on"] == [100]


def test_the_drum_channel_is_played_where_there_is_one() -> None:
    assert [n.pitch for n in song(hit(60, channel=1) + hit(36, wait=1) + END).clip.notes] == [36]


def test_every_note_is_played_where_there_is_no_drum_channel() -> None:
    source = song(hit(60, channel=1) + END, hit(62, channel=2) + END)
    assert [n.pitch for n in source.clip.notes] == [60, 62]


@pytest.mark.parametrize("track", ["2", "Bass", " bass"])
def test_a_track_is_chosen_by_number_or_name(track: str) -> None:
    source = song(hit() + END, b"\x00\xff\x03\x04Bass" + hit(40, channel=1) + END, track=track)
    assert [n.pitch for n in source.clip.notes] == [40]


def test_a_channel_is_chosen() -> None:
    assert [n.pitch for n in song(hit() + hit(50, channel=3) + END, channel=3).clip.notes] == [50]


def test_a_track_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(MidiFileError, match=r"no track 'Bas'; its tracks are 1 'Bass' \(channels: 10\)"):
        song(b"\x00\xff\x03\x04Bass" + hit() + END, track="Bas")


def test_a_channel_without_notes_is_refused() -> None:
    with pytest.raises(MidiFileError, match="no notes on channel 4"):
        song(hit() + END, channel=4)


def test_a_note_on_with_velocity_0_ends_a_note() -> None:
    assert [n.duration_beats for n in song(b"\x00\x99\x24\x64\x30\x99\x24\x00" + END).clip.notes] == [0.5]


def test_of_overlapping_notes_the_first_to_start_is_the_first_to_end() -> None:
    track = b"\x00\x99\x24\x64\x18\x99\x24\x64\x18\x89\x24\x00\x30\x89\x24\x00"
    assert [n.duration_beats for n in song(track + END).clip.notes] == [0.5, 0.75]


def test_a_note_that_is_never_ended_ends_with_its_track() -> None:
    assert [n.duration_beats for n in song(b"\x00\x99\x24\x64\x60\xff\x2f\x00").clip.notes] == [1.0]


def test_a_note_that_is_never_ended_can_move_past_the_end_of_its_track() -> None:
    source = moved(song(b"\x00\x99\x24\x64\x00\xff\x2f\x00"), 0.5)
    assert [n.start_beats for n in source.clip.notes] == [0.5]


def test_a_note_without_length_sounds_for_a_tick_and_keeps_its_ticks() -> None:
    source = song(hit(length=0, wait=24) + END)
    assert source.clip.notes[0].duration_beats == 1 / 96
    place = moved(source, 0.25).passages[0].notes[0]
    assert (place.tick, place.end_tick) == (48, 48)


def test_a_moved_note_keeps_its_length_in_ticks() -> None:
    place = moved(song(hit(wait=24, length=31) + END), 0.1).passages[0].notes[0]
    assert (place.tick, place.end_tick) == (34, 65)


def test_a_velocity_changes_nothing_else() -> None:
    content = midi_bytes(hit(wait=24, velocity=100) + END)
    source = parse_song(content)
    written = format_midi(source.with_clips([shifted(source.clip, 0, 31)]))
    assert written == midi_bytes(hit(wait=24, velocity=31) + b"\x82\x50\xff\x2f\x00")  # it ends on its bar line


def test_a_start_before_the_file_is_clamped_to_its_first_tick() -> None:
    source = moved(song(hit() + END), -0.1)
    assert [n.start_beats for n in source.clip.notes] == [0]


def test_a_note_that_moves_to_the_end_of_another_does_not_lose_its_start() -> None:
    source = song(hit(wait=0, length=48) + hit(wait=12, length=24) + END)
    first, second = source.clip.notes
    clip = source.clip.with_notes((first, replace(second, start_beats=0.5)))
    again = parse_song(format_midi(source.with_clips([clip])))
    assert [n.duration_beats for n in again.clip.notes] == [0.5, 0.25]


def test_a_program_change_stays_before_the_note_that_moves_to_its_tick() -> None:
    source = song(b"\x00\xc9\x05" + hit(wait=24) + END)
    written = as_mido(format_midi(source.with_clips([shifted(source.clip, -0.25)])))
    assert [m.type for m in written.tracks[0]][:2] == ["program_change", "note_on"]


def test_the_remark_follows_the_meta_events_that_open_the_file() -> None:
    source = song(b"\x00\xff\x03\x04song" + END, hit() + END)
    track = as_mido(format_midi(source.with_clips(source.clips, remark="seed 7"))).tracks[0]
    assert [m.type for m in track] == ["track_name", "text", "end_of_track"]
    assert track[1].text == "seed 7"


@pytest.mark.parametrize("kind", [0, 1])
def test_the_type_and_the_resolution_stay(kind: int) -> None:
    source = song(hit() + END, kind=kind)
    written = as_mido(format_midi(source.with_clips([shifted(source.clip, 0.1)])))
    assert (written.type, written.ticks_per_beat) == (kind, 96)


def test_without_tempo_and_meter_a_song_has_120_bpm_and_4_beats_a_bar() -> None:
    clip = song(hit() + END).clip
    assert (clip.tempo_bpm, clip.beats_per_bar, clip.length_beats) == (120, 4, 4)


def test_the_tempo_is_the_one_that_lasts_longest() -> None:
    tempos = b"\x00\xff\x51\x03\x07\xa1\x20\x30\xff\x51\x03\x09\x27\xc0" + END
    assert song(tempos, hit(wait=100) + hit(wait=100) + END).clip.tempo_bpm == pytest.approx(100)


def test_a_tempo_of_0_is_passed_over() -> None:
    assert song(b"\x00\xff\x51\x03\x00\x00\x00" + hit() + END).clip.tempo_bpm == 120


def test_seven_eight_has_three_and_a_half_beats() -> None:
    clip = song(b"\x00\xff\x58\x04\x07\x03\x18\x08" + hit() + END).clip
    assert (clip.beats_per_bar, clip.length_beats) == (3.5, 3.5)


@pytest.mark.parametrize("meter", [b"\x00\x02", b"\x04\x09", b"\x04"])
def test_a_meter_that_makes_no_sense_is_passed_over(meter: bytes) -> None:
    event = b"\x00\xff\x58" + bytes([len(meter)]) + meter
    assert song(event + hit() + END).clip.beats_per_bar == 4


METERS = b"\x00\xff\x58\x04\x03\x02\x18\x08\x82\x20\xff\x58\x04\x04\x02\x18\x08" + END
"""3/4 for a bar, 4/4 from tick 288 on."""


def test_each_stretch_of_one_meter_is_a_clip_from_its_own_first_bar() -> None:
    clips = song(METERS, hit() + hit(wait=120) + hit(wait=120) + END).clips
    assert [(c.beats_per_bar, [n.start_beats for n in c.notes]) for c in clips] == [
        (3.0, [0, 1.5]),
        (4.0, [0.0]),
    ]


def test_a_hit_just_before_a_new_meter_belongs_to_it() -> None:
    clips = song(METERS, hit() + hit(wait=120) + hit(wait=115) + END).clips
    assert [n.start_beats for n in clips[1].notes] == [-5 / 96]


def test_a_meter_that_is_repeated_on_a_bar_line_starts_no_new_clip() -> None:
    repeated = b"\x00\xff\x58\x04\x03\x02\x18\x08\x82\x20\xff\x58\x04\x03\x02\x18\x08" + END
    assert len(song(repeated, hit() + hit(wait=120) + hit(wait=120) + END).clips) == 1


def test_notes_of_every_stretch_are_written_back_to_their_place() -> None:
    source = song(METERS, hit() + hit(wait=120) + hit(wait=120) + END)
    again = moved(source, 0.25)
    assert [place.tick for p in again.passages for place in p.notes] == [24, 168, 312]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is not a MIDI file"),
        (b"RIFFsome other thing", "it is not a MIDI file"),
        (b"\x1f\x8b\x08\x00", "it is packed, and is to be unpacked first"),
        (b"MThd\x00\x00", "cut off in its header"),
        (midi_bytes(b"\x00\x99\x24"), "ends in the middle of an event"),
        (midi_bytes(b"\x00\x24\x40"), "no place in a file"),
        (midi_bytes(b"\xff\xff\xff\xff\x7f"), "more than four bytes"),
        (midi_bytes(b"\x00\xf4\x00"), "no place in a file"),
        (midi_bytes(hit() + END, division=0xE700), "its header is damaged"),
        (midi_bytes(hit() + END, division=0), "its header is damaged"),
        (midi_bytes(hit() + END, hit() + END, kind=2), "independent patterns"),
        (midi_bytes(END), "it holds no notes"),
        (midi_bytes(), "it holds no notes"),
    ],
)
def test_a_file_that_cannot_be_played_is_refused_with_a_sentence(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.mid"
    path.write_bytes(content)
    with pytest.raises(MidiFileError, match=sentence) as refusal:
        load_song(path)
    assert str(path) in str(refusal.value)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(track: bytes) -> None:
    try:
        source = parse_song(midi_bytes(track))
    except MidiFileError:
        return
    assert source.clip.notes


soup = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.one_of(
            st.tuples(st.integers(0x80, 0xBF), st.integers(0, 127), st.integers(0, 127)).map(bytes),
            st.tuples(st.integers(0xC0, 0xDF), st.integers(0, 127)).map(bytes),
            st.tuples(st.just(0x99), st.integers(34, 38), st.integers(0, 127)).map(bytes),
            st.tuples(st.integers(0, 0x7F), st.binary(max_size=9)).map(
                lambda m: b"\xff" + bytes([m[0] if m[0] not in (0x2F, 0x51, 0x58, 0x59) else 1, len(m[1])]) + m[1]
            ),
            st.binary(max_size=9).map(lambda data: b"\xf0" + bytes([len(data), *(byte & 0x7F for byte in data)])),
        ),
    ),
    max_size=40,
)


def soup_bytes(events: list[tuple[int, bytes]]) -> bytes:
    waits = ((bytes([wait]) if wait < 128 else bytes([0x80 | wait >> 7, wait & 0x7F])) for wait, _ in events)
    return b"".join(wait + event for wait, (_, event) in zip(waits, events, strict=True))


@given(soup, st.integers(0, 1))
def test_any_events_survive_when_nothing_moves(events: list[tuple[int, bytes]], kind: int) -> None:
    content = midi_bytes(soup_bytes(events) + hit() + END, kind=kind)
    source = parse_song(content)
    assert format_midi(source.with_clips(source.clips)) == content


@given(soup, st.floats(0, 0.5))
def test_notes_that_move_keep_their_lengths_up_to_the_next_of_their_pitch(
    events: list[tuple[int, bytes]], beats: float
) -> None:
    source = parse_song(midi_bytes(soup_bytes(events) + hit() + END))
    before, after = _lengths(source), _lengths(moved(source, beats, 64))
    assert all(new <= old for old, new in zip(before, after, strict=True))


@given(soup, st.floats(0, 0.5))
def test_everything_but_the_notes_keeps_its_time_and_order(events: list[tuple[int, bytes]], beats: float) -> None:
    source = parse_song(midi_bytes(soup_bytes(events) + hit() + END))
    assert _unplayed(moved(source, beats, 64)) == _unplayed(source)


def _lengths(source: MidiSong) -> list[int]:
    """The lengths in ticks of the notes, in the order of channel, pitch and start."""
    places = [place for passage in source.passages for place in passage.notes]
    places.sort(key=lambda place: (place.channel, place.pitch, place.tick, place.end_tick))
    return [place.end_tick - place.tick for place in places]


def _unplayed(source: MidiSong) -> list[tuple[int, int, bytes]]:
    """The events that are neither a note's, nor say how far a hat's pedal is down, nor the end of the track."""
    events = source.midi.chunks[0].events[:-1]
    found = [(e.tick, e.status, e.data) for e in events if e.status >= 0xA0]
    return [each for each in found if not (each[1] & 0xF0 == 0xB0 and each[2][0] == 4)]


def test_a_written_clip_is_read_as_it_was(tmp_path: Path) -> None:
    notes = (Note(36, 0.0, 0.5, 100), Note(38, 1.25, 0.25, 31), Note(42, 6.5, 0.25, 77))
    clip = Clip(notes, 7.0, 3.5, 96.0)
    clip_to_midi(clip, tmp_path / "out.mid")
    again = clip_from_midi(tmp_path / "out.mid")
    assert again == replace(clip, beat_unit=8)


def test_a_written_clip_carries_its_text_and_drum_channel(tmp_path: Path) -> None:
    clip_to_midi(Clip((Note(36, 0, 1, 100),), 4), tmp_path / "out.mid", text="model m seed 5")
    messages = list(as_mido((tmp_path / "out.mid").read_bytes()).tracks[0])
    assert [m.text for m in messages if m.type == "text"] == ["model m seed 5"]
    assert {m.channel for m in messages if m.type == "note_on"} == {9}


def test_a_written_clip_lasts_its_whole_length(tmp_path: Path) -> None:
    clip_to_midi(Clip((Note(36, 0, 1, 100),), 8), tmp_path / "out.mid")
    assert sum(m.time for m in as_mido((tmp_path / "out.mid").read_bytes()).tracks[0]) == 8 * 480


def test_an_early_first_hit_is_written_at_tick_0(tmp_path: Path) -> None:
    clip_to_midi(Clip((Note(36, -0.1, 1, 100),), 4), tmp_path / "out.mid")
    assert clip_from_midi(tmp_path / "out.mid").notes[0].start_beats == 0


def test_a_muted_note_is_not_written(tmp_path: Path) -> None:
    clip_to_midi(Clip((Note(36, 0, 1, 100), Note(38, 1, 1, 100, mute=True)), 4), tmp_path / "out.mid")
    assert len(clip_from_midi(tmp_path / "out.mid").notes) == 1


def test_the_parts_of_a_clip_are_tracks_with_their_channels_and_programs(tmp_path: Path) -> None:
    parts = (Part("bass", 2, 33, 0, 1), Part("drums", 10, 0, 1, 1))
    clip_to_midi(Clip((Note(40, 0, 1, 90), Note(36, 0, 1, 100)), 4, parts=parts), tmp_path / "out.mid")
    written = as_mido((tmp_path / "out.mid").read_bytes())
    assert [track.name for track in written.tracks[1:]] == ["bass", "drums"]
    assert [m.program for m in written.tracks[1] if m.type == "program_change"] == [33]


def test_the_file_that_was_read_can_be_written_over(tmp_path: Path) -> None:
    path = tmp_path / "in.mid"
    path.write_bytes(midi_bytes(hit(wait=24) + END))
    path.chmod(0o640)
    source = load_song(path)
    save_midi(source.with_clips([shifted(source.clip, 0.25)]), path)
    assert load_song(path).clip.notes[0].start_beats == 0.5
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["in.mid"]


def test_a_file_that_cannot_be_written_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    source = song(hit() + END)
    with pytest.raises(MidiFileError, match=r"out\.mid cannot be written: No such file or directory"):
        save_midi(source.midi, tmp_path / "nowhere" / "out.mid")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is imitated with Linux's /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.mid"
    path.write_bytes(b"old")
    beside = tmp_path / f".{os.getpid()}.mid.part"
    beside.symlink_to("/dev/full")
    with pytest.raises(MidiFileError, match="No space left on device"):
        save_midi(song(hit() + END).midi, path)
    assert path.read_bytes() == b"old"


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match="no file that could be written over"):
        save_midi(song(hit() + END).midi, tmp_path)


def test_a_song_of_3000_bars_is_read_and_written_in_seconds() -> None:
    bar = b"".join(hit(pitch, wait=0, length=12) for pitch in (36, 42, 38, 42) * 8)
    started = time.process_time()
    source = song(bar * 3000 + END)
    written = format_midi(source.with_clips([shifted(source.clip, 0.01, 80)]))
    assert source.clip.bars == 3000
    assert len(written) > 700_000
    assert time.process_time() - started < 10


@pytest.mark.data
def test_the_groove_dataset_is_read_and_written_byte_for_byte(groove_zip: Path) -> None:
    with zipfile.ZipFile(groove_zip) as archive:
        names = [name for name in archive.namelist() if name.endswith(".mid")]
        for name in names[::12]:
            content = archive.read(name)
            source = parse_song(content)
            assert format_midi(source.with_clips(source.clips)) == content


def test_each_instrument_of_a_file_is_a_part(tmp_path):
    notes = (Note(72, 0.0, 1.0, 90), Note(74, 1.0, 1.0, 90), Note(40, 0.0, 1.0, 90), Note(36, 0.5, 0.25, 90))
    parts = (Part("lead", 3, 5, 0, 2), Part("bass", 4, 35, 2, 1), Part("kit", 10, 0, 3, 1))
    clip = Clip(notes, 4.0, parts=parts)
    clip_to_midi(clip, tmp_path / "band.mid")
    assert parts_from_midi(tmp_path / "band.mid") == clip
    assert parts_from_midi(tmp_path / "band.mid", channel=4).parts == (Part("bass", 4, 35, 0, 1),)


def test_a_note_without_length_stays_on_its_track_where_ticks_become_finer(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=24)
    for pitch in (36, 38):
        hit = [mido.Message(kind, channel=9, note=pitch, velocity=90) for kind in ("note_on", "note_off")]
        file.tracks.append(mido.MidiTrack([*hit, hit[0].copy(time=48), hit[1]][: 4 if pitch == 36 else 2]))
    file.save(tmp_path / "in.mid")
    song = load_song(tmp_path / "in.mid")
    clip = song.clip.with_notes((*song.clip.notes, Note(42, 0.013, 0.25, 80)))
    written = song.fine_enough([clip]).with_notes(clip)
    assert [(note.chunk, note.tick, note.pitch) for note in file_notes(written)] == [
        (0, 0, 36),
        (0, 6, 42),
        (0, 960, 36),
        (1, 0, 38),
    ]
