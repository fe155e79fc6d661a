"""Which pitches a clip has, those that the drum map lacks, and with which its drums are written."""

import numpy as np
from numpy.typing import NDArray

from engine.clip import Clip
from engine.representation.drum_map import INSTRUMENTS, DrumMap


def pitches_of(clip: Clip) -> NDArray[np.int64]:
    """The pitches of the notes that sound."""
    return np.array([note.pitch for note in clip.notes if not note.mute], dtype=np.int64)


def outside(pitches: NDArray[np.int64], drum_map: DrumMap) -> tuple[str, ...]:
    """A sentence a pitch that the drum map does not have."""
    return tuple(
        f"pitch {pitch} is not in the drum map: played as {INSTRUMENTS[drum_map.class_of[pitch]]}"
        for pitch in drum_map.outside(pitches)
    )


def own_pitches(drum_map: DrumMap, clip: Clip) -> DrumMap:
    """The map that writes each drum with the pitch that the clip uses most for it."""
    return drum_map.written_as(pitches_of(clip))
