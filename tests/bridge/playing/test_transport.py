import math

import pytest

from bridge.errors import ClockError
from bridge.playing.clock import InternalClock
from bridge.playing.transport import START_SECONDS, At, Transport
from tests.bridge.song import song


@pytest.mark.parametrize(("beat", "line"), [(0.0, 0.0), (0.01, 0.0), (0.1, 4.0), (3.9, 4.0), (-4.2, -4.0)])
def test_the_next_line_is_the_one_that_has_not_gone_by(beat: float, line: float) -> None:
    assert song(60.0, beat=beat).next_line(0.0) == line


@pytest.mark.parametrize(("at", "beat"), [("bar", 8.0), ("beat", 6.0), ("now", 5.3)])
def test_the_next_line_is_that_of_a_bar_or_a_beat_or_this_moment(at: At, beat: float) -> None:
    assert song(beat=5.3).next_line(0.0, at) == beat


@pytest.mark.parametrize("beats_per_bar", [3.0, 3.5, 0.5])
def test_bars_are_counted_from_the_beginning_of_the_song(beats_per_bar: float) -> None:
    transport = song(beat=5.2, beats_per_bar=4.0)
    transport.set_meter(beats_per_bar)
    line = transport.bar_line(5.2)
    assert line <= 5.2 < line + beats_per_bar
    assert line % beats_per_bar == 0
    assert transport.next_line(0.0) == line + beats_per_bar


@pytest.mark.parametrize(("beats", "bars"), [(0.0, 1), (4.0, 1), (4.0 + 1e-9, 1), (4.5, 2), (16.0, 4)])
def test_a_clip_fills_whole_bars_at_least_one(beats: float, bars: int) -> None:
    assert song().bars_in(beats) == bars


def test_a_song_that_stands_is_on_beat_0_and_has_no_place() -> None:
    transport = Transport(90.0)
    assert (transport.beat_at(7.0), transport.place(7.0), transport.next_beat_at(7.0)) == (0.0, None, math.inf)
    assert transport.tempo_bpm == 90.0


def test_what_is_sent_is_ahead_of_the_song_by_the_latency() -> None:
    transport = song(latency_seconds=0.5)
    assert (transport.beat_at(1.0), transport.sent_beat(1.0)) == (2.0, 3.0)


def test_a_song_that_starts_has_moved_once_and_one_that_stops_has_stopped_once() -> None:
    transport = Transport()
    assert transport.follow(0.0) is None
    assert transport.start(0.0)
    assert [transport.follow(0.0), transport.follow(0.1)] == ["moved", None]
    assert transport.beat_at(START_SECONDS) == 0.0
    assert not transport.start(1.0), "it plays already"
    assert transport.stop(1.0)
    assert [transport.follow(1.0), transport.follow(1.1)] == ["stopped", None]


def test_a_song_on_the_clock_of_a_sender_is_neither_started_nor_stopped_and_told_when_that_is_gone() -> None:
    transport = Transport()
    transport.use(transport.midi_clock)
    assert not transport.start(0.0)
    with pytest.raises(ClockError):
        transport.set_tempo(100.0, 0.0)
    transport.midi_clock.hear(b"\xfa", "in", 0.0)
    for tick in range(24):
        transport.midi_clock.hear(b"\xf8", "in", tick / 48)
    assert transport.follow(23 / 48) == "moved"
    assert not transport.stop(23 / 48)
    assert [transport.follow(1.0), transport.follow(1.1)] == ["gone", None]
    assert not transport.moves


class BarClock(InternalClock):
    """One whose source has bars, as Link has."""

    def set_meter(self, beats_per_bar: float) -> None:
        self.beats_per_bar = beats_per_bar


def test_a_clock_that_has_bars_has_those_of_the_song_also_where_they_changed_while_another_was_followed() -> None:
    transport, clock = Transport(), BarClock()
    transport.use(clock)
    transport.use(transport.midi_clock)
    transport.set_meter(3.0)
    transport.use(clock)
    assert clock.beats_per_bar == 3.0


def test_a_song_goes_on_where_another_clock_has_it() -> None:
    transport = song(beat=10.0)
    other = song(60.0, beat=3.0).clock
    transport.follow(0.0)
    transport.use(other)
    assert transport.follow(0.0) == "moved"
    assert (transport.beat_at(0.0), transport.tempo_bpm) == (3.0, 60.0)
