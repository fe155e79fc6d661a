"""The bytes of a standard MIDI file as chunks and events, and back, byte for byte.

Events stay the bytes they were, so that what nobody understands survives: invalid key signatures, unknown meta
events, F7 escapes, running status, names in any charset, foreign chunks. (mido decodes its messages, loses the
time of unknown meta events and refuses some of the rest.) What every player forgives is read as players do, and
told: cut or miscounted tracks, bytes behind the last of them, values over 127, a RIFF around it all. Knows nothing
of notes, clips or disks.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from engine.errors import MidiFileError
from engine.midi.packed import MANY, Event, PackedEvents, packed

HEADER, TRACK, RIFF = b"MThd", b"MTrk", b"RIFF"
MOST_RIFF_BYTES = 4096
META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
TEXT, TRACK_NAME, END_OF_TRACK, SET_TEMPO, TIME_SIGNATURE = 0x01, 0x03, 0x2F, 0x51, 0x58


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of the file: a track with its events, or anything else as it stood, with no events."""

    name: bytes
    content: bytes = b""
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class MidiBytes:
    """A whole file. kind is 0, 1 or 2; extra is what a longer header holds after its six bytes.

    faults: what was wrong with it, a sentence each, and what was made of it.
    """

    kind: int
    ticks_per_beat: int
    chunks: tuple[Chunk, ...]
    extra: bytes = b""
    faults: tuple[str, ...] = ()


def parse_midi(content: bytes) -> MidiBytes:
    """The chunks and events of a file's bytes, and what was wrong; MidiFileError where they are no MIDI file."""
    faults: list[str] = []
    if content[:4] == RIFF and HEADER in content[:MOST_RIFF_BYTES]:
        start = content.index(HEADER)
        content = content[start : start + int.from_bytes(content[start - 4 : start], "little")]
        faults.append("it is a RIFF file around a MIDI file: the MIDI file is what is written")
    if content[:4] != HEADER or len(content) < 14:
        raise MidiFileError("it is not a MIDI file" if content[:4] != HEADER else "it is cut off in its header")
    size, kind, _, division = struct.unpack(">LHHH", content[4:14])
    if division & 0x8000:
        raise MidiFileError("its times are SMPTE frames; only files that count ticks per beat can be read")
    if kind > 2 or division == 0 or size < 6:
        raise MidiFileError("its header is damaged")
    chunks = _chunks(content, 8 + size, faults)
    return MidiBytes(kind, division, chunks, content[14 : 8 + size], tuple(faults))


def format_midi(midi: MidiBytes) -> bytes:
    """The bytes of a file; what parse_midi read is written back as it was."""
    tracks = sum(chunk.name == TRACK for chunk in midi.chunks)
    parts = [
        HEADER,
        struct.pack(">LHHH", 6 + len(midi.extra), midi.kind, tracks, midi.ticks_per_beat),
        midi.extra,
    ]
    for chunk in midi.chunks:
        content = _track_bytes(chunk.events) if chunk.name == TRACK else chunk.content
        parts += [chunk.name, struct.pack(">L", len(content)), content]
    return b"".join(parts)


def payload(event: Event) -> bytes:
    """The content of a meta event, without its type and length."""
    _, start = read_length(event.data, 1)
    return event.data[start:]


def meta(kind: int, content: bytes, *, tick: int = 0) -> Event:
    """A new meta event."""
    return Event(tick, META, bytes([kind]) + length_bytes(len(content)) + content)


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
    raise MidiFileError("a length or time takes more than four bytes")


def _chunks(content: bytes, at: int, faults: list[str]) -> tuple[Chunk, ...]:
    """The chunks from a position on; what follows and is no chunk is left out."""
    chunks: list[Chunk] = []
    while at + 8 <= len(content):
        name, size = struct.unpack(">4sL", content[at : at + 8])
        if name == TRACK:
            events, at = _track(content, at + 8, size, len(chunks) + 1, faults)
            chunks.append(Chunk(name, events=events))
        elif at + 8 + size <= len(content) and name.isascii() and name.decode().isprintable():
            chunks.append(Chunk(name, content[at + 8 : at + 8 + size]))
            at += 8 + size
        elif (track := content.find(TRACK, at + 1)) > 0:
            faults.append(f"{_bytes(track - at)} before its track {len(chunks) + 1} are no chunk and were left out")
            at = track
        else:
            break
    if at < len(content):
        faults.append(f"{_bytes(len(content) - at)} behind its last track were left out")
    return tuple(chunks)


