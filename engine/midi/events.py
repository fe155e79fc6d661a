"""The bytes of a standard MIDI file as chunks, and back, byte for byte.

A track stays the bytes it was, so that what nobody understands survives: unknown meta events, F7 escapes, running
status, names in any charset, foreign chunks. (mido decodes its messages, loses the time of unknown meta events and
refuses some of the rest.) What every player forgives is read as players do, mended and told: cut or miscounted
tracks, bytes behind the last of them, values over 127, a status that is missing, signatures that are none, times in
SMPTE frames, a RIFF around it all. Knows nothing of notes, clips or disks.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.errors import MidiFileError
from engine.midi.track import (
    KEY_SIGNATURE,
    META,
    OTHERS,
    SET_TEMPO,
    SYSEX,
    TIME_SIGNATURE,
    Event,
    Track,
    meta,
    payload,
    read_length,
    written,
)

HEADER, TRACK, RIFF = b"MThd", b"MTrk", b"RIFF"
PACKED = (b"\x1f\x8b", b"PK", b"7z", b"Rar!", b"BZh")
"""How gzip's files and their like begin."""

MOST_RIFF_BYTES = 4096
MOST_TICKS_PER_BEAT = 0x7FFF


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of the file: its bytes as they are written, and, of a track, its events."""

    name: bytes
    content: bytes
    events: Sequence[Event] = ()


@dataclass(frozen=True, slots=True)
class MidiBytes:
    """A whole file. kind is 0 or 1.

    faults: what was wrong with it, a sentence each, and what was made of it.
    """

    kind: int
    ticks_per_beat: int
    chunks: tuple[Chunk, ...]
    faults: tuple[str, ...] = ()

    @property
    def tracks(self) -> dict[int, Track]:
        """The tracks by the place of their chunk."""
        return {place: chunk.events for place, chunk in enumerate(self.chunks) if isinstance(chunk.events, Track)}

    def with_tracks(self, tracks: dict[int, Track]) -> "MidiBytes":
        """The file with some tracks exchanged."""
        new = (track_chunk(tracks[at]) if at in tracks else chunk for at, chunk in enumerate(self.chunks))
        return replace(self, chunks=tuple(new))


def track_chunk(track: Track) -> Chunk:
    """The chunk of a track."""
    return Chunk(TRACK, track.content, track)


def parse_midi(content: bytes) -> MidiBytes:
    """The chunks and events of a file's bytes, and what was wrong; MidiFileError where they are no MIDI file."""
    faults: list[str] = []
    if content[:4] == RIFF and HEADER in content[:MOST_RIFF_BYTES]:
        start = content.index(HEADER)
        content = content[start : start + int.from_bytes(content[start - 4 : start], "little")]
        faults.append("it is a RIFF file around a MIDI file: the MIDI file is what is written")
    if content[:4] != HEADER:
        packed = ": it is packed, and is to be unpacked first" if content.startswith(PACKED) else ""
        raise MidiFileError(f"it is not a MIDI file{packed}")
    if len(content) < 14:
        raise MidiFileError("it is cut off in its header")
    size, kind, _, division = struct.unpack(">LHHH", content[4:14])
    if kind > 2 or division == 0 or size < 6:
        raise MidiFileError("its header is damaged")
    chunks = tuple(_chunks(content, 8 + size, faults))
    kind = _kind(kind, sum(chunk.name == TRACK for chunk in chunks), faults)
    if size > 6:
        faults.append(f"its header is longer than others': {_bytes(size - 6)} of it were left out")
    in_order = sorted(chunks, key=lambda chunk: chunk.name != TRACK)  # some readers know no other chunk between
    midi = MidiBytes(kind, division, tuple(in_order), tuple(faults))
    return _in_beats(midi) if division & 0x8000 else midi


def _kind(told: int, tracks: int, faults: list[str]) -> int:
    """0, one track, or 1, several that are played together."""
    if told == 2 and tracks > 1:
        raise MidiFileError("it holds independent patterns (type 2); only songs (type 0 and 1) can be played")
    if told == 0 and tracks > 1:
        faults.append("it says that it has one track, and has several: they are played together")
    return 0 if told == 2 else 1 if tracks > 1 else told


def format_midi(midi: MidiBytes) -> bytes:
    """The bytes of a file; what parse_midi found nothing wrong with is written back as it was."""
    parts = [HEADER, struct.pack(">LHHH", 6, midi.kind, len(midi.tracks), midi.ticks_per_beat)]
    for chunk in midi.chunks:
        parts += [chunk.name, struct.pack(">L", len(chunk.content)), chunk.content]
    return b"".join(parts)


