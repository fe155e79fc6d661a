"""The trio: a melody, a bass and drums side by side, [step, 3]; the first two as melody.py, the third as drums.py.

Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428.
"""

import numpy as np

from engine.clip import Clip, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.drum_map import DrumMap
from engine.representation.drums import Drums
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE, chosen_part, melody_notes, read_melody
from engine.representation.tokens import (
    BASS_PROGRAMS,
    BEATS_PER_BAR,
    MELODY_PROGRAMS,
    STEPS_PER_BAR,
    Reading,
    Tokens,
    check_meter,
    drum_notes,
    tokens_beats,
)

FINGER_BASS = 33


class Trio:
    """A clip of three parts."""

    name = "trio"
    sizes = (MELODY_SIZE, MELODY_SIZE, *Drums.sizes)
    steps_per_bar = STEPS_PER_BAR

    def clip_to_tokens(self, clip: Clip, drum_map: DrumMap) -> Reading:
        """The first part of the melody's programs, the first of the bass's, and the drum channel."""
        check_meter(self.name, clip)
        steps = clip.bars * STEPS_PER_BAR
        columns, remarks = [], []
        for name, programs in (("melody", MELODY_PROGRAMS), ("bass", BASS_PROGRAMS)):
            notes, chosen = chosen_part(clip, programs)
            column, changed = read_melody(notes, steps)
            columns.append(column)
            remarks += [f"{name}: {each}" for each in (*chosen, *changed)]
        column, changed = Drums().read(drum_notes(clip), steps, drum_map)
        tokens = np.stack([*columns, column], axis=1)
        if not (tokens >= [FIRST_NOTE_ON, FIRST_NOTE_ON, 1]).any():
            raise ClipError(
                "a trio model needs a clip of parts, at least one of which sounds:"
                " a melody (program 0..31), a bass (program 32..39), drums (channel 10)"
            )
        return Reading(tokens, (*remarks, *(f"drums: {each}" for each in changed)))

    def tokens_to_clip(self, tokens: Tokens, drum_map: DrumMap, *, tempo_bpm: float = 120.0) -> Clip:
        """The melody on channel 1, a bass on 2, drums on 10."""
        melody, bass = melody_notes(tokens[:, 0]), melody_notes(tokens[:, 1])
        drums = Drums().notes(tokens[:, 2], drum_map)
        parts = (
            Part("melody", 1, 0, 0, len(melody)),
            Part("bass", 2, FINGER_BASS, len(melody), len(bass)),
            Part("drums", DRUM_CHANNEL, 0, len(melody) + len(bass), len(drums)),
        )
        return Clip(melody + bass + drums, tokens_beats(tokens), BEATS_PER_BAR, tempo_bpm, parts)
