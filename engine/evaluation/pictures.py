"""The pictures of a model card: how late and how loud, played and ours, and where feels lie in z.

Needs matplotlib (the extra `pictures`). In the pictures late is positive, in the groove array early is.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.data.windows import STEPS_PER_BAR, Windows
from engine.errors import EngineError
from engine.evaluation.hits import Hits, Values, hits_of
from engine.files import replacing
from engine.representation.drum_map import INSTRUMENTS
from engine.representation.groove import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRUMS = tuple(INSTRUMENTS.index(name) for name in ("kick", "snare", "closed_hat", "ride"))
"""The drums that are shown: five of six hits."""

STYLES, NAMES, POINTS = 6, 7, 2500
"""How many styles have velocity profiles; how many names have a colour and windows a dot among the feels."""

FEWEST = 20
"""With fewer hits a place in the bar shows nothing."""

PLAYED, OURS, OTHERS, LINE = "#0072B2", "#D55E00", "#BBBBBB", "#DDDDDD"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which colour-blind people tell apart."""
MARKERS = "os^DvPX"

WIDTH_INCHES, DOTS_PER_INCH = 8.0, 150


@dataclass(frozen=True, slots=True)
class Profile:
    """Mean, standard deviation and number of the values at each sixteenth of the bar, [16]; nan where too few."""

    mean: Values
    spread: Values
    hits: NDArray[np.int64]


def draw_pictures(folder: Path, *, played: Windows, ours: Windows, z: Array, feels: Windows) -> list[Path]:
    """Write timing.png, velocity.png and feel.png; z [window, feel] are the feels of those last windows.

    EngineError if matplotlib is not there.
    """
    pictures = {
        "timing": draw_timing(played, ours),
        "velocity": draw_velocity(played, ours),
        "feel": draw_feels(z, feels),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in pictures.items():
        paths.append(folder / f"{name}.png")
        save_picture(figure, paths[-1])
    return paths


def lateness_ms(hits: Hits) -> Values:
    """How many ms after the grid each hit sounds."""
    late: Values = -hits.offset * 7500 / hits.tempo_bpm
    return late


def profile(values: Values, position: NDArray[np.int64], fewest: int = FEWEST) -> Profile:
    """Values [hit] by their position 0..15 [hit] in the bar."""
    mean, spread = (np.full(STEPS_PER_BAR, np.nan) for _ in range(2))
    hits = np.bincount(position, minlength=STEPS_PER_BAR)
    for place in np.flatnonzero(hits >= fewest):
        here = values[position == place]
        mean[place], spread[place] = here.mean(), here.std()
    return Profile(mean, spread, hits)


def principal_axes(z: Values) -> tuple[Values, Values]:
    """z [window, z] on its two principal axes, [window, 2], and the share of the variance on each, [2]."""
    centred = z - z.mean(axis=0)
    left, size, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    return left[:, :2] * size[:2], size[:2] ** 2 / (size**2).sum()


def most_frequent(index: NDArray[np.int64], names: Sequence[str], count: int) -> list[int]:
    """The indices of the names that most windows have, the most frequent first; -1 is none."""
    often = np.bincount(index[index >= 0], minlength=len(names))
    return [int(each) for each in np.argsort(-often, kind="stable")[:count] if often[each]]


def draw_timing(played: Windows, ours: Windows) -> "Figure":
    """The distribution of lateness at each sixteenth: played to the left, ours to the right."""
    figure, panels = panels_of(len(DRUMS), 1, height_inches=7.4)
    rows = [hits_of(windows) for windows in (played, ours)]
    reach = _reach(np.concatenate([lateness_ms(hits) for hits in rows]))
    tempo_bpm = float(np.median(played.tempo_bpm))
    for drum, axes in zip(DRUMS, panels[:, 0], strict=True):
        for hits, side, colour in zip(rows, (-1, 1), (PLAYED, OURS), strict=True):
            own = hits.drum == drum
            _half_violins(axes, lateness_ms(hits)[own], hits.step[own] % STEPS_PER_BAR, side, colour, reach)
        axes.axhline(0, color="#666666", linewidth=0.8, zorder=0)
        axes.set_ylim(-reach, reach)
        _places(axes)
        _sixteenths(axes, tempo_bpm)
        _title(axes, INSTRUMENTS[drum].replace("_", " "))
    figure.supylabel("ms late", fontsize=10)
    panels[-1, 0].set_xlabel("sixteenth of the bar")
    _legend(figure, f"Timing: ms after the grid (right: sixteenths at {tempo_bpm:.0f} bpm); each line is a median")
    return figure


def draw_velocity(played: Windows, ours: Windows) -> "Figure":
    """Mean velocity ± standard deviation at each sixteenth, a row for each of the most frequent styles."""
    styles = most_frequent(played.style, played.style_names, STYLES) or [-1]
    drums = DRUMS[:3]
    figure, panels = panels_of(len(styles), len(drums), height_inches=1.15 + 1.2 * len(styles))
    for row, style in zip(panels, styles, strict=True):
        for windows, shift, colour in zip((played, ours), (-0.18, 0.18), (PLAYED, OURS), strict=True):
            hits = hits_of(windows[np.flatnonzero(windows.style == style)])
            for drum, axes in zip(drums, row, strict=True):
                own = hits.drum == drum
                _dots(axes, profile(hits.velocity[own] * 127, hits.step[own] % STEPS_PER_BAR), shift, colour)
        for axes in row:
            axes.set_ylim(-4, 136)
            axes.set_yticks([0, 64, 127])
            _places(axes)
        row[0].set_ylabel(played.style_names[style] if style >= 0 else "all")
    for drum, axes in zip(drums, panels[0], strict=True):
        _title(axes, INSTRUMENTS[drum].replace("_", " "))
    for axes in panels[-1]:
        axes.set_xlabel("sixteenth of the bar")
    figure.supylabel("velocity", fontsize=10)
    _legend(figure, "Velocity: mean ± standard deviation, by style")
    return figure


def draw_feels(z: Array, windows: Windows) -> "Figure":
    """The feels of windows on their two principal axes, by style and by drummer."""
    figure, panels = panels_of(1, 2, height_inches=5.4)
    points, share = principal_axes(z)
    shown = np.random.default_rng(0).permutation(len(points))[:POINTS]
    for axes, title, index, names in (
        (panels[0, 0], "by style", windows.style, windows.style_names),
        (panels[0, 1], "by drummer", windows.drummer, windows.drummer_names),
    ):
        _cloud(axes, points[shown], index[shown], names)
        _title(axes, title)
        axes.set_xlabel(f"principal axis 1 of z, {100 * share[0]:.0f} % of the variance")
    panels[0, 0].set_ylabel(f"principal axis 2 of z, {100 * share[1]:.0f} % of the variance")
    figure.suptitle(f"Feel: where {len(shown)} played windows lie in z; each large mark is a mean", fontsize=10)
    return figure


def _half_violins(
    axes: "Axes", values: Values, position: NDArray[np.int64], side: int, colour: str, reach: float
) -> None:
    """A density for each sixteenth on one side of its place, as wide as its mode is high, and its median."""
    edges = np.linspace(-reach, reach, 81)
    middle = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2) ** 2)
    for place in range(STEPS_PER_BAR):
        here = values[position == place]
        if len(here) >= FEWEST:
            density = np.convolve(np.histogram(here, edges)[0], kernel, mode="same")
            width = side * 0.42 * density / max(1e-9, density.max())
            seen = density > density.max() / 200
            axes.fill_betweenx(
                middle, place, place + width, where=seen.tolist(), color=colour, alpha=0.65, linewidth=0
            )
            median = float(np.median(here))
            axes.plot([place, place + side * 0.42], [median, median], color=colour, linewidth=1.6)


