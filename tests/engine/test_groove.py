import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clip import Clip, Note
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.groove import DEPTH, clip_to_groove, groove_to_clip, steps_of

cells = st.dictionaries(
    st.tuples(st.integers(0, 31), st.integers(0, 8)),
    st.tuples(st.integers(1, 127), st.floats(-0.875, 0.875, width=32)),
    max_size=60,
)


@given(cells)
def test_a_groove_survives_the_way_to_a_clip_and_back(hits):
    groove = np.zeros((32, DEPTH), np.float32)
    for (step, drum), (velocity, offset) in hits.items():
        groove[step, [drum, 9 + drum, 18 + drum]] = 1, velocity / 127, offset
    clip = groove_to_clip(groove, GENERAL_MIDI, beats_per_bar=4.0, tempo_bpm=120)
    assert len(clip.notes) == len(hits)
    assert clip.length_beats == 8
    np.testing.assert_allclose(clip_to_groove(clip, GENERAL_MIDI), groove, atol=1e-5)


def test_a_positive_offset_is_early():
    early = clip_to_groove(Clip((Note(36, 0.95, 0.1, 127),), 4.0), GENERAL_MIDI)
    assert early[4, 0] == 1
    assert early[4, 18] == pytest.approx(0.4)


def test_the_loudest_hit_of_a_class_in_a_step_wins():
    clip = Clip((Note(38, 1.02, 0.1, 90), Note(40, 0.98, 0.1, 30)), 4.0)
    assert clip_to_groove(clip, GENERAL_MIDI)[4, 10] == pytest.approx(90 / 127)


def test_a_muted_note_is_not_heard():
    assert not clip_to_groove(Clip((Note(36, 0, 1, 100, mute=True),), 4.0), GENERAL_MIDI).any()


def test_an_early_first_hit_keeps_its_negative_start():
    clip = Clip((Note(36, -0.1, 0.25, 100),), 4.0)
    groove = clip_to_groove(clip, GENERAL_MIDI)
    assert groove_to_clip(groove, GENERAL_MIDI, beats_per_bar=4, tempo_bpm=120).notes[0].start_beats < 0


@pytest.mark.parametrize(("beats", "meter", "steps"), [(8, 4, 32), (3.5, 3.5, 14), (6, 3, 24), (1, 4, 16)])
def test_a_clip_has_the_steps_of_its_whole_bars(beats, meter, steps):
    assert steps_of(Clip((), beats, beats_per_bar=meter)) == steps
