"""The one table of verbs: what can be asked of the engine, and the results that come back.

A verb is a frozen dataclass in VERBS. Its name is that of the class, its help the first line of the docstring; its
fields are the settings, with their ranges, and the clips that it is about; learnt_by says which models can do it.
The method of its name in engine.verbs does it. The OSC table, the command line, the warm-up and the registry read
all of that here. Knows no wire and no model.
"""

import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
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
    """The settings that every verb has.

    learnt_by: the tasks of a recipe of which a model must have learnt one, none if any model can do the verb.
    makes_clips: whether clips come back.
    """

    learnt_by = tuple[str, ...]()
    makes_clips = True

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

    learnt_by = ("autoencode",)
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

    learnt_by = ("humanize", "transfer")
    style: str | None = choice(None, "a style that the model knows")
    only: tuple[int, ...] = choice((), "change only these pitches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groove(NoteForNote):
    """Exactly the notes of the clip, with the feel of another.

    That one, feel, plays on in a loop beside the clip: each stretch has the feel of the bars that sound with it.
    """

    learnt_by = ("same_feel",)
    feel: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drumify(Request):
    """Taps of any pitch become a full drum part."""

    learnt_by = ("tap", "tap_fixed_velocity", "tap_fixed_velocity_note_dropout")
    clip: Clip
    bars: int | None = setting(None, 1, 64, "how many bars; else as many as the taps fill")
    style: str | None = choice(None, "a style that the model knows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Request):
    """The clip with one instrument's part added."""

    learnt_by = ("fill", "add_closed_hat")
    clip: Clip
    instrument: str = choice("closed_hat", "the instrument to add")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolate(Request):
    """The way between two clips, or a point in the plane between four.

    With steps, that many clips from the first to the last; with position, the one clip at that point. For four
    clips A B C D, position runs from A to B and from C to D, position2 between the two.
    """

    learnt_by = ("autoencode",)
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

    learnt_by = ("autoencode",)
    clip: Clip
    similarity: float = setting(0.5, 0, 1, "1 is the clip as the model sees it, 0 anything")
    chords: str | None = choice(None, CHORDS)


FILL_IN = "1: the last of the new bars is a drum fill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Request):
    """The bars that come after the clip, alone."""

    learnt_by = ("continue",)
    clip: Clip
    bars: int | None = setting(None, 1, 64, "how many bars; else as many as the clip has, at most 16")
    fill_in: int = setting(0, 0, 1, FILL_IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infill(Request):
    """The clip, of which the marked beats are made anew; every other note comes back as it was."""

    learnt_by = ("infill",)
    clip: Clip
    start: float = setting(0.0, 0, 4096, "the beat where the mark starts, from 0")
    beats: float = setting(4.0, 0.25, 4096, "how many beats are marked")
    keep: tuple[int, ...] = choice((), "pitches that stay in the mark as well")
    fill_in: int = setting(0, 0, 1, FILL_IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode(Request):
    """Where the clip lies in the latent space: the mean of what the encoder makes of it, without chance."""

    makes_clips = False
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
    kind.__name__.lower(): kind
    for kind in (Sample, Humanize, Drumify, Fill, Interpolate, Vary, Groove, Continue, Infill, Encode, Decode)
}

CLIP_FIELDS = {"clip": ("slot",), "feel": ("from",), "clips": ("from", "to", "from2", "to2")}
"""The fields of requests that hold clips, and the keys by which a client names their slots."""


def verb_of(request: Request) -> str:
    """The verb that a request asks for."""
    return type(request).__name__.lower()


def settings_of(kind: type[Request]) -> list[Field[Any]]:
    """The fields that a client can set."""
    return [each for each in fields(kind) if "text" in each.metadata]


def clip_fields(kind: type[Request]) -> list[Field[Any]]:
    """The fields that hold clips."""
    return [each for each in fields(kind) if each.name in CLIP_FIELDS]


def clips_of(request: Request) -> tuple[Clip, ...]:
    """The clips that a request is about, in the order of its fields."""
    held = [getattr(request, each.name) for each in clip_fields(type(request))]
    return tuple(clip for each in held if each for clip in (each if isinstance(each, tuple) else (each,)))


def needs_clips(kind: type[Request]) -> bool:
    """Whether a request cannot be without clips, which a model must then be able to hear."""
    return any(each.default is MISSING for each in clip_fields(kind))


def has_point(kind: type[Request]) -> bool:
    """Whether a request is about a point z of the latent space."""
    return any(each.name == "z" for each in fields(kind))


def request_about(
    kind: type[Request], clips: Sequence[Clip], *, z: tuple[float, ...] = (), **settings: Any
) -> Request:
    """The request about these clips, in the order of its fields, and, where it is about one, the point z."""
    names = [each.name for each in clip_fields(kind)]
    given: dict[str, Any] = {"clips": tuple(clips)} if "clips" in names else dict(zip(names, clips, strict=False))
    if has_point(kind):
        given["z"] = z
    return kind(**settings, **given)


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
