import math
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM
from bridge.playing.tempo_follower import TICKS_PER_BEAT, TempoFollower

JACK_5_MS, JACK_256 = 0.005, 256 / 48_000
PERIODS = pytest.mark.parametrize("period", [JACK_5_MS, JACK_256])
STEADY = pytest.mark.parametrize("tempo", [61.7, 90.0, 120.0, 123.5, 174.0, 187.3, 240.0])
PHASES = [1000 + 0.00061 * number for number in range(12)]


def steady(tempo: float, beats: float, start: float = 1000.0) -> list[float]:
    """The moments of the ticks of so many beats."""
    return [start + number * 60 / TICKS_PER_BEAT / tempo for number in range(round(beats * TICKS_PER_BEAT))]


def jump(before: float, after: float, beats: float, more: float, start: float) -> list[float]:
    """The moments of ticks whose tempo is another from a beat on."""
    first = steady(before, beats, start)
    return first + steady(after, more, start + beats * 60 / before)


def ramp(tempo: float, bpm_a_beat: float, beats: float, more: float, start: float) -> list[tuple[float, float]]:
    """The moments and tempi of ticks that are steady first; then the tempo changes with every tick."""
    begins = start + beats * 60 / tempo
    ticks = [(moment, tempo) for moment in steady(tempo, beats, start)]
    for number in range(round(more * TICKS_PER_BEAT)):
        now = tempo + bpm_a_beat * number / TICKS_PER_BEAT
        ticks.append((begins + 60 / bpm_a_beat * math.log(now / tempo), now))
    return ticks


def heard(moment: float, period: float) -> float:
    """When a driver hands over what was sent."""
    return math.ceil(moment / period - 1e-9) * period


def follow(follower: TempoFollower, moments: Iterable[float], period: float) -> Iterator[tuple[int, float]]:
    """Let a follower hear ticks; yields the index and moment of each when it has been heard."""
    for index, moment in enumerate(moments):
        follower.tick(heard(moment, period))
        yield index, moment


def tempo_error(follower: TempoFollower, tempo: float) -> float:
    return abs(follower.line.tempo_bpm / tempo - 1)


def phase_error(follower: TempoFollower, index: int, moment: float) -> float:
    return abs(follower.line.time_at(index / TICKS_PER_BEAT) - moment)


def worst(
    follower: TempoFollower, arrivals: Iterable[tuple[int, float, float]], tempo: float
) -> tuple[float, float]:
    """The largest errors of tempo and phase from the 8th beat on. arrivals are (index, moment sent, heard)."""
    tempi, phases = [], []
    for index, moment, arrival in arrivals:
        follower.tick(arrival)
        if index >= 8 * TICKS_PER_BEAT:
            tempi.append(tempo_error(follower, tempo))
            phases.append(phase_error(follower, index, moment))
    return max(tempi), max(phases)


@PERIODS
@STEADY
@pytest.mark.parametrize("start", PHASES)
def test_from_the_eighth_beat_on_tempo_and_phase_are_held(tempo: float, period: float, start: float) -> None:
    arrivals = [(index, each, heard(each, period)) for index, each in enumerate(steady(tempo, 16, start))]
    tempo_off, phase_off = worst(TempoFollower(), arrivals, tempo)
    assert tempo_off < 0.001
    assert phase_off < 0.002


@PERIODS
@pytest.mark.parametrize("tempo", [100.0, 117.2, 125.0])
def test_a_tempo_in_step_with_the_driver_is_held_and_its_phase_within_a_period(tempo: float, period: float) -> None:
    follower = TempoFollower()
    for index, moment in follow(follower, steady(tempo, 16, 1000.0021), period):
        if index >= 192:
            assert tempo_error(follower, tempo) < 0.0015
            assert phase_error(follower, index, moment) < period


