"""What every player forgives is read, told, and written as it should be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note, Part
from engine.errors import MidiFileError
from engine.midi.clips import clip_as_midi, clip_to_midi
from engine.midi.events import format_midi, parse_midi
from engine.midi.meters import bar_lines
from engine.midi.song import MidiSong, parse_song
from tests.strict_midi import CASES, overlaps, read_strictly

END = b"\x00\xff\x2f\x00"


def file_of(*tracks: bytes) -> bytes:
    head = b"MThd\0\0\0\6" + bytes([0, len(tracks) > 1, 0, len(tracks), 1, 0xE0])
    return head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def case(name: str) -> MidiSong:
    return parse_song((CASES / f"{name}.mid").read_bytes())


def late(source: MidiSong, beats: float) -> bytes:
    """The file with each second note so much later."""
    clips = [
        clip.with_notes(
            tuple(replace(n, start_beats=n.start_beats + beats * (i % 2)) for i, n in enumerate(clip.notes))
        )
        for clip in source.clips
    ]
    return format_midi(source.with_clips(clips, remark="late"))


@pytest.mark.parametrize("name", ["running_min", "running_markers", "running_sysex"])
def test_a_status_follows_each_meta_and_sysex_event(name: str) -> None:
    source = case(name)
    _, (track,) = read_strictly(late(source, 0.1))
    assert sum(status & 0xF0 == 0x90 and data[1] > 0 for _, status, data in track.events) == len(source.clip.notes)


@pytest.mark.parametrize("beats", [-0.1, -0.02, 0.05, 0.12])
@pytest.mark.parametrize("name", ["base", "organ", "dup_offs", "melA"])
def test_a_moved_note_ends_where_its_pitch_starts_again_and_the_file_on_its_bar_line(
    name: str, beats: float
) -> None:
    _, (track,) = read_strictly(late(case(name), beats))
    assert not overlaps(track)
    assert track.end % (4 * 480) == 0 or track.end == read_strictly((CASES / f"{name}.mid").read_bytes())[1][0].end


def test_a_stray_end_goes_with_its_note() -> None:
    before, after = case("dup_offs"), parse_song(late(case("dup_offs"), 0.05))
    lengths = [[round(n.duration_beats * 480) for n in song.clip.notes] for song in (before, after)]
    assert lengths[0] == lengths[1]


def test_the_pedal_of_a_hat_goes_with_it() -> None:
    _, (track,) = read_strictly(late(case("hat_cc4"), 0.05))
    pedals = {tick for tick, status, data in track.events if status == 0xB9 and data[0] == 4}
    hats = {tick for tick, status, data in track.events if status == 0x99 and data[1] and data[0] in (42, 46)}
    assert pedals
    assert pedals <= hats


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("junk_text", "29 bytes behind its last track"),
        ("junk_ff16", "16 bytes behind its last track"),
        ("missing_last_byte", "track 1 is damaged"),
        ("len_short_eot_outside", "track 1 is longer than it says"),
        ("len_too_long", "track 1 is shorter than it says"),
        ("data_over_127", "values over 127"),
        ("rmid", "a RIFF file"),
    ],
)
def test_what_players_forgive_is_read_and_told(name: str, sentence: str) -> None:
    source = case(name)
    assert source.clip == case("base").clip
    assert any(sentence in fault for fault in source.midi.faults)
    read_strictly(format_midi(source.midi))


def test_times_in_smpte_frames_are_read_as_beats_of_the_same_length() -> None:
    source = case("smpte")
    assert any("its times are SMPTE frames: they are read as beats" in fault for fault in source.midi.faults)
    _, (first, *_) = read_strictly(format_midi(source.midi))
    [tempo] = [data[2:] for _, status, data in first.events if status == 0xFF and data[0] == 0x51]
    ticks_per_second = source.midi.ticks_per_beat / (int.from_bytes(tempo, "big") / 1e6)
    frames, parts = (CASES / "smpte.mid").read_bytes()[12:14]
    assert ticks_per_second == pytest.approx((256 - frames) * parts, rel=1e-5)


@pytest.mark.parametrize(
    ("division", "per_beat", "bpm"),
    [(0xE728, 500, 120.0), (0xE250, 1200, 120.0), (0xE350, 1199, 119.98), (0xE801, 12, 120.0)],
    ids=["25 fps", "30 fps", "29.97 fps", "24 fps"],
)
def test_smpte_frames_of_each_kind_are_beats(division: int, per_beat: int, bpm: float) -> None:
    content = bytearray(file_of(b"\x00\x99\x24\x64\x18\x89\x24\x00" + END))
    content[12:14] = division.to_bytes(2, "big")
    source = parse_song(bytes(content))
    assert (source.midi.ticks_per_beat, source.clip.tempo_bpm) == (per_beat, pytest.approx(bpm, abs=0.01))


def test_the_beat_of_smpte_frames_is_that_of_their_tempo() -> None:
    content = bytearray(file_of(b"\x00\xff\x51\x03\x09\x27\xc0\x00\x99\x24\x64\x18\x89\x24\x00" + END))
    content[12:14] = b"\xe7\x28"
    source = parse_song(bytes(content))
    assert (source.midi.ticks_per_beat, source.clip.tempo_bpm) == (600, 100)


def test_a_file_of_one_track_that_has_several_is_a_file_of_several() -> None:
    content = bytearray(file_of(b"\x00\x99\x24\x64\x18\x89\x24\x00" + END, END))
    content[9] = 0
    source = parse_song(bytes(content))
    read_strictly(format_midi(source.midi))
    assert source.midi.faults == ("it says that it has one track, and has several: they are played together",)


@pytest.mark.parametrize(
    ("told", "mended"),
    [
        (b"\xff\x59\x02\x55\x09", b""),
        (b"\xff\x59\x02\xf9\x01", b"\xff\x59\x02\xf9\x01"),
        (b"\xff\x58\x04\x00\x02\x18\x08", b""),
        (b"\xff\x58\x02\x07\x03", b"\xff\x58\x04\x07\x03\x18\x08"),
        (b"\xff\x51\x03\x00\x00\x00", b""),
        (b"\xf0\x03\x7e\xf3\xf7", b""),
        (b"\xf0\x03\x7e\x73\xf7", b"\xf0\x03\x7e\x73\xf7"),
        (b"\xf7\x02\xf3\x01", b"\xf7\x02\xf3\x01"),
        (b"\xff\x51\x04\x07\xa1\x20\x00", b"\xff\x51\x03\x07\xa1\x20"),
    ],
)
def test_events_that_make_no_sense_are_mended_and_told(told: bytes, mended: bytes) -> None:
    hit = b"\x00\x99\x24\x64\x18\x89\x24\x00" + END
    source = parse_song(file_of(b"\x00" + told + hit))
    assert format_midi(source.midi) == file_of((mended and b"\x00" + mended) + hit)
    assert bool(source.midi.faults) == (told != mended)


def test_a_longer_header_is_shortened() -> None:
    content = file_of(b"\x00\x99\x24\x64\x18\x89\x24\x00" + END)
    source = parse_song(content[:7] + b"\x08" + content[8:14] + b"ab" + content[14:])
    assert format_midi(source.midi) == content
    assert source.midi.faults == ("its header is longer than others': 2 bytes of it were left out",)


@pytest.mark.parametrize("beats_per_bar", [3.3, 7.96875, 0.25, 64.0, 1.9])
def test_a_clip_of_any_meter_ends_on_a_bar_line(beats_per_bar: float) -> None:
    midi = clip_as_midi(Clip((Note(36, 0.0, 0.25, 90),), 5 * beats_per_bar, beats_per_bar))
    (track,) = midi.tracks.values()
    assert bar_lines(midi)(track[-1].tick)[0] == track[-1].tick


def test_an_end_of_a_track_holds_nothing() -> None:
    source = parse_song(file_of(b"\x00\x99\x24\x64\x18\x89\x24\x00\x00\xff\x2f\x01\x00"))
    read_strictly(format_midi(source.midi))


def test_a_track_that_swallows_the_next_is_read_to_its_end() -> None:
    hit = b"\x00\x99\x24\x64\x18\x89\x24\x00" + END
    content = bytearray(file_of(hit, hit))
    content[21] += 8
    midi = parse_midi(bytes(content))
    assert [len(chunk.events) for chunk in midi.chunks] == [3, 3]
    assert midi.faults == ("track 1 is shorter than it says: it was read up to its end",)


@pytest.mark.parametrize("name", ["ppq4", "ppq24", "ppq48", "ppq96"])
def test_ticks_too_coarse_for_the_feel_become_finer(name: str) -> None:
    source = case(name)
    notes = tuple(replace(note, start_beats=note.start_beats + 0.01) for note in source.clip.notes)
    fine = source.fine_enough([source.clip.with_notes(notes)])
    written = parse_song(format_midi(fine.with_clips([source.clip.with_notes(notes)])))
    assert written.midi.ticks_per_beat == 480
    assert [n.start_beats for n in written.clip.notes] == pytest.approx([n.start_beats for n in notes], abs=1 / 960)


def test_ticks_stay_where_finer_ones_would_be_too_many_from_one_event_to_the_next() -> None:
    far = file_of(b"\x00\x99\x24\x64\x01\x89\x24\x00\xa0\x80\x80\x00\x99\x26\x64\x01\x89\x26\x00" + END)
    source = parse_song(far[:12] + b"\x00\x04" + far[14:])
    notes = [tuple(replace(n, start_beats=n.start_beats + 0.1) for n in clip.notes) for clip in source.clips]
    late = [clip.with_notes(own) for clip, own in zip(source.clips, notes, strict=True)]
    assert source.fine_enough(late) is source
    read_strictly(format_midi(source.with_clips(late)))


def test_ticks_stay_where_nothing_falls_between_them() -> None:
    source = case("ppq4")
    assert source.fine_enough(source.clips) is source


def test_what_is_drawn_is_what_is_written() -> None:
    source = case("base")
    early = source.clip.with_notes(tuple(replace(n, start_beats=n.start_beats - 0.03) for n in source.clip.notes))
    (drawn,) = source.as_written([early])
    written = parse_song(format_midi(source.with_clips([early])))
    assert sorted(n.start_beats for n in drawn.notes) == sorted(n.start_beats for n in written.clip.notes)
    assert min(n.start_beats for n in drawn.notes) == 0


notes = st.builds(
    Note, st.integers(36, 40), st.floats(-0.1, 7.9), st.floats(0.01, 2), st.integers(1, 127), st.booleans()
)


@given(st.lists(notes, min_size=1, max_size=30), st.booleans())
def test_a_clip_is_written_strictly_apart_and_to_its_bar_line(
    tmp_path_factory: pytest.TempPathFactory, heard: list[Note], in_parts: bool
) -> None:
    parts = (Part("a", 1, 3, 0, len(heard)),) if in_parts else ()
    path = tmp_path_factory.getbasetemp() / "clip.mid"
    clip_to_midi(Clip(tuple(heard), 8.0, parts=parts).apart(), path)
    per_beat, tracks = read_strictly(path.read_bytes())
    assert {track.end for track in tracks} == {8 * per_beat}
    assert not [each for track in tracks for each in overlaps(track)]


@given(st.lists(notes, max_size=30))
def test_no_note_sounds_on_where_its_pitch_starts_again(heard: list[Note]) -> None:
    clip = Clip(tuple(heard), 8.0).apart()
    for note in clip.notes:
        later = [n.start_beats for n in clip.notes if n.pitch == note.pitch and n.start_beats > note.start_beats]
        if not note.mute and later and not any(n.mute for n in clip.notes):
            assert note.start_beats + note.duration_beats <= min(later) + 1e-12


base = (CASES / "base.mid").read_bytes()


@given(st.lists(st.tuples(st.integers(0, len(base) - 1), st.integers(0, 255)), max_size=6), st.integers(0, 400))
def test_a_broken_file_is_read_or_refused_with_a_sentence(changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(base)
    for place, value in changes:
        content[place] = value
    try:
        source = parse_song(bytes(content[: max(1, len(content) - cut // 4)]))
    except MidiFileError:
        return
    read_strictly(format_midi(source.with_clips(source.clips)))


@pytest.mark.parametrize("name", ["song_drums_ch3", "stray_ch10", "piano", "base"])
def test_drums_are_recognised_and_the_choice_is_said(name: str) -> None:
    source = case(name)
    expected = {
        "song_drums_ch3": (40, True, "played as drums: track 4 'Drums' (channel 3), 40 of 80 notes"),
        "stray_ch10": (41, True, "played as drums: track 1 '' (channel 1) and track 1 '' (channel 10), 41 of 41"),
        "piano": (24, False, "no drums found: all 24 notes are played, as taps"),
        "base": (40, True, ""),
    }
    count, are_drums, sentence = expected[name]
    assert (len(source.clip.notes), source.are_drums) == (count, are_drums)
    assert " ".join(source.remarks)[: len(sentence)] == sentence
    assert bool(source.remarks) == bool(sentence)


@pytest.mark.parametrize(
    ("name", "meter", "beats"), [("m68", "6/8", 3.0), ("m128", "12/8", 6.0), ("base", "4/4", 4)]
)
def test_a_meter_is_numerator_and_denominator(
    name: str, meter: str, beats: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = case(name).clip
    assert (clip.meter, clip.beats_per_bar) == (meter, beats)
    path = tmp_path_factory.getbasetemp() / f"{name}.mid"
    clip_to_midi(clip, path)
    assert parse_song(path.read_bytes()).clip.meter == meter
