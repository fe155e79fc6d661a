"""The ONE table of OSC addresses: what each request takes; and the requests read by it.

replies.py writes what goes back. No I/O. The contract is version 1 of the protocol: what stands is never changed,
only extended.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from bridge.errors import RequestError
from bridge.osc_packet import Atom, Message
from engine.clip import Clip, Note
from engine.errors import EngineError
from engine.requests import VERBS as ENGINE_VERBS
from engine.requests import Interpolate, Request

PREFIX = "/vae/"
PROTOCOL_VERSION = 1
NOTES_PER_MESSAGE = 48
ATOMS_PER_NOTE = 5
MAX_NAME_BYTES = 64
MAX_NOTES = 4096
LESSON_SECONDS = 20.0
"""How long learn waits for a control that moves."""

Kind = Literal["i", "f", "s"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument or a key, and its type on the wire: i, f or s."""

    name: str
    kind: Kind
    text: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Verb:
    """One address. notes: whether (pitch start duration velocity mute)×count follows the positional arguments.

    answers_as is the verb in its done or fail; needs_id: whether id 0 is refused; while_warming_up: whether it is
    answered before the models are ready; request: what it asks of the engine.
    """

    name: str
    text: str
    positional: tuple[Argument, ...] = ()
    keys: tuple[Argument, ...] = ()
    notes: bool = False
    answers_as: str = ""
    needs_id: bool = False
    while_warming_up: bool = False
    request: type[Request] | None = None

    @property
    def answer(self) -> str:
        """The verb that its done or fail names."""
        return self.answers_as or self.name


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been read: its arguments and keys by name, its notes."""

    verb: Verb
    id: int
    values: dict[str, Any]
    notes: tuple[Note, ...] = ()


REPLY_PORT = Argument("reply_port", "i", "where this client listens")
SLOT = Argument("slot", "s", "the clip in this slot", required=True)
METER = (Argument("beats_per_bar", "f", "quarter notes in a bar"), Argument("tempo", "f", "bpm"))
GROUP = Argument("group", "s", "a newer request of the group ends a queued one")
ON = Argument("on", "i", "1, or 0 to end it")
TO_SLOT = Argument("to", "s", "keep result 0 in this slot as well")


def _need(name: str, kind: Kind, text: str = "") -> Argument:
    return Argument(name, kind, text, required=True)


def _music(name: str, request: type[Request]) -> Verb:
    """A verb of the engine: its keys are the request's settings, and the slots of its clips."""
    hints = get_type_hints(request)
    settings = [Argument(each.name, _kind(hints[each.name]), each.metadata["text"]) for each in _settings(request)]
    slots: tuple[Argument, ...] = ()
    if "clip" in hints:
        slots = (SLOT,)
    if "clips" in hints:
        slots = (_need("from", "s", "a slot"), _need("to", "s", "a slot"))
        slots += (Argument("from2", "s", "a slot"), Argument("to2", "s", "a slot"))
    keep = () if "clips" in hints else (TO_SLOT,)
    text = (request.__doc__ or "").split("\n")[0]
    return Verb(name, text, keys=(*slots, *settings, *keep, GROUP), request=request)


def _steered() -> tuple[Argument, ...]:
    """The settings of all verbs that make sense bar after bar."""
    names = {
        each.name: Argument(each.name, _kind(get_type_hints(request)[each.name]), each.metadata["text"])
        for request in ENGINE_VERBS.values()
        for each in _settings(request)
        if each.name not in NOT_LIVE
    }
    return (*names.values(), Argument("density", "f", "few or many hits, in standard deviations"))


NOT_LIVE = frozenset({"count", "bars", "steps", "position2", "only", "instrument"})


def _settings(request: type[Request]) -> list[Any]:
    return [each for each in fields(request) if "text" in each.metadata]


