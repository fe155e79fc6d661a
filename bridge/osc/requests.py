"""Requests read by the table of addresses: from a message to a call, to what it asks of the engine. No I/O."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from bridge.errors import RequestError
from bridge.osc.packet import Atom, Message
from bridge.osc.table import (
    ATOMS_PER_NOTE,
    NOTES_PER_MESSAGE,
    NUMBERS_PER_MESSAGE,
    PREFIX,
    REPLY_PORT,
    TABLE,
    Argument,
    Verb,
)
from engine.clip import Clip, Note
from engine.errors import EngineError
from engine.requests import Request, request_about, settings_of


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has been read: its arguments and keys by name, its notes, its numbers.

    error says why it cannot be answered; then values tell no more than its reply port, and has_id is False where
    not even the id can be read. repeat_key is what a repeat of it has in common with it.
    """

    verb: Verb
    id: int
    values: dict[str, Any]
    notes: tuple[Note, ...] = ()
    numbers: tuple[float, ...] = ()
    error: RequestError | None = None
    has_id: bool = True
    repeat_key: bytes = field(default=b"", compare=False, repr=False)

    @property
    def reply_port(self) -> int | None:
        """Where this client listens, None where the request does not say."""
        return self.values.get(REPLY_PORT.name)


def read_request(message: Message) -> Call:
    """What a message to /vae/VERB asks; an error in it names the argument and what is accepted."""
    name, number = message.address.removeprefix(PREFIX), None
    verb = TABLE.get(name) or Verb(name, "")
    try:
        number = _id(message)
        return _call(verb, number, message)
    except RequestError as error:
        port = _port_of(verb, message.arguments)
        values = {REPLY_PORT.name: port} if port else {}
        has_id = number is not None
        return Call(verb, number or 0, values, error=error, has_id=has_id, repeat_key=message.repeat_key)


def _id(message: Message) -> int:
    first = message.arguments[0] if message.arguments else None
    if isinstance(first, float) and first.is_integer():
        first = int(first)
    if not isinstance(first, int) or not 0 <= first < 2**31:
        raise RequestError(
            "bad_request", message.refusal or "the first argument must be an id, a whole number from 0"
        )
    return first


def _call(verb: Verb, number: int, message: Message) -> Call:
    if verb.name not in TABLE:
        raise RequestError("unknown_verb", f"there is no verb {verb.name!r}; /vae/verbs lists them")
    if message.refusal:
        raise RequestError("bad_request", message.refusal)
    if verb.needs_id and number == 0:
        raise RequestError("bad_request", f"{verb.name} needs an id of 1 or more")
    values, rest = _positional(verb, message.arguments[1:])
    notes: tuple[Note, ...] = ()
    numbers: tuple[float, ...] = ()
    if verb.notes:
        notes, rest = _notes(values["count"], rest)
    if verb.numbers:
        numbers, rest = _numbers(values["count"], rest)
    values |= _keys(verb, rest)
    return Call(verb, number, values, notes, numbers, repeat_key=message.repeat_key)


def _port_of(verb: Verb, arguments: Sequence[Atom]) -> int | None:
    """The reply port of a request that cannot be read: what follows that key, else hello's second argument."""
    places = [index + 1 for index, each in enumerate(arguments) if each == REPLY_PORT.name]
    if REPLY_PORT in verb.positional and not places:
        places = [1 + verb.positional.index(REPLY_PORT)]
    for place in places:
        port = arguments[place] if place < len(arguments) else None
        if isinstance(port, int | float) and 0 < port < 65536 and float(port).is_integer():
            return int(port)
    return None


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
    """Keys and values in any order, each key at most once."""
    known = {key.name: key for key in (*verb.keys, REPLY_PORT)}
    values: dict[str, Any] = {}
    rest = deque(arguments)
    while rest:
        name = rest.popleft()
        key = _key(known, name)
        if key is None:
            accepted = ", ".join(known)
            raise RequestError("bad_request", f"{verb.name} has no key {name!r}; it has {accepted}")
        if name in values:
            raise RequestError("bad_request", f"the key {name} stands twice")
        if not rest:
            raise RequestError("bad_request", f"the key {name} lacks its value")
        found = [_value(key, rest.popleft())]
        while key.several and rest and _key(known, rest[0]) is None:
            found.append(_value(key, rest.popleft()))
        values[str(name)] = ",".join(map(str, found)) if key.several else found[0]
    for key in verb.keys:
        if key.required and key.name not in values:
            raise RequestError("bad_request", f"{verb.name} needs the key {key.name}")
    return values


