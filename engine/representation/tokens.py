"""What the token representations share: the interface, and notes quantised to a grid. numpy alone, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT, Clip, Note, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.drum_map import DrumMap

Tokens = NDArray[np.int64]

BEATS_PER_BAR = 4
STEPS_PER_BAR = BEATS_PER_BAR * STEPS_PER_BEAT
"""All token models were published for 4/4."""

MELODY_PROGRAMS = range(32)
BASS_PROGRAMS = range(32, 40)
"""The General MIDI programs that are read as a melody (piano to guitar) and as a bass."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A clip as tokens [step, part], whole bars; remarks: sentences on what was changed or left out to fit."""

    tokens: Tokens
    remarks: tuple[str, ...] = ()


class Representation(Protocol):
    """Music as tokens [step, part]."""

    @property
    def name(self) -> str:
        """As configurations name it."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many tokens each part has."""

    @property
    def steps_per_bar(self) -> int:
        """How many tokens of each part a bar takes."""

    def clip_to_tokens(self, clip: Clip, drum_map: DrumMap) -> Reading:
        """ClipError where the clip cannot be represented at all."""

    def tokens_to_clip(self, tokens: Tokens, drum_map: DrumMap, *, tempo_bpm: float = 120.0) -> Clip:
        """Accepts any tokens within sizes, also those that no clip is read as."""


@dataclass(frozen=True, slots=True)
class GridNotes:
    """Notes on a grid, each [note]: first step, the step after the last, pitch 0..127, velocity 1..127."""

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "GridNotes":
        """Some of the notes, in that order."""
        return GridNotes(self.first[chosen], self.end[chosen], self.pitch[chosen], self.velocity[chosen])


def on_grid(
    start_beats: NDArray[np.float64],
    end_beats: NDArray[np.float64],
    pitch: NDArray[np.int64],
    velocity: NDArray[np.int64],
    steps_per_beat: int = STEPS_PER_BEAT,
) -> GridNotes:
    """Notes at the nearest steps, each at least a step long; what starts before beat 0 has a negative one."""
    first = np.floor(start_beats * steps_per_beat + 0.5).astype(np.int64)
    end = np.floor(end_beats * steps_per_beat + 0.5).astype(np.int64)
    return GridNotes(first, np.maximum(end, first + 1), pitch, velocity)


def grid_notes(notes: Sequence[Note], steps_per_beat: int = STEPS_PER_BEAT) -> GridNotes:
    """The sounding notes of a clip on a grid; an early first note falls on step 0."""
    heard = [note for note in notes if not note.mute]
    start = np.array([note.start_beats for note in heard], np.float64)
    length = np.array([note.duration_beats for note in heard], np.float64)
    return on_grid(
        np.maximum(start, 0),
        start + length,
        np.array([note.pitch for note in heard], np.int64),
        np.array([note.velocity for note in heard], np.int64),
        steps_per_beat,
    )


def inside(notes: GridNotes, steps: int) -> tuple[GridNotes, tuple[str, ...]]:
    """The notes that start before the last step's end, and a remark on the others."""
    kept = notes.first < steps
    late = int((~kept).sum())
    return notes[kept], remark("notes that start at the clip's end or later are left out", late)


def remark(what: str, count: int) -> tuple[str, ...]:
    """A remark with the number of notes it is about, none where that is 0."""
    return (f"{what}: {count}",) if count else ()


def check_meter(name: str, clip: Clip) -> None:
    """ClipError where the clip is not in 4/4."""
    if abs(clip.beats_per_bar - BEATS_PER_BAR) > 1e-6:
        raise ClipError(f"{name} models take 4/4, not {clip.beats_per_bar:g} beats a bar")


def notes_of(clip: Clip, part: Part) -> tuple[Note, ...]:
    """The notes of a part."""
    return clip.notes[part.first : part.first + part.count]


def is_drums(part: Part) -> bool:
    """Whether a part is played on the drum channel."""
    return part.channel == DRUM_CHANNEL


def parts_of(clip: Clip, programs: range) -> list[Part]:
    """The parts of some programs that sound, drums aside."""
    return [part for part in clip.parts if not is_drums(part) and part.program in programs and _sounds(clip, part)]


def drum_notes(clip: Clip) -> tuple[Note, ...]:
    """The notes on the drum channel."""
    return tuple(note for part in clip.parts if is_drums(part) for note in notes_of(clip, part))


def _sounds(clip: Clip, part: Part) -> bool:
    return any(not note.mute for note in notes_of(clip, part))


def tokens_beats(tokens: Tokens) -> float:
    """The beats of the whole bars that hold [step, part], at least one bar."""
    return BEATS_PER_BAR * max(1.0, -(-len(tokens) // STEPS_PER_BAR))
