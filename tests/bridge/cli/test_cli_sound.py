"""continue on a file of sound: which flags it has, where it writes, what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.audio.files import RATE
from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from tests.engine.untrained import SMALL_SCORES, write_random_weights


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of sound, one of MIDI, and the weights of a model of sound."""
    (tmp_path / "weights").mkdir()
    write_random_weights(tmp_path / "weights", "score", "tiny", **SMALL_SCORES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", "weights")
    soundfile.write("in.wav", 0.1 * np.sin(np.arange(11 * RATE) / 10), RATE)
    clip_to_midi(Clip((Note(36, 0.0, 0.25, 100),), 4.0), tmp_path / "in.mid")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["continue", *arguments], env={"COLUMNS": "200"})


def seconds(path: str) -> float:
    return float(soundfile.info(path).duration)


def test_a_file_of_sound_goes_on_beside_it_or_where_it_is_told_to() -> None:
    result = run("in.wav", "--seconds", "1.5", "--seed", "7", "--model", "tiny")
    assert result.exit_code == 0, result.output
    assert "in.continue.wav" in result.output
    assert "model tiny, seed 7" in result.output
    assert seconds("in.continue.wav") == 1.5
    assert run("in.wav", "--seconds", "1", "--append", "-o", "out.flac", "--model", "tiny").exit_code == 0
    assert seconds("out.flac") == pytest.approx(12, abs=0.001)


def test_ten_seconds_come_where_nothing_is_said() -> None:
    assert run("in.wav", "-o", "out.wav", "--model", "tiny").exit_code == 0
    assert seconds("out.wav") == 10


def test_what_is_there_is_written_over_where_that_is_meant() -> None:
    assert run("in.wav", "--model", "tiny", "--seconds", "1").exit_code == 0
    refused = run("in.wav", "--model", "tiny", "--seconds", "1")
    assert refused.exit_code == 1
    assert "in.continue.wav is there already; --force writes over it, -o names another" in refused.output
    assert run("in.wav", "--model", "tiny", "--seconds", "1", "--force").exit_code == 0
    assert "in.wav is what was read" in run("in.wav", "-o", "in.wav", "--model", "tiny").output


@pytest.mark.parametrize(
    ("flags", "which"),
    [
        (("--bars", "4"), "--bars"),
        (("--fill-in", "1"), "--fill-in"),
        (("--density", "1"), "--density"),
        (("--key", "C"), "--key"),
        (("--track", "1"), "--track"),
        (("--wav", "x.wav"), "--wav"),
    ],
)
def test_flags_of_notes_are_refused(flags: tuple[str, ...], which: str) -> None:
    result = run("in.wav", *flags)
    assert result.exit_code == 1
    assert result.stderr == (
        "vaebridge: of a file of sound continue takes --model, --seed, --temperature, --append, --seconds, "
        f"not {which}\n"
    )


@pytest.mark.parametrize(
    "flags", [("--seconds", "0"), ("--seconds", "3601"), ("--seconds", "nan"), ("--count", "2")]
)
def test_a_number_out_of_range_is_refused_with_the_range(flags: tuple[str, ...]) -> None:
    result = run("in.wav", *flags, "--model", "tiny")
    assert (result.exit_code, "must be in" in result.stderr) == (1, True)


def test_bars_of_midi_have_no_seconds_and_are_no_sound() -> None:
    assert (
        "--seconds is for a file of sound: of MIDI --bars says how much comes"
        in run("in.mid", "--seconds", "1").stderr
    )
    assert "-o names a MIDI file" in run("in.mid", "-o", "out.wav").stderr


def test_what_is_neither_is_told() -> None:
    Path("in.txt").write_text("hello")
    for flags in ((), ("-o", "out.wav")):
        assert "in.txt cannot be played" in run("in.txt", *flags).stderr
    Path("letter.wav").write_text("hello")
    assert "letter.wav is no sound that can be read" in run("letter.wav", "--model", "tiny").stderr
    assert "none.wav cannot be read: No such file or directory" in run("none.wav", "--model", "tiny").stderr
    assert (
        "out.txt names no kind of sound that can be written"
        in run("in.wav", "-o", "out.txt", "--model", "tiny").stderr
    )
