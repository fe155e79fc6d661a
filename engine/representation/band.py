"""A band: a lead, a bass and drums, a sixteenth a step, as tokens (melody.py, drums.py) and as states.

The state of a voice says what sounds as well: 0 a rest, 1 a note just ended, 2..89 a note begins, 90..177 one goes
on. Of drums it is the subset that is hit. A band is read in one key: `to_c` says how far it lies from C or A minor.
"""

import numpy as np
from numpy.typing import NDArray

from engine.representation.drum_map import CLASSES
from engine.representation.instruments import PARTS as PARTS
from engine.representation.melody import FIRST_NOTE_ON, HIGHEST, LOWEST, MELODY_SIZE, NOTE_OFF
from engine.representation.tokens import Tokens

LEAD, BASS, DRUMS = range(3)
SIZES = (MELODY_SIZE, MELODY_SIZE, 1 << CLASSES)
PITCHES = HIGHEST - LOWEST + 1
VOICE_STATES = MELODY_SIZE + PITCHES

DEGREES = (0, 2, 4, 5, 7, 9, 11)
"""Of C, or A minor."""

MAJOR_PROFILE = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR_PROFILE = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
"""How well each degree fits a key: Krumhansl and Kessler 1982."""

Array = NDArray[np.float32]


def sounds(states: Tokens, part: int) -> NDArray[np.bool_]:
    """Whether anything begins in a part of rows of states (row, bar, 16, 3): (row,)."""
    first = 1 if part == DRUMS else FIRST_NOTE_ON
    return np.asarray((states[..., part] >= first).any(axis=(1, 2)), np.bool_)


def voice_states(tokens: Tokens) -> Tokens:
    """Tokens of a voice [step] -> its states."""
    events = np.flatnonzero(tokens)
    if not len(events):
        return np.zeros_like(tokens)
    last = np.searchsorted(events, np.arange(len(tokens)), side="right") - 1
    sounding = np.where(last >= 0, tokens[events[np.maximum(last, 0)]], 0)
    held = np.where(sounding >= FIRST_NOTE_ON, sounding + PITCHES, 0)
    return np.where(tokens > 0, tokens, held)


def token_of(states: Tokens) -> Tokens:
    """States of a voice -> its tokens."""
    return np.where(states < MELODY_SIZE, states, 0)


def band_states(tokens: Tokens) -> Tokens:
    """Tokens (step, 3) -> states (step, 3)."""
    return np.stack([voice_states(tokens[:, 0]), voice_states(tokens[:, 1]), tokens[:, 2]], axis=1)


def voice_features() -> Array:
    """What a network reads of each state of a voice: (178, 22).

    Whether a note begins, sounds, just ended; its pitch class, its octave, one-hot each.
    """
    table = np.zeros((VOICE_STATES, 22), np.float32)
    table[NOTE_OFF, 2] = 1
    for state in range(FIRST_NOTE_ON, VOICE_STATES):
        begins = state < MELODY_SIZE
        pitch = LOWEST + (state - FIRST_NOTE_ON) % PITCHES
        table[state, [0, 1]] = begins, 1
        table[state, 3 + pitch % 12] = 1
        table[state, 15 + np.clip(pitch // 12 - 2, 0, 6)] = 1
    return table


def drum_features() -> Array:
    """Which drums each subset has: (512, 9)."""
    return ((np.arange(1 << CLASSES)[:, None] >> np.arange(CLASSES)) & 1).astype(np.float32)


def part_hits(states: Tokens, part: int) -> NDArray[np.bool_]:
    """What of a part begins, as rows of drums: (…, 3) -> (…, 9).

    Of a voice in C: its notes on the seven degrees, those between, and where a note ends.
    """
    own = states[..., part]
    if part == DRUMS:
        return drum_features()[own] > 0
    begins = (own >= FIRST_NOTE_ON) & (own < MELODY_SIZE)
    pitch_class = (LOWEST + own - FIRST_NOTE_ON) % 12
    degrees = [begins & (pitch_class == degree) for degree in DEGREES]
    between = begins & ~np.isin(pitch_class, DEGREES)
    return np.stack([*degrees, between, own == NOTE_OFF], axis=-1)


def moved(states: Tokens, semitones: int) -> Tokens:
    """States (…, 3) with both voices moved; what would leave the range moves by octaves into it."""
    result = states.copy()
    voices = states[..., :2]
    note = voices >= FIRST_NOTE_ON
    pitch = (voices - FIRST_NOTE_ON) % PITCHES + semitones
    pitch = np.where(pitch < 0, pitch + 12, np.where(pitch >= PITCHES, pitch - 12, pitch))
    begins = FIRST_NOTE_ON + PITCHES * (voices >= MELODY_SIZE)
    result[..., :2] = np.where(note, pitch + begins, voices)
    return result


def pitch_classes(states: Tokens) -> NDArray[np.float64]:
    """For how many steps each pitch class sounds in the voices of (step, 3): (12,)."""
    notes = states[:, :2][states[:, :2] >= FIRST_NOTE_ON]
    return np.bincount((LOWEST + (notes - FIRST_NOTE_ON) % PITCHES) % 12, minlength=12).astype(np.float64)


def _profiles() -> NDArray[np.float64]:
    """Both profiles, moved back by -6..5 semitones, each of mean 0 and length 1: (2, 12, 12)."""
    turned = [
        [np.roll(profile, -(by + first)) for by in range(-6, 6)]
        for profile, first in ((MAJOR_PROFILE, 0), (MINOR_PROFILE, 3))
    ]
    centred = np.array(turned) - np.mean(turned, axis=-1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=-1, keepdims=True), np.float64)


PROFILES = _profiles()


def key_fits(sounding: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well pitch classes (12,) fit C or A minor if moved by -6..5 semitones: (12,), correlations."""
    if sounding.max() == sounding.min():
        return np.zeros(12)
    own = sounding - sounding.mean()
    return np.asarray((PROFILES @ (own / np.linalg.norm(own))).max(axis=0), np.float64)


def to_c(states: Tokens) -> int:
    """By how many semitones, -6..5, a band (step, 3) is moved to C or A minor; 0 where it has no pitches."""
    fits = key_fits(pitch_classes(states))
    return int(fits.argmax()) - 6 if fits.any() else 0
