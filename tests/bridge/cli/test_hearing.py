"""What every verb on files takes besides its settings, on the shipped models' files and on the cases of others."""

import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path

import mido
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.audio import soundfont
from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from engine.midi.song import load_song
from tests.bridge.cli.test_cli import FakeGenerator
from tests.conftest import ROOT
from tests.strict_midi import CASES, overlaps, read_strictly, unended


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for case in CASES.iterdir():
        shutil.copy(case, tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    generator = FakeGenerator()
    result = CliRunner().invoke(cli.app, list(arguments), obj=lambda config, request: generator)
    assert result.exception is None or result.exit_code == 1, result.output
    return result


@pytest.mark.parametrize(
    "arguments", [("humanize", "base.mid"), ("drumify", "base.mid"), ("sample",), ("play", "base.mid")]
)
def test_each_verb_lets_its_result_be_heard(arguments: tuple[str, ...], folder: Path) -> None:
    result = run(*arguments, "--wav", "out.wav")
    assert result.exit_code == 0, result.output
    with wave.open(str(folder / "out.wav")) as file:
        assert file.getnframes() > 44_100


def test_simple_sounds_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfont, "SOUNDFONTS", ())
    result = run("play", "base.mid", "--wav", "out.wav")
    assert result.stderr.startswith(
        "vaebridge: heard with simple sounds; better ones need FluidSynth and a SoundFont"
    )
    with wave.open(str(folder / "out.wav")) as file:
        assert file.getnchannels() == 1


def test_of_several_results_each_is_heard(folder: Path) -> None:
    run("sample", "--count", "2", "--wav", "out.wav")
    assert sorted(each.name for each in folder.glob("*.wav")) == ["out.1.wav", "out.2.wav"]


TRIES = 6
NEAR = 3
"""Samples by which the first that is not 0 may lie elsewhere: FluidSynth's dither differs from run to run."""

ALSA_TO_A_FILE = """
pcm.card {{ type file; slave.pcm "null"; file "{file}"; format "raw"; hint {{ show on; description "a file" }} }}
pcm.!default {{ type plug; slave.pcm "card"; hint {{ show on; description "a file" }} }}
"""


def play(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge.entry", "play", *arguments]
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_play_brings_the_sound_to_the_sound_card(folder: Path, needs: Callable[[str, str], None]) -> None:
    """ALSA writes what the card would play into a file."""
    if not find_library("portaudio"):
        needs("portaudio", "libportaudio2")
    (folder / ".asoundrc").write_text(ALSA_TO_A_FILE.format(file=folder / "card.raw"))
    run("play", "base.mid", "--wav", "out.wav")
    with wave.open(str(folder / "out.wav")) as file:
        assert file.getnchannels() == 2  # FluidSynth's
        written = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())

    def other_than_written(card: NDArray[np.float32]) -> NDArray[np.int64]:
        heard = card[: len(written)]
        return np.flatnonzero(np.abs(heard - written[: len(heard)] / 32767).max(axis=1) > 1e-3)

    def gap() -> str:
        """Where what the card was given is not what was written, or nothing."""
        done = play(folder, "base.mid")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        card = np.frombuffer((folder / "card.raw").read_bytes(), "<f4").reshape(-1, 2)
        about = int(np.flatnonzero(card.any(1))[0]) - int(np.flatnonzero(written.any(1))[0])  # it is silent before
        lead, other = min(
            ((lead, other_than_written(card[lead:])) for lead in range(max(0, about - NEAR), about + NEAR + 1)),
            key=lambda found: len(found[1]),
        )
        heard = card[lead : lead + len(written)]
        if len(heard) == len(written) and not len(other):
            return ""
        return f"{len(card)} samples, from {lead} on {len(heard)} of {len(written)}, others at {other}"

    gaps: list[str] = []  # a card that waits for a busy machine leaves one
    while (found := gap()) and len(gaps) < TRIES:
        gaps.append(found)
    assert not found, gaps


def test_where_no_sound_card_is_a_sentence_says_so(folder: Path) -> None:
    done = play(folder, "base.mid")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("--wav FILE needs none")


def test_the_picture_follows_the_drum_map() -> None:
    assert "closed hat" in run("humanize", "addictive.mid", "--drum-map", "addictive_drums", "-o", "a.mid").stdout
    assert "closed hat" in run("humanize", "addictive.mid", "--drum-map", "ad.toml", "-o", "a.mid").stdout
    assert "closed hat" not in run("humanize", "addictive.mid", "-o", "a.mid").stdout


def test_a_resolution_that_is_raised_is_told(folder: Path) -> None:
    assert "its resolution was raised from 24 to 480 ticks" in run("humanize", "ppq24.mid", "-o", "a.mid").stdout
    assert mido.MidiFile(folder / "a.mid").ticks_per_beat == 480


def test_not_drums_are_played_as_taps_and_that_is_told() -> None:
    assert "no drums found: all 24 notes are played, as taps" in run("humanize", "piano.mid", "-o", "a.mid").stderr


@pytest.mark.parametrize("case", sorted(each.name for each in CASES.glob("*.mid")))
@pytest.mark.parametrize("verb", ["humanize", "drumify", "vary", "infill"])
def test_what_is_written_of_any_case_is_valid(verb: str, case: str, folder: Path) -> None:
    result = run(verb, case, "-o", "out.mid")
    assert result.exit_code == 0, result.output
    per_beat, tracks = read_strictly((folder / "out.mid").read_bytes())
    assert mido.MidiFile(folder / "out.mid").ticks_per_beat == per_beat
    assert not [each for track in tracks for each in (*overlaps(track), *unended(track))]
    load_song(folder / "out.mid")


def test_a_song_of_more_bars_than_a_clip_has_is_played_in_pieces(folder: Path) -> None:
    notes = tuple(Note(36, 4.0 * bar, 1.0, 100) for bar in range(9000))
    clip_to_midi(Clip(notes, 36_000.0), folder / "long.mid")
    assert [clip.bars for clip in load_song(folder / "long.mid").clips] == [4096, 4096, 808]
    assert run("humanize", "long.mid", "-o", "out.mid").exit_code == 0
    assert len(load_song(folder / "out.mid").clips[2].notes) == 808


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("humanize", "base.mid", "--wav", "base.mid"), "--wav names a .wav file, not base.mid"),
        (("play", "base.mid", "--wav", "out.mp3"), "--wav names a .wav file, not out.mp3"),
        (("humanize", "base.mid", "-o", "out.wav"), "-o names a MIDI file: --wav out.wav writes the sound"),
        (("humanize", "base.mid", "--soundfont", "a.sf2"), "--soundfont goes with --wav FILE"),
        (
            ("groove", "base.mid", "quint.mid", "-o", "quint.mid"),
            "quint.mid is what was read; --force writes over it",
        ),
        (
            ("interpolate", "base.mid", "quint.mid", "-o", "quint.mid", "--position", "0.5"),
            "quint.mid is what was read",
        ),
    ],
)
def test_what_would_write_over_something_else_is_refused_before_it_is_played(
    arguments: tuple[str, ...], sentence: str, folder: Path
) -> None:
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"vaebridge: {sentence}")
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_what_is_appended_lasts_to_the_end_of_its_bars(folder: Path) -> None:
    assert run("continue", "base.mid", "--append", "-o", "out.mid").exit_code == 0
    per_beat, tracks = read_strictly((folder / "out.mid").read_bytes())
    assert {track.end for track in tracks} == {2 * load_song(folder / "base.mid").clip.bars * 4 * per_beat}
