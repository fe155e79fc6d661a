"""What a performer can set of the live modes, and the request to the engine that comes of it. Pure."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from bridge.errors import RequestError
from engine.clip import Clip, in_a_row
from engine.errors import EngineError
from engine.midi.song import drums_of
from engine.representation.attributes import ATTRIBUTES, has_attribute
from engine.requests import (
    CLIP_FIELDS,
    VERBS,
    NoteForNote,
    Request,
    clip_fields,
    request_about,
    setting,
    settings_of,
)
from engine.settings import names_of_one

CANDIDATES = 5
"""How many variations there are to choose from where a density is asked for."""


LONGEST_CLIP_BARS = 512
"""What a verb takes, in a live mode or not."""

LONGEST_WINDOW_BARS = 16
"""An answer must be made in the half step between the end of its window and its line."""

PHRASE_BARS = 16
"""After so many bars, or the next whole number of passages, a loop that goes on turns back to its clip."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of playing along. The first verb is the one that it has unless another is named.

    listens: it answers what is played, in windows of the bars, else it plays variations of slots; takes_pickup: a
    window may begin with what is played just before. repeats: what it plays goes on until there is something new.
    evolves: each bar has a variation of the same seed, which goes on in its place. defaults: of what it asks for.
    """

    text: str
    verbs: tuple[str, ...]
    listens: bool = False
    repeats: bool = False
    bars: int | None = None
    takes_pickup: bool = True
    evolves: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


MODES = {
    "answer": Mode("your bars, answered in the next ones", ("humanize", "vary", "continue"), listens=True, bars=2),
    "drumify": Mode("your taps become drums that go on", ("drumify",), listens=True, repeats=True, bars=2),
    "through": Mode(
        "what you play, humanized, a bar later", ("humanize",), listens=True, bars=1, takes_pickup=False
    ),
    "loop": Mode(
        "a new variation each N bars; with `continue` what comes next, and after 16 the clip again",
        ("vary", "humanize", "drumify", "sample", "continue"),
        repeats=True,
    ),
    "accompany": Mode(
        "your melody gets bass and drums, a bar later; they go on while it rests",
        ("accompany",),
        listens=True,
        repeats=True,
        bars=1,
        takes_pickup=False,
    ),
    "morph": Mode(
        "a position between two slots", ("interpolate",), repeats=True, evolves=True, defaults={"position": 0.5}
    ),
}
"""Every live mode but off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """A live mode and what it is to play.

    bars: of a window or loop, else the mode's own or the clip's. slot: what loop varies; from_slot and to_slot:
    what morph lies between. Other settings are those of the request, by name; attributes as a number, one a bar,
    or a text of these. density: where no model that answers has it, which of several variations is taken.
    """

    mode: str
    bars: int | None = setting(None, 1, 64, "how many bars")
    verb: str = ""
    slot: str = "live"
    from_slot: str = "a"
    to_slot: str = "b"
    count_in: int = setting(0, 0, 8, "bars of clicks before it begins")
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
            _check_range(each, getattr(self, each.name))
        if strange := [name for name in self.request if not self.has(name) and name not in STEERED]:
            raise RequestError("bad_request", f"{self.mode} with {self.verb_name} has no {strange[0]}")
        for name, value in self.request.items():
            checked_knob(name, value)
        self.build((Clip((), 4.0),) * (1 if self.about.listens else len(self.slots)))

    @property
    def about(self) -> Mode:
        """What the mode is."""
        return MODES[self.mode]

    @property
    def verb_name(self) -> str:
        """The verb that it has."""
        return self.verb or self.about.verbs[0]

    @property
    def kind(self) -> type[Request]:
        """What it asks of the engine."""
        return VERBS[self.verb_name]

    @property
    def said(self) -> frozenset[str]:
        """The knobs whose value it says."""
        return frozenset(self.request)

    @property
    def slots(self) -> tuple[str, ...]:
        """Whose clips it plays variations of, in the order of the request's fields."""
        if self.about.listens:
            return ()
        slots = {"slot": self.slot, "from": self.from_slot, "to": self.to_slot}
        return tuple(
            slots[key] for each in clip_fields(self.kind) for key in CLIP_FIELDS[each.name] if key in slots
        )

    @property
    def accompanies(self) -> bool:
        """Whether what it makes is heard again with what is played next."""
        return self.mode == "accompany"

    @property
    def develops(self) -> bool:
        """Whether its clip is a theme: each passage goes on from those before, until the theme comes back."""
        return self.verb_name == "continue" and not self.about.listens

    def passages(self, theme: Clip) -> int:
        """How many there are from one theme to the next, that one included, each as long as `bars` or the theme."""
        return max(2, math.ceil(PHRASE_BARS / (self.bars or theme.bars)))

    def has(self, knob: str) -> bool:
        """Whether a knob changes anything of what it asks for."""
        own = knob.partition(".")[0]
        return own == "density" or any(each.name == own for each in settings_of(self.kind))

    def steered(self, turned: Mapping[str, Any]) -> "LiveSettings":
        """The same with some knobs at other values; RequestError if one is out of range."""
        return replace(self, request={**self.request, **turned})

    def build(
        self,
        clips: Sequence[Clip],
        seed: int | None = None,
        attributes: Collection[str] | None = None,
        bars_played: int = 0,
    ) -> Request:
        """The request about these clips; RequestError if it cannot be. seed: where the settings say none.

        attributes: those that the models have which may answer, None where that is not known. bars_played: how many
        since the mode began, so that what is asked bar by bar goes on.

        Where it develops: for the passage after these, of which the first is the theme; the last ends in a fill.
        """
        if too_long := [clip.bars for clip in clips if clip.bars > LONGEST_CLIP_BARS]:
            raise RequestError(
                "too_big", f"{self.verb_name} takes {LONGEST_CLIP_BARS} bars in a live mode, not {too_long[0]}"
            )
        own = {
            name: _turned(as_setting(name, value), bars_played)
            for name, value in self.request.items()
            if self._asks(name, attributes)
        }
        values = {"seed": seed, **self.about.defaults}
        if self.has("bars"):
            values["bars"] = clips[0].bars if clips else self.bars or 2
        if self.has("since") and clips:
            window = (self.bars or self.about.bars or 1) * clips[0].beats_per_bar
            values["since"] = max(0.0, clips[0].length_beats - window)
        if self.develops:
            bars = self.bars or clips[0].bars
            values |= {"bars": bars, "fill_in": int(len(clips) + 1 == self.passages(clips[0]))}
            clips = (in_a_row([drums_of(clip) for clip in clips], bars),)
        values |= own
        if self._chooses(attributes):
            values["count"] = CANDIDATES
        try:
            return request_about(self.kind, clips, **values)
        except EngineError as error:
            raise RequestError("bad_request", str(error)) from error

    def _asks(self, name: str, attributes: Collection[str] | None) -> bool:
        """Whether a setting is one of the request's; an attribute that no model has is none."""
        own = name.partition(".")[0]
        if not any(each.name == own for each in settings_of(self.kind)):
            return False
        known = own != "density" if attributes is None else has_attribute(attributes, name)
        return own not in ATTRIBUTES or known

    def _chooses(self, attributes: Collection[str] | None) -> bool:
        """Whether a density is asked for that is to be chosen among several variations."""
        return (
            "density" in self.request
            and not self._asks("density", attributes)
            and not issubclass(self.kind, NoteForNote)
        )

    def choose(self, clips: Sequence[Clip]) -> Clip:
        """The one of several results that has the density asked for."""
        if "density" not in self.request or len(clips) == 1:
            return clips[0]
        (density, *_) = as_setting("density", self.request["density"])
        rank = statistics.NormalDist().cdf(density) * (len(clips) - 1)
        return sorted(clips, key=lambda clip: len(clip.notes))[round(rank)]


