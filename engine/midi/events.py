"""The bytes of a standard MIDI file as chunks and events, and back, byte for byte.

Events stay the bytes they were, so that what nobody understands survives: invalid key signatures, unknown meta
events, F7 escapes, running status, names in any charset, foreign chunks. (mido decodes its messages, loses the
time of unknown meta events and refuses some of the rest.) Knows nothing of notes, clips or disks.
"""

import struct
from dataclasses import dataclass

from engine.errors import MidiFileError

HEADER = b"MThd"
META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
TEXT, TRACK_NAME, END_OF_TRACK, SET_TEMPO, TIME_SIGNATURE = 0x01, 0x03, 0x2F, 0x51, 0x58


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a track.

    tick counts from the start of the file; status is 0x80..0xff; data is what follows it (of a meta event from
    its type on, of a sysex from its length on). running: the file left the status byte out.
    """

    tick: int
    status: int
    data: bytes
    running: bool = False

    def is_meta(self, kind: int) -> bool:
        """Whether this is the meta event of that type."""
        return self.status == META and self.data[0] == kind

    @property
    def payload(self) -> bytes:
        """The content of a meta event, without its type and length."""
        _, start = read_length(self.data, 1)
        return self.data[start:]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of the file: a track with its events, or anything else as it stood, with no events."""

    name: bytes
    content: bytes = b""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class MidiBytes:
    """A whole file. kind is 0, 1 or 2; extra is what a longer header holds after its six bytes."""

    kind: int
    ticks_per_beat: int
    chunks: tuple[Chunk, ...]
    extra: bytes = b""


def parse_midi(content: bytes) -> MidiBytes:
    """The chunks and events of a file's bytes; MidiFileError says what is wrong with them."""
    if content[:4] != HEADER or len(content) < 14:
        raise MidiFileError("it is not a MIDI file" if content[:4] != HEADER else "it is cut off in its header")
    size, kind, _, division = struct.unpack(">LHHH", content[4:14])
    if division & 0x8000:
        raise MidiFileError("its times are SMPTE frames; only files that count ticks per beat can be read")
    if kind > 2 or division == 0 or size < 6:
        raise MidiFileError("its header is damaged")
    chunks = _chunks(content, 8 + size)
    return MidiBytes(kind, division, chunks, content[14 : 8 + size])


def format_midi(midi: MidiBytes) -> bytes:
    """The bytes of a file; what parse_midi read is written back as it was."""
    tracks = sum(chunk.name == b"MTrk" for chunk in midi.chunks)
    parts = [
        HEADER,
        struct.pack(">LHHH", 6 + len(midi.extra), midi.kind, tracks, midi.ticks_per_beat),
        midi.extra,
    ]
    for chunk in midi.chunks:
        content = _track_bytes(chunk.events) if chunk.name == b"MTrk" else chunk.content
        parts += [chunk.name, struct.pack(">L", len(content)), content]
    return b"".join(parts)


def meta(kind: int, payload: bytes, *, tick: int = 0) -> Event:
    """A new meta event."""
    return Event(tick, META, bytes([kind]) + length_bytes(len(payload)) + payload)


def length_bytes(value: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the last without the high bit."""
    if value < 0x80:
        return bytes((value,))
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def read_length(content: bytes, at: int) -> tuple[int, int]:
    """A variable-length quantity of at most four bytes, and where it ends; IndexError if it is cut off."""
    value = 0
    for _ in range(4):
        byte = content[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise MidiFileError("it is damaged: a length or time takes more than four bytes")


def _chunks(content: bytes, at: int) -> tuple[Chunk, ...]:
    """The chunks from a position on; trailing bytes too few for a chunk are padding and left out."""
    chunks: list[Chunk] = []
    while at + 8 <= len(content):
        name, size = struct.unpack(">4sL", content[at : at + 8])
        at += 8
        body = content[at : at + size]
        if len(body) < size:
            raise MidiFileError(
                f"it is cut off: {size - len(body)} bytes of its track {len(chunks) + 1} are missing"
            )
        chunks.append(Chunk(name, events=_track_events(body)) if name == b"MTrk" else Chunk(name, body))
        at += size
    return tuple(chunks)


def _track_events(body: bytes) -> tuple[Event, ...]:
    """The events of a track's bytes; meta and sysex events let the last channel status stand, as writers do."""
    events: list[Event] = []
    at = tick = running_status = 0
    try:
        while at < len(body):
            wait, at = read_length(body, at)
            tick += wait
            running = body[at] < 0x80
            status = running_status if running else body[at]
            start = at if running else at + 1
            at = _event_end(body, start, status)
            events.append(Event(tick, status, body[start:at], running))
            if status < SYSEX:
                running_status = status
    except IndexError as error:
        raise MidiFileError("it is damaged: a track ends in the middle of an event") from error
    return tuple(events)


def _event_end(body: bytes, start: int, status: int) -> int:
    """Where the data of an event ends; IndexError where that is past the track's end."""
    if 0x80 <= status < SYSEX:
        end = start + (1 if status & 0xE0 == 0xC0 else 2)
        if max(body[start], body[end - 1]) > 0x7F:
            raise MidiFileError("it is damaged: an event has a value over 127")
        return end
    if status not in (META, SYSEX, ESCAPE):
        raise MidiFileError(f"it is damaged: an event has the status {status}, which has no place in a file")
    size, payload = read_length(body, start + 1 if status == META else start)
    if payload + size > len(body):
        raise IndexError
    return payload + size


def _track_bytes(events: tuple[Event, ...]) -> bytes:
    """The bytes of a track; an event that left out its status does so again where that still holds."""
    parts, tick, status = bytearray(), 0, 0
    for event in events:
        parts += length_bytes(event.tick - tick)
        tick = event.tick
        if not (event.running and event.status == status):
            parts.append(event.status)
        parts += event.data
        if event.status < 0xF0:
            status = event.status
    return bytes(parts)