@pytest.mark.parametrize("tempo", [SLOWEST_BPM, 10.0, 400.0, FASTEST_BPM])
def test_very_slow_and_very_fast_clocks_are_followed(tempo: float) -> None:
    follower = TempoFollower()
    for index, _ in follow(follower, steady(tempo, 12), JACK_5_MS):
        if index >= 192:
            assert tempo_error(follower, tempo) < 0.001


@PERIODS
@STEADY
def test_from_one_line_to_the_next_the_song_moves_by_no_more_than_2_ms(tempo: float, period: float) -> None:
    follower, before = TempoFollower(), None
    for index, moment in follow(follower, steady(tempo, 16, 1000.0013), period):
        if index >= 96:
            if before is not None:
                assert abs(before.beat_at(moment) - follower.line.beat_at(moment)) * 60 / tempo < 0.002
            before = follower.line


def test_ticks_that_a_sender_sends_unsteadily_are_followed() -> None:
    chance = random.Random(3)
    follower = TempoFollower()
    for index, moment in enumerate(steady(128.0, 24)):
        follower.tick(heard(moment + chance.gauss(0.005, 0.001), JACK_256))
        if index >= 192:
            assert tempo_error(follower, 128.0) < 0.005
            assert phase_error(follower, index, moment + 0.005) < 0.004


@PERIODS
@pytest.mark.parametrize("tempo", [40.0, 60.0, 90.0, 120.0])
@pytest.mark.parametrize("bpm_a_beat", [1.0, -1.0])
def test_a_ramp_of_1_bpm_a_beat_is_followed(tempo: float, bpm_a_beat: float, period: float) -> None:
    for start in PHASES[::3]:
        follower = TempoFollower()
        off = []
        for index, (moment, now) in enumerate(ramp(tempo, bpm_a_beat, 10, 16, start)):
            follower.tick(heard(moment, period))
            if index >= 12 * TICKS_PER_BEAT:
                off.append(tempo_error(follower, now))
        assert sorted(off)[round(len(off) * 0.98)] < 0.01
        assert max(off) < 0.02


@PERIODS
@pytest.mark.parametrize("bpm_a_beat", [1.0, -1.0])
def test_a_ramp_at_60_bpm_is_always_within_1_percent_once_it_is_seen(bpm_a_beat: float, period: float) -> None:
    for start in PHASES[::3]:
        follower = TempoFollower()
        for index, (moment, now) in enumerate(ramp(60.0, bpm_a_beat, 10, 16, start)):
            follower.tick(heard(moment, period))
            if index >= 12 * TICKS_PER_BEAT:
                assert tempo_error(follower, now) < 0.01


@PERIODS
@pytest.mark.parametrize(("before", "after"), [(120.0, 140.0), (90.0, 60.0), (120.0, 60.0), (60.0, 120.0)])
def test_a_new_tempo_is_followed_within_about_a_beat(before: float, after: float, period: float) -> None:
    for start in PHASES[::2]:
        follower = TempoFollower()
        for index, moment in follow(follower, jump(before, after, 10, 12, start), period):
            if index >= 12 * TICKS_PER_BEAT - 12:
                assert tempo_error(follower, after) < 0.01
                assert phase_error(follower, index, moment) < 0.006
        assert follower.index == 22 * TICKS_PER_BEAT - 1


@PERIODS
@STEADY
@pytest.mark.parametrize("lost", [{300}, {300, 301, 302}, set(range(300, 309)), {300, 303}, {300, 305, 310}])
def test_lost_ticks_are_counted_and_nothing_stumbles(tempo: float, period: float, lost: set[int]) -> None:
    follower = TempoFollower()
    sent = [(index, each, heard(each, period)) for index, each in enumerate(steady(tempo, 20)) if index not in lost]
    tempo_off, phase_off = worst(follower, sent, tempo)
    assert tempo_off < 0.007
    assert phase_off < 0.003
    assert follower.index == 20 * TICKS_PER_BEAT - 1


