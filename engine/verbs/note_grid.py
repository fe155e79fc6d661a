"""Where the notes of a clip lie on the grid, and how they move to where a groove plays them.

A cell is one drum in one sixteenth: the model says one offset and velocity for it, all of its notes move together.
numpy alone, no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.clip import EARLIEST_START_BEATS, STEPS_PER_BEAT, Clip, Note
from engine.representation.drum_map import CLASSES, INSTRUMENTS, DrumMap
from engine.representation.groove import DEPTH, Array, nearest_step, steps_of

EXACT_BEATS = 1 / 240
"""A note this close to a grid position counts as on it: half a tick at 120 ticks a quarter."""

DIVISIONS = np.array([[4], [3], [6], [8]])
"""Of a beat: sixteenths, triplets, their halves, 32nds."""

TUPLETS, FEWEST_OF_TUPLET = (5, 7), 3
"""A beat is quintuplets or septuplets where all of its onsets are exact, and there are at least so many."""

BESIDE_REACH_BEATS = 1 / 24
"""How far a note that lies beside the sixteenths may move: half of the way from a triplet to its neighbour."""

TAP_DRUM = INSTRUMENTS.index("closed_hat")
"""The drum whose feel the onsets of a clip that is no drums are given."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The sounding notes of a clip, as the grid sees them; every array is [sounding note].

    note is the index in the clip; place_beats the grid position it belongs to, a sixteenth, a triplet or a 32nd;
    anchor the index (in these arrays) of the loudest note of its cell, which is what the model moves; of a cell in
    which notes stay, the loudest of those; held whether it has any, then all of them stay. taps:
    whether the notes are no drums.
    """

    note: NDArray[np.int64]
    start_beats: NDArray[np.float64]
    velocity: NDArray[np.float64]
    step: NDArray[np.int64]
    drum: NDArray[np.int64]
    place_beats: NDArray[np.float64]
    anchor: NDArray[np.int64]
    held: NDArray[np.bool_]
    steps: int
    taps: bool = False

    def groove(self) -> Array:
        """The cells as [step, 27], each as its anchor is played now."""
        groove = np.zeros((self.steps, DEPTH), dtype=np.float32)
        step, drum = self.step[self.anchor], self.drum[self.anchor]
        groove[step, drum] = 1
        groove[step, CLASSES + drum] = self.velocity[self.anchor] / 127
        early = step - self.start_beats[self.anchor] * STEPS_PER_BEAT
        groove[step, 2 * CLASSES + drum] = np.clip(2 * early, -1, 1)
        return groove

    def as_played(self, clip: Clip) -> Array:
        """The cells [step, 27] as the anchors are played in another version of the clip, off their own places."""
        groove = self.groove()
        notes = [clip.notes[self.note[k]] for k in self.anchor]
        step, drum = self.step[self.anchor], self.drum[self.anchor]
        late = np.array([note.start_beats for note in notes]) - self.place_beats[self.anchor]
        groove[step, CLASSES + drum] = np.array([note.velocity for note in notes]) / 127
        groove[step, 2 * CLASSES + drum] = -2 * STEPS_PER_BEAT * late
        return groove

    def off_places(self, grooves: Array) -> Array:
        """Grooves (row, step, 27) with the offsets of cells beside the sixteenths from their own places."""
        cells = self.anchor[beside(self)[self.anchor]]
        step, drum, result = self.step[cells], self.drum[cells], grooves.copy()
        for row in result:
            late = _played_beats(self, row)[cells] - self.place_beats[cells]
            row[step, 2 * CLASSES + drum] = -2 * STEPS_PER_BEAT * late
        return result

    def moving(self, clip: Clip, only: tuple[int, ...]) -> Array:
        """1 where a cell is not held, and any of its notes has one of the pitches, if there are any: [step, 9]."""
        moves = ~self.held & np.array([not only or clip.notes[i].pitch in only for i in self.note], dtype=np.bool_)
        free = np.zeros((self.steps, CLASSES), dtype=np.float32)
        free[self.step[moves], self.drum[moves]] = 1
        return free

    def timing_given(self) -> Array:
        """1 where a cell stays as it is played: [step, 9]."""
        given = np.zeros((self.steps, CLASSES), dtype=np.float32)
        given[self.step[self.held], self.drum[self.held]] = 1
        return given


def cut_cells(clip: Clip, drum_map: DrumMap, *, as_taps: bool, stays: frozenset[int] = frozenset()) -> Cells:
    """The cells of a clip; as_taps puts all notes of a step in one. stays: the indices of the notes that stay."""
    heard = [(n, each.start_beats, each.velocity, each.pitch) for n, each in enumerate(clip.notes) if not each.mute]
    numbers, start_beats, velocity, pitches = np.array(heard, np.float64).reshape(-1, 4).T
    note, pitch = numbers.astype(np.int64), pitches.astype(np.int64)
    drum = np.full(len(heard), TAP_DRUM) if as_taps else drum_map.class_of[pitch]
    step = nearest_step(start_beats)
    steps = max(steps_of(clip), int(step.max()) + 1 if len(step) else 0)
    kept = np.isin(note, list(stays)) if stays else np.zeros(len(note), np.bool_)
    anchor = _anchors(step * CLASSES + drum, velocity, kept)
    return Cells(
        note, start_beats, velocity, step, drum, _places(start_beats), anchor, kept[anchor], steps, as_taps
    )


def _anchors(cell: NDArray[np.int64], velocity: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The loudest note of each note's cell, of those kept if there are any; of equals the first."""
    order = np.lexsort((-np.arange(len(cell)), velocity, kept, cell))
    return order[np.searchsorted(cell, cell, side="right", sorter=order) - 1]


