import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.playing.recorder import MAX_CAPTURED, Captured, Recorder
from bridge.playing.transport import Transport
from engine.clip import Clip


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Transport())


def cut(recorder: Recorder, first: float = 0.0, length: float = 4.0, *, pickup: bool = False) -> Clip:
    return recorder.cut(first, length, pickup=pickup)


def strike(recorder: Recorder, beat: float, pitch: int = 36, length: float = 0.1, channel: int = 10) -> None:
    recorder.note_on(beat, channel, pitch, 100)
    recorder.note_off(beat + length, channel, pitch)


def starts(clip: Clip) -> list[float]:
    return [note.start_beats for note in clip.notes]


def test_a_clip_keeps_the_timing_as_it_was_played(recorder: Recorder) -> None:
    strike(recorder, 4.013)
    strike(recorder, 5.987, 38)
    clip = cut(recorder, 4.0)
    assert starts(clip) == pytest.approx([0.013, 1.987])
    assert [note.pitch for note in clip.notes] == [36, 38]
    assert clip.notes[0].duration_beats == pytest.approx(0.1)


def test_a_note_a_hair_early_belongs_to_the_clip_that_it_is_early_for(recorder: Recorder) -> None:
    strike(recorder, 3.9)
    assert not cut(recorder, 0.0).notes
    assert starts(cut(recorder, 4.0)) == pytest.approx([-0.1])


def test_a_note_half_a_step_before_the_line_is_the_last_of_the_clip_before(recorder: Recorder) -> None:
    strike(recorder, 3.87)
    assert starts(cut(recorder, 0.0)) == pytest.approx([3.87])
    assert not cut(recorder, 4.0).notes


def test_a_note_held_across_the_line_is_cut_there_and_not_struck_again(recorder: Recorder) -> None:
    recorder.note_on(3.0, 10, 36, 100)
    clip = cut(recorder, 0.0)
    assert clip.notes[0].duration_beats == 1.0
    recorder.note_off(5.0, 10, 36)
    assert not cut(recorder, 4.0).notes
    assert cut(recorder, 0.0).notes[0].duration_beats == 1.0


def test_the_pedal_holds_what_is_let_go(recorder: Recorder) -> None:
    recorder.pedal(0.0, 10, down=True)
    strike(recorder, 0.5)
    recorder.pedal(2.0, 10, down=False)
    strike(recorder, 3.0)
    clip = cut(recorder)
    assert [note.duration_beats for note in clip.notes] == pytest.approx([1.5, 0.1])


def test_the_pedal_of_one_channel_holds_no_other(recorder: Recorder) -> None:
    recorder.pedal(0.0, 1, down=True)
    strike(recorder, 0.5, channel=10)
    assert cut(recorder).notes[0].duration_beats == pytest.approx(0.1)


def test_a_note_struck_again_while_it_is_held_ends_first(recorder: Recorder) -> None:
    recorder.note_on(0.0, 10, 36, 100)
    recorder.note_on(1.0, 10, 36, 90)
    recorder.note_off(2.0, 10, 36)
    assert [note.duration_beats for note in cut(recorder).notes] == [1.0, 1.0]


def test_when_a_port_is_gone_everything_is_let_go(recorder: Recorder) -> None:
    recorder.pedal(0.0, 10, down=True)
    recorder.note_on(0.5, 10, 36, 100)
    strike(recorder, 0.6, 38)
    recorder.let_go(1.0)
    assert [note.duration_beats for note in cut(recorder).notes] == pytest.approx([0.5, 0.4])


def test_a_pickup_stands_at_the_end_of_the_clip(recorder: Recorder) -> None:
    strike(recorder, 3.5)
    strike(recorder, 4.0)
    clip = cut(recorder, 4.0, pickup=True)
    assert sorted(starts(clip)) == [0.0, 3.5]


def test_one_channel_that_is_not_the_home_one_makes_a_part(recorder: Recorder) -> None:
    strike(recorder, 0.0, channel=3)
    strike(recorder, 1.0, channel=10)
    clip = cut(recorder)
    assert [(part.channel, part.first, part.count) for part in clip.parts] == [(3, 0, 1), (10, 1, 1)]


def test_the_home_channel_alone_makes_no_part(recorder: Recorder) -> None:
    strike(recorder, 0.0)
    assert cut(recorder).parts == ()


def test_a_clip_of_more_notes_than_a_clip_may_have_is_cut_and_counted(recorder: Recorder) -> None:
    for index in range(5000):
        strike(recorder, index / 5000, index % 128, 0.0001)
    assert len(cut(recorder).notes) == 4096
    assert recorder.lost == 904


@given(st.lists(st.tuples(st.floats(0, 31.8), st.integers(0, 127), st.floats(0, 8)), max_size=40))
def test_every_note_lands_in_exactly_one_of_the_clips(notes: list[tuple[float, int, float]]) -> None:
    recorder = Recorder(Transport())
    events = [(beat, 1, pitch) for beat, pitch, _ in notes]
    events += [(beat + length, 0, pitch) for beat, pitch, length in notes]
    for beat, is_on, pitch in sorted(events):
        if is_on:
            recorder.note_on(beat, 10, pitch, 64)
        else:
            recorder.note_off(beat, 10, pitch)
    clips = [cut(recorder, float(first)) for first in range(0, 32, 4)]
    assert sum(len(clip.notes) for clip in clips) == len(notes)
    for clip in clips:
        assert all(note.start_beats + note.duration_beats <= 4.0 + 1 / 64 for note in clip.notes)


def test_a_pedal_that_is_held_for_ever_keeps_no_more_than_is_recorded(recorder: Recorder) -> None:
    recorder.pedal(0.0, 10, down=True)
    for beat in range(2 * MAX_CAPTURED):
        strike(recorder, float(beat))
    assert sum(type(each) is Captured for each in gc.get_objects()) <= MAX_CAPTURED


def test_a_clip_has_the_tempo_and_meter_of_the_song() -> None:
    recorder = Recorder(Transport(90.0, beats_per_bar=3.0))
    strike(recorder, 0.0)
    clip = cut(recorder, 0.0, 3.0)
    assert (clip.tempo_bpm, clip.beats_per_bar) == (90.0, 3.0)
