"""Judges of the parts of bands: those of phrases of drums (engine.evaluation.phrases.judge), 8 bars of what begins.

They hear when and on which degree a voice plays, in no octave, and how its bars return: see part_hits.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.evaluation.bands.stretches import BARS, Stretches
from engine.evaluation.bootstrap import Interval
from engine.evaluation.phrases import judge as phrase_judge
from engine.evaluation.phrases.samples import Hits, Phrases
from engine.representation.band import part_hits
from engine.representation.tokens import Tokens

JUDGED_BARS = 8
FLOOR_JUDGES = 3
"""So many times as many tell the floor, as they have fewer pieces to learn from."""


def phrases_of(stretches: Stretches, part: int) -> Phrases:
    """Both halves of stretches, as judges hear a part of them."""
    halves = [slice(0, JUDGED_BARS), slice(JUDGED_BARS, BARS)]
    return Phrases(
        np.concatenate([part_hits(stretches.states[:, half], part) for half in halves]),
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
            [part_hits(states[:, first : first + JUDGED_BARS], part) for first in (0, JUDGED_BARS)]
            for states in both
        ]
        found[name] = auc([np.concatenate(each) for each in halves])
    return found
