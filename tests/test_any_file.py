"""Any MIDI file, whole or broken, through the verbs on files: what comes out is valid, or a sentence is said."""

import io
from pathlib import Path
from typing import Any

import mido
import pretty_midi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.midi.song import parts_from_midi
from engine.requests import Interpolate
from engine.verbs.generator import Generator
from tests.strict_midi import CASES, overlaps, read_strictly

VERBS = ("humanize", "drumify", "vary", "infill", "fill", "continue")
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


files = st.builds(
    lambda bodies, division: (
        b"MThd\0\0\0\6\0\1"
        + len(bodies).to_bytes(2, "big")
        + division.to_bytes(2, "big")
        + b"".join(b"MTrk" + len(body).to_bytes(4, "big") + body for body in bodies)
    ),
    st.lists(tracks(), min_size=1, max_size=3),
    st.sampled_from([4, 24, 96, 100, 480, 960]),
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
    arguments = [verb, str(folder / "in.mid"), "-o", str(folder / "out.mid"), "--seed", "1"]
    return CliRunner().invoke(cli.app, arguments, obj=lambda config, request: generator)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.sampled_from(VERBS))
def test_what_a_verb_writes_of_any_file_is_valid(
    drummer: Generator, tmp_path_factory: pytest.TempPathFactory, content: bytes, verb: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    result = run(drummer, folder, verb, content)
    if result.exit_code:
        assert result.exit_code == 1, result.exception
        assert result.stderr.splitlines()[-1].startswith("vaebridge: "), result.output
        return
    written = (folder / "out.mid").read_bytes()
    per_beat, found = read_strictly(written)
    assert mido.MidiFile(file=io.BytesIO(written), clip=True).ticks_per_beat == per_beat
    if verb in ("drumify", "vary", "continue"):
        assert not [each for track in found for each in overlaps(track)]
    if verb == "humanize":
        assert _hits(found) == _hits(read_strictly(content)[1])


def _hits(found: list[Any]) -> list[tuple[int, int]]:
    """The channel and pitch of each note of each track."""
    return sorted(
        (status & 15, data[0])
        for track in found
        for _, status, data in track.events
        if status & 0xF0 == 0x90 and data[1]
    )


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
    result = run(drummer, folder, verb, bytes(broken[: max(0, len(broken) - cut)]))
    assert result.exit_code in (0, 1), result.exception
    if result.exit_code:
        assert result.stderr.splitlines()[-1].startswith("vaebridge: "), result.exception
    else:
        read_strictly((folder / "out.mid").read_bytes())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files, st.sampled_from(("humanize", "drumify")))
def test_pretty_midi_reads_what_is_written(
    drummer: Generator, tmp_path_factory: pytest.TempPathFactory, content: bytes, verb: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    if run(drummer, folder, verb, content).exit_code == 0:
        pretty_midi.PrettyMIDI(str(folder / "out.mid"))


def test_a_silent_result_is_told(drummer: Generator) -> None:
    clips = tuple(parts_from_midi(CASES / name) for name in ("mel_5s.mid", "melA.mid"))
    results = drummer.run(Interpolate(clips=clips, model="melody_2bar", seed=1))
    assert not results.clips[0].notes
    assert results.remarks == ("1 of 5 results is silent: the model plays no note there",)
