"""The events of a track stay its bytes."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.midi.events import MidiBytes, format_midi, parse_midi, track_chunk
from engine.midi.song import parse_song
from engine.midi.track import LONGEST_WAIT, Event, Track, meta, written
from tests.conftest import ROOT
from tests.engine.midi.test_faults import END, file_of
from tests.strict_midi import read_strictly

events = st.lists(
    st.one_of(
        st.builds(Event, st.integers(0, 2**34), st.integers(0x80, 0xBF), st.binary(min_size=2, max_size=2)),
        st.builds(Event, st.integers(0, 2**34), st.integers(0xC0, 0xDF), st.binary(min_size=1, max_size=1)),
        st.builds(lambda tick, text: meta(1, text, tick=tick), st.integers(0, 2**34), st.binary(max_size=200)),
    ),
    max_size=12,
).map(lambda made: sorted(made, key=lambda event: event.tick))


@given(events, st.integers(0, 2**34))
def test_what_is_written_is_read(made: list[Event], end: int) -> None:
    track = written(made, end)
    last = max([end, *(event.tick for event in made)])
    found = [event for event in track if event != meta(1, b"", tick=event.tick)]  # which part what is far apart
    assert found == [
        *(event for event in made if event != meta(1, b"", tick=event.tick)),
        meta(0x2F, b"", tick=last),
    ]
    assert [track[index] for index in range(-len(track), len(track))] == list(track) * 2
    assert track[1:-1] == list(track)[1:-1]


def told(made: Iterable[Event]) -> list[Event]:
    """The events but for the empty texts, which part what is far apart."""
    return [event for event in made if event != meta(1, b"", tick=event.tick)]


def test_a_wait_that_four_bytes_do_not_hold_is_parted() -> None:
    track = written([Event(3 * LONGEST_WAIT, 0x99, b"\x24\x64")], 3 * LONGEST_WAIT + 5)
    _, (found,) = read_strictly(format_midi(MidiBytes(0, 480, (track_chunk(track),))))
    assert found.end == 3 * LONGEST_WAIT + 5


def test_a_status_that_is_left_out_is_that_of_the_last_message() -> None:
    track = Track(b"\x00\x99\x24\x64\x05\x26\x64" + END)
    assert [(event.tick, event.status, event.data) for event in track] == [
        (0, 0x99, b"\x24\x64"),
        (5, 0x99, b"\x26\x64"),
        (5, 0xFF, b"\x2f\x00"),
    ]


def controllers(count: int) -> bytes:
    """A file of so many controllers, whose status stands once in 64, and two hits."""
    run = b"\x01\xb9\x0b\x40" + b"\x01\x0b\x41" * 63
    hits = b"\x00\x99\x24\x64\x20\x89\x24\x00\x00\x99\x26\x64\x20\x89\x26\x00"
    return file_of(run * (count // 64) + hits + END)


def test_a_file_of_many_controllers_is_edited_like_any_other() -> None:
    content = controllers(2**17)
    assert format_midi(parse_midi(content)) == content
    song = parse_song(content)
    (clip,) = song.clips
    note, other = clip.notes
    moved = type(note)(36, note.start_beats + 0.1, note.duration_beats, 100)
    _, (track,) = read_strictly(format_midi(song.with_clips([clip.with_notes((moved, other))], remark="moved")))
    assert (2**17 + 48, 0x99, b"\x24\x64") in track.events
    assert sum(status == 0xB9 for _, status, _ in track.events) == 2**17


MEASURE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from engine.midi.files import save_midi
from engine.midi.song import load_song

source, size = Path(sys.argv[1]), Path(sys.argv[1]).stat().st_size
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
song = load_song(source)
clips = [clip.with_notes(tuple(replace(n, velocity=50) for n in clip.notes)) for clip in song.clips]
save_midi(song.with_clips(clips, remark="softer"), source.with_name("out.mid"))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


def test_reading_and_writing_take_less_than_ten_times_the_file(tmp_path: Path) -> None:
    (tmp_path / "in.mid").write_bytes(controllers(2**21))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "in.mid")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10