def _track(content: bytes, at: int, size: int, number: int, faults: list[str]) -> tuple[Sequence[Event], int]:
    """The events of a track, ended, and where the next chunk begins: where its length says, or where it ends."""
    told, there = at + size, len(content)
    events, end, reason = _track_events(content, at, min(told, there))
    if told < there and not _is_ended(events) and content[told : told + 4] != TRACK:
        longer = _track_events(content, at, there)
        if _is_ended(longer[0]):
            (events, end, _), told = longer, longer[1]
            faults.append(f"track {number} is longer than it says: it was read up to its end")
    if not _is_ended(events):
        missing = f"{_bytes(told - there)} missing" if told > there else "no end"
        faults.append(f"track {number} is damaged: {reason or missing}; what was there before was read")
        end_event = meta(END_OF_TRACK, b"", tick=events[-1].tick if events else 0)
        events = packed(chain(events, [end_event]))
        return _in_range(events, number, faults), min(told, there)
    if told > there or TRACK in content[end:told]:
        faults.append(f"track {number} is shorter than it says: it was read up to its end")
        told = found if (found := content.find(TRACK, end)) > 0 else there
    elif end < told:
        faults.append(f"{_bytes(told - end)} behind the end of track {number} were left out")
    return _in_range(events, number, faults), told


def _is_ended(events: Sequence[Event]) -> bool:
    return bool(events) and events[-1].is_meta(END_OF_TRACK)


def _in_range(events: Sequence[Event], number: int, faults: list[str]) -> Sequence[Event]:
    """The events of a track, no value of a channel's over 127."""
    over = [index for index, event in enumerate(events) if event.status < SYSEX and max(event.data) > 0x7F]
    if not over:
        return events
    faults.append(f"track {number}: values over 127, {len(over)} of them, were read as 127")
    return packed(
        replace(event, data=bytes(min(value, 0x7F) for value in event.data)) if event.status < SYSEX else event
        for event in events
    )


def _bytes(count: int) -> str:
    return f"{count} byte{'s' * (count > 1)}"


def _track_events(content: bytes, at: int, end: int) -> tuple[Sequence[Event], int, str]:
    """The events of a track up to its end, where that is, and why it is damaged if it is.

    Meta and sysex events let the last channel status stand, as writers do.
    """
    events: list[Event] | PackedEvents = []
    tick = running_status = 0
    try:
        while at < end:
            wait, start = read_length(content, at)
            running = content[start] < 0x80
            status = running_status if running else content[start]
            start += not running
            stop = _event_end(content, start, status)
            if stop > end:
                raise IndexError
            at, tick = stop, tick + wait
            data = content[start:stop]
            events.append(Event(tick, status, data, running))
            if len(events) == MANY and isinstance(events, list):
                events = PackedEvents(events)
            if status < SYSEX:
                running_status = status
            elif status == META and content[start] == END_OF_TRACK:
                break
    except IndexError:
        return _whole(events), at, "it ends in the middle of an event"
    except MidiFileError as error:
        return _whole(events), at, str(error)
    return _whole(events), at, ""


def _whole(events: list[Event] | PackedEvents) -> Sequence[Event]:
    return tuple(events) if isinstance(events, list) else events


def _event_end(content: bytes, start: int, status: int) -> int:
    """Where the data of an event ends; IndexError where that is past what is there."""
    if 0x80 <= status < SYSEX:
        return start + (1 if status & 0xE0 == 0xC0 else 2)
    if status not in (META, SYSEX, ESCAPE):
        raise MidiFileError(f"an event has the status {status}, which has no place in a file")
    size, payload = read_length(content, start + 1 if status == META else start)
    return payload + size


def _track_bytes(events: Sequence[Event]) -> bytes:
    """The bytes of a track; an event that left out its status does so again where that is allowed."""
    parts, tick, status = bytearray(), 0, 0
    for event in events:
        parts += length_bytes(event.tick - tick)
        tick = event.tick
        if not (event.running and event.status == status):
            parts.append(event.status)
        parts += event.data
        status = event.status if event.status < SYSEX else 0  # a meta or sysex event ends running status
    return bytes(parts)
