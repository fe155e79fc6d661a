"""What can be asked of the engine: one frozen dataclass a verb, and the results that come back.

The only place where a setting's range and default are written; the OSC table and the command line read them
from the fields here. Knows no wire and no model.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from engine.clip import Clip
from engine.errors import ClipError

MAX_SEED = 2**24 - 1
"""Seeds stay exact in a float32, which is all that Pure Data and Max have."""


def setting(default: Any, low: float, high: float, text: str) -> Any:
    """A field that must lie in low..high (or be None, where that is the default)."""
    return field(default=default, metadata={"low": low, "high": high, "text": text})


def choice(default: Any, text: str) -> Any:
    """A field with a free value."""
    return field(default=default, metadata={"text": text})


CHORDS = "a chord a bar, as C Am F G7, repeated to the end; for models that follow chords"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The settings that every verb has."""

    model: str | None = choice(None, "which model; else the default of the verb")
    seed: int | None = setting(None, 0, MAX_SEED, "the same seed gives the same notes; else one is drawn")
    temperature: float = setting(1.0, 0, 2, "0 is the mean, 1 the model's own spread")
    count: int = setting(1, 1, 16, "how many results")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if "low" not in each.metadata or (value is None and each.default is None):
                continue
            low, high = each.metadata["low"], each.metadata["high"]
            if not (math.isfinite(value) and low <= value <= high):
                raise ClipError(f"{each.name} must be in {low}..{high}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Request):
    """New bars from the prior."""

    bars: int | None = setting(None, 1, 64, "how many bars; else 2, or what a model of tokens was trained on")
    style: str | None = choice(None, "a style that the model knows")
    chords: str | None = choice(None, CHORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteForNote(Request):
    """What plays the notes of a clip: each result has exactly these, in their order."""

    clip: Clip
    timing: float = setting(1.0, 0, 1, "how far notes move to where the model plays them")
    velocity: float = setting(1.0, 0, 1, "how far velocities move to what the model plays")
    taps: int | None = setting(
        None, 0, 1, "1: lay the feel on the onsets, as for a melody; 0: never; else by pitch"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Humanize(NoteForNote):
    """Exactly the notes of the clip, with played timing and velocity."""

    style: str | None = choice(None, "a style that the model knows")
    only: tuple[int, ...] = choice((), "change only these pitches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groove(NoteForNote):
    """Exactly the notes of the clip, with the feel of another.

    That one, feel, plays on in a loop beside the clip: each stretch has the feel of the bars that sound with it.
    """

    feel: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drumify(Request):
    """Taps of any pitch become a full drum part."""

    clip: Clip
    bars: int | None = setting(None, 1, 64, "how many bars; else as many as the taps fill")
    style: str | None = choice(None, "a style that the model knows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Request):
    """The clip with one instrument's part added."""

    clip: Clip
    instrument: str = choice("closed_hat", "the instrument to add")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolate(Request):
    """The way between two clips, or a point in the plane between four.

    With steps, that many clips from the first to the last; with position, the one clip at that point. For four
    clips A B C D, position runs from A to B and from C to D, position2 between the two.
    """

    clips: tuple[Clip, ...]
    steps: int | None = setting(None, 2, 32, "how many clips along the way")
    position: float | None = setting(None, 0, 1, "one clip at this point of the way")
    position2: float | None = setting(None, 0, 1, "the second coordinate between four clips")
    chords: str | None = choice(None, CHORDS)

    def __post_init__(self) -> None:
        Request.__post_init__(self)  # super() fails in a class that slots=True made anew
        if len(self.clips) not in (2, 4):
            raise ClipError(f"interpolate takes 2 or 4 clips, not {len(self.clips)}")
        if self.steps is not None and self.position is not None:
            raise ClipError("interpolate takes steps or position, not both")
        if self.position is None and self.count > 1:
            raise ClipError("count goes with position; steps already gives several clips")
        if (self.position2 is not None) != (len(self.clips) == 4):
            raise ClipError("position2 goes with four clips: from, to, from2 and to2")

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The (position, position2) of each result; 5 steps where nothing is said."""
        if self.position is not None or self.position2 is not None:
            return ((self.position or 0.0, self.position2 or 0.0),) * self.count
        steps = self.steps or 5
        return tuple((step / (steps - 1), 0.0) for step in range(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vary(Request):
    """Variations of the clip."""

    clip: Clip
    similarity: float = setting(0.5, 0, 1, "1 is the clip as the model sees it, 0 anything")
    chords: str | None = choice(None, CHORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode(Request):
    """Where the clip lies in the latent space: the mean of what the encoder makes of it, without chance."""

    clip: Clip
    seed: int | None = setting(None, 0, MAX_SEED, "changes nothing")
    temperature: float = setting(1.0, 0, 2, "changes nothing")
    count: int = setting(1, 1, 1, "a clip lies in one place")
    chords: str | None = choice(None, CHORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode(Request):
    """The clip at a point of the latent space; with a clip, that one's notes with the feel of the point."""

    z: tuple[float, ...]
    clip: Clip | None = None
    chords: str | None = choice(None, CHORDS)

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        if not all(map(math.isfinite, self.z)):
            raise ClipError("z must be finite numbers")


VERBS: dict[str, type[Request]] = {
    "sample": Sample,
    "humanize": Humanize,
    "drumify": Drumify,
    "fill": Fill,
    "interpolate": Interpolate,
    "vary": Vary,
    "groove": Groove,
    "encode": Encode,
    "decode": Decode,
}


def verb_of(request: Request) -> str:
    """The verb that a request asks for."""
    return next(verb for verb, kind in VERBS.items() if isinstance(request, kind))


@dataclass(frozen=True, slots=True)
class Results:
    """The clips that answer a request, and how they were made.

    seed is the one that was used; ms the time in the engine; as_taps is set where a clip that is no drums was
    played as taps; remarks are sentences for the user (a pitch outside the drum map, a fall back to the CPU);
    latent is the mu that Encode asks for.
    """

    clips: tuple[Clip, ...]
    model: str
    seed: int
    ms: float
    as_taps: bool = False
    remarks: tuple[str, ...] = ()
    latent: tuple[float, ...] = ()
