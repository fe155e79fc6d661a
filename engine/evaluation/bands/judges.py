"""Judges of the parts of bands: those of phrases of drums (engine.evaluation.phrases.judge), 8 bars of what begins.

A voice has nine rows as drums have: its notes on the seven degrees of C, those between, and where a note ends. So
judges hear when and on which degree it plays, in no octave, and how its bars return.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.evaluation.bands.stretches import BARS, Stretches
from engine.evaluation.bootstrap import Interval
from engine.evaluation.phrases import judge as phrase_judge
from engine.evaluation.phrases.samples import Hits, Phrases
from engine.representation.band import DRUMS, PITCHES, drum_features
from engine.representation.drum_map import CLASSES
from engine.representation.melody import FIRST_NOTE_ON, LOWEST, NOTE_OFF
from engine.representation.tokens import Tokens

JUDGED_BARS = 8
FLOOR_JUDGES = 3
"""So many times as many tell the floor, as they have fewer pieces to learn from."""

DEGREES = (0, 2, 4, 5, 7, 9, 11)
BETWEEN, ENDS = CLASSES - 2, CLASSES - 1


def hits_of(states: Tokens, part: int) -> Hits:
    """What of a part begins or ends: (stretch, bar, 16, 3) -> (stretch, bar, 16, 9)."""
    own = states[..., part]
    if part == DRUMS:
        return drum_features()[own] > 0
    begins = (own >= FIRST_NOTE_ON) & (own < FIRST_NOTE_ON + PITCHES)
    pitch_class = (LOWEST + own - FIRST_NOTE_ON) % 12
    rows = [begins & (pitch_class == degree) for degree in DEGREES]
    between = begins & ~np.isin(pitch_class, DEGREES)
    return np.stack([*rows, between, own == NOTE_OFF], axis=-1)


def phrases_of(stretches: Stretches, part: int) -> Phrases:
    """Both halves of stretches, as judges hear a part of them."""
    halves = [slice(0, JUDGED_BARS), slice(JUDGED_BARS, BARS)]
    return Phrases(
        np.concatenate([hits_of(stretches.states[:, half], part) for half in halves]),
        np.tile(stretches.piece, 2),
        np.concatenate([stretches.first, stretches.first + JUDGED_BARS]),
        np.tile(stretches.tempo_bpm, 2),
        np.tile(stretches.style, 2),
    )


def judged_part(
    part: int, train: Stretches, ask: Stretches, made: Mapping[str, Sequence[Tokens]], *, judges: int, epochs: int
) -> dict[str, Interval]:
    """The AUC of judges of a part: floor, ceiling, and by name what was made, against train's and against ask's."""
    known, asked = phrases_of(train, part), phrases_of(ask, part)

    def auc(others: Sequence[Hits]) -> Interval:
        return phrase_judge.judged(known, asked, others, judges=judges, epochs=epochs)

    found = {
        "the floor": phrase_judge.floor(known, asked, judges=FLOOR_JUDGES * judges, epochs=epochs),
        "the ceiling: its bars in another order": auc([phrase_judge.shuffled(each, 0) for each in (known, asked)]),
    }
    for name, both in made.items():
        halves = [
            [hits_of(states[:, first : first + JUDGED_BARS], part) for first in (0, JUDGED_BARS)] for states in both
        ]
        found[name] = auc([np.concatenate(each) for each in halves])
    return found
