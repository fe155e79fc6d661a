"""What a player sees in the events of a MIDI file: notes with both their ends, tracks, meters, tempos.

Knows nothing of clips: times are ticks here.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.errors import MidiFileError
from engine.midi.events import META, SET_TEMPO, TIME_SIGNATURE, TRACK_NAME, MidiBytes, payload
from engine.midi.packed import Event

DRUM_CHANNEL = 10
CONTROLLER, PROGRAM_CHANGE = 0xB0, 0xC0
PEDAL = 4
"""The controller that says how far the pedal of a hat is down."""

HAT_PITCHES = (22, 26, 42, 44, 46)
DEFAULT_BEATS_PER_BAR = 4.0
DEFAULT_TEMPO_BPM = 120.0


@dataclass(frozen=True, slots=True)
class FileNote:
    """A note, and where its events are: midi.chunks[chunk].events[on] and [off].

    off is None where the file never ends the note; it then ends with its track. channel 1..16. What belongs to it
    besides: strays, the offs behind its end that end nothing, and pedals, how far a hat's pedal is down when it is
    hit.
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


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the song in one meter: bars are counted from its tick. tempo_bpm: that of the most ticks.

    beat_unit: the denominator of its meter.
    """

    tick: int
    end_tick: int
    beats_per_bar: float
    tempo_bpm: float
    beat_unit: int = 4


def file_notes(midi: MidiBytes) -> tuple[FileNote, ...]:
    """All notes in the file's order: track by track, by their note on."""
    notes = (note for chunk in range(len(midi.chunks)) for note in track_notes(midi.chunks[chunk].events, chunk))
    return tuple(notes)


def track_notes(events: Sequence[Event], chunk: int) -> list[FileNote]:
    """The notes of a track; of notes that overlap on one pitch the first to start is the first to end."""
    sounding: defaultdict[tuple[int, int], deque[int]] = defaultdict(deque)
    ends: dict[int, int | None] = {}
    last: dict[tuple[int, int], int] = {}
    strays: defaultdict[int, tuple[int, ...]] = defaultdict(tuple)
    pedals: dict[int, tuple[int, ...]] = {}
    pedal: dict[int, tuple[int, ...]] = {}
    for index, event in enumerate(events):
        status, channel = event.status, event.status & 0x0F
        if not 0x80 <= status < 0xA0:
            if status - channel == CONTROLLER and event.data[0] == PEDAL:
                before = pedal.get(channel, ())
                pedal[channel] = (*(each for each in before if events[each].tick == event.tick), index)
            continue
        key = (channel, event.data[0])
        if status >= 0x90 and event.data[1]:
            ends[index], last[key] = None, index
            sounding[key].append(index)
            if event.data[0] in HAT_PITCHES and channel in pedal:
                pedals[index] = tuple(each for each in pedal.pop(channel) if events[each].tick == event.tick)
        elif sounding[key]:
            ends[sounding[key].popleft()] = index
        elif key in last:
            strays[last[key]] += (index,)
    return [_file_note(events, chunk, on, off, strays.get(on, ()), pedals.get(on, ())) for on, off in ends.items()]


def _file_note(
    events: Sequence[Event], chunk: int, on: int, off: int | None, strays: tuple[int, ...], pedals: tuple[int, ...]
) -> FileNote:
    event, end = events[on], events[-1 if off is None else off]
    channel, pitch, velocity = (event.status & 0x0F) + 1, event.data[0], event.data[1]
    return FileNote(chunk, on, off, event.tick, end.tick, channel, pitch, velocity, strays, pedals)


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
    for index, chunk in enumerate(midi.chunks):
        for event in chunk.events:
            if event.status & 0xF0 == PROGRAM_CHANGE:
                for where in (index, None):
                    changes[where, (event.status & 0x0F) + 1].append((event.tick, event.data[0]))
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
    names = {}
    for index, chunk in enumerate(midi.chunks):
        if chunk.name == b"MTrk":
            names[index] = next((decoded(payload(e)) for e in chunk.events if e.is_meta(TRACK_NAME)), "")
    return names


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


def sections(midi: MidiBytes, end_tick: int) -> tuple[Section, ...]:
    """The song up to end_tick, cut where the meter changes."""
    changes = _meter_changes(midi, end_tick)
    found = tempos(midi)
    cuts = [*changes, (end_tick, 0.0, 4)]
    return tuple(
        Section(tick, end, beats_per_bar, _longest_tempo(found, tick, end), unit)
        for (tick, beats_per_bar, unit), (end, *_) in pairwise(cuts)
    )


def bar_line(midi: MidiBytes, tick: int) -> int:
    """The first bar line at or after a tick."""
    section = sections(midi, tick + 1)[-1]
    bar_ticks = section.beats_per_bar * midi.ticks_per_beat
    return section.tick + round(math.ceil((tick - section.tick) / bar_ticks - 1e-9) * bar_ticks)


def _meter_changes(midi: MidiBytes, end_tick: int) -> list[tuple[int, float, int]]:
    """(tick, beats_per_bar, beat_unit) of each new meter; one only repeated on a bar line changes nothing."""
    changes = [(0, DEFAULT_BEATS_PER_BAR, 4)]
    for event in _metas(midi, TIME_SIGNATURE):
        meter = _meter(payload(event))
        if meter is None or event.tick >= end_tick:
            continue
        tick, *current = changes[-1]
        bar_ticks = current[0] * midi.ticks_per_beat
        if event.tick == tick:
            changes.pop()
        elif meter[0] == current[0] and (event.tick - tick) % bar_ticks == 0:
            continue
        changes.append((event.tick, *meter))
    return changes


def _meter(content: bytes) -> tuple[float, int] | None:
    """Quarter notes a bar and the denominator, None where the time signature makes no sense."""
    if len(content) < 2 or content[1] > 7:
        return None
    beats_per_bar: float = content[0] * 4 / 2 ** content[1]
    return (beats_per_bar, 2 ** min(content[1], 6)) if 0.25 <= beats_per_bar <= 64 else None


def tempos(midi: MidiBytes) -> list[tuple[int, float]]:
    """(tick, bpm) of each tempo, inside what a clip can have."""
    found = [(0, DEFAULT_TEMPO_BPM)]
    for event in _metas(midi, SET_TEMPO):
        microseconds = int.from_bytes(payload(event)[:3], "big")
        if microseconds:
            found.append((event.tick, min(max(60e6 / microseconds, 3.0), 1000.0)))
    return found


def _longest_tempo(tempos: Sequence[tuple[int, float]], tick: int, end_tick: int) -> float:
    """The tempo that holds for the most ticks of a section."""
    lasting: Counter[float] = Counter()
    for (start, bpm), (end, _) in pairwise([*tempos, (end_tick, 0.0)]):
        lasting[bpm] += max(0, min(end, end_tick) - max(start, tick))
    return lasting.most_common(1)[0][0]


def _metas(midi: MidiBytes, kind: int) -> list[Event]:
    """The meta events of a type on all tracks, in time."""
    found = (
        event for chunk in midi.chunks for event in chunk.events if event.status == META and event.data[0] == kind
    )
    return sorted(found, key=lambda event: event.tick)