def _dots(axes: "Axes", values: Profile, shift: float, colour: str) -> None:
    place = np.arange(STEPS_PER_BAR) + shift
    axes.errorbar(
        place, values.mean, yerr=values.spread, fmt="o", color=colour, markersize=2.6, linewidth=1.0, capsize=0
    )


def _cloud(axes: "Axes", points: Values, index: NDArray[np.int64], names: Sequence[str]) -> None:
    """Dots in the colour and shape of their name, a large one at each name's mean; rare names are grey."""
    shown = most_frequent(index, names, NAMES)
    rest = ~np.isin(index, shown)
    if rest.any():
        axes.scatter(points[rest, 0], points[rest, 1], s=8, color=OTHERS, alpha=0.6, linewidths=0, label="others")
    for name, colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
        own = points[index == name]
        axes.scatter(own[:, 0], own[:, 1], s=8, alpha=0.45, linewidths=0, color=colour, marker=marker)
    for name, colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
        x, y = points[index == name].mean(axis=0)
        look = {"color": colour, "marker": marker, "label": names[name]}
        axes.scatter(x, y, s=75, edgecolors="white", linewidths=1.2, zorder=3, **look)  # type: ignore[arg-type]
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize=9)


def panels_of(rows: int, columns: int, *, height_inches: float) -> "tuple[Figure, NDArray[np.object_]]":
    """An empty figure and its axes [row, column]; EngineError if matplotlib is not there."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EngineError("pictures need matplotlib: pip install 'vaebridge[pictures]'") from error
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)
    return figure, panels


def _places(axes: "Axes") -> None:
    """Beats are numbered, each sixteenth has its line."""
    axes.set_xlim(-0.6, STEPS_PER_BAR - 0.4)
    axes.set_xticks(range(STEPS_PER_BAR), [str(step + 1) if step % 4 == 0 else "" for step in range(STEPS_PER_BAR)])
    for beat in range(0, STEPS_PER_BAR, 4):
        axes.axvline(beat, color=LINE, linewidth=0.8, zorder=0)


def _sixteenths(axes: "Axes", tempo_bpm: float) -> None:
    """A second scale at the right."""
    share = tempo_bpm / 15000
    scale = axes.secondary_yaxis(
        "right", functions=(lambda ms: np.multiply(ms, share), lambda steps: np.divide(steps, share))
    )
    scale.tick_params(labelsize=9)
    scale.spines["right"].set_visible(False)


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, fontsize=10, loc="left")


def _legend(figure: "Figure", title: str) -> None:
    """What the picture is, and which colour is whose."""
    from matplotlib.patches import Patch

    figure.suptitle(title, fontsize=10)
    figure.legend(
        handles=[Patch(color=PLAYED, label="played"), Patch(color=OURS, label="ours")],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=10,
    )


def _reach(values: Values) -> float:
    """A round number of ms that 99 of 100 values lie within."""
    widest = np.quantile(np.abs(values), 0.99) if len(values) else 0.0
    return max(10.0, float(np.ceil(widest / 10) * 10))


def save_picture(figure: "Figure", path: Path) -> None:
    """A .png of few colours: a third of the size, and nobody sees it."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH)
    with Image.open(drawn) as picture:
        few = picture.convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE)
    with replacing(path) as beside:
        few.save(beside, "png", optimize=True)