NOT_LIVE = frozenset(
    {
        *("count", "bars", "steps", "position2", "only", "instrument", "chords", "count_in"),
        *("start", "beats", "keep", "tempo", "since", "parts"),
    }
)

KNOBS = {each.name: each for kind in VERBS.values() for each in settings_of(kind) if each.name not in NOT_LIVE}
"""The settings of all verbs that make sense bar after bar: what steer can turn."""

STEERED = {
    name: (KNOBS[name].metadata["low"], KNOBS[name].metadata["high"])
    for name in ("temperature", "position", "similarity", *ATTRIBUTES)
}
"""What a control can turn, with its range; a mode may be told these whatever its verb."""


def checked_knob(name: str, value: Any) -> None:
    """RequestError if a knob cannot have a value in whatever mode."""
    own, _, which = name.partition(".")
    each = KNOBS.get(own)
    if each is None:
        raise RequestError("bad_request", f"there is no {name} to steer")
    if which and which not in (known := names_of_one(each)):
        raise RequestError("bad_request", f"there is no {name}: there are {', '.join(known) or own + ' alone'}")
    setting = as_setting(name, value)
    for number in setting if isinstance(setting, tuple) else (setting,):
        _check_range(each, number)


def as_setting(name: str, value: Any) -> Any:
    """A value as the request has it: an attribute as a number a bar, from one, or from a text such as 0,0,1,2."""
    if name.partition(".")[0] not in ATTRIBUTES or isinstance(value, tuple):
        return value
    try:
        return tuple(float(number) for number in str(value).split(","))
    except ValueError:
        raise RequestError(
            "bad_request", f"{name} takes a number, or one a bar as 0,0,1,2, not {value!r}"
        ) from None


def _turned(setting: Any, bars: int) -> Any:
    """A setting as it goes on after some bars: what is asked one a bar begins with another."""
    if not isinstance(setting, tuple) or not setting:
        return setting
    first = bars % len(setting)
    return setting[first:] + setting[:first]


def _check_range(each: Field[Any], value: Any) -> None:
    if "low" in each.metadata and value is not None:
        low, high = each.metadata["low"], each.metadata["high"]
        if not low <= value <= high:
            raise RequestError("bad_request", f"{each.name} must be in {low}..{high}, not {value:g}")
