"""Notes and clips: the values that everything else passes on. Times are beats (quarter notes).

Knows nothing of files, tensors or wires.
"""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import ClipError

STEPS_PER_BEAT = 4
"""A step is a sixteenth."""

BEAT_UNITS = (1, 2, 4, 8, 16, 32, 64)

EARLIEST_START_BEATS = -0.5 / STEPS_PER_BEAT
"""A first hit may lie half a step before the clip."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a clip.

    pitch 0..127; velocity 1..127; start_beats from the clip's start, at least -0.125; duration_beats > 0.
    A muted note is kept but neither heard nor played.
    """

    pitch: int
    start_beats: float
    duration_beats: float
    velocity: int
    mute: bool = False

    def __post_init__(self) -> None:
        if (
            0 <= self.pitch <= 127
            and 1 <= self.velocity <= 127
            and EARLIEST_START_BEATS <= self.start_beats < math.inf
            and 0 < self.duration_beats < math.inf
        ):
            return
        if not 0 <= self.pitch <= 127:
            raise ClipError(f"pitch must be in 0..127, not {self.pitch}")
        if not 1 <= self.velocity <= 127:
            raise ClipError(f"velocity must be in 1..127, not {self.velocity}")
        if not EARLIEST_START_BEATS <= self.start_beats < math.inf:
            raise ClipError(f"start must be at least {EARLIEST_START_BEATS} beats, not {self.start_beats}")
        raise ClipError(f"duration must be more than 0 beats, not {self.duration_beats}")


@dataclass(frozen=True, slots=True)
class Part:
    """The notes first … first + count - 1 of a clip belong to one instrument. channel 1..16, program 0..127."""

    name: str
    channel: int
    program: int
    first: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.channel <= 16:
            raise ClipError(f"channel must be in 1..16, not {self.channel}")
        if not 0 <= self.program <= 127:
            raise ClipError(f"program must be in 0..127, not {self.program}")
        if self.first < 0 or self.count < 0:
            raise ClipError("a part's first and count must be 0 or more")


