from hypothesis import given
from hypothesis import strategies as st

from engine.midi.events import Chunk, MidiBytes, format_midi, parse_midi
from engine.midi.packed import MANY, Event, PackedEvents, packed
from engine.midi.song import parse_song
from tests.strict_midi import read_strictly

events = st.lists(
    st.builds(Event, st.integers(0, 2**40), st.integers(0x80, 0xFF), st.binary(max_size=4), st.booleans())
)


@given(events, st.integers(-9, 9), st.integers(-9, 9))
def test_packed_events_are_read_as_they_were(made: list[Event], first: int, last: int) -> None:
    columns = PackedEvents(made)
    assert list(columns) == made
    assert [columns[index] for index in range(-len(made), len(made))] == made + made
    assert list(columns[first:last]) == made[first:last]


def test_few_events_are_a_tuple_and_many_are_packed() -> None:
    few, many = packed([Event(0, 0xB0, b"\1\2")] * (MANY - 1)), packed([Event(0, 0xB0, b"\1\2")] * MANY)
    assert isinstance(few, tuple)
    assert isinstance(many, PackedEvents)
    assert len(many) == len(few) + 1


def test_a_file_of_many_controllers_is_edited_like_any_other() -> None:
    controllers = [Event(index // 8, 0xB9, bytes([1, index % 128]), index > 0) for index in range(MANY)]
    notes = [Event(9000, 0x99, b"\x24\x64"), Event(9100, 0x99, b"\x24\0"), Event(9600, 0xFF, b"\x2f\0")]
    content = format_midi(MidiBytes(0, 480, (Chunk(b"MTrk", events=(*controllers, *notes)),)))
    assert format_midi(parse_midi(content)) == content
    song = parse_song(content)
    note = song.clip.notes[0]
    later = Event(9048, 0x99, b"\x24\x64")
    moved = song.clip.with_notes((type(note)(36, note.start_beats + 0.1, note.duration_beats, 100),))
    _, (track,) = read_strictly(format_midi(song.with_clips([moved], remark="moved")))
    assert (later.tick, later.status, later.data) in track.events
    assert sum(status == 0xB9 for _, status, _ in track.events) == MANY
