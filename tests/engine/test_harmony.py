"""Keys, scales and chords: what is told, and what is heard."""

import numpy as np
import pytest

from engine.errors import ClipError
from engine.representation.chords import chord_class, read_chords
from engine.representation.harmony import (
    Key,
    chord_tones,
    chords_heard,
    doubts,
    key_found,
    read_key,
    root_of,
    scale_classes,
)


def sounding(*classes: int) -> np.ndarray:
    """Pitch classes that sound for a beat each: (12,)."""
    return np.bincount(np.array(classes, int) % 12, minlength=12).astype(float)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C", Key(0)),
        ("F#", Key(6)),
        ("Bb minor", Key(10, minor=True)),
        ("c♯m", Key(1, minor=True)),
        ("Eb major", Key(3)),
    ],
)
def test_a_key_is_a_tonic_and_a_mode(text: str, key: Key) -> None:
    assert read_key(text) == key


@pytest.mark.parametrize("text", ["", "H", "C dorian", "Cm7"])
def test_what_is_no_key_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ClipError, match="key must be a tonic, and m where it is minor, as C, F#m or Bb minor"):
        read_key(text)


@pytest.mark.parametrize(("key", "by"), [("C", 0), ("Am", 0), ("D", -2), ("Bm", -2), ("Bb", 2), ("Gm", 2)])
def test_a_key_and_its_relative_lie_as_far_from_c(key: str, by: int) -> None:
    assert read_key(key).to_c == by


def test_a_scale_is_on_the_tonic_and_what_is_none_is_refused_with_those_there_are() -> None:
    assert np.flatnonzero(scale_classes("Minor pentatonic", Key(9))).tolist() == [0, 2, 4, 7, 9]
    with pytest.raises(ClipError, match="there is no scale 'wide'; there are: major, minor"):
        scale_classes("wide", Key(0))


def test_the_key_that_sounds_is_found_and_silence_has_none() -> None:
    assert key_found(sounding(2, 4, 6, 7, 9, 11, 1, 2, 2, 9)) == Key(2)
    assert key_found(sounding(9, 9, 9, 0, 2, 4, 4, 5, 7, 11)) == Key(9, minor=True)
    assert key_found(np.zeros(12)) is None


def test_a_key_that_was_told_wrongly_is_doubted_and_a_near_one_is_not() -> None:
    in_f_sharp = sounding(*(6 + degree for degree in (0, 0, 4, 7, 0, 2, 5, 9, 11, 7)))
    assert doubts(Key(0), in_f_sharp) == Key(6)
    assert doubts(Key(6), in_f_sharp) is None
    assert doubts(Key(0), np.zeros(12)) is None


def test_chords_are_heard_in_broken_chords_with_notes_between() -> None:
    bars = np.stack([sounding(0, 4, 7, 0, 2), sounding(9, 0, 4, 9), sounding(5, 9, 0, 5, 7), sounding()])
    assert chords_heard(bars).tolist() == [*read_chords("C Am F", 3, 1).tolist(), 0]


def test_no_chord_leaves_all_notes_and_has_no_root() -> None:
    assert chord_tones(0).all()
    assert root_of(0) is None
    assert np.flatnonzero(chord_tones(chord_class("Dm7"))).tolist() == [2, 5, 9]
    assert root_of(chord_class("Bb")) == 10