def _in_beats(midi: MidiBytes) -> MidiBytes:
    """A file whose ticks are parts of SMPTE frames, in beats: of its first tempo, else of 120 bpm.

    Such ticks last as long whatever the tempo says: all sounds when it did, at one tempo.
    """
    frames, ticks = 256 - (midi.ticks_per_beat >> 8), midi.ticks_per_beat & 0xFF
    per_second = ticks * (30 / 1.001 if frames == 29 else frames)
    if not per_second:
        raise MidiFileError("its header is damaged")
    told = [event for track in midi.tracks.values() for event in track.metas(SET_TEMPO)]
    microseconds = next((int.from_bytes(payload(each)[:3], "big") for each in told), 0) or 500_000
    per_beat = min(max(1, round(per_second * microseconds / 1e6)), MOST_TICKS_PER_BEAT)
    tempo = meta(SET_TEMPO, round(1e6 * per_beat / per_second).to_bytes(3, "big"))
    tracks = {at: _with_one_tempo(track) for at, track in midi.tracks.items()}
    if tracks:
        first = min(tracks)
        tracks[first] = _with_one_tempo(tracks[first], tempo)
    told_bpm = f"{60 * per_second / per_beat:.4g}"
    fault = f"its times are SMPTE frames: they are read as beats of {per_beat} ticks at {told_bpm} bpm"
    return replace(midi.with_tracks(tracks), ticks_per_beat=per_beat, faults=(*midi.faults, fault))


def _with_one_tempo(track: Track, *tempo: Event) -> Track:
    others = (each for each in track if not each.is_meta(SET_TEMPO))
    return written((*tempo, *others), track[-1].tick)


def _chunks(content: bytes, at: int, faults: list[str]) -> Iterator[Chunk]:
    """The chunks from a position on; what follows and is no chunk is left out."""
    number = 1
    while at + 8 <= len(content):
        name, size = struct.unpack(">4sL", content[at : at + 8])
        if name == TRACK:
            track, at = _track(content, at + 8, size, number, faults)
            yield track_chunk(track)
        elif at + 8 + size <= len(content) and name.isascii() and name.decode().isprintable():
            yield Chunk(name, content[at + 8 : at + 8 + size])
            at += 8 + size
        elif (track_start := content.find(TRACK, at + 1)) > 0:
            faults.append(f"{_bytes(track_start - at)} before its track {number} are no chunk and were left out")
            at = track_start
        else:
            break
        number += name == TRACK
    if at < len(content):
        faults.append(f"{_bytes(len(content) - at)} behind its last track were left out")


def _track(content: bytes, at: int, size: int, number: int, faults: list[str]) -> tuple[Track, int]:
    """A track, mended, and where the next chunk begins: where its length says, or where it ends."""
    told, there = at + size, len(content)
    track = Track(content[at : min(told, there)])
    if told < there and not track.is_ended and content[told : told + 4] != TRACK:
        longer = Track(content[at:there])
        if longer.is_ended:
            track, told = longer, at + longer.columns.stop
            faults.append(f"track {number} is longer than it says: it was read up to its end")
    end = at + track.columns.stop
    if not track.is_ended:
        missing = f"{_bytes(told - there)} missing" if told > there else "no end"
        faults.append(
            f"track {number} is damaged: {track.columns.reason or missing}; what was there before was read"
        )
        told = min(told, there)
    elif told > there or TRACK in content[end:told]:
        faults.append(f"track {number} is shorter than it says: it was read up to its end")
        told = found if (found := content.find(TRACK, end)) > 0 else there
    elif end < told:
        faults.append(f"{_bytes(told - end)} behind the end of track {number} were left out")
    return _mended(track, number, faults), told


def _mended(track: Track, number: int, faults: list[str]) -> Track:
    """The track with an end and nothing behind it, a status where there must be one, and no value over 127."""
    if track.columns.over:
        faults.append(f"track {number}: values over 127, {track.columns.over} of them, were read as 127")
    others = (track[index] for index in track.places(OTHERS))
    if senseless := sum(_sensible(event) != event for event in others):
        faults.append(f"track {number}: events that make no sense, {senseless} of them, were mended or left out")
    right = not (senseless or track.columns.over or track.columns.lax)
    if track.is_ended and track[-1].data == b"\x2f\x00" and right:
        content, stop = track.content, track.columns.stop
        return track if stop == len(content) else Track(content[:stop])
    mended = filter(None, map(_sensible, track))
    return written(mended, track[-1].tick if len(track) else 0)


SIGNS = (SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE)


def _sensible(event: Event) -> Event | None:
    """The event as a strict reader takes it, of its values and sizes; None where a tempo or signature is none."""
    if event.status < SYSEX:
        return event if max(event.data) < 0x80 else _clamped(event)
    if event.status == SYSEX:
        _, start = read_length(event.data, 0)
        return event if max(event.data[start:].removesuffix(b"\xf7"), default=0) < 0x80 else None
    if event.status != META or event.data[0] not in SIGNS:
        return event
    kind, told = event.data[0], payload(event)
    if kind == SET_TEMPO:
        content = int.from_bytes(told[:3], "big").to_bytes(3, "big")
        known = any(content)
    elif kind == TIME_SIGNATURE:
        content = told[:4] + bytes((0, 0, 24, 8))[len(told) :]
        known = len(told) > 1 and told[0] > 0 and told[1] < 8
    else:
        content = told[:2]
        known = len(told) > 1 and -7 <= int.from_bytes(told[:1], "big", signed=True) <= 7 and told[1] < 2
    return meta(kind, content, tick=event.tick) if known else None


def _clamped(event: Event) -> Event:
    return replace(event, data=bytes(min(value, 0x7F) for value in event.data))


def _bytes(count: int) -> str:
    return f"{count} byte{'s' * (count > 1)}"
