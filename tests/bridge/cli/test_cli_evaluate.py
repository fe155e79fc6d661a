from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.cli import main as cli
from engine.evaluation import report as reports
from engine.evaluation import showing
from engine.evaluation.bootstrap import Interval
from engine.evaluation.drums import Completion
from engine.evaluation.feel import FEEL, Steering
from engine.evaluation.figures import Figures
from engine.evaluation.hearing import Hearing
from engine.evaluation.likelihood import Likelihood
from engine.evaluation.phrases import report as phrase_report
from engine.evaluation.phrases.report import Table
from engine.evaluation.report import Report
from engine.weights import Card, write_weights


def about(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01)


REPORT = Report(
    split="validation",
    windows=12,
    hits=345,
    humanize=[Figures("quantised", *map(about, (22.6, 0.0415, 0.2, 0.05, 1.0, 2.0, 0.99)))],
    judges={"m": {"windows of 8 bars": about(0.61)}},
    likelihood={"m": Likelihood(joint=about(5.4), alone=about(6.3))},
    steering={
        "m": Steering(
            explained={"the window itself": (about(0.41), about(0.52))},
            groove={name: (about(0.71), about(0.02)) for name in FEEL},
            style={},
            interpolate=((0.0, 0.1, 0.2, 0.3, 0.4), (0.0, 0.25, 0.5, 0.75, 1.0)),
            vary=((0.0, 0.1, 0.2, 0.3, 0.4), (0.0, 0.25, 0.5, 0.75, 1.0)),
        )
    },
    hearing=[Hearing("drummer", 1, (about(27.1), about(23.5), about(0.13)), (about(0.21),) * 3, about(0.52))],
    completion=[Completion("bar histograms", "taps", about(0.45), about(0.47))],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of grooves, one of phrases and one of tokens."""
    for name, config, family in (
        ("m", "drummer", "groovae"),
        ("p", "drums_16bar", "phrase"),
        ("t", "x", "musicvae"),
    ):
        card = Card(
            name=name, config=config, family=family, bars=2, steps_per_bar=16, verbs=("humanize",), sha256=""
        )
        write_weights(tmp_path, {}, card)
    monkeypatch.setattr("bridge.config.shipped_folder", lambda: tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["evaluate", "--data", "groove.zip", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_figure_is_printed_with_its_interval(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def fake_evaluate(**settings: Any) -> list[Report]:
        told.update(settings)
        return [REPORT]

    monkeypatch.setattr(reports, "evaluate", fake_evaluate)
    output = run("m", "--judges", "2")
    for figure in (
        "22.6 (22.59..22.61)",
        "5.4 (",
        "6.3 (",
        "0.61 (",
        "0.41 (",
        "0.71 (",
        "0.750",
        "23.5 (",
        "0.45 (",
    ):
        assert figure in output
    assert (told["split"], list(told["models"]), told["judges"]) == ("validation", ["m"], 2)


def test_models_of_phrases_have_tables_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def fake_evaluate(**settings: Any) -> list[Table]:
        told.update(settings)
        return [Table("p: judges", ("", "AUC"), [("sample", about(0.57)), ("vary", None)])]

    monkeypatch.setattr(phrase_report, "evaluate_phrases", fake_evaluate)
    output = run("p", "--data", "band.zip")
    assert "p: judges" in output
    assert "0.57 (0.56..0.58)" in output
    assert (told["models"], list(map(str, told["data"]))) == (["p"], ["groove.zip", "band.zip"])
    assert "judges" not in told


def test_all_models_that_can_be_are_evaluated_where_none_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def fake_evaluate(*, models: list[str], **_: Any) -> list[Any]:
        told.extend(models)
        return []

    monkeypatch.setattr(reports, "evaluate", fake_evaluate)
    monkeypatch.setattr(phrase_report, "evaluate_phrases", fake_evaluate)
    run()
    assert told == ["m", "p"]


def test_a_model_without_attributes_is_told_how_it_learns_them(folder: Path) -> None:
    result = CliRunner().invoke(cli.app, ["evaluate", "t", "--data", "songs", "--knobs"])
    assert result.exit_code == 1
    assert "t has no attributes; of melodies" in result.stderr
    assert "`vaebridge weights attributes t --data CORPUS` learns them" in " ".join(result.stderr.split())


def test_what_is_written_to_be_heard_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "show", lambda **settings: [settings["examples"] / "[m]" / "index.html"])
    assert "heard/[m]/index.html" in run("--examples", "heard")
