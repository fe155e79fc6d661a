"""The one table of verbs: what can be asked of the engine, and the results that come back.

A verb is a frozen dataclass in VERBS. Its name is that of the class, its help the first line of the docstring; its
fields are the settings, with their ranges, and the clips that it is about; learnt_by says which models can do it.
The method of its name in engine.verbs does it. The OSC table, the command line, the warm-up and the registry read
all of that here. Knows no wire and no model.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from engine.clip import Clip
from engine.errors import ClipError
from engine.representation.attributes import ATTRIBUTES, FEEL
from engine.representation.instruments import INSTRUMENTS
from engine.settings import MAX_SEED as MAX_SEED
from engine.settings import Request as Request
from engine.settings import Steered, choice
from engine.settings import setting as setting

STYLE = (
    "a style or player that the model knows, house and the like, one of your own, or several as funk:.7,mine:.3; "
    "none: none is chosen"
)
CHORDS = "a chord a bar, as C Am F G7, repeated to the end; for models that follow chords"
PARTS = "which parts are made, of lead, bass and drums; else "
KEY = "as C or F#m, for models of several parts; else the one that is heard, or C"
SCALE = "the new notes are of it: major, minor, dorian, pentatonic and others, on the key's tonic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Steered):
    """New bars from the prior."""

    learnt_by = ("autoencode",)
    bars: int | None = setting(None, 1, 64, "how many bars; else 2, or what a model of tokens was trained on")
    style: str | None = choice(None, STYLE)
    parts: tuple[str, ...] = choice((), PARTS + "all")
    chords: str | None = choice(None, CHORDS)
    key: str | None = choice(None, KEY)
    scale: str | None = choice(None, SCALE)
    tempo: float | None = setting(None, 3, 1000, "bpm; else 120, over OSC the daemon's")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping(Steered):
    """What is about a clip of which some notes stay as they are, while the model hears how they are played.

    A note stays that has one of the pitches to keep, or that is in keep_clip as well, with the same start, duration
    and velocity: where both are said, all that either names. A pitch that the clip has not keeps nothing.
    """

    clip: Clip
    keep: tuple[int, ...] = choice((), "these pitches stay as they are, and the model hears them")
    keep_clip: Clip | None = None

    @property
    def keeps(self) -> bool:
        """Whether it says that notes are to stay."""
        return bool(self.keep or self.keep_clip)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteForNote(Keeping):
    """What plays the notes of a clip: each result has exactly these, in their order.

    The notes of one drum in one sixteenth move together: beside a note that stays, all of them do. Notes that are
    played as taps have the common values, whatever is said of single drums.
    """

    steers = FEEL

    timing: float = setting(1.0, 0, 1, "how far notes move to where the model plays them", by_drum=True)
    velocity: float = setting(1.0, 0, 1, "how far velocities move to what the model plays", by_drum=True)
    accents: float = setting(
        0.0, 0, 1, "1: within each drum the model's velocities are dealt out in the order of the clip's own"
    )
    taps: int | None = setting(
        None, 0, 1, "1: lay the feel on the onsets, as for a melody; 0: never; else by pitch"
    )

    def of_drums(self, name: str, *, as_taps: bool = False) -> tuple[float, ...]:
        """timing or velocity for each of INSTRUMENTS; as_taps: there are no drums."""
        common, own = getattr(self, name), {} if as_taps else dict(self.of_drum)
        values = (own.get(f"{name}.{drum}", common) for drum in INSTRUMENTS)
        return tuple(value for value in values if not isinstance(value, tuple))


@dataclass(frozen=True, slots=True, kw_only=True)
class Humanize(NoteForNote):
    """Exactly the notes of the clip, with played timing and velocity."""

    learnt_by = ("humanize", "transfer")
    style: str | None = choice(None, STYLE)
    only: tuple[int, ...] = choice((), "change only these pitches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groove(NoteForNote):
    """Exactly the notes of the clip, with the feel of another.

    That one, feel, plays on in a loop beside the clip: each stretch has the feel of the bars that sound with it.
    """

    learnt_by = ("same_feel",)
    feel: Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drumify(Steered):
    """Taps of any pitch become a full drum part."""

    learnt_by = ("tap", "tap_fixed_velocity", "tap_fixed_velocity_note_dropout")
    clip: Clip
    bars: int | None = setting(None, 1, 64, "how many bars; else as many as the taps fill")
    style: str | None = choice(None, STYLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Steered):
    """The clip with one instrument's part added."""

    learnt_by = ("fill", "add_closed_hat")
    steers = FEEL
    clip: Clip
    instrument: str = choice("closed_hat", "the instrument to add")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolate(Steered):
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
        Steered.__post_init__(self)  # super() fails in a class that slots=True made anew
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
class Vary(Keeping):
    """Variations of the clip.

    A drum whose pitch is to be kept gets no new notes; where no note is left to change, the clip comes back.
    """

    learnt_by = ("autoencode",)
    similarity: float = setting(0.5, 0, 1, "1 is the clip as the model sees it, 0 anything")
    parts: tuple[str, ...] = choice((), PARTS + "those of the clip")
    chords: str | None = choice(None, CHORDS)
    key: str | None = choice(None, KEY)
    scale: str | None = choice(None, SCALE)