def _key(known: Mapping[str, Argument], name: Atom) -> Argument | None:
    """The key of a name; of timing.snare and the like that of timing."""
    if not isinstance(name, str):
        return None
    common = known.get(name.partition(".")[0])
    return known.get(name, common if common and common.dotted else None)


def _value(argument: Argument, value: Atom) -> Atom:
    """A value as its type: a whole float is an int, an int a float, a number the text that people write for it."""
    if argument.kind == "s":
        text = value if isinstance(value, str) else f"{value:.7g}" if value % 1 else str(int(value))
        if not 0 < len(text.encode()) <= argument.max_bytes:
            raise RequestError("bad_request", f"{argument.name} must have 1 to {argument.max_bytes} bytes")
        return text
    if not isinstance(value, str):
        if argument.kind == "f":
            return float(value)
        if float(value).is_integer():
            return _in_range(argument, int(value))
    expected = {"i": "a whole number", "f": "a number"}[argument.kind]
    raise RequestError("bad_request", f"{argument.name} must be {expected}, not {value!r}")


def _in_range(argument: Argument, value: int) -> int:
    """The value, unless it is not within what the argument takes."""
    if argument.within and not argument.within[0] <= value <= argument.within[1]:
        low, high = argument.within
        raise RequestError("bad_request", f"{argument.name} must be in {low}..{high}, not {value}")
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


def _numbers(count: int, arguments: Sequence[Atom]) -> tuple[tuple[float, ...], Sequence[Atom]]:
    """As many finite numbers as are said, and what is left."""
    if not 1 <= count <= NUMBERS_PER_MESSAGE:
        raise RequestError("bad_request", f"count must be in 1..{NUMBERS_PER_MESSAGE}, not {count}")
    numbers = tuple(float(_value(NUMBER, atom)) for atom in arguments[:count])
    if len(numbers) < count:
        raise RequestError("bad_request", f"count says {count} numbers, there are {len(numbers)}")
    if not all(map(math.isfinite, numbers)):
        raise RequestError("bad_request", "the numbers of a z must be finite")
    return numbers, arguments[count:]


NUMBER = Argument("each number of a z", "f")

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
    """What a call asks of the engine, about the clips of slots_of; RequestError if a setting is out of range.

    A clip that need not be named may be missing.
    """
    kind = call.verb.request
    assert kind is not None
    own, hints = {each.name for each in settings_of(kind)}, get_type_hints(kind)
    settings = {name: value for name, value in call.values.items() if name.partition(".")[0] in own}
    several = {key.name for key in call.verb.keys if key.several}
    for name in settings:
        bare = name.partition(".")[0]
        if bare in several:
            settings[name] = READ[hints[bare]](name, settings[name])
    try:
        return request_about(kind, clips, z=call.numbers, **settings)
    except EngineError as error:
        raise RequestError("bad_request", str(error)) from error


def slots_of(call: Call) -> list[str]:
    """The slots whose clips a call is about, in the order of the request's clips."""
    return [call.values[name] for name in call.verb.slots if name in call.values]


def _names(name: str, text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def read_numbers(name: str, text: str) -> tuple[float, ...]:
    """The numbers in a text, as 0,0,1,2; RequestError says what is wanted."""
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        raise RequestError("bad_request", f"{name} takes a number, or one a bar as 0,0,1,2, not {text!r}") from None


def _pitches(name: str, text: str) -> tuple[int, ...]:
    try:
        pitches = tuple(int(each) for each in text.split(","))
    except ValueError:
        pitches = (-1,)
    if not all(0 <= pitch <= 127 for pitch in pitches):
        raise RequestError("bad_request", f"{name} takes pitches in 0..127 such as 36,38, not {text!r}")
    return pitches


READ = {tuple[int, ...]: _pitches, tuple[str, ...]: _names, tuple[float, ...]: read_numbers}
"""How a value of several is read, by what it is."""
