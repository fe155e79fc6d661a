"""Any MIDI file, whole or broken, through the verbs on files: what comes out is valid, or a sentence is said."""

import io
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import mido
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.midi.events import format_midi, parse_midi
from engine.midi.meters import bar_lines
from engine.midi.song import parse_song, parts_from_midi
from engine.requests import Interpolate
from engine.verbs.generator import Generator
from tests.strict_midi import CASES, Track, overlaps, read_strictly, unended

VERBS = ("humanize", "groove", "drumify", "vary", "infill", "fill", "continue", "append", "interpolate")
"""append: continue --append."""

END = b"\x00\xff\x2f\x00"


def length(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([0x80 | value >> 7, value & 0x7F])


@st.composite
def tracks(draw: Any) -> bytes:
    """A valid track: notes with running status, that overlap or not, meta and sysex events, meters, tempos."""
    events: list[tuple[int, bytes]] = []
    channel = draw(st.sampled_from([0, 2, 9, 9, 9]))
    for _ in range(draw(st.integers(0, 12))):
        at, pitch = draw(st.integers(0, 8000)), draw(st.integers(34, 60))
        events.append((at, bytes([0x90 | channel, pitch, draw(st.integers(1, 127))])))
        events.append((at + draw(st.integers(0, 900)), bytes([0x90 | channel, pitch, 0])))
    others = st.one_of(
        st.builds(lambda c, v: bytes([0xB0 | channel, c, v]), st.integers(0, 119), st.integers(0, 127)),
        st.integers(0, 127).map(lambda p: bytes([0xC0 | channel, p])),
        st.binary(max_size=5).map(lambda text: b"\xff\x01" + bytes([len(text)]) + text),
        st.binary(max_size=5).map(lambda text: b"\xff\x03" + bytes([len(text)]) + text),
        st.just(b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
        st.integers(1, 2**24 - 1).map(lambda t: b"\xff\x51\x03" + t.to_bytes(3, "big")),
        st.builds(lambda n, d: b"\xff\x58\x04" + bytes([n, d, 24, 8]), st.integers(1, 15), st.integers(1, 4)),
    )
    events += draw(st.lists(st.tuples(st.integers(0, 8000), others), max_size=6))
    events.sort(key=lambda each: each[0])
    body, tick, running = b"", 0, 0
    for at, event in events:
        shortened = event[0] == running and draw(st.booleans())
        body += length(at - tick) + event[shortened:]
        tick, running = at, event[0] if event[0] < 0xF0 else 0
    return body + length(draw(st.integers(0, 2000))) + END[1:]


def file_of(kind: int, division: int, bodies: list[bytes]) -> bytes:
    head = b"MThd\0\0\0\6" + b"".join(n.to_bytes(2, "big") for n in (kind, len(bodies), division))
    return head + b"".join(b"MTrk" + len(body).to_bytes(4, "big") + body for body in bodies)


DIVISIONS = [4, 24, 96, 100, 480, 960, 0xE728, 0xE250]
files = st.builds(
    file_of,
    st.sampled_from([1, 1, 1, 0]),
    st.sampled_from(DIVISIONS),
    st.lists(tracks(), min_size=1, max_size=3),
)


@pytest.fixture(scope="module")
def drummer() -> Generator:
    """The shipped models."""
    from bridge.config import Config
    from engine.weights import Library

    generator = Generator(Library(Config().weight_folders))
    generator.load("drummer")
    generator.load("drums_16bar")
    return generator


def run(generator: Generator, folder: Path, verb: str, content: bytes) -> Result:
    (folder / "in.mid").write_bytes(content)
    (folder / "out.mid").unlink(missing_ok=True)
    others = [str(CASES / "base.mid")] if verb in ("groove", "interpolate") else []
    settings = {"append": ["--append"], "interpolate": ["--position", "0.5"]}.get(verb, [])
    arguments = ["continue" if verb == "append" else verb, str(folder / "in.mid"), *others, *settings]
    return CliRunner().invoke(
        cli.app, [*arguments, "-o", str(folder / "out.mid"), "--seed", "1"], obj=lambda config, request: generator
    )


def is_a_sentence(result: Result) -> bool:
    """Whether the command failed with a sentence; anything but that or success is a fault."""
    if result.exit_code == 0:
        return False
    assert result.exit_code == 1, result.exception
    assert result.stderr.splitlines()[-1].startswith("vaebridge: "), result.output
    return True


def check(content: bytes) -> list[Track]:
    """The tracks of a file that we wrote, which every reader reads: each note apart, ended, all to a bar line."""
    per_beat, found = read_strictly(content)
    assert not [each for track in found for each in (*overlaps(track), *unended(track))]
    midi, end = parse_midi(content), max(track.end for track in found)
    assert midi.faults == ()
    assert bar_lines(midi)(end)[0] == end
    if any(status == 0xF7 and max(data) > 0x7F for track in found for _, status, data in track.events):
        return found  # an escape holds any bytes, which mido does not know
    assert mido.MidiFile(file=io.BytesIO(content)).ticks_per_beat == per_beat
    if end < pretty_midi.pretty_midi.MAX_TICK:  # it takes longer files to be corrupt
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tempos on tracks that are not the first, which is no rule
            pretty_midi.PrettyMIDI(io.BytesIO(content))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.sampled_from(VERBS))
def test_what_a_verb_writes_of_any_file_is_read_by_everybody(
    drummer: Generator, tmp_path_factory: pytest.TempPathFactory, content: bytes, verb: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    if is_a_sentence(run(drummer, folder, verb, content)):
        assert not (folder / "out.mid").exists()
        return
    found = check((folder / "out.mid").read_bytes())
    _, before = read_strictly(format_midi(parse_midi(content)))
    if verb in ("humanize", "groove"):
        assert _hits(found) == _hits(before)
        assert _others(found) == _others(before)
    if verb in ("infill", "append"):  # the notes that were not chosen stay, and where bars are appended all do
        rest = parse_song(content).rest
        stay = _hits(before) if verb == "append" else [(note.channel - 1, note.pitch) for note in rest]
        assert not Counter(stay) - Counter(_hits(found))


def _hits(found: list[Track]) -> list[tuple[int, int]]:
    """The channel and pitch of each note of each track."""
    return sorted(
        (status & 15, data[0])
        for track in found
        for _, status, data in track.events
        if status & 0xF0 == 0x90 and data[1]
    )


def _others(found: list[Track]) -> list[tuple[int, bytes]]:
    """What is no note, pedal of a hat, tempo, text of ours or end, in the order of its track."""
    return [
        (status, data)
        for track in found
        for _, status, data in track.events
        if status >= 0xA0
        and not (status & 0xF0 == 0xB0 and data[0] == 4)
        and not (status == 0xFF and (data[0] in (0x2F, 0x51) or b"vaebridge" in data))
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files,
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=5),
    st.integers(0, 30),
    st.sampled_from(VERBS),
)
def test_of_any_broken_file_there_is_a_result_or_a_sentence(
    drummer: Generator,
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes,
    changes: list[tuple[int, int]],
    cut: int,
    verb: str,
) -> None:
    broken = bytearray(content)
    for place, value in changes:
        broken[place % len(broken)] = value
    folder = tmp_path_factory.getbasetemp()
    if not is_a_sentence(run(drummer, folder, verb, bytes(broken[: max(0, len(broken) - cut)]))):
        check((folder / "out.mid").read_bytes())


def test_a_silent_result_is_told(drummer: Generator) -> None:
    clips = tuple(parts_from_midi(CASES / name) for name in ("mel_5s.mid", "melA.mid"))
    results = drummer.run(Interpolate(clips=clips, model="melody_2bar", seed=1))
    assert not results.clips[0].notes
    assert results.remarks == ("1 of 5 results is silent: the model plays no note there",)
