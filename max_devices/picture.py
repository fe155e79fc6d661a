"""A device as a musician sees it, drawn from its own layout: a Patcher to SVG. Plain shapes, no fonts inside."""

import math
import textwrap
from collections.abc import Callable, Iterator
from html import escape

from max_devices.parameter import Parameter
from max_devices.patcher import DEVICE_HEIGHT, Box, Patcher, Rect

TITLE_HEIGHT = 20
FONT_SIZE = 9.5
CHARACTER_WIDTH, LINE_HEIGHT = 4.9, 11.5
"""Of Live's font at that size, about: for the lines of a text."""

SURFACE, FRAME, TEXT = "#b4b4b4", "#5a5a5a", "#0d0d0d"
TITLE, FIELD, CONTROL, TRACK = "#8f8f8f", "#d8d8d8", "#c3c3c3", "#8a8a8a"
CHOSEN, ARC, GREEN = "#ffb532", "#0aa5c9", "#2fbf57"
ON_CHOSEN = "#0c0c0c"

DARK = {
    **{SURFACE: "#363636", FRAME: "#151515", TEXT: "#d2d2d2"},
    **{TITLE: "#262626", FIELD: "#1f1f1f", CONTROL: "#474747", TRACK: "#5c5c5c"},
}
"""What these colours are in Live's dark theme, which a picture shows to whoever reads in the dark."""

SHOWING = {"line": "Connected: drummer 9 ms.", "result": "2 of 8"}
"""What js writes there when all is well."""

DIAL_RADIUS, DIAL_START, DIAL_SWEEP = 11, 225, 270
"""Pixels and degrees: from bottom left over the top to bottom right."""


def draw(patcher: Patcher, name: str) -> str:
    """The SVG of a device under its title bar."""
    width, height = patcher.width, DEVICE_HEIGHT + TITLE_HEIGHT
    seen = ((box, box.shown) for box in patcher.boxes if box.shown and not box.attributes.get("hidden"))
    shapes = [shape for box, rect in seen for shape in SHAPES[box.object_name](box, rect)]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}"'
            f' font-family="Helvetica, Arial, sans-serif" font-size="{FONT_SIZE}">',
            f"<title>{escape(name)}</title>",
            f"<style>@media (prefers-color-scheme: dark) {{{_dark()}}}</style>",
            _rect((0, 0, width, height), SURFACE, frame=FRAME, rounded=4),
            _rect((0, 0, width, TITLE_HEIGHT), TITLE, rounded=4),
            f'<circle cx="11" cy="10" r="4.5" fill="{CHOSEN}" stroke="{FRAME}"/>',
            _words(name, 21, 13.5, bold=True),
            f'<g transform="translate(0 {TITLE_HEIGHT})">',
            *shapes,
            "</g>",
            "</svg>\n",
        )
    )


def _dark() -> str:
    return "".join(
        f'[{kind}="{light}"]{{{kind}:{dark}}}' for kind in ("fill", "stroke") for light, dark in DARK.items()
    )


