"""The verbs on models of phrases: some of the hits are known, the rest is drawn, and a drummer plays them all.

What groove_verbs is for grooves. Longer clips are drawn in stretches of the model's length, each told the bars before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clip import Clip, Note
from engine.errors import ClipError, TooLongError
from engine.model.noise import Noise
from engine.model.phrase_decoder import BAR_NUMBERS, PAST_BARS, Told, nothing_told
from engine.model.phrase_steps import draw_hits
from engine.representation.bar_attributes import ATTRIBUTES
from engine.representation.drum_map import CLASSES, INSTRUMENTS, DrumMap
from engine.representation.groove import HITS, Array, clip_to_groove, groove_to_clip, steps_of, steps_per_bar
from engine.requests import Continue, Decode, Drumify, Encode, Fill, Infill, Interpolate, Sample, Vary
from engine.verbs.groove_verbs import Player, own_pitches
from engine.verbs.latent import plane, slerp
from engine.verbs.resident import GrooveResident, PhraseResident
from engine.verbs.running import Played, RunsVerbs

SAMPLED_BARS = 4
"""What sample makes where nothing is said."""

HEARD_BARS = 8
"""How many bars before the new ones a continuation is told as part of its phrase; eight more as its past."""

FILL = ATTRIBUTES.index("fill")

Bits = NDArray[np.float32]


class PhrasePlayer(RunsVerbs):
    """One request on one model of phrases, using one seeded random source; drummer plays the hits, if there is one."""

    def __init__(
        self, resident: PhraseResident, drummer: GrooveResident | None, drum_map: DrumMap, noise: Noise
    ):
        self.resident, self.noise, self.drum_map = resident, noise, drum_map
        self.drummer = None if drummer is None else Player(drummer, drum_map, noise)