def _kind(hint: Any) -> Kind:
    """int -> i, float -> f, str -> s; a tuple is written as a string with commas."""
    types = {int, float, str} & ({hint} | set(get_args(hint)))
    if hint == tuple[int, ...] or types == {str}:
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
        Verb("cancel", "end a request", keys=(_need("target", "i", "the id of the request"),)),
        Verb("verbs", "the verbs of this daemon"),
        Verb("models", "the models of this daemon"),
        Verb("load", "make a model resident and the default", keys=(_need("model", "s", "its name"),)),
        Verb("styles", "the styles that a model knows", keys=(Argument("model", "s", "its name"),)),
        Verb(
            "clip",
            "upload a small clip",
            positional=(_need("slot", "s"), _need("beats", "f"), _need("count", "i")),
            keys=METER,
            notes=True,
        ),
        Verb(
            "clip/begin",
            "begin to upload a clip",
            positional=(_need("slot", "s"), _need("total", "i"), _need("beats", "f")),
            keys=METER,
            answers_as="clip",
            needs_id=True,
        ),
        Verb(
            "clip/notes",
            "some notes of an upload",
            positional=(_need("first", "i"), _need("count", "i")),
            notes=True,
            answers_as="clip",
            needs_id=True,
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
        ),
        Verb("clip/end", "the end of an upload", answers_as="clip", needs_id=True),
        Verb(
            "clip/get",
            "send a clip back as result 0",
            keys=(SLOT, Argument("first", "i", "the first note"), Argument("count", "i", "how many notes")),
        ),
        Verb("clip/list", "the slots that hold a clip"),
        Verb("clip/clear", "empty a slot", keys=(SLOT,)),
        *(_music(name, request) for name, request in ENGINE_VERBS.items()),
        Verb(
            "play",
            "play a clip on MIDI out",
            keys=(
                SLOT,
                Argument("at", "s", "bar, beat or now"),
                Argument("loop", "i", "1: again and again"),
                Argument("channel", "i", "1..16"),
            ),
        ),
        Verb("stop", "end what plays", keys=(Argument("at", "s", "bar or now"),), while_warming_up=True),
        Verb("panic", "end every note at once", while_warming_up=True),
        Verb(
            "live",
            "play along",
            keys=(
                _need("mode", "s", "off, answer, loop, drumify, morph or through"),
                Argument("bars", "i", "how many bars"),
                Argument("verb", "s", "what is asked of the model"),
                Argument("slot", "s", "loop: the clip it varies"),
                Argument("from", "s", "morph: a slot"),
                Argument("to", "s", "morph: a slot"),
                Argument("count_in", "i", "bars of clicks before it begins"),
                *_steered(),
            ),
        ),
        Verb("steer", "turn the knobs of the live mode", keys=_steered()),
        Verb("freeze", "keep the variation that plays", keys=(ON,)),
        Verb("undo", "go back to the variation before, and keep it"),
        Verb("learn", "give a target to the next control that moves", keys=(_need("target", "s"), ON)),
        Verb(
            "tempo",
            "the tempo of the internal clock or of Link",
            keys=(_need("bpm", "f"), Argument("beats_per_bar", "f", "quarter notes in a bar")),
            while_warming_up=True,
        ),
        Verb(
            "clock",
            "who keeps the time",
            keys=(_need("source", "s", "internal, midi or link"),),
            while_warming_up=True,
        ),
        Verb("subscribe", "be told", keys=(_need("topic", "s", "beat, play or status"), ON), while_warming_up=True),
    )
}
"""Every request, by its address without /vae/."""


def parse_id(message: Message) -> int:
    """The id of a request; RequestError if there is none that can be read."""
    first = message.arguments[0] if message.arguments else None
    if isinstance(first, float) and first.is_integer():
        first = int(first)
    if not isinstance(first, int) or not 0 <= first < 2**31:
        raise RequestError(
            "bad_request", message.refusal or "the first argument must be an id, a whole number from 0"
        )
    return first


def parse_request(message: Message) -> Call:
    """The call that a message to /vae/VERB makes; RequestError names the argument and what is accepted."""
    number, name = parse_id(message), message.address.removeprefix(PREFIX)
    verb = TABLE.get(name)
    if verb is None:
        raise RequestError("unknown_verb", f"there is no verb {name!r}; /vae/verbs lists them")
    if message.refusal:
        raise RequestError("bad_request", message.refusal)
    if verb.needs_id and number == 0:
        raise RequestError("bad_request", f"{name} needs an id of 1 or more")
    values, rest = _positional(verb, message.arguments[1:])
    notes: tuple[Note, ...] = ()
    if verb.notes:
        notes, rest = _notes(values["count"], rest)
    values |= _keys(verb, rest)
    return Call(verb, number, values, notes)


def _positional(verb: Verb, arguments: Sequence[Atom]) -> tuple[dict[str, Any], Sequence[Atom]]:
    """The positional arguments by name, and what is left; one that is optional ends at the first key."""
    values, names = {}, {key.name for key in (*verb.keys, REPLY_PORT)}
    for argument in verb.positional:
        if not arguments or (not argument.required and arguments[0] in names):
            if argument.required:
                raise RequestError("bad_request", f"{verb.name} lacks its argument {argument.name}")
            break
        values[argument.name] = _value(argument, arguments[0])
        arguments = arguments[1:]
    return values, arguments


