"""Writes vaebridge.tosc, a layout for TouchOSC: `python layout.py`. Change the tables, run it again.

A .tosc file is one XML document, compressed by zlib. It holds no address: enter that in TouchOSC (Connections, OSC,
connection 1: UDP, the host of the daemon, port 8710).
"""

import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

Atom = int | float | str
Message = tuple[Atom, ...]
"""The verb and its arguments, the id first.

It is 0: a button always sends the same, which under another id the daemon takes for one request, sent twice.
"""

BUTTONS: dict[str, tuple[Message, ...]] = {
    "sample a": (("sample", 0, "to", "a"),),
    "humanize a": (("humanize", 0, "slot", "a", "to", "a"),),
    "vary a": (("vary", 0, "slot", "a", "to", "a"),),
    "play a": (("play", 0, "slot", "a", "loop", 1, "at", "bar"),),
    "sample b": (("sample", 0, "to", "b"),),
    "humanize b": (("humanize", 0, "slot", "b", "to", "b"),),
    "vary b": (("vary", 0, "slot", "b", "to", "b"),),
    "play b": (("play", 0, "slot", "b", "loop", 1, "at", "bar"),),
    "live: loop a": (("live", 0, "mode", "loop", "slot", "a"),),
    "live: morph a b": (("live", 0, "mode", "morph", "from", "a", "to", "b"),),
    "live: answer": (("live", 0, "mode", "answer"),),
    "live: drumify": (("live", 0, "mode", "drumify"),),
    "freeze": (("freeze", 0, "on", 1),),
    "undo": (("undo", 0),),
    "stop": (("live", 0, "mode", "off"), ("stop", 0, "at", "now")),
    "panic": (("panic", 0),),
}
COLUMNS = 4

FADERS: dict[str, tuple[Message, float, float, float]] = {
    "temperature": (("steer", 0, "temperature"), 0, 2, 1),
    "position": (("steer", 0, "position"), 0, 1, 0.5),
    "similarity": (("steer", 0, "similarity"), 0, 1, 0.5),
    "density": (("steer", 0, "density"), -3, 3, 0),
    "tempo": (("tempo", 0, "bpm"), 60, 180, 120),
}
"""The message that the fader's value ends, its range, and where it stands at first."""

WIDTH, HEIGHT, GAP = 1024, 768, 8
FADERS_LEFT = 604
LABEL_HEIGHT = 40
CONNECTION_1 = "0000000001"
GREEN, GREY, BLACK, WHITE = (0.2, 0.6, 0.4, 1), (0.25, 0.25, 0.25, 1), (0, 0, 0, 0.25), (1, 1, 1, 1)

Property = bool | int | float | str | tuple[float, ...]
COMMON: dict[str, Property] = {
    "background": True,
    "color": GREEN,
    "cornerRadius": 4.0,
    "grabFocus": True,
    "interactive": True,
    "locked": False,
    "orientation": 0,
    "outline": True,
    "outlineStyle": 1,
    "pointerPriority": 0,
    "shape": 1,
    "visible": True,
}
OWN: dict[str, dict[str, Property]] = {
    "GROUP": {"color": GREY, "cornerRadius": 0.0, "grabFocus": False, "interactive": False, "outlineStyle": 0},
    "BUTTON": {"buttonType": 0, "press": True, "release": True, "valuePosition": False},
    "FADER": {
        "bar": True,
        "barDisplay": 0,
        "cursor": True,
        "cursorDisplay": 0,
        "grid": True,
        "gridColor": BLACK,
        "gridSteps": 13,
        "response": 0,
        "responseFactor": 100,
    },
    "LABEL": {
        "background": False,
        "font": 0,
        "interactive": False,
        "outline": False,
        "textAlignH": 2,
        "textAlignV": 2,
        "textClip": True,
        "textColor": WHITE,
        "textLength": 0,
        "textSize": 14,
    },
}
"""The properties of a control, as TouchOSC writes them: what all have, then what is a kind's own."""


def layout() -> bytes:
    """The XML, as the editor writes it."""
    controls = "".join([*_buttons(), *_faders()])
    root = _node("GROUP", "vaebridge", (0, 0, WIDTH, HEIGHT), values=_value("touch", "false"), children=controls)
    return f"<?xml version='1.0' encoding='UTF-8'?><lexml version='6'>{root}</lexml>".encode()


