"""No note of a file that we write is cut short by its neighbour, each ends, and the file on a bar line."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.midi.events import format_midi
from engine.midi.song import MidiSong, parse_song
from tests.engine.midi.test_faults import case, file_of
from tests.strict_midi import Track, overlaps, read_strictly, unended

BAR = 4 * 480


def vlq(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([0x80 | value >> 7, value & 0x7F])


def track(*events: tuple[int, int, int, int], end: int) -> bytes:
    """A track of (tick, status, pitch, velocity), in the order in which they are given, and its end."""
    body, now = b"", 0
    for tick, *data in events:
        body, now = body + vlq(tick - now) + bytes(data), tick
    return body + vlq(end - now) + b"\xff\x2f\x00"


def softer(source: MidiSong, moved: dict[int, float] | None = None) -> list[Track]:
    """The tracks, read strictly, after each note became softer, and some moved by so many beats."""
    index, clips = 0, []
    for clip in source.clips:
        notes = []
        for note in clip.notes:
            beats = note.start_beats + (moved or {}).get(index, 0.0)
            notes.append(replace(note, velocity=50, start_beats=beats))
            index += 1
        clips.append(clip.with_notes(tuple(notes)))
    return read_strictly(format_midi(source.with_clips(clips, remark="softer")))[1]


def notes_of(found: Track) -> list[tuple[int, int, int]]:
    """(start, end, pitch) of each note, as a player that ends the oldest hears them."""
    sounding, notes = dict[tuple[int, int], list[int]](), []
    for tick, status, data in found.events:
        key = (status & 15, data[0])
        if status & 0xF0 == 0x90 and data[1]:
            sounding.setdefault(key, []).append(tick)
        elif status & 0xE0 == 0x80 and sounding.get(key):
            notes.append((sounding[key].pop(0), tick, data[0]))
    return sorted(notes)


def test_notes_that_do_not_move_are_set_apart_as_well() -> None:
    overlapping = track((0, 0x99, 36, 90), (100, 0x99, 36, 90), (200, 0x89, 36, 0), (300, 0x89, 36, 0), end=BAR)
    (found,) = softer(parse_song(file_of(overlapping)))
    assert notes_of(found) == [(0, 100, 36), (100, 300, 36)]


def test_notes_that_are_not_played_are_set_apart_as_well() -> None:
    drums = track((0, 0x99, 36, 90), (100, 0x89, 36, 0), end=BAR)
    piano = track((0, 0x90, 60, 90), (100, 0x90, 60, 90), (200, 0x80, 60, 0), (300, 0x80, 60, 0), end=BAR)
    _, found = softer(parse_song(file_of(drums, piano)))
    assert notes_of(found) == [(0, 100, 60), (100, 300, 60)]


def test_an_end_behind_the_start_of_the_next_at_its_tick_comes_before_it() -> None:
    touching = track((0, 0x99, 36, 90), (100, 0x99, 36, 90), (100, 0x89, 36, 0), (300, 0x89, 36, 0), end=BAR)
    (found,) = softer(parse_song(file_of(touching)))
    assert not overlaps(found)
    assert notes_of(found) == [(0, 100, 36), (100, 300, 36)]


def test_drums_on_two_tracks_are_one_kit() -> None:
    long = track((0, 0x99, 36, 90), (300, 0x89, 36, 0), end=BAR)
    short = track((100, 0x99, 36, 90), (200, 0x89, 36, 0), end=BAR)
    found = softer(parse_song(file_of(short, long)))
    assert [notes_of(each) for each in found] == [[(100, 200, 36)], [(0, 99, 36)]]


def test_other_instruments_on_one_channel_keep_their_notes() -> None:
    drums = track((0, 0x99, 36, 90), (100, 0x89, 36, 0), end=BAR)
    strings = track((0, 0x90, 60, 90), (1900, 0x80, 60, 0), end=BAR)
    piano = track((480, 0x90, 60, 90), (600, 0x80, 60, 0), end=BAR)
    _, *found = softer(parse_song(file_of(drums, strings, piano)))
    assert [notes_of(each) for each in found] == [[(0, 1900, 60)], [(480, 600, 60)]]


def test_a_note_that_nothing_ends_gets_an_end() -> None:
    endless = track((0, 0x99, 36, 90), (0, 0x99, 42, 90), (960, 0x99, 36, 90), end=BAR)
    (found,) = softer(parse_song(file_of(endless)))
    assert not unended(found)
    assert notes_of(found) == [(0, 960, 36), (0, BAR, 42), (960, BAR, 36)]


def test_of_two_starts_and_one_end_the_end_is_the_last_ones() -> None:
    retriggered = track((0, 0x99, 36, 90), (100, 0x99, 36, 90), (200, 0x89, 36, 0), end=BAR)
    (found,) = softer(parse_song(file_of(retriggered)))
    assert notes_of(found) == [(0, 100, 36), (100, 200, 36)]


def test_an_end_that_ends_nothing_ends_no_note_that_comes_earlier() -> None:
    early = track((90, 0x89, 36, 0), (100, 0x99, 36, 90), (200, 0x89, 36, 0), end=BAR)
    (found,) = softer(parse_song(file_of(early)), {0: -0.1})
    assert notes_of(found) == [(52, 152, 36)]
    assert sum(status == 0x89 for _, status, _ in found.events) == 1


@pytest.mark.parametrize(
    ("end", "written"),
    [(500, BAR), (BAR, BAR), (BAR + 30, BAR), (BAR + 300, 2 * BAR), (4 * BAR, 4 * BAR), (4 * BAR - 1, 4 * BAR)],
)
def test_a_track_ends_on_a_bar_line(end: int, written: int) -> None:
    (found,) = softer(parse_song(file_of(track((0, 0x99, 36, 90), (300, 0x89, 36, 0), end=end))))
    assert found.end == written


def test_what_rings_over_the_last_bar_line_ends_on_it() -> None:
    (found,) = softer(parse_song(file_of(track((1800, 0x99, 36, 90), (BAR + 60, 0x89, 36, 0), end=BAR + 60))))
    assert (notes_of(found), found.end) == ([(1800, BAR, 36)], BAR)


def test_the_longest_track_ends_on_a_bar_line_and_the_others_where_they_did() -> None:
    drums = track((0, 0x99, 36, 90), (100, 0x89, 36, 0), end=700)
    piano, empty = track((0, 0x90, 60, 90), (5000, 0x80, 60, 0), end=5000), track(end=0)
    assert [each.end for each in softer(parse_song(file_of(drums, piano, empty)))] == [BAR, 3 * BAR, 0]


def test_a_bar_that_a_new_meter_cuts_short_ends_there() -> None:
    meters = b"\x00\xff\x58\x04\x04\x02\x18\x08" + vlq(960) + b"\xff\x58\x04\x03\x02\x18\x08\x00\xff\x2f\x00"
    drums = track((0, 0x99, 36, 90), (100, 0x89, 36, 0), end=700)
    assert [each.end for each in softer(parse_song(file_of(meters, drums)))] == [960, 960]


def test_the_stray_ends_of_a_real_file_change_nothing() -> None:
    (found,) = softer(case("dup_offs"))
    assert found.end == 2 * BAR
    assert not overlaps(found)


messages = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([0x99, 0x99, 0x89, 0x90, 0x80, 0x91]),
        st.integers(36, 38),
        st.integers(0, 127),
    ),
    min_size=1,
    max_size=40,
)


@given(
    st.lists(messages, min_size=1, max_size=3),
    st.integers(0, 2000),
    st.dictionaries(st.integers(0, 40), st.floats(-0.12, 0.3)),
)
def test_whatever_is_read_is_written_apart_ended_and_to_a_bar_line(
    tracks: list[list[tuple[int, int, int, int]]], rest: int, moved: dict[int, float]
) -> None:
    bodies = []
    for events in tracks:
        now, timed = 0, []
        for wait, *data in events:
            now += wait
            timed.append((now, *data))
        bodies.append(track(*timed, end=now + rest))
    source = parse_song(file_of(*bodies, track((0, 0x99, 42, 1), end=0)))
    found = softer(source, moved)
    assert not [each for one in found for each in (*overlaps(one), *unended(one))]
    assert max(one.end for one in found) % BAR == 0
    assert [_ons(one) for one in found] == [_ons(one) for one in read_strictly(format_midi(source.midi))[1]]


def _ons(one: Track) -> list[tuple[int, int]]:
    return sorted((status & 15, data[0]) for _, status, data in one.events if status & 0xF0 == 0x90 and data[1])