def _keys(verb: Verb, arguments: Sequence[Atom]) -> dict[str, Any]:
    """Keys and values in any order, each at most once."""
    known = {key.name: key for key in (*verb.keys, REPLY_PORT)}
    values: dict[str, Any] = {}
    for at in range(0, len(arguments), 2):
        name = arguments[at]
        if name not in known:
            accepted = ", ".join(known)
            raise RequestError("bad_request", f"{verb.name} has no key {name!r}; it has {accepted}")
        if name in values:
            raise RequestError("bad_request", f"the key {name} stands twice")
        if at + 1 == len(arguments):
            raise RequestError("bad_request", f"the key {name} lacks its value")
        values[str(name)] = _value(known[str(name)], arguments[at + 1])
    for key in verb.keys:
        if key.required and key.name not in values:
            raise RequestError("bad_request", f"{verb.name} needs the key {key.name}")
    return values


def _value(argument: Argument, value: Atom) -> Atom:
    """A value as its type; a whole float is an int, an int a float, and nothing else is anything else."""
    if argument.kind == "s" and isinstance(value, str):
        if not 0 < len(value.encode()) <= MAX_NAME_BYTES:
            raise RequestError("bad_request", f"{argument.name} must have 1 to {MAX_NAME_BYTES} bytes")
        return value
    if argument.kind != "s" and not isinstance(value, str):
        if argument.kind == "f":
            return float(value)
        if float(value).is_integer():
            return _in_range(argument, int(value))
    expected = {"i": "a whole number", "f": "a number", "s": "a string"}[argument.kind]
    raise RequestError("bad_request", f"{argument.name} must be {expected}, not {value!r}")


def _in_range(argument: Argument, value: int) -> int:
    """The value, unless it is a port that there cannot be."""
    if argument is REPLY_PORT and not 0 < value < 65536:
        raise RequestError("bad_request", f"reply_port must be in 1..65535, not {value}")
    return value


def _notes(count: int, arguments: Sequence[Atom]) -> tuple[tuple[Note, ...], Sequence[Atom]]:
    """(pitch start duration velocity mute)×count, and what is left."""
    if not 0 <= count <= NOTES_PER_MESSAGE:
        raise RequestError("bad_request", f"count must be in 0..{NOTES_PER_MESSAGE}, not {count}")
    atoms = arguments[: count * ATOMS_PER_NOTE]
    if len(atoms) < count * ATOMS_PER_NOTE:
        raise RequestError("bad_request", f"{count} notes are {count * ATOMS_PER_NOTE} numbers, not {len(atoms)}")
    rows = zip(*[iter(atoms)] * ATOMS_PER_NOTE, strict=True)
    return tuple(_note(*row) for row in rows), arguments[len(atoms) :]


NOTE_FIELDS = (
    Argument("pitch", "i"),
    Argument("start", "f"),
    Argument("duration", "f"),
    Argument("velocity", "i"),
    Argument("mute", "i"),
)


def _note(*atoms: Atom) -> Note:
    pitch, start, duration, velocity, mute = (
        _value(field, atom) for field, atom in zip(NOTE_FIELDS, atoms, strict=True)
    )
    try:
        return Note(int(pitch), float(start), float(duration), int(velocity), bool(mute))
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error


def engine_request(call: Call, clips: Sequence[Clip]) -> Request:
    """What a call asks of the engine, about the clips in its slots; RequestError if a setting is out of range."""
    kind = call.verb.request
    assert kind is not None
    settings = {each.name: call.values[each.name] for each in _settings(kind) if each.name in call.values}
    if "only" in settings:
        settings["only"] = _pitches(settings["only"])
    given = {"clips": tuple(clips)} if kind is Interpolate else {"clip": clips[0]} if clips else {}
    try:
        return kind(**settings, **given)
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error


def slots_of(call: Call) -> list[str]:
    """The slots whose clips a call is about, in the order of the request's clips."""
    names = ("from", "to", "from2", "to2") if call.verb.request is Interpolate else ("slot",)
    return [call.values[name] for name in names if name in call.values]


def _pitches(text: str) -> tuple[int, ...]:
    try:
        pitches = tuple(int(each) for each in text.split(","))
    except ValueError:
        pitches = (-1,)
    if not all(0 <= pitch <= 127 for pitch in pitches):
        raise RequestError("bad_request", f"only takes pitches in 0..127 such as 36,38, not {text!r}")
    return pitches