def _buttons() -> Iterator[str]:
    """From left to right, from top to bottom; each sends when it is pressed."""
    rows = -(-len(BUTTONS) // COLUMNS)
    width, height = (FADERS_LEFT - GAP) // COLUMNS, (HEIGHT - GAP) // rows
    for place, (name, messages) in enumerate(BUTTONS.items()):
        row, column = divmod(place, COLUMNS)
        frame = (GAP + column * width, GAP + row * height, width - GAP, height - GAP)
        sent = "".join(_osc(message, "RISE") for message in messages)
        yield _node("BUTTON", name, frame, values=_value("x", "0") + _value("touch", "false"), messages=sent)
        yield _label(name, frame)


def _faders() -> Iterator[str]:
    """Side by side, their names below."""
    width, height = (WIDTH - FADERS_LEFT - GAP) // len(FADERS), HEIGHT - 2 * GAP - LABEL_HEIGHT
    for place, (name, (message, low, high, first)) in enumerate(FADERS.items()):
        left = FADERS_LEFT + GAP + place * width
        values = _value("x", f"{(first - low) / (high - low):g}") + _value("touch", "false")
        sent = _osc(message, "ANY", _partial("VALUE", "FLOAT", "x", low, high))
        yield _node("FADER", name, (left, GAP, width - GAP, height), values=values, messages=sent)
        yield _label(name, (left, GAP + height, width - GAP, LABEL_HEIGHT))


def _label(text: str, frame: tuple[int, ...]) -> str:
    values = _value("text", text, locked=1) + _value("touch", "false")
    return _node("LABEL", f"name of {text}", frame, values=values)


def _osc(message: Message, condition: str, last: str = "") -> str:
    """A message of a control, sent when its x changes: constants, and last what the control is at."""
    verb, *arguments = message
    path = _partial("CONSTANT", "STRING", f"/vae/{verb}")
    constants = "".join(_partial("CONSTANT", _kind(atom), atom) for atom in arguments)
    return (
        "<osc><enabled>1</enabled><send>1</send><receive>0</receive><feedback>0</feedback>"
        f"<noDuplicates>0</noDuplicates><connections>{CONNECTION_1}</connections>"
        f"<triggers><trigger><var>{_text('x')}</var><condition>{condition}</condition></trigger></triggers>"
        f"<path>{path}</path><arguments>{constants}{last}</arguments></osc>"
    )


def _kind(atom: Atom) -> str:
    return "STRING" if isinstance(atom, str) else "INTEGER" if isinstance(atom, int) else "FLOAT"


def _partial(kind: str, conversion: str, value: Atom, low: float = 0, high: float = 1) -> str:
    return (
        f"<partial><type>{kind}</type><conversion>{conversion}</conversion><value>{_text(value)}</value>"
        f"<scaleMin>{low:g}</scaleMin><scaleMax>{high:g}</scaleMax></partial>"
    )


def _node(
    kind: str, name: str, frame: tuple[int, ...], *, values: str, messages: str = "", children: str = ""
) -> str:
    """A control; the root, which is the group, includes nothing."""
    properties = {**COMMON, **OWN[kind], "frame": frame, "name": name}
    within = "<includes></includes>" if kind == "GROUP" else ""
    within += f"<properties>{''.join(_property(key, properties[key]) for key in sorted(properties))}</properties>"
    within += f"<values>{values}</values>"
    within += f"<messages>{messages}</messages>" if messages else ""
    within += f"<children>{children}</children>" if children else ""
    return f"<node ID='{uuid.uuid5(uuid.NAMESPACE_URL, f'vaebridge {name}')}' type='{kind}'>{within}</node>"


def _property(key: str, value: Property) -> str:
    kind, text = "s", _text(str(value))
    if isinstance(value, bool):
        kind, text = "b", f"{value:d}"
    elif isinstance(value, int | float):
        kind, text = "i" if isinstance(value, int) else "f", f"{value:g}"
    elif isinstance(value, tuple):
        kind, names = ("r", "xywh") if key == "frame" else ("c", "rgba")
        text = "".join(f"<{name}>{part:g}</{name}>" for name, part in zip(names, value, strict=True))
    return f"<property type='{kind}'><key>{_text(key)}</key><value>{text}</value></property>"


def _value(key: str, first: str, *, locked: int = 0) -> str:
    return (
        f"<value><key>{_text(key)}</key><locked>0</locked><lockedDefaultCurrent>{locked}</lockedDefaultCurrent>"
        f"<default>{_text(first)}</default><defaultPull>0</defaultPull></value>"
    )


def _text(value: Atom) -> str:
    return f"<![CDATA[{value}]]>"


if __name__ == "__main__":
    Path(__file__).with_name("vaebridge.tosc").write_bytes(zlib.compress(layout()))