@PERIODS
@STEADY
def test_a_tick_that_comes_30_ms_late_moves_nothing(tempo: float, period: float) -> None:
    follower, last, arrivals = TempoFollower(), 0.0, []
    for index, moment in enumerate(steady(tempo, 20)):
        last = max(last, heard(moment, period) + (0.03 if index in (250, 330, 400) else 0.0))
        arrivals.append((index, moment, last))
    tempo_off, phase_off = worst(follower, arrivals, tempo)
    assert tempo_off < 0.007
    assert phase_off < 0.003
    assert follower.index == 20 * TICKS_PER_BEAT - 1


@PERIODS
@pytest.mark.parametrize("held", [3, 8, 12])
def test_ticks_that_were_held_up_and_come_all_at_once_move_nothing(held: int, period: float) -> None:
    follower, arrivals = TempoFollower(), []
    moments = steady(123.5, 20)
    for index, moment in enumerate(moments):
        until = moments[300 + held] if 300 <= index < 300 + held else moment
        arrivals.append((index, moment, heard(until, period)))
    tempo_off, phase_off = worst(follower, arrivals, 123.5)
    assert tempo_off < 0.007
    assert phase_off < 0.003
    assert follower.index == 20 * TICKS_PER_BEAT - 1


@PERIODS
@STEADY
def test_a_tick_that_comes_twice_is_counted_once(tempo: float, period: float) -> None:
    follower, arrivals = TempoFollower(), []
    for index, moment in enumerate(steady(tempo, 20)):
        arrivals += [(index, moment, heard(moment, period))] * (2 if index == 300 else 1)
    tempo_off, phase_off = worst(follower, arrivals, tempo)
    assert tempo_off < 0.007
    assert phase_off < 0.003
    assert follower.index == 20 * TICKS_PER_BEAT - 1


def test_after_a_reset_index_begins_at_0_and_the_tempo_is_still_known() -> None:
    follower = TempoFollower()
    for _ in follow(follower, steady(123.5, 12), JACK_5_MS):
        pass
    follower.reset()
    for index, moment in follow(follower, steady(123.5, 4, 2000.0017), JACK_5_MS):
        assert follower.index == index
        assert tempo_error(follower, 123.5) < 0.002
        assert phase_error(follower, index, moment) < JACK_5_MS


def test_only_a_tick_at_its_time_is_expected() -> None:
    follower = TempoFollower()
    moments = steady(120.0, 8)
    assert not follower.expects(moments[0])
    for _ in follow(follower, moments[:-1], JACK_5_MS):
        pass
    assert follower.expects(moments[-1])
    assert follower.expects(moments[-1] + JACK_5_MS)
    assert not follower.expects(moments[-1] + 0.01)
    assert not follower.expects(moments[-1] - 0.01)


@pytest.mark.parametrize("tempo", [2.5, 700.0])
def test_beside_the_range_of_tempi_the_last_good_line_stays(tempo: float) -> None:
    follower = TempoFollower()
    for _ in follow(follower, steady(120.0, 12), JACK_5_MS):
        pass
    assert follower.in_range
    for _ in follow(follower, steady(tempo, 16, 1006.0), JACK_5_MS):
        pass
    assert not follower.in_range
    assert SLOWEST_BPM <= follower.line.tempo_bpm <= FASTEST_BPM


@given(st.lists(st.floats(0, 3) | st.sampled_from([0.0, 0.0208333, 0.0416667, 0.01]), min_size=1, max_size=400))
def test_whatever_comes_the_line_is_one_that_a_song_can_have(gaps: list[float]) -> None:
    follower, now = TempoFollower(), 1000.0
    for gap in gaps:
        now += gap
        follower.tick(now)
        assert SLOWEST_BPM <= follower.line.tempo_bpm <= FASTEST_BPM
        assert math.isfinite(follower.line.beat_at(now))
        assert follower.interval > 0
