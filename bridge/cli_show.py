"""What the command line shows: rolls, and a line for each file that was written."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bridge.piano_roll import ASCII, BLOCKS, Glyphs, compare, draw
from engine.clip import Clip
from engine.requests import Results


def console() -> Console:
    """The terminal, or plain text where there is none."""
    return Console(highlight=False, soft_wrap=True)


def show_clip(clip: Clip) -> None:
    """A clip as a piano roll."""
    screen = console()
    screen.print(draw(clip, width=screen.width, glyphs=_glyphs(screen)), end="")


def show_change(before: Clip, after: Clip) -> None:
    """A clip before and after it was played."""
    screen = console()
    screen.print(compare(before, after, width=screen.width, glyphs=_glyphs(screen)), end="")


def show_results(results: Sequence[Results], targets: Sequence[Path]) -> None:
    """Where it was written, how it was made, and what the engine remarks."""
    screen, first = console(), results[0]
    for target in targets:
        screen.print(str(target), style="bold", markup=False)
    taps = ", as taps" if first.as_taps else ""
    ms = sum(each.ms for each in results)
    screen.print(f"model {first.model}, seed {first.seed}, {ms:.1f} ms{taps}")
    for remark in dict.fromkeys(remark for each in results for remark in each.remarks):
        screen.print(remark, style="yellow", markup=False)


def _glyphs(screen: Console) -> Glyphs:
    return BLOCKS if screen.encoding.lower().startswith("utf") else ASCII
