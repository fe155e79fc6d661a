"""The groove array: 27 numbers a step, 9 hits {0, 1} | 9 velocities 0..1 | 9 offsets -1..1.

offset = 2·(quantised − true) / step, so positive is early; a hit sounds at (step − offset / 2) steps.
Source: GrooVAE, Gillick et al. 2019, arXiv 1905.06118, section 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT, Clip, Note
from engine.representation.drum_map import CLASSES, DrumMap

Array = NDArray[np.float32]

DEPTH = 3 * CLASSES
HITS, VELOCITIES, OFFSETS = slice(0, CLASSES), slice(CLASSES, 2 * CLASSES), slice(2 * CLASSES, DEPTH)


def steps_per_bar(beats_per_bar: float) -> int:
    """The sixteenths in a bar, at least one."""
    return max(1, round(beats_per_bar * STEPS_PER_BEAT))


def steps_of(clip: Clip) -> int:
    """The steps of the whole bars that hold the clip."""
    return clip.bars * steps_per_bar(clip.beats_per_bar)


def nearest_step(start_beats: NDArray[np.float64]) -> NDArray[np.int64]:
    """The sixteenth that each start is nearest to, 0 for an early first hit."""
    return np.maximum(np.floor(start_beats * STEPS_PER_BEAT + 0.5), 0).astype(np.int64)


def hits_to_groove(
    steps: int,
    classes: NDArray[np.int64],
    start_beats: NDArray[np.float64],
    velocities: NDArray[np.float64],
) -> Array:
    """Hits as [step, 27]; the loudest hit of a class in a step wins, one beyond the last step is left out.

    classes 0..8; velocities 1..127.
    """
    groove = np.zeros((steps, DEPTH), dtype=np.float32)
    step = nearest_step(start_beats)
    for index in np.argsort(velocities, kind="stable"):
        if step[index] < steps:
            row, column = groove[step[index]], classes[index]
            row[column] = 1
            row[CLASSES + column] = velocities[index] / 127
            row[2 * CLASSES + column] = 2 * (step[index] - start_beats[index] * STEPS_PER_BEAT)
    return groove


def clip_to_groove(clip: Clip, drum_map: DrumMap, steps: int | None = None) -> Array:
    """The sounding notes of a clip as [step, 27]; steps is the whole bars of the clip unless given."""
    notes = [note for note in clip.notes if not note.mute]
    pitches = np.array([note.pitch for note in notes], dtype=np.int64)
    return hits_to_groove(
        steps_of(clip) if steps is None else steps,
        drum_map.class_of[pitches],
        np.array([note.start_beats for note in notes], dtype=np.float64),
        np.array([note.velocity for note in notes], dtype=np.float64),
    )


def groove_to_clip(groove: Array, drum_map: DrumMap, *, beats_per_bar: float, tempo_bpm: float) -> Clip:
    """The hits of [step, 27] as a clip of whole bars, sorted by start; each note is a step long."""
    steps, classes = np.nonzero(groove[:, HITS] > 0.5)
    starts = (steps - groove[steps, 2 * CLASSES + classes] / 2) / STEPS_PER_BEAT
    velocities = np.clip(np.rint(groove[steps, CLASSES + classes] * 127), 1, 127)
    order = np.lexsort((drum_map.pitch_of[classes], starts))
    notes = tuple(
        Note(int(drum_map.pitch_of[classes[i]]), float(starts[i]), 1 / STEPS_PER_BEAT, int(velocities[i]))
        for i in order
    )
    bars = max(1, math.ceil(len(groove) / steps_per_bar(beats_per_bar)))
    return Clip(notes, bars * beats_per_bar, beats_per_bar, tempo_bpm)


def taps(groove: Array) -> Array:
    """Each step's loudest hit alone, its instrument forgotten: [step, 27] -> [step, 3], hit | velocity | offset."""
    loudest = np.where(groove[:, HITS] > 0, groove[:, VELOCITIES], -1).argmax(axis=1)
    rows = np.arange(len(groove))
    return np.stack([groove[rows, k * CLASSES + loudest] for k in range(3)], axis=1)