FILL_IN = "1: the last of the new bars is a drum fill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Steered):
    """The bars that come after the clip, alone."""

    learnt_by = ("continue",)
    clip: Clip
    bars: int | None = setting(None, 1, 64, "how many bars; else as many as the clip has, at most 16")
    fill_in: int = setting(0, 0, 1, FILL_IN)
    parts: tuple[str, ...] = choice((), PARTS + "those of the clip")
    chords: str | None = choice(None, CHORDS)
    key: str | None = choice(None, KEY)
    scale: str | None = choice(None, SCALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accompany(Steered):
    """The parts that belong to the clip's, as long as it is, alone.

    Of a clip without parts a melody's highest voice is the lead, and what sounds beneath it is harmony.
    """

    learnt_by = ("accompany",)
    clip: Clip
    parts: tuple[str, ...] = choice((), PARTS + "those that the clip lacks")
    since: float = setting(
        0.0, 0, 4096, "the beat from which they are made, and sent; what they play before it is heard"
    )
    style: str | None = choice(None, STYLE)
    chords: str | None = choice(None, CHORDS)
    key: str | None = choice(None, KEY)
    scale: str | None = choice(None, SCALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infill(Keeping):
    """The clip, of which the marked beats are made anew; every other note comes back as it was.

    A drum whose pitch is to be kept gets no new notes in the mark.
    """

    learnt_by = ("infill",)
    start: float = setting(0.0, 0, 4096, "the beat where the mark starts, from 0")
    beats: float = setting(4.0, 0.25, 4096, "how many beats are marked")
    fill_in: int = setting(0, 0, 1, FILL_IN)
    parts: tuple[str, ...] = choice((), PARTS + "those of the clip")
    chords: str | None = choice(None, CHORDS)
    key: str | None = choice(None, KEY)
    scale: str | None = choice(None, SCALE)


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
class Decode(Steered):
    """The clip at a point of the latent space; with a clip, that one's notes with the feel of the point."""

    z: tuple[float, ...]
    clip: Clip | None = None
    chords: str | None = choice(None, CHORDS)

    def __post_init__(self) -> None:
        Steered.__post_init__(self)
        if not all(map(math.isfinite, self.z)):
            raise ClipError("z must be finite numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnStyle(Request):
    """A style of one's own, learnt from clips of drums and kept under a name; no clip comes back.

    It is no verb of a model: the drummer that is asked to humanize learns it. sources: where the clips are from.
    """

    makes_clips = False
    name: str
    clips: tuple[Clip, ...]
    sources: tuple[str, ...] = ()


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueSound(Request):
    """What comes after a file of sound, written to another file; no clip comes back.

    It is no verb of models of clips: a model of sound does it. given_up is asked at each block of ten seconds; from
    when on it is true, AudioError ends it and nothing is written.
    """

    makes_clips = False
    path: Path
    to: Path
    append: int = setting(0, 0, 1, "1: what was there is written before it")
    seconds: float = setting(10.0, 0.25, 3600, "how many seconds come, 0.25 to 3600; else 10")
    seed: int | None = setting(None, 0, MAX_SEED, "the same seed gives the same sound; else one is drawn")
    temperature: float = setting(1.0, 0, 2, "0 takes the likeliest stretch of what was heard, 1 draws one")
    count: int = setting(1, 1, 1, "there is one result")
    given_up: Callable[[], bool] = field(default=_never, compare=False)


AnyRequest = TypeVar("AnyRequest", bound=Request)

VERBS: dict[str, type[Request]] = {
    kind.__name__.lower(): kind
    for kind in (
        Sample,
        Humanize,
        Drumify,
        Fill,
        Interpolate,
        Vary,
        Groove,
        Continue,
        Infill,
        Accompany,
        Encode,
        Decode,
    )
}

CLIP_FIELDS = {
    "clip": ("slot",),
    "feel": ("from",),
    "clips": ("from", "to", "from2", "to2"),
    "keep_clip": ("keep_slot",),
}
"""The fields of requests that hold clips, and the keys by which a client names their slots."""


def verb_of(request: Request) -> str:
    """The verb that a request asks for."""
    return type(request).__name__.lower()


def settings_of(kind: type[Request]) -> list[Field[Any]]:
    """The fields that a client can set."""
    without = set(ATTRIBUTES) - set(kind.steers)
    return [each for each in fields(kind) if "text" in each.metadata and each.name not in without]


def clip_fields(kind: type[Request]) -> tuple[Field[Any], ...]:
    """The fields that hold clips, those that may be left out last."""
    return _clip_fields(cast(Hashable, kind))


@cache
def _clip_fields(kind: Hashable) -> tuple[Field[Any], ...]:
    held = (each for each in fields(cast(type[Request], kind)) if each.name in CLIP_FIELDS)
    return tuple(sorted(held, key=lambda each: each.default is not MISSING))


def clips_of(request: Request) -> tuple[Clip, ...]:
    """The clips that a request is about, in the order of its fields."""
    held = [getattr(request, each.name) for each in clip_fields(type(request))]
    return tuple(clip for each in held if each for clip in (each if isinstance(each, tuple) else (each,)))


def needs_clips(kind: type[Request]) -> int:
    """How many clips a request cannot be without, which a model must then be able to hear."""
    return sum(2 if each.name == "clips" else 1 for each in clip_fields(kind) if each.default is MISSING)


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
    return request_with(kind, settings, **given)


def request_with(kind: type[AnyRequest], settings: Mapping[str, Any], **given: Any) -> AnyRequest:
    """The request with these settings, among them some of single drums, such as timing.snare."""
    values = given | {name: value for name, value in settings.items() if "." not in name}
    if of_drum := tuple((name, value) for name, value in settings.items() if "." in name):
        values["of_drum"] = of_drum
    return kind(**values)


@dataclass(frozen=True, slots=True)
class Results:
    """The clips that answer a request, and how they were made.

    seed is the one that was used; ms the time in the engine; as_taps is set where a clip that is no drums was
    played as taps; remarks are sentences for the user (a pitch outside the drum map, a fall back to the CPU);
    latent is the mu that Encode asks for; meter that of the clips where it is not in quarter notes, such as 6/8.
    facts is what else is to be told, by name: of the attributes that were asked for what came, in standard
    deviations, one number or, where it was asked by bar, one a bar as a text; the style that was chosen.
    """

    clips: tuple[Clip, ...]
    model: str
    seed: int
    ms: float
    as_taps: bool = False
    remarks: tuple[str, ...] = ()
    latent: tuple[float, ...] = ()
    meter: str = ""
    facts: tuple[tuple[str, float | str], ...] = ()
