"""Datagrams ↔ addresses and arguments. Knows nothing of our verbs, does no I/O.

python-osc reads the messages. Bundles are walked here, since its own reader never returns from a negative size; and
messages are written here, in a tenth of its builder's time.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.parsing import osc_types

from bridge.errors import PacketError

Atom = int | float | str

BUNDLE = b"#bundle\0"
IMMEDIATELY = 1
NTP_TO_UNIX_SECONDS = 2208988800
MOST_NESTED = 8
ACCEPTED_TYPES = frozenset("ifsTFdh")
WRITTEN_TYPES = frozenset("ifs")
MOST_ARGUMENTS = 1024
"""More than any verb takes; to read those that fit into a datagram takes 40 ms."""


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message.

    due is the unix time of its bundle, 0 for at once; refusal says why its arguments cannot be taken; repeat_key is
    what a repeat of it has in common with it: its own bytes in the datagram.
    """

    address: str
    arguments: tuple[Atom, ...]
    due: float = 0.0
    refusal: str = ""
    repeat_key: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Element:
    """A message of a datagram that has not been read yet. due is the unix time of its bundle, 0 for at once."""

    content: bytes
    due: float = 0.0


def read_packet(datagram: bytes) -> list[Message]:
    """The messages of a datagram in order; PacketError if it is no OSC."""
    return [read_message(element) for element in split_packet(datagram)]


def split_packet(datagram: bytes) -> list[Element]:
    """What may be messages in a datagram, in order; PacketError if it is no OSC.

    Thousands fit into one, and to read them all takes five times as long as to find them.
    """
    return list(_elements(datagram, 0.0, 0))


def write_message(address: str, *arguments: Atom) -> bytes:
    """A message whose ints are i, floats f and strings s."""
    types = "".join(
        ["f" if isinstance(each, float) else "s" if isinstance(each, str) else "i" for each in arguments]
    )
    values, layout = list[Atom | bytes](arguments), types
    if "s" in types:
        values = [_padded(each) if isinstance(each, str) else each for each in arguments]
        layout = "".join(
            f"{len(each)}s" if isinstance(each, bytes) else t for each, t in zip(values, types, strict=True)
        )
    return _padded(address) + _padded(f",{types}") + struct.pack(f">{layout}", *values)


def read_written(datagram: bytes) -> tuple[str, tuple[Atom, ...]]:
    """The address and arguments of what write_message has written, in a tenth of the time; else PacketError."""
    try:
        address, at = _text_at(datagram, 0)
        types, at = _text_at(datagram, at)
        if not types.startswith(",") or not WRITTEN_TYPES.issuperset(types[1:]):
            raise PacketError("the datagram is no OSC message that the daemon writes")
        if "s" not in types:
            return address, struct.unpack_from(f">{types[1:]}", datagram, at)
        arguments = list[Atom]()
        for kind in types[1:]:
            if kind == "s":
                text, at = _text_at(datagram, at)
                arguments.append(text)
            else:
                arguments += struct.unpack_from(f">{kind}", datagram, at)
                at += 4
        return address, tuple(arguments)
    except (struct.error, UnicodeError, ValueError) as error:
        raise PacketError("the datagram is no OSC message that the daemon writes") from error


def _text_at(content: bytes, at: int) -> tuple[str, int]:
    """The OSC string at a place, and the place behind it; ValueError where it has no end."""
    end = content.index(b"\0", at)
    return content[at:end].decode(), end + 4 - end % 4


def _padded(text: str) -> bytes:
    """An OSC string: it ends in one to four zeros, at a multiple of four."""
    content = text.encode()
    return content + bytes(4 - len(content) % 4)


def _elements(content: bytes, due: float, depth: int) -> Iterator[Element]:
    if content.startswith(BUNDLE):
        yield from _bundle(content, depth)
    elif content.startswith(b"/"):
        yield Element(content, due)
    else:
        raise PacketError("the datagram is no OSC message or bundle")


def _bundle(content: bytes, depth: int) -> Iterator[Element]:
    if depth >= MOST_NESTED:
        raise PacketError(f"bundles may be nested {MOST_NESTED} deep")
    if len(content) < 16:
        raise PacketError("the bundle is cut off in its timetag")
    due, at = _unix_time(int.from_bytes(content[8:16], "big")), 16
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big", signed=True)
        at += 4
        if size <= 0 or size % 4 or at + size > len(content):
            raise PacketError("the bundle holds an element with a wrong size")
        yield from _elements(content[at : at + size], due, depth + 1)
        at += size


def _leading_int(content: bytes, types_at: int, types: str) -> tuple[Atom, ...]:
    """The id of a message whose other arguments cannot be taken, where it is an i."""
    _, at = osc_types.get_string(content, types_at)
    return (osc_types.get_int(content, at)[0],) if types.startswith("i") else ()


def _unix_time(timetag: int) -> float:
    return 0.0 if timetag == IMMEDIATELY else timetag / 2**32 - NTP_TO_UNIX_SECONDS


def read_message(element: Element) -> Message:
    """The message; PacketError if it is none."""
    content = element.content
    if len(content) % 4:
        raise PacketError("the datagram is no OSC: its length is not a multiple of 4")
    try:
        address, at = osc_types.get_string(content, 0)
        types = osc_types.get_string(content, at)[0][1:] if at < len(content) else ""
        if wrong := sorted(set(types) - ACCEPTED_TYPES):
            refusal, arguments = f"arguments may be i f s T F d h, not {wrong[0]}", _leading_int(content, at, types)
        elif len(types) > MOST_ARGUMENTS:
            refusal = f"a message may have {MOST_ARGUMENTS} arguments, not {len(types)}"
            arguments = _leading_int(content, at, types)
        else:
            params = OscMessage(content).params
            refusal, arguments = "", tuple(int(each) if isinstance(each, bool) else each for each in params)
    except (ParseError, osc_types.ParseError, UnicodeError, ValueError, IndexError) as error:
        raise PacketError("the datagram is no OSC: its message cannot be read") from error
    if any(isinstance(each, float) and not math.isfinite(each) for each in arguments):
        refusal = "numbers must be finite"
    return Message(address, arguments, element.due, refusal, content)
