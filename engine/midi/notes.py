"""What a player sees in the events of a MIDI file: notes with both their ends, and tracks.

Knows nothing of clips: times are ticks here.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import MidiFileError
from engine.midi.events import MidiBytes
from engine.midi.track import NOTES, PROGRAM_CHANGES, TRACK_NAME, Track, payload

DRUM_CHANNEL = 10
CONTROLLER, PEDAL = 0xB0, 4
"""The controller that says how far the pedal of a hat is down."""

HAT_PITCHES = (22, 26, 42, 44, 46)
NEW = -1


@dataclass(frozen=True, slots=True)
class FileNote:
    """A note, and where its events are: midi.chunks[chunk].events[on] and [off].

    off is None where the file never ends the note; it then ends with its track. channel 1..16. What belongs to it
    besides: strays, the offs around it that end nothing, and pedals, how far a hat's pedal is down when it is hit.
    A note that is new has no place: on is NEW.
    """

    chunk: int
    on: int
    off: int | None
    tick: int
    end_tick: int
    channel: int
    pitch: int
    velocity: int
    strays: tuple[int, ...] = ()
    pedals: tuple[int, ...] = ()


def file_notes(midi: MidiBytes) -> tuple[FileNote, ...]:
    """All notes in the file's order: track by track, by their note on."""
    return tuple(note for chunk, track in midi.tracks.items() for note in track_notes(track, chunk))


def track_notes(track: Track, chunk: int) -> list[FileNote]:
    """The notes of a track; of notes that overlap on one pitch the first to start is the first to end."""
    sounding: defaultdict[tuple[int, int], deque[int]] = defaultdict(deque)
    ons: dict[int, tuple[int, int, int, int]] = {}
    ends: dict[int, int] = {}
    last: dict[tuple[int, int], int] = {}
    strays: defaultdict[int, tuple[int, ...]] = defaultdict(tuple)
    unowned: defaultdict[tuple[int, int], tuple[int, ...]] = defaultdict(tuple)
    for index in track.places(NOTES):
        message = track.message(index)
        _, status, pitch, velocity = message
        key = (status & 0x0F, pitch)
        if status >= 0x90 and velocity:
            ons[index], last[key] = message, index
            sounding[key].append(index)
            if key in unowned:
                strays[index] += unowned.pop(key)
        elif sounding[key]:
            ends[sounding[key].popleft()] = index
        elif key in last:
            strays[last[key]] += (index,)
        else:
            unowned[key] += (index,)
    pedals, end_tick = _pedals(track, ons), track.tick(-1)
    return [
        FileNote(
            chunk,
            on,
            off,
            tick,
            end_tick if off is None else track.tick(off),
            (status & 0x0F) + 1,
            pitch,
            velocity,
            strays.get(on, ()),
            pedals.get(on, ()),
        )
        for on, (tick, status, pitch, velocity) in ons.items()
        for off in [ends.get(on)]
    ]


def _pedals(track: Track, ons: Mapping[int, tuple[int, int, int, int]]) -> dict[int, tuple[int, ...]]:
    """For each hit of a hat the events that say, at its tick and before it, how far its pedal is down."""
    found, seen = dict[int, tuple[int, ...]](), dict[int, int]()
    for on, (tick, status, pitch, _) in ons.items():
        if pitch in HAT_PITCHES:
            wanted, first = (tick, CONTROLLER | status & 0x0F, PEDAL), max(seen.get(status, 0), track.before(tick))
            found[on] = tuple(each for each in range(first, on) if track.is_message(each, wanted))
            seen[status] = on
    return found


@dataclass(frozen=True, slots=True)
class Instrument:
    """The notes of one program on a channel of a track; all on the drum channel are one. channel 1..16."""

    name: str
    channel: int
    program: int
    notes: tuple[FileNote, ...]


def instruments(midi: MidiBytes, notes: Sequence[FileNote]) -> tuple[Instrument, ...]:
    """The notes by instrument, in the order of their first."""
    programs, names = _programs(midi), track_names(midi)
    groups: defaultdict[tuple[int, int, int], list[FileNote]] = defaultdict(list)
    for note in notes:
        if note.channel == DRUM_CHANNEL:
            groups[-1, DRUM_CHANNEL, 0].append(note)
        else:
            groups[note.chunk, note.channel, _program_at(programs, note)].append(note)
    return tuple(
        Instrument(names[group[0].chunk], channel, program, tuple(group))
        for (_, channel, program), group in groups.items()
    )


_Changes = dict[tuple[int | None, int], list[tuple[int, int]]]


def _programs(midi: MidiBytes) -> _Changes:
    """(tick, program) of each program change, by chunk and channel, and by channel alone under (None, channel)."""
    changes: defaultdict[tuple[int | None, int], list[tuple[int, int]]] = defaultdict(list)
    for chunk, track in midi.tracks.items():
        for index in track.places(PROGRAM_CHANGES):
            tick, status, program, _ = track.message(index)
            for where in (chunk, None):
                changes[where, (status & 0x0F) + 1].append((tick, program))
    return {key: sorted(each, key=lambda change: change[0]) for key, each in changes.items()}


def _program_at(programs: _Changes, note: FileNote) -> int:
    """The program of its own chunk where that changes any, else of any chunk; 0 before the first change."""
    changes = programs.get((note.chunk, note.channel)) or programs.get((None, note.channel), [])
    at = bisect_right(changes, note.tick, key=lambda change: change[0])
    return changes[at - 1][1] if at else 0


def find_track(midi: MidiBytes, wanted: str) -> int:
    """The chunk of a track, by its name or else its number from 1."""
    names = track_names(midi)
    for chunk, name in names.items():
        if name.casefold() == wanted.strip().casefold():
            return chunk
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return list(names)[int(wanted) - 1]
    raise MidiFileError(f"it has no track {wanted!r}; {described_tracks(midi)}")


def track_names(midi: MidiBytes) -> dict[int, str]:
    """The name of each track, perhaps empty, by its chunk."""
    return {
        chunk: next((decoded(payload(event)) for event in track.metas(TRACK_NAME)), "")
        for chunk, track in midi.tracks.items()
    }


def described_tracks(midi: MidiBytes) -> str:
    """The tracks and the channels of their notes, as the end of a sentence."""
    channels: defaultdict[int, set[int]] = defaultdict(set)
    for note in file_notes(midi):
        channels[note.chunk].add(note.channel)
    tracks = []
    for number, (chunk, name) in enumerate(track_names(midi).items(), start=1):
        heard = "+".join(map(str, sorted(channels[chunk]))) or "none"
        tracks.append(f"{number} {name!r} (channels: {heard})")
    return "its tracks are " + ", ".join(tracks)


def decoded(text: bytes) -> str:
    """A name as most programs meant it: UTF-8, else Latin-1."""
    try:
        return text.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return text.decode("latin-1").strip("\0 ")
