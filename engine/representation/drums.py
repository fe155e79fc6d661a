"""Drums: one token a step, the set of drums hit on it as bits; 0 is no hit.

Nine classes (512 tokens), or the 61 pitches of the full kit, in the order of the released drum classes' pitches.
Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT, Clip, Note
from engine.errors import ClipError
from engine.representation.drum_map import CLASSES, GENERAL_MIDI, DrumMap
from engine.representation.tokens import (
    BEATS_PER_BAR,
    STEPS_PER_BAR,
    Reading,
    Tokens,
    check_meter,
    drum_notes,
    grid_notes,
    inside,
    remark,
    tokens_beats,
)

# fmt: off
KIT_PITCHES = (
    36, 35,
    38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85,
    42, 44, 54, 68, 69, 70, 71, 73, 78, 80,
    46, 67, 72, 74, 79, 81,
    45, 29, 41, 61, 64, 84,
    48, 47, 60, 63, 77, 86, 87,
    50, 30, 43, 62, 76, 83,
    49, 55, 57, 58,
    51, 52, 53, 59, 82,
)
# fmt: on
"""Bit k of a kit token is pitch KIT_PITCHES[k]; a line is a class of the first release, in which 43 is a high
tom, 52 a ride, and 22 and 26 do not yet occur (magenta/music/drums_encoder_decoder.py, 2018; DrumsConverter of
@magenta/music 1.23.1)."""

VELOCITY = 100
"""The velocity of a decoded hit: tokens hold none."""


class Drums:
    """The nine classes of a drum map."""

    name = "drums"
    sizes = (1 << CLASSES,)
    steps_per_bar = STEPS_PER_BAR

    def clip_to_tokens(self, clip: Clip, drum_map: DrumMap) -> Reading:
        """The drum channel's notes where the clip has parts, else all."""
        check_meter(self.name, clip)
        column, remarks = self.read(drum_notes(clip) or clip.notes, clip.bars * STEPS_PER_BAR, drum_map)
        if not column.any():
            raise ClipError("a drum model needs a clip with at least one note that sounds")
        return Reading(column[:, None], remarks)

    def tokens_to_clip(self, tokens: Tokens, drum_map: DrumMap, *, tempo_bpm: float = 120.0) -> Clip:
        """A clip without parts, each hit a step long, as groove clips are."""
        return Clip(self.notes(tokens[:, 0], drum_map), tokens_beats(tokens), BEATS_PER_BAR, tempo_bpm)

    def read(self, notes: Sequence[Note], steps: int, drum_map: DrumMap) -> tuple[Tokens, tuple[str, ...]]:
        """Notes as [step], and what was changed to fit."""
        heard, late = inside(grid_notes(notes), steps)
        inside_map = drum_map.inside[heard.pitch]
        outside = remark("notes outside the drum map are read as the nearest", len(heard) - int(inside_map.sum()))
        return drum_tokens(heard.first, self.bits(drum_map)[heard.pitch], steps), late + outside

    def notes(self, tokens: Tokens, drum_map: DrumMap) -> tuple[Note, ...]:
        """[step] as notes, sorted by start and pitch."""
        pitches = self.pitches(drum_map)
        hits = (tokens[:, None] >> np.arange(len(pitches))) & 1
        steps, bits = np.nonzero(hits)
        found = sorted(zip(steps.tolist(), pitches[bits].tolist(), strict=True))
        return tuple(Note(pitch, step / STEPS_PER_BEAT, 1 / STEPS_PER_BEAT, VELOCITY) for step, pitch in found)

    def bits(self, drum_map: DrumMap) -> NDArray[np.int64]:
        """The bit of every pitch: [128]."""
        return drum_map.class_of

    def pitches(self, drum_map: DrumMap) -> NDArray[np.int64]:
        """The pitch that each bit is written with."""
        return drum_map.pitch_of


class Kit(Drums):
    """The 61 pitches of the full kit; one that is not in it is read as its drum map's class."""

    name = "kit"
    sizes = (1 << len(KIT_PITCHES),)

    def bits(self, drum_map: DrumMap) -> NDArray[np.int64]:
        """The bit of every pitch; of one outside the kit that of its class's first pitch."""
        bit_of = {pitch: bit for bit, pitch in enumerate(KIT_PITCHES)}
        stand_in = GENERAL_MIDI.pitch_of[drum_map.class_of].tolist()
        return np.array([bit_of.get(pitch, bit_of[stand_in[pitch]]) for pitch in range(128)], np.int64)

    def pitches(self, drum_map: DrumMap) -> NDArray[np.int64]:
        """The pitch that each bit is written with: KIT_PITCHES, whatever the drum map."""
        return np.array(KIT_PITCHES, np.int64)


def drum_tokens(first: NDArray[np.int64], bits: NDArray[np.int64], steps: int) -> Tokens:
    """Hits as [step]; first in 0..steps - 1, bits 0..61, each [hit]."""
    tokens = np.zeros(steps, np.int64)
    np.bitwise_or.at(tokens, first, np.left_shift(np.int64(1), bits))
    return tokens
