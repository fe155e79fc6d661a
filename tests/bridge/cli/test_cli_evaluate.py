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
    """A folder with one model."""
    card = Card(
        name="m", config="drummer", family="groovae", bars=2, steps_per_bar=16, verbs=("humanize",), sha256=""
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
    output = run("--judges", "2")
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


def test_what_is_written_to_be_heard_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "show", lambda **settings: [settings["examples"] / "[m]" / "index.html"])
    assert "heard/[m]/index.html" in run("--examples", "heard")
