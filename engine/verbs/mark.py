"""Which notes of a clip stay; which make room in the beats that are marked, which hits may come, and the clip then.

numpy alone, no model.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.clip import EARLIEST_START_BEATS, STEPS_PER_BEAT, Clip, Note, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, Array, clip_to_groove, nearest_step, steps_of
from engine.requests import Keeping

CLOSE_BEATS = 1e-6
INSIDE_BEATS = 1 / 960
"""How far before the end of the mark the last new note may start."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The beats from first to end of a clip. groove (step, 27) holds the notes that stay, as they are played.

    replaced: the indices of the notes that make room; free (step, 9): 1 where a hit may come.
    """

    clip: Clip
    first: float
    end: float
    replaced: frozenset[int]
    groove: Array
    free: NDArray[np.float32]

    def filled(self, played: Array, drum_map: DrumMap) -> Clip:
        """The clip with the hits of a groove (step, 27) in the free cells; every note that stays is as it was."""
        steps, drums = np.nonzero(played[:, HITS] * self.free > 0.5)
        starts = (steps - played[:, OFFSETS][steps, drums] / 2) / STEPS_PER_BEAT
        starts = np.clip(starts, self.first, max(self.first, self.end - INSIDE_BEATS))
        velocities = np.clip(np.rint(played[:, VELOCITIES][steps, drums] * 127), 1, 127)
        rows = zip(drum_map.pitch_of[drums].tolist(), starts.tolist(), velocities.astype(int).tolist(), strict=True)
        new = [Note(pitch, start, 1 / STEPS_PER_BEAT, velocity) for pitch, start, velocity in rows]
        return _exchanged(self.clip, self.replaced, sorted(new, key=lambda note: (note.start_beats, note.pitch)))


def kept_notes(clip: Clip, keep: tuple[int, ...], keep_clip: Clip | None = None) -> frozenset[int]:
    """The indices of the notes that are to stay; those of keep_clip are compared as precisely as OSC sends them."""
    same = {_as_sent(note) for note in keep_clip.notes} if keep_clip else set()
    notes = enumerate(clip.notes)
    return frozenset(index for index, note in notes if note.pitch in keep or (same and _as_sent(note) in same))


def _as_sent(note: Note) -> tuple[int, float, float, int, bool]:
    start, duration = np.array([note.start_beats, note.duration_beats], np.float32).tolist()
    return note.pitch, start, duration, note.velocity, note.mute


def all_marked(request: Keeping, drum_map: DrumMap) -> Mark:
    """The mark of the whole clip, from the earliest first hit on; see marked."""
    return marked(request.clip, drum_map, EARLIEST_START_BEATS, math.inf, request.keep, request.keep_clip)


def marked(
    clip: Clip,
    drum_map: DrumMap,
    first: float,
    beats: float,
    keep: tuple[int, ...],
    keep_clip: Clip | None = None,
) -> Mark:
    """The mark of some beats; ClipError where it lies outside the clip, or the clip has parts and none is drums.

    Notes that start in the mark are replaced, but for muted ones and those that are to stay. A drum whose pitch is
    to be kept gets hits only where one of its other pitches is replaced.
    """
    kept = kept_notes(clip, keep, keep_clip)
    if not first < clip.length_beats:
        raise ClipError(
            f"the mark must start before the clip's end at {clip.length_beats:g} beats, not at {first:g}"
        )
    end = min(first + beats, clip.length_beats)
    notes = [(index, clip.notes[index]) for index in _drum_notes(clip) if not clip.notes[index].mute]
    replaced = {index: note for index, note in notes if first <= note.start_beats < end and index not in kept}
    staying = tuple(note for index, note in notes if index not in replaced)
    groove = clip_to_groove(replace(clip, notes=staying, parts=()), drum_map)
    free = np.zeros((steps_of(clip), CLASSES), np.float32)
    begin, stop = (int(np.ceil(beat * STEPS_PER_BEAT - CLOSE_BEATS)) for beat in (first, end))
    free[begin:stop] = 1
    free[:, drum_map.class_of[list(keep)]] = 0
    for note in replaced.values():
        step = min(int(nearest_step(np.array([note.start_beats]))[0]), len(free) - 1)
        free[step, drum_map.class_of[note.pitch]] = 1
    free *= 1 - groove[:, HITS]
    return Mark(clip, first, end, frozenset(replaced), groove, free)


def _drum_notes(clip: Clip) -> list[int]:
    """The indices of the notes of the drum parts, or of all where the clip has no parts."""
    if not clip.parts:
        return list(range(len(clip.notes)))
    drums = [part for part in clip.parts if part.channel == DRUM_CHANNEL]
    if not drums:
        raise ClipError("a clip with parts needs drums among them: none is on channel 10")
    return [index for part in drums for index in range(part.first, part.first + part.count)]


def _exchanged(clip: Clip, gone: frozenset[int], new: list[Note]) -> Clip:
    """The clip without some notes and with others behind its last drums."""
    if not clip.parts:
        return clip.with_notes((*(note for index, note in enumerate(clip.notes) if index not in gone), *new))
    drums = [part for part in clip.parts if part.channel == DRUM_CHANNEL][-1]
    notes: list[Note] = []
    parts: list[Part] = []
    for part in clip.parts:
        own = [clip.notes[k] for k in range(part.first, part.first + part.count) if k not in gone]
        own += new if part is drums else []
        parts.append(replace(part, first=len(notes), count=len(own)))
        notes += own
    return replace(clip, notes=tuple(notes), parts=tuple(parts), origin=None)
