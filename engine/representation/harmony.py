"""Keys, scales and chords as pitch classes: what is told in words, and what is recognised in what sounds.

numpy alone, no model. chords.py reads symbols; band.py says how well pitch classes fit a key.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import ClipError
from engine.representation.band import key_fits
from engine.representation.chords import CHORD_CLASSES

Weights = NDArray[np.float64]
"""How long each pitch class sounds, C first: (…, 12)."""

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor_pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "chromatic": tuple(range(12)),
}
"""The degrees of each scale, in semitones above its tonic."""

LIKE_MINOR = ("minor", "harmonic_minor", "dorian", "phrygian", "minor_pentatonic", "blues")
"""The scales whose third is minor: a key that is told without its mode is one of these where such a scale is."""

DOUBTFUL = 0.15
"""A key that is told is doubted where another fits so much better, as a correlation."""

TRIADS = ((0, 4, 7), (0, 3, 7), (0, 4, 8), (0, 3, 6))
"""Major, minor, augmented, diminished, as chords.py numbers them."""

_KEY = re.compile(r"(?P<root>[A-Ga-g])(?P<shift>[#b♯♭]?)\s*(?P<mode>|m|min|minor|maj|major)")


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic 0..11, C is 0, and a mode."""

    tonic: int
    minor: bool = False

    @property
    def to_c(self) -> int:
        """By how many semitones, -6..5, it lies from C or A minor."""
        return (6 - self.tonic - 3 * self.minor) % 12 - 6

    @property
    def name(self) -> str:
        """As it is told."""
        return NAMES[self.tonic] + "m" * self.minor


def read_key(text: str) -> Key:
    """C, F# minor, Bbm; ClipError where it is none."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise ClipError(f"key must be a tonic, and m where it is minor, as C, F#m or Bb minor, not {text!r}")
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[found["root"].upper()]
    shift = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(found["shift"], 0)
    return Key((natural + shift) % 12, found["mode"] in ("m", "min", "minor"))


def scale_classes(scale: str, key: Key) -> NDArray[np.bool_]:
    """Which pitch classes are in a scale on a key's tonic: (12,); ClipError where there is no such scale."""
    name = scale.strip().casefold().replace(" ", "_")
    if name not in SCALES:
        raise ClipError(f"there is no scale {scale!r}; there are: {', '.join(SCALES)}")
    inside = np.zeros(12, np.bool_)
    inside[(np.array(SCALES[name]) + key.tonic) % 12] = True
    return inside


def key_found(sounding: Weights) -> Key | None:
    """The key, C major or A minor moved, that pitch classes (12,) fit best; None where nothing tells."""
    fits = key_fits(sounding)
    if not fits.any():
        return None
    tonic = (6 - int(fits.argmax())) % 12
    minor_tonic = (tonic + 9) % 12
    return Key(minor_tonic, minor=True) if sounding[minor_tonic] > sounding[tonic] else Key(tonic)


def doubts(key: Key, sounding: Weights) -> Key | None:
    """The key that pitch classes (12,) fit far better than the one that is told."""
    fits, found = key_fits(sounding), key_found(sounding)
    if found is None or fits[found.to_c + 6] - fits[key.to_c + 6] < DOUBTFUL:
        return None
    return found


def chord_tones(chord: int) -> NDArray[np.bool_]:
    """Which pitch classes are in a class of chords.py, all where there is no chord: (12,)."""
    tones = np.full(12, chord == 0)
    if chord:
        quality, root = divmod(chord - 1, 12)
        tones[(np.array(TRIADS[quality]) + root) % 12] = True
    return tones


def root_of(chord: int) -> int | None:
    """The pitch class of a chord's root."""
    return (chord - 1) % 12 if chord else None


def chords_heard(sounding: Weights) -> NDArray[np.int64]:
    """How long pitch classes sound in each bar (bar, 12) -> the nearest triads, 0 where nothing sounds: (bar,).

    A tone of the triad counts for it, another one against it; a root counts a little more.
    """
    templates = np.array([_template(chord) for chord in range(1, CHORD_CLASSES)])
    scores = sounding @ templates.T
    return np.where(sounding.sum(axis=-1) > 0, 1 + scores.argmax(axis=-1), 0)


def _template(chord: int) -> Weights:
    tones, root, quality = chord_tones(chord), (chord - 1) % 12, (chord - 1) // 12
    template = np.where(tones, 1.0, -1.0)
    template[root] += 0.25
    return template - 0.1 * (quality > 1)
