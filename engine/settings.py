"""What the settings of requests are made of, and those that all verbs, or all that make notes, have. No numpy."""

import math
from dataclasses import Field, dataclass, field, fields
from typing import Any

from engine.errors import ClipError
from engine.representation.attributes import ATTRIBUTES, HIGHEST, LOWEST
from engine.representation.instruments import INSTRUMENTS, PARTS

MAX_SEED = 2**24 - 1
"""Seeds stay exact in a float32, which is all that Pure Data and Max have."""

Value = float | tuple[float, ...]
"""A number, or one a bar."""


def setting(default: Any, low: float, high: float, text: str, *, by_drum: bool = False) -> Any:
    """A field that must lie in low..high (or be None, where that is the default).

    by_drum: one drum may have another value, under a name such as timing.snare.
    """
    return field(default=default, metadata={"low": low, "high": high, "text": text, "by_drum": by_drum})


def choice(default: Any, text: str) -> Any:
    """A field with a free value."""
    return field(default=default, metadata={"text": text})


def attribute(name: str) -> Any:
    """A field that asks for an attribute: one number, or one a bar, repeated to the end; none where it is empty."""
    about = ATTRIBUTES[name]
    text = f"{about.text}; in standard deviations of the model's data, with commas one a bar"
    of = {"by_drum": about.is_feel, "by_part": about.by_part}
    return field(default=(), metadata={"low": LOWEST, "high": HIGHEST, "text": text, **of})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The settings that every verb has.

    learnt_by: the tasks of a recipe of which a model must have learnt one, none if any model can do the verb.
    makes_clips: whether clips come back. steers: the attributes that can be asked for.
    """

    learnt_by = tuple[str, ...]()
    makes_clips = True
    steers = tuple[str, ...]()

    model: str | None = choice(None, "which model; else the default of the verb")
    seed: int | None = setting(None, 0, MAX_SEED, "the same seed gives the same notes; else one is drawn")
    temperature: float = setting(1.0, 0, 2, "0 is the mean, 1 the model's own spread")
    count: int = setting(1, 1, 16, "how many results")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if "low" in each.metadata and not (value is None and each.default is None):
                _check_range(each.name, value, each)


def names_of_one(each: "Field[Any]") -> tuple[str, ...]:
    """The drums or parts of which a setting may be said alone, as late.snare."""
    return INSTRUMENTS if each.metadata.get("by_drum") else PARTS if each.metadata.get("by_part") else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered(Request):
    """What can be asked of the notes that are made: attributes, see engine.representation.attributes.

    of_drum: settings of single drums or parts, as ("late.snare", 0.5); the others have the common value.
    """

    steers = tuple(ATTRIBUTES)

    late: tuple[float, ...] = attribute("late")
    tightness: tuple[float, ...] = attribute("tightness")
    loudness: tuple[float, ...] = attribute("loudness")
    dynamics: tuple[float, ...] = attribute("dynamics")
    swing: tuple[float, ...] = attribute("swing")
    accent: tuple[float, ...] = attribute("accent")
    density: tuple[float, ...] = attribute("density")
    syncopation: tuple[float, ...] = attribute("syncopation")
    repetition: tuple[float, ...] = attribute("repetition")
    register: tuple[float, ...] = attribute("register")
    interval: tuple[float, ...] = attribute("interval")
    of_drum: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        Request.__post_init__(self)  # super() fails in a class that slots=True made anew
        settings = {each.name: each for each in fields(self)}
        for name, value in self.of_drum:
            own, _, which = name.partition(".")
            known = names_of_one(settings[own]) if own in settings else ()
            if which not in known:
                of = "parts" if known == PARTS else "drums"
                raise ClipError(f"there is no {name}: of {of} there are {', '.join(known or INSTRUMENTS)}")
            _check_range(name, value, settings[own])
        if strange := [name for name in self.asked if name.partition(".")[0] not in self.steers]:
            verb = type(self).__name__.lower()
            raise ClipError(
                f"{verb} changes no {strange[0]}, which notes there are: it takes {', '.join(self.steers)}"
            )

    @property
    def asked(self) -> dict[str, tuple[float, ...]]:
        """The attributes that are asked for, late.snare and the like as well, each as a value a bar."""
        common = {name: getattr(self, name) for name in ATTRIBUTES}
        own = {name: value for name, value in self.of_drum if name.partition(".")[0] in ATTRIBUTES}
        return {
            name: value if isinstance(value, tuple) else (value,)
            for name, value in (common | own).items()
            if value != ()
        }


def _check_range(name: str, value: Value, each: Field[Any]) -> None:
    low, high = each.metadata["low"], each.metadata["high"]
    for number in value if isinstance(value, tuple) else (value,):
        if not (math.isfinite(number) and low <= number <= high):
            raise ClipError(f"{name} must be in {low}..{high}, not {number}")
