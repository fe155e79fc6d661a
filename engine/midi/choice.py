"""Which notes of a file are played: those of the track and channel that are named, else its drums, else all.

Drums are recognised by channel, name, program, pitches and onsets.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import MidiFileError
from engine.midi.events import MidiBytes
from engine.midi.notes import (
    DRUM_CHANNEL,
    FileNote,
    Instrument,
    described_tracks,
    file_notes,
    find_track,
    instruments,
    track_names,
)

DRUM_NAME = re.compile(r"drum|perc|\bkit\b|kick|snare|hi-?hat|cymbal|schlagzeug|batterie|bater[ií]a", re.IGNORECASE)
OTHER_NAME = re.compile(
    r"piano|bass(?!.?drum)|guitar|git|lead|string|organ|synth|pad|melod|voc|voice|choir|brass|sax|flute|keys|chord",
    re.IGNORECASE,
)
DRUM_PROGRAMS = range(112, 120)
KIT = frozenset((22, 26, *range(35, 60)))
KICKS, SNARES, HATS = {35, 36}, {37, 38, 39, 40}, {22, 26, 42, 44, 46}
HOW_TO_CHOOSE = "--track and --channel choose others"


@dataclass(frozen=True, slots=True)
class Choice:
    """The notes to play, the others, and what to say of it, if anything; are_drums: None where nothing tells."""

    notes: tuple[FileNote, ...]
    rest: tuple[FileNote, ...]
    are_drums: bool | None
    remark: str = ""


def choose(midi: MidiBytes, track: str | None = None, channel: int | None = None, *, drums: bool = True) -> Choice:
    """The notes to play: of that track and channel; else the drums, where they are wanted and found, else all.

    track is a name or a number from 1. MidiFileError where there are none.
    """
    notes = file_notes(midi)
    if not notes:
        raise MidiFileError("it holds no notes")
    if track is not None or channel is not None:
        kept = _named(midi, notes, track, channel)
        return _choice(kept, notes, _all_alike([is_drums(each) for each in instruments(midi, kept)]))
    groups = instruments(midi, notes)
    found = kit(groups)
    kept = tuple(note for each in found for note in each.notes)
    usual = {note.channel for note in kept} <= {DRUM_CHANNEL}
    remark = "" if usual else _told(midi, kept, len(notes))
    if not drums:
        return Choice(notes, (), _all_alike([is_drums(each) for each in groups]), remark)
    if not found:
        are_drums = _all_alike([is_drums(each) for each in groups])
        told = f"no drums found: all {len(notes)} notes are played, as taps: chords move as one; {HOW_TO_CHOOSE}"
        return Choice(notes, (), are_drums, told if are_drums is not None else "")
    return _choice(kept, notes, True, remark)


def _choice(
    kept: Sequence[FileNote], notes: Sequence[FileNote], are_drums: bool | None, remark: str = ""
) -> Choice:
    """What of the notes is kept, in their order, and the rest."""
    chosen = frozenset((note.chunk, note.on) for note in kept)
    sides: tuple[list[FileNote], list[FileNote]] = ([], [])
    for note in notes:
        sides[(note.chunk, note.on) in chosen].append(note)
    return Choice(tuple(sides[True]), tuple(sides[False]), are_drums, remark)


def is_drums(group: Instrument) -> bool | None:
    """Whether an instrument is drums; None where neither channel, name, program nor pitches tell."""
    if group.channel == DRUM_CHANNEL or DRUM_NAME.search(group.name):
        return True
    if OTHER_NAME.search(group.name) or (group.program and group.program not in DRUM_PROGRAMS):
        return False
    pitches = Counter(note.pitch for note in group.notes)
    in_kit = sum(count for pitch, count in pitches.items() if pitch in KIT)
    if group.program in DRUM_PROGRAMS or (4 * in_kit >= 3 * len(group.notes) and _like_a_kit(group.notes)):
        return True
    return False if 2 * in_kit < len(group.notes) else None


def _like_a_kit(notes: Sequence[FileNote]) -> bool:
    """Whether a kick and a snare or hat are among them, and some are hit together or many are hats."""
    onsets: defaultdict[int, set[int]] = defaultdict(set)
    for note in notes:
        onsets[note.tick].add(note.pitch)
    pitches = {note.pitch for note in notes}
    together = sum(len(each) > 1 for each in onsets.values())
    hats = sum(note.pitch in HATS for note in notes)
    has_kit = bool(pitches & KICKS and pitches & (SNARES | HATS))
    return has_kit and (10 * together >= len(onsets) or 4 * hats >= len(notes))


def kit(groups: Sequence[Instrument]) -> list[Instrument]:
    """The instruments that are drums: the drum channel, and others that have more notes or the name."""
    on_channel = sum(len(each.notes) for each in groups if each.channel == DRUM_CHANNEL)
    return [
        each
        for each in groups
        if is_drums(each)
        and (each.channel == DRUM_CHANNEL or len(each.notes) > on_channel or DRUM_NAME.search(each.name))
    ]


def _named(
    midi: MidiBytes, notes: tuple[FileNote, ...], track: str | None, channel: int | None
) -> tuple[FileNote, ...]:
    """The notes of that track and channel."""
    chunk = None if track is None else find_track(midi, track)
    kept = tuple(note for note in notes if chunk in (None, note.chunk) and channel in (None, note.channel))
    if not kept:
        chosen = {"track": track, "channel": channel}
        where = " and ".join(f"{kind} {value}" for kind, value in chosen.items() if value is not None)
        raise MidiFileError(f"it holds no notes on {where}; {described_tracks(midi)}")
    return kept


def _all_alike(verdicts: Sequence[bool | None]) -> bool | None:
    return verdicts[0] if len(set(verdicts)) == 1 else None


def _told(midi: MidiBytes, kept: Sequence[FileNote], of: int) -> str:
    """The tracks that are played as drums, in one line."""
    names = track_names(midi)
    numbers = {chunk: number for number, chunk in enumerate(names, start=1)}
    places = dict.fromkeys((note.chunk, note.channel) for note in kept)
    shown = " and ".join(
        f"track {numbers[chunk]} {names[chunk]!r} (channel {channel})" for chunk, channel in places
    )
    return f"played as drums: {shown}, {len(kept)} of {of} notes; {HOW_TO_CHOOSE}"