@dataclass(frozen=True, slots=True)
class Origin:
    """Of what a clip was made: the sha256 of a model's weights, and the z that all of its windows have."""

    weights: str
    z: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """Notes in the order in which they were given, and the length, meter and tempo they were given in.

    origin: known of what a model without an encoder has made. beat_unit: the denominator of the meter, which is
    6/8 with 3 beats a bar and the unit 8.
    """

    notes: tuple[Note, ...]
    length_beats: float
    beats_per_bar: float = 4.0
    tempo_bpm: float = 120.0
    parts: tuple[Part, ...] = ()
    origin: Origin | None = None
    beat_unit: int = 4

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length_beats) and self.length_beats > 0):
            raise ClipError(f"a clip's length must be more than 0 beats, not {self.length_beats}")
        if not (math.isfinite(self.beats_per_bar) and 0.25 <= self.beats_per_bar <= 64):
            raise ClipError(f"beats_per_bar must be in 0.25..64, not {self.beats_per_bar}")
        if self.beat_unit not in BEAT_UNITS:
            raise ClipError(f"a meter's denominator must be one of {BEAT_UNITS}, not {self.beat_unit}")
        if not (math.isfinite(self.tempo_bpm) and 3 <= self.tempo_bpm <= 1000):
            raise ClipError(f"tempo must be in 3..1000 bpm, not {self.tempo_bpm}")
        for part in self.parts:
            if part.first + part.count > len(self.notes):
                raise ClipError(
                    f"part {part.name} ends at note {part.first + part.count}, the clip has {len(self.notes)}"
                )

    def __reduce__(self) -> tuple[Any, ...]:
        """As columns of numbers, which pickle in half the time and bytes of as many notes."""
        rows = ((n.pitch, n.start_beats, n.duration_beats, n.velocity, n.mute) for n in self.notes)
        columns = tuple(zip(*rows, strict=True))
        size = (self.length_beats, self.beats_per_bar, self.tempo_bpm)
        return _clip_of, (columns, *size, self.parts, self.origin, self.beat_unit)

    @property
    def meter(self) -> str:
        """The meter as it is written, such as 6/8."""
        return f"{self.beats_per_bar * self.beat_unit / 4:g}/{self.beat_unit}"

    @property
    def bars(self) -> int:
        """The whole bars that hold the clip, at least one."""
        return max(1, math.ceil(self.length_beats / self.beats_per_bar - 1e-6))

    def in_order(self) -> "Clip":
        """The notes by part, start and pitch; as they are where some belong to no part."""
        parts = self.parts or (Part("", 1, 0, 0, len(self.notes)),)
        spans = (self.notes[part.first : part.first + part.count] for part in parts)
        notes = tuple(note for span in spans for note in sorted(span, key=lambda n: (n.start_beats, n.pitch)))
        return replace(self, notes=notes) if len(notes) == len(self.notes) else self

    def apart(self, *, but: Container[Note] = ()) -> "Clip":
        """No note ends after its pitch starts again on its channel; those that are in `but` stay as they are."""
        channels = [0] * len(self.notes)
        for part in self.parts:
            channels[part.first : part.first + part.count] = [part.channel] * part.count
        starts = [note.start_beats for note in self.notes]
        order = sorted(range(len(starts)), key=starts.__getitem__, reverse=True)
        changed, notes, following = False, list(self.notes), dict[tuple[int, int], tuple[Note, Note | None]]()
        for index in order:
            note, key = notes[index], (channels[index], notes[index].pitch)
            if note.mute:
                continue
            next_note, later = following.get(key, (None, None))
            if next_note is not None and next_note.start_beats == note.start_beats:
                next_note = later
            following[key] = (note, next_note)
            if next_note is None:
                continue
            room_beats = next_note.start_beats - note.start_beats
            if note.duration_beats > room_beats and note not in but:
                notes[index] = Note(note.pitch, note.start_beats, room_beats, note.velocity)
                changed = True
        return self._around(tuple(notes), self.origin) if changed else self

    def followed_by(self, other: "Clip") -> "Clip":
        """The same with the notes of another behind its last bar."""
        begin = self.bars * self.beats_per_bar
        notes = (replace(note, start_beats=begin + note.start_beats) for note in other.notes)
        return replace(self.with_notes((*self.notes, *notes)), length_beats=begin + other.length_beats)

    def with_notes(self, notes: tuple[Note, ...]) -> "Clip":
        """The same clip around other notes, which have another origin."""
        return self._around(notes, None)

    def _around(self, notes: tuple[Note, ...], origin: Origin | None) -> "Clip":
        size = self.length_beats, self.beats_per_bar, self.tempo_bpm
        return Clip(notes, *size, self.parts, origin, self.beat_unit)  # dataclasses.replace takes ten times as long


def read_meter(text: str) -> tuple[float, int]:
    """The quarter notes of a bar and the denominator of a meter such as 6/8; ClipError if it is none."""
    numerator, _, unit = text.partition("/")
    if not (numerator.isdecimal() and unit.isdecimal() and len(text) < 8 and int(unit) in BEAT_UNITS):
        raise ClipError(f"a meter is written as 6/8, with one of {BEAT_UNITS} below, not {text!r}")
    return int(numerator) * 4 / int(unit), int(unit)


def in_a_row(clips: Sequence[Clip], bars: int) -> Clip:
    """So many bars of each clip, one behind the other, in the meter and tempo of the first and in no part.

    A clip that has fewer goes round.
    """
    beats = bars * clips[0].beats_per_bar
    notes = tuple(
        replace(note, start_beats=place * beats + start)
        for place, clip in enumerate(clips)
        for turn in range(math.ceil(bars / clip.bars))
        for note in clip.notes
        if (start := turn * clip.bars * clip.beats_per_bar + note.start_beats) < beats
    )
    first = clips[0]
    return Clip(notes, len(clips) * beats, first.beats_per_bar, first.tempo_bpm, beat_unit=first.beat_unit)


def _clip_of(columns: tuple[tuple[Any, ...], ...], *rest: Any) -> Clip:
    return Clip(tuple(map(Note, *columns)) if columns else (), *rest)
