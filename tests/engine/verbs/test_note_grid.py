import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note
from engine.representation.drum_map import GENERAL_MIDI
from engine.verbs.note_grid import cut_cells, nearest_place, play_clip

notes = st.lists(
    st.builds(
        Note,
        pitch=st.integers(0, 127),
        start_beats=st.floats(-0.125, 40),
        duration_beats=st.floats(0.01, 4),
        velocity=st.integers(1, 127),
        mute=st.booleans(),
    ),
    max_size=40,
)
amounts = st.floats(0, 1)


def play(clip, fill=0.0, loud=0.5, **settings):
    """The clip as a groove plays it in which every offset and every velocity is the same."""
    cells = cut_cells(clip, GENERAL_MIDI, as_taps=False)
    groove = cells.groove()
    groove[:, 9:18], groove[:, 18:] = loud, fill
    return play_clip(clip, cells, groove, **({"timing": 1.0, "velocity": 1.0} | settings))


@given(notes, amounts, amounts, st.floats(-1, 1), amounts, st.booleans())
def test_exactly_the_notes_that_went_in_come_out(notes, timing, velocity, fill, loud, as_taps):
    clip = Clip(tuple(notes), 8.0)
    cells = cut_cells(clip, GENERAL_MIDI, as_taps=as_taps)
    groove = cells.groove()
    groove[:, 9:18], groove[:, 18:] = loud, fill
    played = play_clip(clip, cells, groove, timing=timing, velocity=velocity)
    assert [(n.pitch, n.duration_beats, n.mute) for n in played.notes] == [
        (n.pitch, n.duration_beats, n.mute) for n in notes
    ]
    for before, after in zip(notes, played.notes, strict=True):
        assert abs(after.start_beats - before.start_beats) <= 0.26


@given(notes, st.floats(-1, 1))
def test_at_zero_nothing_changes_at_all(notes, fill):
    clip = Clip(tuple(notes), 8.0)
    assert play(clip, fill, timing=0.0, velocity=0.0) == clip


def test_at_one_a_quantised_note_lies_where_the_groove_says():
    clip = Clip((Note(36, 1.0, 0.25, 100),), 4.0)
    (note,) = play(clip, fill=0.4, loud=0.5).notes
    assert note.start_beats == pytest.approx(1 - 0.4 * 0.125)
    assert note.velocity == 64


def test_half_of_the_timing_is_half_of_the_way():
    clip = Clip((Note(36, 1.0, 0.25, 100),), 4.0)
    assert play(clip, fill=0.4, timing=0.5).notes[0].start_beats == pytest.approx(1 - 0.2 * 0.125)


@pytest.mark.parametrize(
    ("start", "place"),
    [
        (0.26, 0.25),
        (1 / 3, 1 / 3),
        (0.31, 1 / 3),
        (2 / 3 + 0.02, 2 / 3),
        (1 / 6, 1 / 6),
        (0.125, 0.125),
        (0.98, 1.0),
    ],
)
def test_a_note_belongs_to_its_nearest_sixteenth_or_triplet(start, place):
    assert nearest_place(np.array([start]))[0] == pytest.approx(place)


@pytest.mark.parametrize(
    ("starts", "places"),
    [
        ([0.0, 0.31, 0.52, 0.77], [0.0, 0.25, 0.5, 0.75]),
        ([0.02, 0.31, 0.70], [0.0, 1 / 3, 2 / 3]),
        ([0.0, 0.69, 1.01, 1.31, 1.5], [0.0, 2 / 3, 1.0, 1.25, 1.5]),
        ([0.0, 0.25, 1 / 3, 0.5, 0.75, 0.875], [0.0, 0.25, 1 / 3, 0.5, 0.75, 0.875]),
        ([0.94, 1.29, 1.5, 1.76], [1.0, 1.25, 1.5, 1.75]),
    ],
)
def test_a_beat_as_a_whole_is_straight_or_in_triplets(starts, places):
    clip = Clip(tuple(Note(42, start, 0.1, 100) for start in starts), 4.0)
    assert cut_cells(clip, GENERAL_MIDI, as_taps=False).place_beats == pytest.approx(places)


@given(st.floats(-1, 1))
def test_a_triplet_stays_a_triplet(fill):
    places = [beat + third / 3 for beat in range(4) for third in range(3)]
    clip = Clip(tuple(Note(42, place, 0.2, 100) for place in places), 4.0)
    starts = np.array([note.start_beats for note in play(clip, fill).notes])
    assert np.abs(starts - places)[np.array(places) % 1 > 0.1].max() <= 1 / 24 + 1e-6


@given(st.floats(-1, 1), amounts)
def test_a_flam_stays_a_flam(fill, timing):
    clip = Clip((Note(38, 0.96, 0.1, 40), Note(38, 1.0, 0.1, 110)), 4.0)
    grace, main = play(clip, fill, timing=timing).notes
    assert main.start_beats - grace.start_beats == pytest.approx(0.04)


def test_the_grace_note_of_a_flam_stays_softer():
    clip = Clip((Note(38, 0.96, 0.1, 40), Note(38, 1.0, 0.1, 110)), 4.0)
    grace, main = play(clip, loud=0.7).notes
    assert grace.velocity < main.velocity


def test_an_early_flam_on_the_first_beat_keeps_its_distance():
    clip = Clip((Note(38, -0.1, 0.1, 40), Note(38, 0.0, 0.1, 110)), 4.0)
    grace, main = play(clip, fill=1.0).notes
    assert grace.start_beats == pytest.approx(-0.125)
    assert main.start_beats - grace.start_beats == pytest.approx(0.1)


def test_only_the_pitches_that_were_named_change():
    clip = Clip((Note(36, 0.0, 0.25, 100), Note(42, 0.0, 0.25, 100)), 4.0)
    kick, hat = play(clip, fill=-0.4, only=(42,)).notes
    assert kick == clip.notes[0]
    assert hat != clip.notes[1]


def test_as_taps_a_chord_moves_as_one():
    clip = Clip(tuple(Note(pitch, 1.0 + i / 100, 1.0, 80) for i, pitch in enumerate((60, 64, 67))), 4.0)
    cells = cut_cells(clip, GENERAL_MIDI, as_taps=True)
    groove = cells.groove()
    groove[:, 18:] = 0.5
    starts = [note.start_beats for note in play_clip(clip, cells, groove, timing=1, velocity=0).notes]
    assert np.diff(starts) == pytest.approx([0.01, 0.01])


def test_a_clip_without_notes_comes_back():
    assert play(Clip((), 4.0)) == Clip((), 4.0)


@pytest.mark.parametrize("division", [5, 7])
def test_an_even_subdivision_of_a_beat_stays_one(division):
    starts = [beat + place / division for beat in range(4) for place in range(division)]
    clip = Clip(tuple(Note(38, start, 0.1, 90) for start in starts), 4.0)
    assert cut_cells(clip, GENERAL_MIDI, as_taps=False).place_beats == pytest.approx(starts)


def test_two_notes_near_quintuplets_make_none():
    clip = Clip((Note(38, 0.2, 0.1, 90), Note(38, 0.4, 0.1, 90)), 4.0)
    assert cut_cells(clip, GENERAL_MIDI, as_taps=False).place_beats == pytest.approx([0.25, 0.5])
