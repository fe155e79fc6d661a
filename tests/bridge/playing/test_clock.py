import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ClockError
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, InternalClock, TempoLine, checked_tempo

moments = st.floats(0, 1e6)
beats = st.floats(-1e4, 1e4)
tempi = st.floats(SLOWEST_BPM, FASTEST_BPM)


@given(moments, beats, tempi, beats)
def test_a_beat_and_its_moment_are_each_others_inverse(
    at: float, at_beat: float, tempo: float, beat: float
) -> None:
    line = TempoLine(at, at_beat, tempo)
    assert line.beat_at(line.time_at(beat)) == pytest.approx(beat, abs=1e-6)


def test_at_120_bpm_a_beat_lasts_half_a_second() -> None:
    line = TempoLine(10.0, 4.0, 120.0)
    assert line.beat_at(10.5) == 5.0
    assert line.time_at(6.0) == 11.0


@pytest.mark.parametrize("tempo", [0.0, -120.0, 2.99, 600.1, math.nan, math.inf])
def test_a_tempo_that_no_song_has_is_refused_with_the_rule(tempo: float) -> None:
    with pytest.raises(ClockError, match=r"tempo must be in 3\.\.600 bpm, not "):
        checked_tempo(tempo)


@pytest.mark.parametrize("tempo", [SLOWEST_BPM, 120.0, FASTEST_BPM])
def test_the_limits_are_tempi(tempo: float) -> None:
    assert checked_tempo(tempo) == tempo


def test_the_internal_clock_stands_until_it_is_started() -> None:
    clock = InternalClock(90.0)
    assert not clock.playing
    assert clock.line.tempo_bpm == 90.0
    assert clock.next_due() == math.inf


def test_a_start_is_at_its_beat_at_its_moment_and_counts_as_a_jump() -> None:
    clock = InternalClock()
    clock.start(100.0, -4.0)
    assert clock.playing
    assert clock.jumps == 1
    assert clock.line.beat_at(100.0) == -4.0


def test_a_start_while_it_plays_is_a_jump() -> None:
    clock = InternalClock()
    clock.start(100.0)
    clock.start(101.0)
    assert clock.jumps == 2
    assert clock.line.beat_at(101.0) == 0.0


def test_a_stop_ends_the_playing_and_is_no_jump() -> None:
    clock = InternalClock()
    clock.start(100.0)
    clock.stop(101.0)
    assert not clock.playing
    assert clock.jumps == 1


@given(moments, st.floats(0, 1000), tempi, tempi)
def test_a_change_of_tempo_leaves_the_song_where_it_is(
    at: float, later: float, before: float, after: float
) -> None:
    clock = InternalClock(before)
    clock.start(at)
    beat = clock.line.beat_at(at + later)
    clock.set_tempo(after, at + later)
    assert clock.line.beat_at(at + later) == beat
    assert clock.line.tempo_bpm == after
    assert clock.jumps == 1


def test_the_tempo_can_be_changed_while_the_song_stands() -> None:
    clock = InternalClock()
    clock.set_tempo(140.0, 5.0)
    clock.start(10.0)
    assert clock.line.beat_at(10.0 + 60 / 140) == pytest.approx(1.0)


def test_a_tempo_that_is_refused_changes_nothing() -> None:
    clock = InternalClock()
    clock.start(0.0)
    line = clock.line
    with pytest.raises(ClockError):
        clock.set_tempo(601.0, 1.0)
    assert clock.line == line
