"""Styles and feels of the user's own: learn, list, forget; save, list, export."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.desk import Desk
from engine.errors import ClipError, MidiFileError
from engine.representation.attributes import ATTRIBUTES, FEEL
from engine.requests import LearnStyle

if TYPE_CHECKING:
    from engine.clip import Clip
    from engine.styles import OwnStyle
    from engine.weights import Card

MOST_CLIPS = 500
MIDI = (".mid", ".midi")

feels = typer.Typer(no_args_is_help=True, help="Feels with names, which groove lends: save, list, export.")
styles = typer.Typer(no_args_is_help=True, help="Styles of your own: list, forget; learn-style learns one.")

Name = Annotated[str, typer.Argument(help="a name: letters, digits, - and _", show_default=False)]
File = Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)]


def learn_style(
    desk: Desk,
    name: Name,
    sources: Annotated[list[Path] | None, typer.Argument(help="MIDI files of drums", show_default=False)] = None,
    folder: Annotated[
        Path | None, typer.Option(help="all MIDI files in this folder, and in those within", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="which drummer; else the default", show_default=False)] = None,
) -> None:
    """Learn a style of your own from 1 to 500 clips of drums; then --style NAME works wherever a style does."""
    from bridge.cli.show import console
    from engine.styles import own_styles

    paths = [*(sources or []), *_files_in(folder)]
    if not 1 <= len(paths) <= MOST_CLIPS:
        raise ClipError(f"a style is learnt from 1 to {MOST_CLIPS} MIDI files, not {len(paths)}")
    began = time.perf_counter()
    clips = tuple(clip for path in paths for clip in _drums(desk, path, forgiving=path not in (sources or [])))
    names = tuple(path.name for path in paths)
    desk.run(LearnStyle(name=name, clips=clips, sources=names, model=model))
    screen, style = console(), own_styles(desk.config.styles_folder)[name]
    screen.print(f"{style.name}: {style.bars} bars of {style.clips} clips, {time.perf_counter() - began:.1f} s")
    screen.print(f"nearest to {style.near}, {style.distance:.2f} of its deviations away, in the z of {style.model}")
    screen.print(_figures(style))


def _figures(style: "OwnStyle") -> str:
    """Its attributes, in deviations of the model's data."""
    return ", ".join(f"{each} {style.feel[each]:+.2f}" for each in FEEL if each in style.feel)


def _files_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI)
    if not found:
        raise MidiFileError(f"{folder} is no folder that holds a MIDI file")
    return found


def _drums(desk: Desk, path: Path, *, forgiving: bool) -> "list[Clip]":
    """The drums of a file; one of a folder that cannot be read is told, and left out."""
    from bridge.cli.show import warn

    try:
        return list(desk.song(path).clips)
    except MidiFileError as error:
        if not forgiving:
            raise
        warn([str(error)])
        return []


@styles.command("list")
def list_styles() -> None:
    """Every style that can be named: the drummer's, players, programmed music, your own."""
    from rich.table import Column

    from bridge.cli.desk import default_model
    from bridge.cli.show import console, table
    from bridge.config import Config
    from engine.styles import PROGRAMMED, own_styles
    from engine.weights import Library

    config = Config()
    library = Library(config.weight_folders)
    card, own = library.card(default_model(config, library, "humanize")), own_styles(config.styles_folder)
    rows = [
        (name, *_units(card, card.feels.get(name)), "a player" if name.startswith("drummer") else "a style")
        for name in card.styles
    ]
    rows += [(name, *_units(card, None), f"{about.told}; programmed") for name, about in PROGRAMMED.items()]
    for name, style in own.items():
        known = [style.feel.get(each, float("nan")) for each in FEEL]
        rows.append((name, *_units(card, known), f"your own: {style.bars} bars, near {style.near}"))
    columns = [Column(each, no_wrap=True) for each in ("style", *FEEL)]
    units = ", ".join(f"{each} in {ATTRIBUTES[each].unit}" for each in FEEL)
    console().print(table([*columns, "what"], rows, f"{card.name}: the mean feel of each; {units}"))


def _units(card: "Card", feel: "list[float] | None") -> tuple[str, ...]:
    """A feel in deviations in the units of its attributes."""
    if not feel or not card.attributes:
        return ("",) * len(FEEL)
    scales = (card.attributes[each] for each in FEEL)
    values = (mean + value * deviation for value, (mean, deviation) in zip(feel, scales, strict=True))
    return tuple(f"{round(value, 2) + 0.0:.2f}" for value in values)  # -0 is 0


@styles.command("forget")
def forget(name: Name) -> None:
    """Remove a style of your own."""
    from bridge.config import Config
    from engine.styles import forget_style

    forget_style(Config().styles_folder, name)


def save_feel(desk: Desk, name: Name, source: File) -> None:
    """Keep the feel of a file's drums, such as a DAW's groove clip, under a name: `groove FILE NAME` lends it."""
    from bridge.cli.show import console
    from bridge.feels import Feels

    console().print(str(Feels(desk.config.feels_folder).save(name, desk.song(source).clip)))


@feels.command("list")
def list_feels() -> None:
    """The feels that are kept."""
    from bridge.cli.show import console
    from bridge.config import Config
    from bridge.feels import Feels

    for name in Feels(Config().feels_folder).names():
        console().print(name)


@feels.command("export")
def export(name: Name, target: File) -> None:
    """Write a feel as a MIDI file, a groove clip that any DAW reads."""
    from bridge.config import Config
    from bridge.feels import Feels

    config = Config()
    Feels(config.feels_folder)[name]
    if target.exists():
        raise MidiFileError(f"{target} is there already: name another")
    shutil.copyfile(config.feels_folder / f"{name}.mid", target)
