"""The ONE table of OSC addresses: what each request takes. Those that make music come from engine.requests.

requests.py reads requests by it, replies.py writes what goes back. The contract is version 1 of the protocol: what
stands is never changed, only extended.
"""

from dataclasses import MISSING, Field, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bridge.playing.live_settings import KNOBS
from engine.representation.attributes import ATTRIBUTES
from engine.requests import CLIP_FIELDS, ContinueSound, Request, clip_fields, has_point, settings_of
from engine.requests import VERBS as ENGINE_VERBS

PREFIX = "/vae/"
PROTOCOL_VERSION = 1
NOTES_PER_MESSAGE = 48
ATOMS_PER_NOTE = 5
NUMBERS_PER_MESSAGE = 128
MAX_LATENT = 4096
MAX_NAME_BYTES, MAX_TEXT_BYTES = 64, 200
LESSON_SECONDS = 20.0
"""How long learn waits for a control that moves."""

Kind = Literal["i", "f", "s"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument or a key, and its type on the wire: i, f or s, of at most so many bytes.

    within: the least and the greatest whole number. several: a text with commas, or as many values as there are up
    to the next key. dotted: also as timing.snare, or density.bass.
    """

    name: str
    kind: Kind
    text: str = ""
    required: bool = False
    max_bytes: int = MAX_NAME_BYTES
    within: tuple[int, int] | None = None
    several: bool = False
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One address. notes: whether (pitch start duration velocity mute)×count follows the positional arguments.

    numbers: whether count floats do. answers_as is the verb in its done or fail; needs_id: whether id 0 is refused;
    begun_by: the verb that begins the request of several messages to which this one belongs, empty for one alone;
    begins: whether it is such a beginning, or another that is continued in the same way;
    while_warming_up: whether it is answered before the models are ready; request: what it asks of the engine;
    slots: those of its keys that name the clips of that, in their order.
    """

    name: str
    text: str
    positional: tuple[Argument, ...] = ()
    keys: tuple[Argument, ...] = ()
    notes: bool = False
    numbers: bool = False
    answers_as: str = ""
    needs_id: bool = False
    begun_by: str = ""
    begins: bool = False
    while_warming_up: bool = False
    request: type[Request] | None = None
    slots: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The verb that its done or fail names."""
        return self.answers_as or self.name


REPLY_PORT = Argument("reply_port", "i", "where this client listens", within=(1, 65535))
SLOT = Argument("slot", "s", "the clip in this slot", required=True)
SLOT_TEXTS = {SLOT.name: SLOT.text, "keep_slot": "notes that the clip in this slot has as well stay too"}
METER = (
    Argument("beats_per_bar", "f", "quarter notes in a bar"),
    Argument("tempo", "f", "bpm"),
    Argument("meter", "s", "as 6/8, which says beats_per_bar too; done of what comes back says it where not in 4"),
)
GROUP = Argument("group", "s", "a newer request of the group ends a queued one")
ON = Argument("on", "i", "1, or 0 to end it", within=(0, 1))
FROM = "from"
FEEL = Argument("feel", "s", "in place of from: a feel that was kept under this name")
TO_SLOT = Argument("to", "s", "keep result 0 in this slot as well")
CLIP, POINT = "clip/begin", next(name for name, request in ENGINE_VERBS.items() if has_point(request))
"""The verbs that begin a request of several messages: of a clip's notes and parts, of a point's numbers."""

SOUND = "audio/continue"
LIVE_BAR = "live/bar"
"""Begins one too, which goes on as that of a clip does."""

LONG_TEXTS = ("chords", "style", *ATTRIBUTES)
"""Keys whose texts may be longer than a name: one value a bar, or a mixture."""

OF_A_MODEL = (
    Argument("model", "s", "its name"),
    Argument("verb", "s", "of the model that is asked for this verb where none is named"),
)

SIZE = Argument("size", "i", "how many numbers of latent follow", required=True)


def _need(name: str, kind: Kind, text: str = "") -> Argument:
    return Argument(name, kind, text, required=True)


def _music(name: str, request: type[Request]) -> Verb:
    """A verb of the engine: its keys are the request's settings, and the slots of its clips."""
    settings = _settings(request)
    slots = slot_keys(request)
    size = (SIZE,) if has_point(request) else ()
    feel = (FEEL,) if any(each.name == "feel" for each in clip_fields(request)) else ()
    kept = request.makes_clips and all(key.name != TO_SLOT.name for key in slots)
    keys = (*size, *slots, *feel, *settings, *((TO_SLOT,) if kept else ()), GROUP)
    needs_id = has_point(request) or not request.makes_clips
    begun_by = name if has_point(request) else ""
    text = (request.__doc__ or "").split("\n")[0]
    names = tuple(key.name for key in slots)
    begins = has_point(request)
    return Verb(
        name, text, keys=keys, request=request, needs_id=needs_id, begun_by=begun_by, begins=begins, slots=names
    )


def _settings(request: type[Request]) -> list[Argument]:
    """The keys of a request's settings."""
    hints = get_type_hints(request)
    return [
        Argument(
            each.name,
            _kind(hints[each.name]),
            each.metadata["text"] + of_one(each),
            max_bytes=MAX_TEXT_BYTES if each.name in LONG_TEXTS else MAX_NAME_BYTES,
            several=get_origin(hints[each.name]) is tuple,
            dotted=bool(of_one(each)),
        )
        for each in settings_of(request)
    ]


def of_one(each: Field[Any]) -> str:
    """What is said of a setting that one drum or part may have of its own, else nothing."""
    if each.metadata.get("by_drum"):
        return f"; {each.name}.snare and the like of one drum"
    return f"; {each.name}.bass and the like of one part" if each.metadata.get("by_part") else ""


def slot_keys(request: type[Request]) -> tuple[Argument, ...]:
    """The keys for the slots of a request's clips, in the order of clips_of; of several clips two are required."""
    return tuple(
        Argument(name, "s", SLOT_TEXTS.get(name, "a slot"), _is_needed(each) and place < 2)
        for each in clip_fields(request)
        for place, name in enumerate(CLIP_FIELDS[each.name])
    )


def _is_needed(each: Field[Any]) -> bool:
    """Whether the slot of a clip must be named: a feel may have a name in place of one."""
    return each.default is MISSING and each.name != "feel"


def _knobs() -> tuple[Argument, ...]:
    """What can be said of the live mode bar after bar."""
    return tuple(
        Argument(
            name,
            _kind(each.type),
            each.metadata["text"] + of_one(each) * (name in ATTRIBUTES),
            max_bytes=MAX_TEXT_BYTES if name in LONG_TEXTS else MAX_NAME_BYTES,
            several=name in ATTRIBUTES,
            dotted=name in ATTRIBUTES and bool(of_one(each)),
        )
        for name, each in KNOBS.items()
    )


def _kind(hint: Any) -> Kind:
    """int -> i, float -> f, str -> s; a tuple is written as a string with commas."""
    types = {int, float, str} & ({hint} | set(get_args(hint)))
    if get_origin(hint) is tuple or types == {str}:
        return "s"
    return "i" if types == {int} else "f"


TABLE: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "hello",
            "say who you are and where you listen",
            positional=(_need("client", "s", "your name"), REPLY_PORT),
            while_warming_up=True,
        ),
        Verb("ping", "are you there, and ready?", while_warming_up=True),
        Verb("status", "what the daemon is doing", while_warming_up=True),
        Verb("sync", "done when all earlier requests of this client have ended"),
        Verb(
            "cancel",
            "end a request",
            keys=(_need("target", "i", "the id of the request"),),
            while_warming_up=True,
        ),
        Verb(
            "verbs",
            "the verbs of this daemon, but for those that none of its models can do",
            keys=(
                Argument("model", "s", "but for those that this one cannot do"),
                Argument("loaded", "i", "1: but for those that no model in memory can do", within=(0, 1)),
            ),
        ),
        Verb("models", "the models of this daemon, but for those of sound"),
        Verb("load", "make a model resident and the default", keys=(_need("model", "s", "its name"),)),
        Verb(
            "styles",
            "the styles that a model knows",
            keys=OF_A_MODEL,
        ),
        Verb(
            "attributes",
            "the attributes that can be asked of a model",
            keys=OF_A_MODEL,
        ),
        Verb(
            "learn_style",
            "learn a style of your own from the drums in slots, and keep it",
            keys=(
                _need("name", "s", "under which it is kept"),
                Argument("slots", "s", "which, with commas", required=True, max_bytes=MAX_TEXT_BYTES, several=True),
                Argument("model", "s", "the drummer in whose z it lies; else the default of humanize"),
            ),
        ),
        Verb("forget_style", "remove a style of your own", keys=(_need("name", "s", "its name"),)),
        Verb("feel_save", "keep the feel of a clip under a name", keys=(_need("name", "s", "its name"), SLOT)),
        Verb("feels", "the feels that are kept"),
        Verb(
            "clip",
            "upload a small clip",
            positional=(_need("slot", "s"), _need("beats", "f"), _need("count", "i")),
            keys=METER,
            notes=True,
        ),
        Verb(
            CLIP,
            "begin to upload a clip",
            positional=(_need("slot", "s"), _need("total", "i"), _need("beats", "f")),
            keys=METER,
            answers_as="clip",
            needs_id=True,
            begun_by=CLIP,
            begins=True,
        ),
        Verb(
            "clip/notes",
            "some notes of an upload",
            positional=(_need("first", "i"), _need("count", "i")),
            notes=True,
            answers_as="clip",
            needs_id=True,
            begun_by=CLIP,
        ),
        Verb(
            "clip/part",
            "which notes of an upload are one instrument's",
            positional=(
                _need("part", "i"),
                _need("channel", "i"),
                _need("program", "i"),
                _need("first", "i"),
                _need("count", "i"),
                _need("name", "s"),
            ),
            answers_as="clip",
            needs_id=True,
            begun_by=CLIP,
        ),
        Verb("clip/end", "the end of an upload", answers_as="clip", needs_id=True, begun_by=CLIP),
        Verb(
            "clip/get",
            "send a clip back as result 0",
            keys=(SLOT, Argument("first", "i", "the first note"), Argument("count", "i", "how many notes")),
        ),
        Verb("clip/list", "the slots that hold a clip"),
        Verb("clip/clear", "empty a slot", keys=(SLOT,)),
        *(_music(name, request) for name, request in ENGINE_VERBS.items()),
        Verb(
            SOUND,
            "write what comes after a file of sound to another file; both lie in the folder of --audio-folder",
            keys=(
                Argument("path", "s", "the file of sound", required=True, max_bytes=MAX_TEXT_BYTES),
                Argument("to", "s", "the file to write", required=True, max_bytes=MAX_TEXT_BYTES),
                *_settings(ContinueSound),
                GROUP,
            ),
        ),
        Verb(
            "latent",
            "some numbers of the z of a decode",
            positional=(_need("first", "i"), _need("count", "i")),
            numbers=True,
            answers_as=POINT,
            needs_id=True,
            begun_by=POINT,
        ),
        Verb(
            "play",
            "play a clip on MIDI out",
            keys=(
                SLOT,
                Argument("at", "s", "bar, beat or now"),
                Argument("loop", "i", "1: again and again", within=(0, 1)),
                Argument("channel", "i", "1..16"),
            ),
        ),
        Verb("stop", "end what plays", keys=(Argument("at", "s", "bar or now"),), while_warming_up=True),
        Verb("panic", "end every note at once", while_warming_up=True),
        Verb(
            "live",
            "play along",
            keys=(
                _need("mode", "s", "off, answer, loop, drumify, accompany, morph or through"),
                Argument("bars", "i", "how many bars"),
                Argument("verb", "s", "what is asked of the model"),
                Argument("slot", "s", "loop: the clip it varies, or goes on from"),
                Argument("from", "s", "morph: a slot"),
                Argument("to", "s", "morph: a slot"),
                Argument("count_in", "i", "bars of clicks before it begins"),
                *_knobs(),
            ),
        ),
        Verb(
            "steer",
            "turn the knobs of the live mode",
            keys=(
                *_knobs(),
                Argument("clear", "s", "take these back: their names with commas", max_bytes=MAX_TEXT_BYTES),
            ),
        ),
        Verb(
            LIVE_BAR,
            "a bar that you have played yourself, whose notes follow as those of an upload do",
            positional=(
                _need("n", "i", "its number, as /vae/bar tells it"),
                _need("total", "i"),
                _need("beats", "f"),
            ),
            needs_id=True,
            begun_by=CLIP,
            begins=True,
        ),
        Verb("freeze", "keep the variation that plays", keys=(ON,)),
        Verb("undo", "go back to the variation before, and keep it"),
        Verb("learn", "give a target to the next control that moves", keys=(_need("target", "s"), ON)),
        Verb(
            "tempo",
            "the tempo of the internal clock or of Link",
            keys=(Argument("bpm", "f"), Argument("beats_per_bar", "f", "quarter notes in a bar")),
            while_warming_up=True,
        ),
        Verb(
            "clock",
            "who keeps the time",
            keys=(_need("source", "s", "internal, midi or link"),),
            while_warming_up=True,
        ),
        Verb(
            "subscribe",
            "be told",
            keys=(_need("topic", "s", "beat, play, status or notes"), ON),
            while_warming_up=True,
        ),
    )
}
"""Every request, by its address without /vae/."""