def _dial(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    middle, centre = left + width / 2, top + height / 2 + 2
    parameter, value = _value(box)
    part = (value - parameter.low) / (parameter.high - parameter.low)
    yield _words(parameter.short_name, middle, top + 8, align=1)
    yield _arc(middle, centre, 1.0, TRACK)
    if part > 0:
        yield _arc(middle, centre, part, ARC)
    x, y = _on_dial(middle, centre, part)
    yield f'<path d="M{middle:.1f} {centre:.1f}L{x} {y}" stroke="{TEXT}" stroke-width="1.5"/>'
    yield _words(f"{value:.2f}", middle, top + height - 1, align=1)


def _number(box: Box, rect: Rect) -> Iterator[str]:
    parameter, value = _value(box)
    yield _rect(rect, FIELD, frame=FRAME)
    yield _words(f"{value:.0f}" if parameter.whole else f"{value:.2f}", *_middle(rect), align=1)


def _menu(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    parameter, value = _value(box)
    yield _rect(rect, FIELD, frame=FRAME)
    yield _words(parameter.items[int(value)], left + 5, _middle(rect)[1])
    x, y = left + width - 9, top + height / 2
    yield f'<path d="M{x - 3} {y - 2}h6l-3 4z" fill="{TEXT}"/>'


def _tabs(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    parameter, value = _value(box)
    each = width / len(parameter.items)
    for index, item in enumerate(parameter.items):
        cell = (left + index * each + 1, top, each - 2, height)
        yield _rect(cell, CHOSEN if index == value else CONTROL, frame=FRAME, rounded=2)
        yield _words(item, *_middle(cell), align=1, fill=ON_CHOSEN if index == value else TEXT)


def _button(box: Box, rect: Rect) -> Iterator[str]:
    down = box.attributes["mode"] == 1 and _value(box)[1] == 1
    yield _rect(rect, CHOSEN if down else CONTROL, frame=FRAME, rounded=2)
    yield _words(box.attributes["text"], *_middle(rect), align=1, fill=ON_CHOSEN if down else TEXT)


def _text(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, _ = rect
    align = box.attributes.get("textjustification", 0)
    text = SHOWING.get(box.name, box.attributes["text"])
    for index, line in enumerate(textwrap.wrap(text, int(width / CHARACTER_WIDTH))):
        x = left + (3, width / 2, width - 3)[align]
        yield _words(line, x, top + 11 + index * LINE_HEIGHT, align=align)


def _light(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    x, y, radius = left + width / 2, top + height / 2, width / 2 - 1
    yield f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{GREEN}" stroke="{FRAME}"/>'


def _line(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    yield f'<path d="M{left + width / 2} {top}v{height}" stroke="{TRACK}"/>'


def _pad(box: Box, rect: Rect) -> Iterator[str]:
    left, top, width, height = rect
    x, y = left + width / 2, top + height / 2
    yield _rect(rect, FIELD, frame=FRAME)
    yield f'<path d="M{x} {top}v{height}M{left} {y}h{width}" stroke="{CONTROL}"/>'
    yield f'<circle cx="{x}" cy="{y}" r="7" fill="{CHOSEN}" stroke="{FRAME}"/>'


SHAPES: dict[str, Callable[[Box, Rect], Iterator[str]]] = {
    "led": _light,
    "live.comment": _text,
    "live.dial": _dial,
    "live.line": _line,
    "live.menu": _menu,
    "live.numbox": _number,
    "live.tab": _tabs,
    "live.text": _button,
    "pictslider": _pad,
}


def _value(box: Box) -> tuple[Parameter, float]:
    """Its parameter and where that stands."""
    assert box.parameter is not None, box.what
    return box.parameter, box.parameter.initial or 0


def _arc(x: float, y: float, part: float, colour: str) -> str:
    start, end = _on_dial(x, y, 0), _on_dial(x, y, part)
    large, radius = int(part * DIAL_SWEEP > 180), DIAL_RADIUS
    path = f"M{start[0]} {start[1]}A{radius} {radius} 0 {large} 1 {end[0]} {end[1]}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'


def _on_dial(x: float, y: float, part: float) -> tuple[str, str]:
    angle = math.radians(DIAL_START - part * DIAL_SWEEP)
    return f"{x + DIAL_RADIUS * math.cos(angle):.1f}", f"{y - DIAL_RADIUS * math.sin(angle):.1f}"


def _middle(rect: tuple[float, float, float, float]) -> tuple[float, float]:
    """Where words begin that stand in the middle of a control."""
    left, top, width, height = rect
    return left + width / 2, top + height / 2 + 3.3


def _rect(rect: tuple[float, float, float, float], fill: str, *, frame: str = "none", rounded: float = 0) -> str:
    left, top, width, height = rect
    return (
        f'<rect x="{left + 0.5:.1f}" y="{top + 0.5:.1f}" width="{width - 1:.1f}" height="{height - 1:.1f}"'
        f' rx="{rounded}" fill="{fill}" stroke="{frame}"/>'
    )


def _words(text: str, x: float, y: float, *, align: int = 0, bold: bool = False, fill: str = TEXT) -> str:
    anchor = ("start", "middle", "end")[align]
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
