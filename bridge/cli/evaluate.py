"""evaluate: every figure of a model's card, as tables."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.models import Data, open_library
from engine.errors import ModelError

if TYPE_CHECKING:
    from rich.table import Table

    from engine.evaluation.feel import Steering
    from engine.evaluation.report import Report
    from engine.weights import Library

Examples = Annotated[
    Path | None,
    typer.Option(
        help="write there instead what can be heard: of grooves a page that asks who drums, of phrases files",
        show_default=False,
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(help="draw timing, velocity and z there instead, played and ours", show_default=False),
]


FAMILIES = ("groovae", "phrase", "band")
"""Of models that are evaluated where none is named."""

SOUND = "score"
"""The family of models that are evaluated where they are named, on sound."""

WIDEST = 180
"""Columns of the widest table; a narrower terminal breaks its lines, and nothing is cut."""

FIGURES = {
    "timing_mae_ms": "timing MAE (ms)",
    "timing_mse": "timing MSE",
    "velocity_mae": "velocity MAE",
    "velocity_mse": "velocity MSE",
    "timing_kl": "timing KL",
    "velocity_kl": "velocity KL",
    "auc": "judges' AUC",
}
"""The columns of the humanizing table."""

HEARING = ("hats not given", "hats given", "lower by")


def evaluate(
    data: Data,
    models: Annotated[
        list[str] | None,
        typer.Argument(help="which models of grooves, phrases or bands, else all; or of sound", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="validation or test")] = "validation",
    judges: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="how many learn to tell ours from played; 0: none, which is much faster; else 5, of phrases 3",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same figures")] = 0,
    examples: Examples = None,
    pictures: Pictures = None,
    knobs: Annotated[
        bool, typer.Option("--knobs", help="measure instead whether the attributes that are asked for come")
    ] = False,
) -> None:
    """How far from the drummers our models and simple baselines play, each figure with its 95 % interval.

    Of models of phrases: how they repeat, what comes back from z, what bars cost, copies, judges of whole patterns;
    of bands also what parts cost beside each other. Of models of sound: what comes back beside Opus, what is
    foreseen beside the mean and the past, and noise against the number of songs, our network beside one layer.
    """
    from rich.text import Text

    from bridge.cli.show import console
    from bridge.escapes import shown
    from engine.evaluation.bands.report import evaluate_bands
    from engine.evaluation.knobs import evaluate_knobs
    from engine.evaluation.phrases.report import evaluate_phrases
    from engine.evaluation.report import evaluate as report_on
    from engine.evaluation.showing import show
    from engine.evaluation.sound.report import evaluate_sound

    library, screen = open_library(), console()
    named = models or [name for name, card in library.cards.items() if card.family in FAMILIES]
    if knobs:
        named = _with_attributes(library, models)
    phrases, bands = ([name for name in named if library.card(name).family == each] for each in FAMILIES[1:])
    sounds = [name for name in named if library.card(name).family == SOUND]
    grooves = [name for name in named if name not in (*phrases, *bands, *sounds)]
    screen.width = max(screen.width, WIDEST)
    with screen.status("reading the data") as status:
        settings: dict[str, Any] = {
            "data": data,
            "library": library,
            "split": split,
            "seed": seed,
            "on_progress": lambda text: status.update(Text(shown(text))),
        }
        tables: Iterable[Table | str]
        if examples or pictures:
            tables = map(str, show(models=named, examples=examples, pictures=pictures, **settings))
        elif knobs:
            settings |= {} if judges is None else {"judges": judges}
            measured = evaluate_knobs(models=named, **settings)
            tables = (_table(part.title, part.columns, part.rows) for part in measured)
        else:
            of_sound = evaluate_sound(models=sounds, **settings) if sounds else ()
            settings |= {} if judges is None else {"judges": judges}
            of_bands = evaluate_bands(models=bands, **settings) if bands else ()
            parts = report_on(models=grooves, **settings) if grooves else ()
            of_phrases = evaluate_phrases(models=phrases, **settings) if phrases else ()
            tables = chain(
                (table for part in parts for table in _tables(part)),
                (_table(part.title, part.columns, part.rows) for part in chain(of_phrases, of_bands, of_sound)),
            )
        for table in tables:
            screen.print(table)


def _with_attributes(library: "Library", models: list[str] | None) -> list[str]:
    """The models that are named, else all of which attributes can be asked; ModelError where one has none."""
    for name in models or ():
        if not library.card(name).attributes:
            raise ModelError(
                f"{name} has no attributes; of melodies, drums or trios "
                f"`vaebridge weights attributes {name} --data CORPUS` learns them"
            )
    return models or [name for name, card in library.cards.items() if card.attributes]


def _tables(report: "Report") -> "Iterable[Table | str]":
    title = f"humanize: {report.windows} 2-bar windows of the {report.split} split, {report.hits} hits"
    if report.humanize:
        rows = ((row.name, *(getattr(row, field) for field in FIGURES)) for row in report.humanize)
        yield _table(title, ("", *FIGURES.values()), rows)
    for name, likelihood in report.likelihood.items():
        yield f"{name}: {likelihood.joint} nats a hit; each hit without its past {likelihood.alone}"
    for name, aucs in report.judges.items():
        yield f"{name}, judges' AUC: " + ", ".join(f"{kind} {auc}" for kind, auc in aucs.items())
    for name, steering in report.steering.items():
        yield from _steering_tables(name, steering)
    if report.hearing:
        columns = (f"{error}, {what}" for error in ("timing MAE (ms)", "velocity MAE") for what in HEARING)
        rows = ((row.name, str(row.temperature), *row.timing, *row.velocity, row.auc) for row in report.hearing)
        yield _table("all drums but the hats", ("", "temperature", *columns, "judges' AUC"), rows)
    if report.completion:
        yield _table(
            "which drums are hit",
            ("", "task", "hit F1, drawn", "hit F1, temperature 0", "judges' AUC"),
            ((row.name, row.task, row.f1, row.f1_mean, row.auc) for row in report.completion),
        )


def _steering_tables(name: str, steering: "Steering") -> "Iterable[Table]":
    yield _table(
        f"{name}: the share of the variance that temperature 0 explains, with a z of",
        ("", "offset", "velocity"),
        ((source, *shares) for source, shares in steering.explained.items()),
    )
    yield _table(
        f"{name}: correlation of the result's feel with that of the clip or style it was given",
        ("", "groove", "humanize, to compare", "styles"),
        ((feel, *pair, steering.style.get(feel)) for feel, pair in steering.groove.items()),
    )
    ways = {"interpolate": steering.interpolate, "vary": steering.vary}
    rows = (
        (f"{verb}: {what}", *values)
        for verb, way in ways.items()
        for what, values in zip(("hits that differ", "way of the feel"), way, strict=True)
    )
    yield _table(f"{name}: from a clip, 0, to the other end, 1", ("", "0", ".25", ".5", ".75", "1"), rows)


def _table(title: str, columns: Iterable[str], rows: "Iterable[Iterable[object]]") -> "Table":
    from bridge.cli.show import table

    return table(columns, (map(_cell, row) for row in rows), title)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
