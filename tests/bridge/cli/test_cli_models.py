from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from typer.testing import CliRunner, Result

from bridge.cli import main as cli
from engine.learning import training
from engine.learning.training import Progress
from engine.weights import Card, sha256_of
from tests.engine.untrained import SMALL_PHRASES, small, write_random_weights

CARD = Card(
    name="m",
    config="c",
    family="f",
    bars=2,
    steps_per_bar=16,
    verbs=("sample",),
    sha256="",
    training={"validation": [3.5]},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one model whose file is what its card says; no other weights are shipped."""
    weights = tmp_path / "m.safetensors"
    weights.write_bytes(b"weights")
    with weights.open("rb") as file:
        card = asdict(CARD) | {"sha256": sha256_of(file)}
    (tmp_path / "m.toml").write_text(tomlkit.dumps(card), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bridge.config.shipped_folder", lambda: tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


def test_weights_are_listed_with_what_they_do(folder: Path) -> None:
    assert run("weights", "list").output.splitlines()[1].split() == [
        "m",
        "f",
        "2",
        "sample",
        f"{folder}/m.safetensors",
    ]


def test_a_card_is_shown_as_it_stands(folder: Path) -> None:
    assert run("weights", "show", "m").output == (folder / "m.toml").read_text(encoding="utf-8")


def test_weights_that_are_what_their_cards_say_are_verified(folder: Path) -> None:
    result = run("weights", "verify")
    assert (result.exit_code, result.output) == (0, "1 of 1 models are what their cards say\n")


def test_a_card_does_not_act_on_the_terminal(folder: Path) -> None:
    card = asdict(CARD) | {"name": "\x1b[2J[red]", "data": "C1: \x9b"}
    (folder / "x.toml").write_text(tomlkit.dumps(card), encoding="utf-8")
    assert r"\x1b[2J[red]" in run("weights", "list").output
    assert 'data = "C1: \\x9b"\n' in run("weights", "show", "\x1b[2J[red]").output


def test_attributes_that_are_learnt_are_told_and_asked_for_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.learning import constraints
    from engine.registry import find_config
    from engine.verbs.steering import learning_points

    for name in ("STEPS", "VALUE_STEPS"):
        monkeypatch.setattr(constraints, name, 2)
    monkeypatch.setattr(learning_points, "DRAWN", 8)
    monkeypatch.setattr("bridge.config.shipped_folder", lambda: tmp_path / "none")
    (tmp_path / "own").mkdir()
    write_random_weights(tmp_path / "own", "melody_2bar", "mine", **small(find_config("melody_2bar")))
    monkeypatch.setenv("VAEBRIDGE_WEIGHTS", str(tmp_path / "own"))
    songs = write_songs(tmp_path / "songs")
    result = run("weights", "attributes", "mine", "--data", str(songs))
    assert result.exit_code == 0, result.output
    assert "mine.steering.safetensors" in result.output
    assert run("weights", "verify").output == "1 of 1 models are what their cards say\n"
    asked = run("sample", "--model", "mine", "--density", "1", "--seed", "1", "-o", str(tmp_path / "a.mid"))
    assert asked.exit_code == 0, asked.output
    assert "asked +1.0, came" in asked.output
    (tmp_path / "own" / "mine.steering.safetensors").write_bytes(b"damaged")
    assert run("weights", "verify").exit_code == 1


def write_songs(folder: Path) -> Path:
    """Two songs of about 90 bars, each another walk, one of them to validate on."""
    import mido
    import numpy as np

    folder.mkdir()
    for number in range(2):
        rng, track = np.random.default_rng(number), mido.MidiTrack()
        for pitch, length in zip(rng.integers(55, 80, 600), rng.integers(1, 5, 600), strict=True):
            track.append(mido.Message("note_on", note=int(pitch)))
            track.append(mido.Message("note_off", note=int(pitch), time=24 * int(length)))
        song = mido.MidiFile(ticks_per_beat=96)
        song.tracks.append(track)
        song.save(folder / f"{number}.mid")
    (folder / "info.csv").write_text("midi_filename,split\n0.mid,train\n1.mid,validation\n")
    return folder


def test_a_damaged_file_fails_the_verification(folder: Path) -> None:
    (folder / "m.safetensors").write_bytes(b"damaged")
    result = run("weights", "verify")
    assert result.exit_code == 1
    assert "m.safetensors is damaged" in result.output


def test_an_unreadable_card_fails_the_verification(folder: Path) -> None:
    (folder / "x.toml").write_text("[", encoding="utf-8")
    assert run("weights", "verify").exit_code == 1


def test_an_unreadable_card_is_told_on_stderr(folder: Path) -> None:
    (folder / "x.toml").write_text("[", encoding="utf-8")
    for command in (("list",), ("show", "m"), ("verify",)):
        result = run("weights", *command)
        assert "x.toml is no readable card" in result.stderr
        assert "x.toml" not in result.stdout
    refused = run("weights", "show", "x")
    assert refused.exit_code == 1
    assert "x.toml is no readable card" in refused.stderr.splitlines()[-1]


def test_without_weights_it_is_said_how_to_get_some(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.config.shipped_folder", lambda: folder / "none")
    result = run("weights", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("vaebridge: there are no weights")


def test_the_doctor_fails_where_a_verb_has_no_model(folder: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 1
    assert "no model for humanize, drumify" in result.output


def test_train_passes_its_flags_on_and_tells_each_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def fake_train(config: str, **settings: Any) -> Card:
        settings.pop("on_progress")(Progress(1, 2, 1, 2, 9.0, float("nan"), 0.1))
        told.update(settings, config=config)
        return CARD

    monkeypatch.setattr(training, "train", fake_train)
    monkeypatch.setenv("VAEBRIDGE_DATA", "groove.zip")
    result = run("train", "drummer", "--epochs", "2", "--seed", "4")
    assert "epoch 1/2  loss 9.00" in result.output
    assert (told["config"], told["epochs"], told["seed"]) == ("drummer", 2, 4)
    assert (told["data"], told["out"]) == ([Path("groove.zip")], Path("runs/drummer"))
    assert told["command"] == "vaebridge train drummer --data groove.zip --seed 4 --epochs 2"


def test_the_card_is_told_all_that_the_command_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(training, "train", lambda config, **settings: told.update(settings) or CARD)
    write_random_weights(folder, "drums_16bar", "before", **SMALL_PHRASES)
    words = "--data songs.zip --seed 2 --max-windows 3 --from before --stage 3"
    result = run("train", "drums_16bar", *words.split())
    assert result.exit_code == 0, result.output
    assert told["command"] == f"vaebridge train drums_16bar {words}"
    assert told["stage"] == 3
