"""Chord symbols as classes: 0 no chord, then major, minor, augmented and diminished triads, each on C, C#, … B.

What a chord adds to its triad (sevenths, ninths, a bass) is ignored. Source: the triad encoding of @magenta/music
1.23.1 (TriadChordEncoder), which the released chord-conditioned models use.
"""

import re

import numpy as np

from engine.errors import ClipError
from engine.representation.multitrack import EVENTS, TRACKS
from engine.representation.tokens import STEPS_PER_BAR, Tokens

CHORD_CLASSES = 1 + 4 * 12
NO_CHORD = ("N.C.", "NC", "N")

_MAJOR, _MINOR, _AUGMENTED, _DIMINISHED = range(4)
_QUALITIES = {
    _MAJOR: ("", "maj", "ma", "M", "Δ"),
    _MINOR: ("min", "mi", "m", "-"),
    _AUGMENTED: ("aug", "+"),
    _DIMINISHED: ("dim", "°", "o", "ø"),
}
_FIFTHS = {(_MAJOR, "#5"): _AUGMENTED, (_MINOR, "b5"): _DIMINISHED}
"""The triad that results where the symbol alters the fifth."""

_ROOTS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SYMBOL = re.compile(
    r"(?P<root>[A-G])(?P<shift>[#b]?)"
    r"(?P<quality>maj|min|aug|dim|ma|mi|[MmΔ+°oø-]|)"
    r"(?P<more>(?:6/9|[Mm]aj7|M7|13|11|[679]|add(?:13|11|[249])|[#b](?:13|11|9)|\(|\))*)"
    r"(?P<fifth>[#b]5|)\)?(?P<bass>/[A-G][#b]?|)"
)


def read_chords(text: str, steps: int, steps_per_bar: int = STEPS_PER_BAR) -> Tokens:
    """Symbols separated by blanks, commas or bar lines -> the class of each step [step].

    One symbol a bar; if there are fewer than bars they repeat, if more they divide the steps evenly. In a
    multitrack bar, of 512 steps, the program token of each track gets class 0, and a bar has one chord. ClipError
    names what cannot be read.
    """
    classes = np.array([chord_class(symbol) for symbol in re.split(r"[\s,|]+", text) if symbol], np.int64)
    if not len(classes):
        raise ClipError("chords must name at least one chord a bar, as in 'C Am F G7'")
    step, band = np.arange(steps), steps_per_bar == TRACKS * EVENTS
    if len(classes) * steps_per_bar <= steps:
        chords = classes[step // steps_per_bar % len(classes)]
    elif band:
        raise ClipError(f"a band follows one chord a bar, not {len(classes)} in {steps // steps_per_bar}")
    else:
        chords = classes[step * len(classes) // steps]
    return np.where(band & (step % EVENTS == 0), 0, chords)


def chord_class(symbol: str) -> int:
    """The class 0..48 of a symbol; ClipError where it has none."""
    if symbol in NO_CHORD:
        return 0
    found = _SYMBOL.fullmatch(symbol.replace("♯", "#").replace("♭", "b"))
    triad = _triad(found) if found else None
    if not found or triad is None:
        raise ClipError(
            f"{symbol!r} is no chord that can be read: a root (C, F#, Bb), then nothing, m, aug or dim,"
            " and 6, 7, maj7, m7b5 and the like, or N.C. for none"
        )
    shift = {"#": 1, "b": -1}.get(found["shift"], 0)
    return 1 + 12 * triad + (_ROOTS[found["root"]] + shift) % 12


def _triad(found: re.Match[str]) -> int | None:
    """The triad of a symbol's quality and fifth, None where there is none."""
    quality = next(triad for triad, names in _QUALITIES.items() if found["quality"] in names)
    return _FIFTHS.get((quality, found["fifth"])) if found["fifth"] else quality
