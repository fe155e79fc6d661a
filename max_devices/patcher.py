"""A Max patcher: boxes, lines and banks, and the JSON they make. Knows none of our devices and no file.

A box is where it stands in the patch (patching) and, if a musician sees it, in the device (presentation).
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from max_devices.amxd import SECONDS_1904_TO_1970, kind_code
from max_devices.parameter import Parameter

Rect = tuple[int, int, int, int]
"""Left, top, width, height, in pixels; whole ones, or Live draws them blurred."""

RELEASED = date(2026, 11, 29)
"""Of this release, as in CHANGELOG.md: Max takes a script that is as old as the one it has for that one."""

MODIFIED = SECONDS_1904_TO_1970 + (RELEASED - date(1970, 1, 1)).days * 86400
"""The same day in seconds, as Max writes it."""

DEVICE_HEIGHT = 169
"""Of every device in Live, in pixels."""

BANK_SIZE = 8
"""Encoders of a Push."""

PORTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "*": (2, ("float",)),
    "/": (2, ("float",)),
    "delay": (2, ("bang",)),
    "f": (2, ("float",)),
    "led": (1, ("int",)),
    "live.comment": (1, ()),
    "live.dial": (1, ("", "float")),
    "live.line": (1, ()),
    "live.menu": (1, ("", "", "float")),
    "live.miditool.in": (1, ("", "", "")),
    "live.miditool.out": (1, ()),
    "live.numbox": (1, ("", "float")),
    "live.tab": (1, ("", "", "float")),
    "live.text": (1, ("", "")),
    "live.thisdevice": (1, ("bang", "int", "int")),
    "message": (2, ("",)),
    "midiin": (1, ("int",)),
    "midiout": (1, ()),
    "pak": (2, ("",)),
    "pattr": (1, ("", "", "")),
    "pictslider": (2, ("int", "int")),
    "prepend": (1, ("",)),
    "t": (1, ("bang", "float")),
    "udpreceive": (1, ("",)),
    "udpsend": (1, ()),
}
"""Inlets, and the type of each outlet, of every object in our patchers; js has what its file asks for."""

UNSEEN = frozenset({"live.thisdevice", "live.miditool.in", "live.miditool.out"})
SHOWN = {name for name in PORTS if name.startswith("live.")} - UNSEEN | {"led", "message", "pictslider"}
"""Objects that are a class of their own; all others are text in a box."""

PORT_INSET, BEND = 9.5, 5
"""Pixels: of the first port from the left of its box, and of a cord's first bend from its port."""


@dataclass(slots=True)
class Box:
    """One object. attributes: what the JSON has beyond what every box has."""

    key: str
    what: str
    inlets: int
    outlets: tuple[str, ...]
    at: Rect
    name: str = ""
    shown: Rect | None = None
    parameter: Parameter | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def object_name(self) -> str:
        """The first word: which object of Max this is."""
        return self.what.split()[0]

    def to_json(self) -> dict[str, Any]:
        """The box as Max saves it."""
        own = self.object_name in SHOWN
        box: dict[str, Any] = {
            "id": self.key,
            "maxclass": self.object_name if own else "newobj",
            "numinlets": self.inlets,
            "numoutlets": len(self.outlets),
            "patching_rect": _floats(self.at),
        }
        if self.outlets:
            box["outlettype"] = list(self.outlets)
        if not own:
            box["text"] = self.what
        if self.name:
            box["varname"] = self.name
        if self.shown:
            box |= {"presentation": 1, "presentation_rect": _floats(self.shown)}
        if self.parameter:
            box |= {"parameter_enable": 1, "annotation_name": self.parameter.long_name}
            box["saved_attribute_attributes"] = {"valueof": self.parameter.attributes()}
        return box | self.attributes


