"""The pictures of a model of phrases: how like each other the bars of a phrase are, and 16 bars as a score."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.phrases.samples import Hits
from engine.evaluation.pictures import LINE, OURS, PLAYED, panels_of, save_picture
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.measures import similarity
from engine.representation.tokens import STEPS_PER_BAR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4
"""Phrases of each kind."""

BARS_IN_A_ROW = 4


def draw_phrase_pictures(folder: Path, *, played: Hits, ours: Hits) -> list[Path]:
    """Write repetition.png and score.png of phrases of 16 bars; EngineError if matplotlib is not there."""
    figures = {"repetition": draw_repetition(played, ours), "score": draw_score(ours[0])}
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        save_picture(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def self_similarity(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How like each other the bars of a phrase (bar, 16, 9) are: (bar, bar)."""
    return similarity(hits[:, None], hits[None])


def draw_repetition(played: Hits, ours: Hits) -> "Figure":
    """The self-similarity of some phrases: played above, ours below."""
    count = min(SHOWN, len(played), len(ours))
    figure, panels = panels_of(2, count, height_inches=4.6)
    for row, phrases, name in zip(panels, (played, ours), ("played", "ours"), strict=True):
        for axes, hits in zip(row, phrases, strict=False):
            ends = (0.5, len(hits) + 0.5)
            axes.imshow(self_similarity(hits), vmin=0, vmax=1, cmap="cividis", extent=(*ends, *ends[::-1]))
            axes.set_xticks(range(1, len(hits) + 1, 4))
            axes.set_yticks(range(1, len(hits) + 1, 4))
        row[0].set_ylabel(f"{name}: bar")
    figure.suptitle("Repetition: how many of the hits of two bars they share, dark none, bright all", fontsize=10)
    return figure


def draw_score(hits: NDArray[np.bool_]) -> "Figure":
    """The hits of one phrase (bar, 16, 9), four bars in a row; those that were there a bar before are blue."""
    rows = -(-len(hits) // BARS_IN_A_ROW)
    figure, panels = panels_of(rows, 1, height_inches=1.7 * rows + 0.6)
    again = np.concatenate([np.zeros_like(hits[:1]), hits[1:] & hits[:-1]])
    for row, axes in enumerate(panels[:, 0]):
        bars = slice(row * BARS_IN_A_ROW, (row + 1) * BARS_IN_A_ROW)
        for shown, colour in ((hits[bars] & ~again[bars], OURS), (again[bars], PLAYED)):
            step, drum = np.nonzero(shown.reshape(-1, CLASSES))
            axes.scatter(step, drum, s=11, marker="s", color=colour, linewidths=0)
        for beat in range(0, BARS_IN_A_ROW * STEPS_PER_BAR + 1, 4):
            width = 0.5 if beat % STEPS_PER_BAR else 1.4
            axes.axvline(beat - 0.5, color=LINE, linewidth=width, zorder=0)
        axes.set_yticks(range(CLASSES), [name.replace("_", " ") for name in INSTRUMENTS], fontsize=7)
        axes.set_xticks([])
        axes.set_ylabel(f"bar {bars.start + 1}", fontsize=9)
    figure.suptitle("A sample: what is as it was a bar before is blue, what is new orange", fontsize=10)
    return figure
