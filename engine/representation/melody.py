"""The melody, one of 90 tokens a step.

0: nothing happens, a note or a rest goes on; 1: the note ends; 2..89: a note of pitch 21..108 starts. Of notes
that start together the highest is read, and a note that starts ends the one before.
Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428, and its released models.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from engine.clip import STEPS_PER_BEAT, Clip, Note, Part
from engine.errors import ClipError
from engine.representation.drum_map import DrumMap
from engine.representation.tokens import (
    BEATS_PER_BAR,
    MELODY_PROGRAMS,
    STEPS_PER_BAR,
    GridNotes,
    Reading,
    Tokens,
    check_meter,
    grid_notes,
    inside,
    is_drums,
    notes_of,
    parts_of,
    remark,
    tokens_beats,
)

NOTHING, NOTE_OFF, FIRST_NOTE_ON = range(3)
LOWEST, HIGHEST = 21, 108
MELODY_SIZE = FIRST_NOTE_ON + HIGHEST - LOWEST + 1
VELOCITY = 80
"""The velocity of a decoded note: tokens hold none."""


class Melody:
    """A clip of one voice."""

    name = "melody"
    sizes = (MELODY_SIZE,)
    steps_per_bar = STEPS_PER_BAR

    def clip_to_tokens(self, clip: Clip, drum_map: DrumMap) -> Reading:
        """The first part that is a melody, else all notes but the drums'."""
        check_meter(self.name, clip)
        notes, remarks = chosen_part(clip, MELODY_PROGRAMS)
        if not notes:
            apart = (note for part in clip.parts if not is_drums(part) for note in notes_of(clip, part))
            notes = tuple(apart) or clip.notes
        column, more = read_melody(notes, clip.bars * STEPS_PER_BAR)
        if not (column >= FIRST_NOTE_ON).any():
            raise ClipError("a melody model needs a clip with at least one note that sounds")
        return Reading(column[:, None], remarks + more)

    def tokens_to_clip(self, tokens: Tokens, drum_map: DrumMap, *, tempo_bpm: float = 120.0) -> Clip:
        """One part on channel 1, a piano."""
        notes = melody_notes(tokens[:, 0])
        length_beats = tokens_beats(tokens)
        return Clip(notes, length_beats, BEATS_PER_BAR, tempo_bpm, (Part("melody", 1, 0, 0, len(notes)),))


def chosen_part(clip: Clip, programs: range) -> tuple[tuple[Note, ...], tuple[str, ...]]:
    """The notes of the first part of some programs, and a remark where there are more such parts."""
    parts = parts_of(clip, programs)
    if not parts:
        return (), ()
    name = parts[0].name or f"on channel {parts[0].channel}"
    remarks = (f"of {len(parts)} parts that fit the first is read, {name}",) if len(parts) > 1 else ()
    return notes_of(clip, parts[0]), remarks


def read_melody(notes: Sequence[Note], steps: int) -> tuple[Tokens, tuple[str, ...]]:
    """Notes as [step], and what was changed to fit."""
    heard, late = inside(grid_notes(notes), steps)
    pitch = octaves_into_range(heard.pitch)
    moved = remark(f"notes outside {LOWEST}..{HIGHEST} are moved by octaves", int((pitch != heard.pitch).sum()))
    voice = one_voice(GridNotes(heard.first, heard.end, pitch, heard.velocity))
    together = remark("notes that start together with a higher one are left out", len(heard) - len(voice))
    return melody_tokens(voice, steps), late + moved + together


def octaves_into_range(pitch: Tokens) -> Tokens:
    """Pitches 0..127 moved by octaves to the nearest in 21..108."""
    up, down = -(-np.maximum(LOWEST - pitch, 0) // 12), -(-np.maximum(pitch - HIGHEST, 0) // 12)
    moved: Tokens = pitch + 12 * (up - down)
    return moved


def one_voice(notes: GridNotes) -> GridNotes:
    """One note for each start, the highest (of equal ones the longest), in order, each ended by the next."""
    voice = notes[np.lexsort((-notes.end, -notes.pitch, notes.first))]
    voice = voice[np.diff(voice.first, prepend=-1) > 0]
    voice.end[:-1] = np.minimum(voice.end[:-1], voice.first[1:])
    return voice


def melody_tokens(voice: GridNotes, steps: int) -> Tokens:
    """One voice as [step]; pitches in 21..108, starts in 0..steps - 1."""
    tokens = np.zeros(steps, np.int64)
    tokens[voice.end[voice.end < steps]] = NOTE_OFF
    tokens[voice.first] = voice.pitch - LOWEST + FIRST_NOTE_ON
    return tokens


def melody_notes(tokens: Tokens) -> tuple[Note, ...]:
    """[step] as notes; each lasts to its note off, the next note or the end."""
    events = [*np.flatnonzero(tokens).tolist(), len(tokens)]
    return tuple(
        Note(
            int(tokens[first]) - FIRST_NOTE_ON + LOWEST,
            first / STEPS_PER_BEAT,
            (end - first) / STEPS_PER_BEAT,
            VELOCITY,
        )
        for first, end in pairwise(events)
        if tokens[first] >= FIRST_NOTE_ON
    )
