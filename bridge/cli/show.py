"""What the command line shows: rolls, tables, and a line for each file that was written.

What it is given to show is text, never markup, and never acts on the terminal.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from bridge.cli.dials import Scales, dials
from bridge.cli.piano_roll import ASCII, BLOCKS, Glyphs, compare, draw
from bridge.escapes import shown
from engine.clip import Clip
from engine.representation.drum_map import GENERAL_MIDI, DrumMap
from engine.requests import Results


class Screen(Console):
    """A terminal, or plain text where there is none; a text that is printed is one line."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts as they are, and what knows how to show itself."""
        super().print(*(shown(each) if isinstance(each, str) else each for each in objects), **options)


def console(file: IO[str] | None = None, *, stderr: bool = False) -> Screen:
    """The terminal, or plain text where there is none."""
    return Screen(file=file, stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def warn(problems: Iterable[str]) -> None:
    """Say on stderr what is wrong but keeps nobody from going on, each once."""
    for problem in dict.fromkeys(problems):
        console(stderr=True).print(f"vaebridge: {problem}", style="red")


@contextlib.contextmanager
def stdout_of_its_own() -> Iterator[IO[str]]:
    """stdout for a thread that may be stuck in it for ever: sys.stdout itself Python would wait for at its end."""
    number = os.dup(sys.stdout.fileno()) if sys.stdout else os.open(os.devnull, os.O_WRONLY)
    with os.fdopen(number, "w", encoding=getattr(sys.stdout, "encoding", None), errors="backslashreplace") as file:
        yield file


def table(columns: Iterable[Column | str], rows: Iterable[Iterable[str]], title: str | None = None) -> Table:
    """Texts in columns."""
    made = Table(*columns, box=None, title=title and Text(shown(title)), title_justify="left")
    for row in rows:
        made.add_row(*(Text(shown(cell)) for cell in row))
    return made


def show_clip(clip: Clip, *, drum_map: DrumMap = GENERAL_MIDI) -> None:
    """A clip as a piano roll."""
    screen = console()
    screen.print(draw(clip, width=screen.width, glyphs=_glyphs(screen), drum_map=drum_map), end="")


def show_change(
    before: Clip, after: Clip, screen: Console | None = None, *, drum_map: DrumMap = GENERAL_MIDI
) -> None:
    """A clip before and after it was played."""
    screen = screen or console()
    picture = compare(before, after, width=screen.width, glyphs=_glyphs(screen), drum_map=drum_map)
    screen.print(picture, end="")


def show_results(results: Sequence[Results], targets: Sequence[Path], remarks: Sequence[str] = ()) -> None:
    """Where it was written, how it was made, and what the engine, and whoever wrote it, remark."""
    screen, first = console(), results[0]
    for target in targets:
        screen.print(str(target), style="bold")
    taps = ", as taps" if first.as_taps else ""
    ms = sum(each.ms for each in results)
    screen.print(f"model {first.model}, seed {first.seed}, {ms:.1f} ms{taps}")
    for remark in dict.fromkeys([*(remark for each in results for remark in each.remarks), *remarks]):
        screen.print(remark, style="yellow")


def show_dials(asked: Mapping[str, tuple[float, ...]], came: Mapping[str, float | str], scales: Scales) -> None:
    """What was asked of attributes against what came."""
    screen = console()
    for line in dials(asked, came, scales, ascii_only=_glyphs(screen) is ASCII):
        screen.print(line)


def _glyphs(screen: Console) -> Glyphs:
    return BLOCKS if screen.encoding.lower().startswith("utf") else ASCII