@dataclass(frozen=True, slots=True)
class Line:
    """A patch cord, from an outlet to an inlet. trunk: the x at which it runs down, among others."""

    source: Box
    outlet: int
    destination: Box
    inlet: int
    trunk: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The line as Max saves it."""
        line: dict[str, Any] = {
            "source": [self.source.key, self.outlet],
            "destination": [self.destination.key, self.inlet],
        }
        if self.trunk is not None:
            line["midpoints"] = self._bends(float(self.trunk))
        return {"patchline": line}

    def _bends(self, trunk: float) -> list[float]:
        """Below the source to the trunk, down, and above the destination to its inlet."""
        left, top, _, height = self.source.at
        start, end = left + PORT_INSET, self.destination.at[0] + PORT_INSET
        below, above = float(top + height + BEND), float(self.destination.at[1] - BEND)
        return [start, below, trunk, below, trunk, above, end, above]


class Patcher:
    """The patcher of one device, which grows box by box. width: of the device in Live, in pixels."""

    def __init__(self, kind: str, *, width: int, description: str):
        self.kind, self.width, self.description = kind, width, description
        self.boxes: list[Box] = []
        self.lines: list[Line] = []
        self.banks: list[tuple[str, tuple[str, ...]]] = []
        self.files: list[str] = []

    def add(
        self,
        what: str,
        at: Rect,
        *,
        name: str = "",
        shown: Rect | None = None,
        parameter: Parameter | None = None,
        **attributes: Any,
    ) -> Box:
        """A new box: the name of an object and its arguments."""
        inlets, outlets = PORTS[what.split()[0]]
        return self._add(Box(self._key(), what, inlets, outlets, at, name, shown, parameter, attributes))

    def add_js(self, file: str, at: Rect, *, inlets: int, outlets: int, arguments: str = "") -> Box:
        """The js object, with the ports that its file asks for."""
        self.files.append(file)
        saved = {"saved_object_attributes": {"filename": file, "parameter_enable": 0}}
        return self._add(
            Box(self._key(), f"js {file} {arguments}".strip(), inlets, ("",) * outlets, at, attributes=saved)
        )

    def connect(
        self, source: Box, destination: Box, *, outlet: int = 0, inlet: int = 0, trunk: int | None = None
    ) -> None:
        """A line; both ports must be there."""
        assert outlet < len(source.outlets), f"{source.what} has no outlet {outlet}"
        assert inlet < destination.inlets, f"{destination.what} has no inlet {inlet}"
        self.lines.append(Line(source, outlet, destination, inlet, trunk))

    def bank(self, name: str, *long_names: str) -> None:
        """A page of eight parameters on a Push; "-" leaves an encoder free."""
        assert len(long_names) <= BANK_SIZE, name
        self.banks.append((name, long_names + ("-",) * (BANK_SIZE - len(long_names))))

    def named(self, name: str) -> Box:
        """The box with this scripting name, as the js finds it."""
        return next(box for box in self.boxes if box.name == name)

    def to_json(self) -> dict[str, Any]:
        """The patcher as Max saves it."""
        return {
            "patcher": {
                "fileversion": 1,
                "appversion": {"major": 8, "minor": 1, "revision": 5, "architecture": "x64", "modernui": 1},
                "classnamespace": "box",
                "rect": [60.0, 100.0, *self._extent()],
                "openrect": [0.0, 0.0, float(self.width), float(DEVICE_HEIGHT)],
                "bglocked": 0,
                "openinpresentation": 1,
                "default_fontsize": 10.0,
                "default_fontface": 0,
                "default_fontname": "Ableton Sans Medium",
                "gridonopen": 1,
                "gridsize": [8.0, 8.0],
                "gridsnaponopen": 1,
                "objectsnaponopen": 1,
                "boxanimatetime": 500,
                "enablehscroll": 0,
                "enablevscroll": 0,
                "devicewidth": float(self.width),
                "description": self.description,
                "digest": self.description,
                "tags": "vaebridge drums",
                "style": "",
                "subpatcher_template": "",
                "boxes": [{"box": box.to_json()} for box in self.boxes],
                "lines": [line.to_json() for line in self.lines],
                "parameters": self._parameters(),
                "dependency_cache": [
                    {"name": file, "bootpath": ".", "patcherrelativepath": ".", "type": "TEXT", "implicit": 1}
                    for file in self.files
                ],
                "latency": 0,
                "is_mpe": 1,
                "minimum_live_version": "",
                "minimum_max_version": "",
                "platform_compatibility": 0,
                "project": self._project(),
                "autosave": 0,
            }
        }

    def _add(self, box: Box) -> Box:
        self.boxes.append(box)
        return box

    def _key(self) -> str:
        return f"obj-{len(self.boxes) + 1}"

    def _extent(self) -> tuple[float, float]:
        """Width and height of a window in which the whole patch is seen."""
        right = max((box.at[0] + box.at[2] for box in self.boxes), default=0)
        bottom = max((box.at[1] + box.at[3] for box in self.boxes), default=0)
        return float(right + 20), float(bottom + 20)

    def _parameters(self) -> dict[str, Any]:
        listed: dict[str, Any] = {
            box.key: [box.parameter.long_name, box.parameter.short_name, 0] for box in self.boxes if box.parameter
        }
        banks = self.banks or [("", ("-",) * BANK_SIZE)]
        listed["parameterbanks"] = {
            str(index): {"index": index, "name": name, "parameters": list(long_names)}
            for index, (name, long_names) in enumerate(banks)
        }
        return {**listed, "inherited_shortname": 1}

    def _project(self) -> dict[str, Any]:
        """Without it Max refuses the device."""
        return {
            "version": 1,
            "creationdate": MODIFIED,
            "modificationdate": MODIFIED,
            "viewrect": [0.0, 0.0, 300.0, 500.0],
            "autoorganize": 1,
            "hideprojectwindow": 1,
            "showdependencies": 1,
            "autolocalize": 0,
            "contents": {"patchers": {}},
            "layout": {},
            "searchpath": {},
            "detailsvisible": 0,
            "amxdtype": kind_code(self.kind),
            "readonly": 0,
            "devpathtype": 0,
            "devpath": ".",
            "sortmode": 0,
            "viewmode": 0,
            "includepackages": 0,
        }


def _floats(rect: Rect) -> list[float]:
    return [float(each) for each in rect]
