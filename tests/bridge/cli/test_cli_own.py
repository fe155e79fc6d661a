"""Styles and feels of one's own on the command line, with the shipped models."""

from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from bridge.cli.serve import as_flags
from engine.clip import Clip, Note
from engine.midi.clips import clip_to_midi
from engine.midi.song import clip_from_midi

ROWS = [(36, 0), (36, 2.5), (38, 1), (38, 3), *((42, step / 2) for step in range(8))]


def beat(bars: int, late: float = 0.0) -> Clip:
    notes = [Note(pitch, 4 * bar + start + late, 0.25, 90) for bar in range(bars) for pitch, start in ROWS]
    return Clip(tuple(sorted(notes, key=lambda note: note.start_beats)), 4.0 * bars)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAEBRIDGE_OWN", str(tmp_path / "own"))
    clip_to_midi(beat(2), tmp_path / "in.mid")
    (tmp_path / "clips").mkdir()
    for number in range(3):
        clip_to_midi(beat(4, late=0.05), tmp_path / "clips" / f"{number}.mid")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def test_a_style_is_learnt_from_a_folder_listed_played_and_forgotten(folder: Path) -> None:
    (folder / "clips" / "broken.mid").write_bytes(b"no midi")
    learnt = run("learn-style", "mine", "--folder", "clips")
    assert learnt.exit_code == 0, learnt.output
    assert "mine: 12 bars of 3 clips" in learnt.output
    assert "broken.mid" in learnt.stderr
    listed = run("style", "list").output
    assert all(name in listed for name in ("funk", "middleeastern", "drummer10", "house", "mine")), "in 80 columns"
    assert "-0.00" not in listed
    played = run("humanize", "in.mid", "--style", "mine", "-o", "out.mid")
    assert played.exit_code == 0, played.output
    assert run("style", "forget", "mine").exit_code == 0
    assert "there is no style 'mine'" in run("humanize", "in.mid", "--style", "mine").output


def test_a_style_is_learnt_from_files_that_can_be_read(folder: Path) -> None:
    assert "1 to 500 MIDI files, not 0" in run("learn-style", "mine").output
    assert "is there already" in run("learn-style", "house", "in.mid").output
    assert "own is no folder that holds a MIDI file" in run("learn-style", "mine", "--folder", "own").output
    assert run("learn-style", "mine", "nowhere.mid").exit_code == 1


def test_a_feel_is_saved_listed_lent_and_exported(folder: Path) -> None:
    assert run("feel", "save", "push", "clips/0.mid").exit_code == 0
    assert run("feel", "list").output.split() == ["push"]
    assert run("groove", "in.mid", "push", "-o", "out.mid").exit_code == 0
    assert len(clip_from_midi(folder / "out.mid").notes) == len(beat(2).notes)
    assert run("feel", "export", "push", "groove.mid").exit_code == 0
    assert len(clip_from_midi(folder / "groove.mid").notes) == len(beat(4).notes)
    assert "groove.mid is there already" in run("feel", "export", "push", "groove.mid").output
    assert "there is no feel 'pull'; there are: push" in run("feel", "export", "pull", "x.mid").output


def test_asked_against_came_is_drawn(folder: Path) -> None:
    shown = run(
        "humanize", "in.mid", "--late", "1", "--late.snare", "-1", "--tightness", "0,1", "-o", "o.mid"
    ).output
    assert "asked +1.0, came +1.0" in shown
    assert "late.snare" in shown
    assert "tightness 2" in shown
    assert "a spread of" in shown


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    result = run("humanize", "in.mid", "--late", "much")
    assert result.exit_code == 1
    assert "late takes a number, or one a bar as 0,0,1,2, not 'much'" in result.stderr


def test_beside_files_a_feel_may_stand_behind_its_key() -> None:
    commands = typer.main.get_command(cli.app)
    assert isinstance(commands, TyperGroup)
    parameters = commands.commands["groove"].params
    for words in (["in.mid", "feel", "push", "timing", "0.5"], ["in.mid", "push", "timing", "0.5"]):
        assert list(as_flags(words, parameters)) == ["in.mid", "push", "--timing=0.5"]