def nearest_place(start_beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest sixteenth or eighth triplet of each start; a triplet sixteenth or 32nd only where it is exact."""
    places = np.rint(start_beats * DIVISIONS) / DIVISIONS
    distance = np.abs(places - start_beats)
    distance[2:][distance[2:] > EXACT_BEATS] = np.inf
    distance[1:] += 1e-9  # of equals the sixteenth
    nearest: NDArray[np.float64] = places[distance.argmin(axis=0), np.arange(len(start_beats))]
    return nearest


def _places(start_beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each start: a triplet where it is exact, or where its beat as a whole is nearer to triplets.

    A late sixteenth by itself would soon be one. Quintuplets and septuplets are those of whole beats of them.
    """
    nearest = nearest_place(start_beats)
    loose = np.abs(nearest - start_beats) > EXACT_BEATS
    if not loose.any():
        return nearest
    beat = np.floor(start_beats + 1 / 8).astype(np.int64)
    beat -= beat.min(initial=0)
    sixteenth, triplet = np.rint(start_beats * DIVISIONS[:2]) / DIVISIONS[:2]
    off_sixteenths, off_triplets = (
        np.bincount(beat, (place - start_beats) ** 2)[beat] for place in (sixteenth, triplet)
    )
    places = np.where(loose & (off_sixteenths <= off_triplets), sixteenth, nearest)
    for division in TUPLETS:
        of_division = np.rint(start_beats * division) / division
        beside = np.bincount(beat, np.abs(of_division - start_beats) > EXACT_BEATS)
        onsets = np.bincount(beat[np.unique(of_division, return_index=True)[1]], minlength=len(beside))
        even = (beside == 0) & (onsets >= FEWEST_OF_TUPLET) & (np.bincount(beat, loose) > 0)
        places = np.where(even[beat], of_division, places)
    return places


def play_clip(
    clip: Clip,
    cells: Cells,
    groove: Array,
    *,
    timing: float | Sequence[float],
    velocity: float | Sequence[float],
    accents: float = 0.0,
    only: tuple[int, ...] = (),
    off_places: bool = False,
) -> Clip:
    """The same notes as the groove [step, 27] plays them: count, order, pitches and durations are the clip's.

    timing and velocity 0..1 say how far, or how far for each drum; only, if given, which pitches change. accents
    0..1: how far the velocities that the model plays are dealt out in the order of the clip's own.
    off_places: the offsets are from the places of the notes, see Cells.off_places.
    """
    step, drum = cells.step, cells.drum
    moves = ~cells.held
    if only:
        moves &= np.array([clip.notes[i].pitch in only for i in cells.note], dtype=np.bool_)
    how_far, how_loud = (
        np.broadcast_to(np.asarray(each, np.float64), CLASSES)[drum] for each in (timing, velocity)
    )
    offset = groove[step, 2 * CLASSES + drum].astype(np.float64)
    there = cells.place_beats - offset / 2 / STEPS_PER_BEAT if off_places else _played_beats(cells, groove)
    shift = how_far * (there - cells.start_beats)[cells.anchor]
    shift = np.where(how_far > 0, np.maximum(shift, _earliest_shift(cells)), shift)
    played = np.maximum(groove[step, CLASSES + drum] * 127, 1)
    louder = cells.velocity * (played / cells.velocity[cells.anchor] - 1)
    if accents:
        louder += accents * _to_own_order(cells.velocity + louder, cells, moves)
    velocities = np.clip(np.rint(cells.velocity + how_loud * louder), 1, 127).astype(int)
    starts = np.maximum(cells.start_beats + shift, EARLIEST_START_BEATS)
    notes = list(clip.notes)
    moved = (each[moves].tolist() for each in (cells.note, starts, velocities))
    for index, start, loudness in zip(*moved, strict=True):
        note = notes[index]
        notes[index] = Note(note.pitch, start, note.duration_beats, loudness)
    return clip.with_notes(tuple(notes))


def _to_own_order(played: NDArray[np.float64], cells: Cells, moves: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each velocity that is played differs from the one that it gets where the clip's own order is kept.

    Within each drum, of the notes that move; those that are equal in the clip keep the order that is played.
    """
    differs = np.zeros_like(played)
    for drum in range(CLASSES):
        own = np.flatnonzero(moves & (cells.drum == drum))
        order = own[np.lexsort((played[own], cells.velocity[own]))]
        differs[order] = np.sort(played[own]) - played[order]
    return differs


def beside(cells: Cells) -> NDArray[np.bool_]:
    """Which notes lie beside the sixteenths, as triplets do."""
    return np.asarray(np.abs(cells.place_beats - cells.step / STEPS_PER_BEAT) > 1e-6, np.bool_)


def _played_beats(cells: Cells, groove: Array) -> NDArray[np.float64]:
    """Where the groove plays each note.

    A note that lies beside the sixteenths keeps its place, and gets what the groove's position differs from the
    place nearest to it: a triplet stays a triplet.
    """
    sixteenth = cells.step / STEPS_PER_BEAT
    offset = groove[cells.step, 2 * CLASSES + cells.drum].astype(np.float64)
    played = sixteenth - offset / 2 / STEPS_PER_BEAT
    are_beside = beside(cells)
    if not are_beside.any():
        return played
    deviation = np.clip(played - nearest_place(played), -BESIDE_REACH_BEATS, BESIDE_REACH_BEATS)
    return np.where(are_beside, cells.place_beats + deviation, played)


def _earliest_shift(cells: Cells) -> NDArray[np.float64]:
    """How far each note may move back so that the first of its cell stays within half a step of the clip."""
    first = np.full(len(cells.note), np.inf)
    np.minimum.at(first, cells.anchor, cells.start_beats)
    return EARLIEST_START_BEATS - first[cells.anchor]
