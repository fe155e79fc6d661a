"""How loud the notes of a voice are played: tokens hold no velocity.

Measured over the train splits of the band pieces and of POP909: half of the tracks of the first
have one velocity throughout, the others are played. numpy alone, no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.clip import Note

ON_BAR, ON_BEAT, ON_EIGHTH, BETWEEN = 2.0, 1.0, -0.5, -2.5
"""By how much a note on a bar line, a beat, an eighth or between them differs from the mean."""

GOES_ON = 0.3
"""How much of what a note differs from that is left in the next."""


@dataclass(frozen=True, slots=True)
class Touch:
    """The mean velocity of a part, how much louder an octave higher is, and how far notes spread."""

    mean: float
    per_octave: float
    spread: float


LEAD_TOUCH, BASS_TOUCH = Touch(97, 5.0, 7.0), Touch(96, 2.7, 4.0)


def played(notes: Sequence[Note], touch: Touch, noise: NDArray[np.float32], bar_beats: float) -> tuple[Note, ...]:
    """The notes with velocities. noise (step,): standard normal."""
    if not notes:
        return ()
    middle, left, heard = float(np.median([note.pitch for note in notes])), 0.0, []
    for note in notes:
        step = round(note.start_beats * 4)
        left = GOES_ON * left + (1 - GOES_ON**2) ** 0.5 * float(noise[step % len(noise)])
        velocity = (
            touch.mean + _accent(note.start_beats % bar_beats) + touch.per_octave * (note.pitch - middle) / 12
        )
        heard.append(replace(note, velocity=int(np.clip(round(velocity + touch.spread * left), 1, 127))))
    return tuple(heard)


def _accent(beat: float) -> float:
    step = round(beat * 4)
    return ON_BAR if step == 0 else ON_BEAT if step % 4 == 0 else ON_EIGHTH if step % 2 == 0 else BETWEEN
