"""What a performer can set of the live modes, and the request to the engine that comes of it. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bridge.errors import RequestError
from engine.clip import Clip
from engine.errors import EngineError
from engine.requests import VERBS, Drumify, Humanize, Interpolate, Request, Sample, Vary, setting

CANDIDATES = 5
"""How many variations there are to choose from where a density is asked for."""


LONGEST_WINDOW_BARS = 16
"""An answer must be made in the half step between the end of its window and its line."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of playing along. The first verb is the one that it has unless another is named.

    listens: it answers what is played, in windows of the bars, else it plays variations of slots. repeats: what it
    plays goes on until there is something new.
    """

    text: str
    verbs: tuple[str, ...]
    listens: bool
    repeats: bool
    bars: int | None = None


MODES = {
    "answer": Mode(
        "your bars, answered in the next ones", ("humanize", "vary"), listens=True, repeats=False, bars=2
    ),
    "drumify": Mode("your taps become drums that go on", ("drumify",), listens=True, repeats=True, bars=2),
    "through": Mode("what you play, humanized, a bar later", ("humanize",), listens=True, repeats=False, bars=1),
    "loop": Mode(
        "a new variation each N bars", ("vary", "humanize", "drumify", "sample"), listens=False, repeats=True
    ),
    "morph": Mode("a position between two slots", ("interpolate",), listens=False, repeats=True),
}
"""Every live mode but off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """A live mode and what it is to play.

    bars: of a window or loop, else the mode's own or the clip's. slot: what loop varies; from_slot and to_slot:
    what morph lies between. density: in standard deviations, which of several variations is taken; other settings
    are those of the request.
    """

    mode: str
    bars: int | None = setting(None, 1, 64, "how many bars")
    verb: str = ""
    slot: str = "live"
    from_slot: str = "a"
    to_slot: str = "b"
    count_in: int = setting(0, 0, 8, "bars of clicks before it begins")
    density: float | None = setting(None, -3, 3, "few or many hits, in standard deviations")
    request: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """RequestError says what is accepted."""
        if self.mode not in MODES:
            raise RequestError("bad_request", f"mode must be off, {', '.join(MODES)}, not {self.mode!r}")
        verbs = MODES[self.mode].verbs
        if self.verb and self.verb not in verbs:
            raise RequestError(
                "bad_request", f"verb of {self.mode} must be {' or '.join(verbs)}, not {self.verb!r}"
            )
        if self.about.listens and self.bars is not None and self.bars > LONGEST_WINDOW_BARS:
            raise RequestError(
                "bad_request", f"bars of {self.mode} must be in 1..{LONGEST_WINDOW_BARS}, not {self.bars}"
            )
        for each in fields(self):
            value = getattr(self, each.name)
            if "low" in each.metadata and value is not None:
                low, high = each.metadata["low"], each.metadata["high"]
                if not low <= value <= high:
                    raise RequestError("bad_request", f"{each.name} must be in {low}..{high}, not {value:g}")
        known = {each.name for each in fields(self.kind)}
        if strange := [name for name in self.request if name not in known | set(STEERED)]:
            raise RequestError("bad_request", f"{self.mode} with {self.kind.__name__.lower()} has no {strange[0]}")
        empty = Clip((), 4.0)
        self.build((empty, empty), self.request.get("seed"))

    @property
    def about(self) -> Mode:
        """What the mode is."""
        return MODES[self.mode]

    @property
    def kind(self) -> type[Request]:
        """What it asks of the engine."""
        return VERBS[self.verb or self.about.verbs[0]]

    @property
    def slots(self) -> tuple[str, ...]:
        """Whose clips it plays variations of."""
        if self.about.listens or self.kind is Sample:
            return ()
        return (self.from_slot, self.to_slot) if self.kind is Interpolate else (self.slot,)

    def steered(self, name: str, value: Any) -> "LiveSettings":
        """The same with one setting changed; RequestError if it is out of range."""
        if name == "density":
            return replace(self, density=value)
        return replace(self, request={**self.request, name: value})

    def build(self, clips: Sequence[Clip], seed: int | None) -> Request:
        """The request about these clips; RequestError if a setting is out of range."""
        kind, known = self.kind, {each.name for each in fields(self.kind)}
        values = {name: value for name, value in self.request.items() if name in known}
        values["seed"] = seed
        if kind is Interpolate:
            values |= {"clips": tuple(clips), "position": values.get("position", 0.5)}
        elif kind is Sample:
            values["bars"] = self.bars or 2
        else:
            values["clip"] = clips[0]
        if kind is Drumify:
            values["bars"] = clips[0].bars
        if self.density is not None and kind is not Humanize:
            values["count"] = CANDIDATES
        try:
            return kind(**values)
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error

    def choose(self, clips: Sequence[Clip]) -> Clip:
        """The one of the results that has the density asked for."""
        if self.density is None:
            return clips[0]
        rank = statistics.NormalDist().cdf(self.density) * (len(clips) - 1)
        return sorted(clips, key=lambda clip: len(clip.notes))[round(rank)]


STEERED = {
    name: (each.metadata["low"], each.metadata["high"])
    for kind, name in (
        (Vary, "temperature"),
        (Interpolate, "position"),
        (Vary, "similarity"),
        (LiveSettings, "density"),
    )
    for each in fields(kind)
    if each.name == name
}
"""What a knob can turn, with its range: whatever the mode, it is kept for the requests that have it."""
