import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ClipError
from engine.representation.chords import CHORD_CLASSES, chord_class, read_chords

ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
QUALITIES = ("", "m", "aug", "dim")


@pytest.mark.parametrize("root", range(12))
@pytest.mark.parametrize("quality", range(4))
def test_a_triad_is_its_quality_and_its_root(quality, root):
    assert chord_class(ROOTS[root] + QUALITIES[quality]) == 1 + 12 * quality + root


@pytest.mark.parametrize(
    ("symbol", "triad"),
    [
        ("Cmaj7", "C"),
        ("CM7", "C"),
        ("C7", "C"),
        ("C6/9", "C"),
        ("Cadd9", "C"),
        ("C7#9", "C"),
        ("C7(b9)", "C"),
        ("C/G", "C"),
        ("Cmin", "Cm"),
        ("C-7", "Cm"),
        ("Cm9", "Cm"),
        ("CmMaj7", "Cm"),
        ("Am/C", "Am"),
        ("C+", "Caug"),
        ("C7#5", "Caug"),
        ("C°", "Cdim"),
        ("Co7", "Cdim"),
        ("Cm7b5", "Cdim"),
        ("Cm7(b5)", "Cdim"),
        ("Cø7", "Cdim"),
        ("Db", "C#"),
        ("B♭m", "A#m"),
        ("F♯", "Gb"),
        ("Cb", "B"),
        ("B#", "C"),
    ],
)
def test_a_chord_is_read_as_its_triad(symbol, triad):
    assert chord_class(symbol) == chord_class(triad)


@pytest.mark.parametrize("symbol", ["N.C.", "NC", "N"])
def test_no_chord_is_class_0(symbol):
    assert chord_class(symbol) == 0


@pytest.mark.parametrize("symbol", ["H", "c", "Csus4", "C5", "C7b5", "Cm7#5", "C/X", "C##", "Q7"])
def test_a_symbol_that_is_no_triad_is_named(symbol):
    with pytest.raises(ClipError, match=f"'{symbol}'"):
        read_chords(f"C {symbol} G", 48)


@pytest.mark.parametrize("text", ["C Am F G7", "C, Am,F , G7", "| C | Am | F | G7 |"])
def test_symbols_are_parted_by_blanks_commas_or_bar_lines(text):
    assert read_chords(text, 64)[::16].tolist() == [1, 22, 6, 8]


def test_a_chord_lasts_a_bar():
    assert read_chords("C G", 32).tolist() == [1] * 16 + [8] * 16


def test_fewer_chords_than_bars_start_over():
    assert read_chords("C G", 64)[::16].tolist() == [1, 8, 1, 8]


def test_more_chords_than_bars_share_them():
    assert read_chords("C Am F G", 32)[::8].tolist() == [1, 22, 6, 8]


def test_in_a_bar_of_a_band_the_program_of_each_track_goes_without_a_chord():
    classes = read_chords("C", 512, 512)
    assert np.flatnonzero(classes != 1).tolist() == list(range(0, 512, 64))
    assert set(classes[::64]) == {0}


def test_a_band_follows_one_chord_a_bar():
    with pytest.raises(ClipError, match="one chord a bar, not 2 in 1"):
        read_chords("C G", 512, 512)


def test_chords_without_a_symbol_are_refused():
    with pytest.raises(ClipError, match="at least one chord"):
        read_chords(" , ", 32)


@given(st.text(alphabet="ABCDEFGHNmajdinsug#b+-°ø0123456789()/ ,.|", max_size=12), st.integers(1, 64))
def test_any_text_is_read_as_classes_or_refused(text, steps):
    try:
        classes = read_chords(text, steps)
    except ClipError:
        return
    assert classes.shape == (steps,)
    assert 0 <= classes.min() <= classes.max() < CHORD_CLASSES
