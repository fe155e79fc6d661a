import logging
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ClockError
from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM
from bridge.playing.midi_clock import ELSEWHERE_BEATS, MidiClock

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
PERIOD = 256 / 48_000
PHASE_BEATS = 0.02
"""How far a song at 120 bpm may be off where its clock is heard once in a period."""


def position(beat: float) -> bytes:
    """Song position: the sixteenths from the song's beginning."""
    sixteenths = round(beat * 4)
    return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))


class Sender:
    """A sequencer: ticks at a tempo, what is sent is heard at the end of the driver's period."""

    def __init__(self, clock: MidiClock, port: str = "DAW", tempo: float = 120.0, now: float = 1000.0):
        self.clock, self.port, self.tempo, self.now = clock, port, tempo, now

    def send(self, message: bytes) -> None:
        assert self.clock.hear(message, self.port, math.ceil(self.now / PERIOD) * PERIOD)

    def ticks(self, beats: float) -> "Sender":
        for _ in range(round(beats * 24)):
            self.clock.advance(self.now)
            self.send(TICK)
            self.now += 60 / 24 / self.tempo
        return self

    def silence(self, seconds: float) -> None:
        """Send nothing; the time passes in steps of 5 ms."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 0.005, until)
            self.clock.advance(self.now)

    @property
    def beat(self) -> float:
        """Where the clock says that the song is, at the next tick."""
        return self.clock.line.beat_at(self.now)


@pytest.fixture
def clock() -> MidiClock:
    return MidiClock()


@pytest.fixture
def sender(clock: MidiClock) -> Sender:
    """One whose clock is known: it has sent 8 beats of ticks while it stands."""
    return Sender(clock).ticks(8)


@pytest.fixture
def playing(sender: Sender) -> Sender:
    """One that plays and is at beat 4 with its next tick."""
    sender.send(START)
    return sender.ticks(4)


# What it hears


@pytest.mark.parametrize("message", [TICK, START, CONTINUE, STOP, position(3)])
def test_the_clock_takes_its_own_messages(clock: MidiClock, message: bytes) -> None:
    assert clock.hear(message, "DAW", 1.0)


@pytest.mark.parametrize("message", [b"", b"\x90\x24\x64", b"\xf0\x7e\xf7", b"\xfe", b"\xf1\x00", b"\xf2\x00"])
def test_other_messages_are_left_to_others(clock: MidiClock, message: bytes) -> None:
    assert not clock.hear(message, "DAW", 1.0)
    assert clock.line == MidiClock().line


def test_ticks_of_a_sender_that_stands_give_the_tempo_and_start_nothing(clock: MidiClock) -> None:
    Sender(clock, tempo=97.3).ticks(8)
    assert not clock.playing
    assert clock.line.tempo_bpm == pytest.approx(97.3, rel=0.001)


# Start, stop, continue, song position


def test_the_first_tick_after_a_start_is_beat_0(clock: MidiClock, sender: Sender) -> None:
    sender.send(START)
    assert not clock.playing
    first = sender.now
    sender.ticks(1)
    assert clock.playing
    assert clock.jumps == 1
    assert clock.line.beat_at(first) == pytest.approx(0.0, abs=PHASE_BEATS)


def test_a_start_long_after_the_last_tick_begins_at_once_with_the_tempo_known(
    clock: MidiClock, sender: Sender
) -> None:
    sender.silence(10)
    sender.send(START)
    sender.ticks(1 / 24)
    assert clock.playing
    assert clock.line.tempo_bpm == pytest.approx(120.0, rel=0.001)
    assert sender.beat == pytest.approx(1 / 24, abs=PHASE_BEATS)


def test_a_start_whose_ticks_begin_anew_is_beat_0_all_the_same(clock: MidiClock, sender: Sender) -> None:
    sender.now += 0.012
    sender.send(START)
    sender.ticks(8)
    assert sender.beat == pytest.approx(8.0, abs=PHASE_BEATS)
    assert clock.jumps == 1


def test_while_it_plays_the_line_is_the_song(playing: Sender) -> None:
    assert playing.beat == pytest.approx(4.0, abs=PHASE_BEATS)
    playing.ticks(60)
    assert playing.beat == pytest.approx(64.0, abs=PHASE_BEATS)


def test_a_start_without_a_stop_is_a_jump_to_0(clock: MidiClock, playing: Sender) -> None:
    playing.send(START)
    assert playing.beat == pytest.approx(4.0, abs=PHASE_BEATS)
    playing.ticks(1)
    assert clock.jumps == 2
    assert playing.beat == pytest.approx(1.0, abs=PHASE_BEATS)


def test_a_stop_lets_the_song_stand_at_once(clock: MidiClock, playing: Sender) -> None:
    playing.send(STOP)
    assert not clock.playing
    playing.ticks(4)
    assert not clock.playing
    assert clock.next_due() == math.inf


def test_a_second_stop_changes_nothing(clock: MidiClock, playing: Sender) -> None:
    playing.send(STOP)
    playing.ticks(1)
    playing.send(STOP)
    playing.send(CONTINUE)
    playing.ticks(1)
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)
    assert clock.jumps == 2


def test_a_stop_before_the_first_tick_takes_the_start_back(clock: MidiClock, sender: Sender) -> None:
    sender.send(START)
    sender.send(STOP)
    sender.ticks(1)
    assert not clock.playing
    assert clock.jumps == 0


def test_a_continue_goes_on_where_the_song_stopped(clock: MidiClock, playing: Sender) -> None:
    playing.send(STOP)
    playing.ticks(2.5)
    playing.send(CONTINUE)
    playing.ticks(1)
    assert clock.playing
    assert clock.jumps == 2
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_a_continue_goes_to_the_song_position(clock: MidiClock, playing: Sender) -> None:
    playing.send(STOP)
    playing.send(position(129.75))
    playing.send(CONTINUE)
    playing.ticks(1)
    assert playing.beat == pytest.approx(130.75, abs=PHASE_BEATS)


def test_of_two_song_positions_the_last_counts(sender: Sender) -> None:
    for beat in (8, 16):
        sender.send(position(beat))
    sender.send(CONTINUE)
    sender.ticks(1)
    assert sender.beat == pytest.approx(17.0, abs=PHASE_BEATS)


def test_a_continue_without_a_position_goes_on_from_0(clock: MidiClock, sender: Sender) -> None:
    sender.send(CONTINUE)
    sender.ticks(1)
    assert clock.playing
    assert sender.beat == pytest.approx(1.0, abs=PHASE_BEATS)


def test_a_start_forgets_the_song_position(sender: Sender) -> None:
    sender.send(position(16))
    sender.send(START)
    sender.ticks(1)
    assert sender.beat == pytest.approx(1.0, abs=PHASE_BEATS)


def test_a_song_position_while_it_stands_starts_nothing(clock: MidiClock, sender: Sender) -> None:
    sender.send(position(16))
    sender.ticks(1)
    assert not clock.playing
    assert clock.jumps == 0


def test_a_song_position_while_it_plays_is_a_jump_at_the_next_tick(clock: MidiClock, playing: Sender) -> None:
    playing.send(position(10.25))
    assert clock.jumps == 1
    assert playing.beat == pytest.approx(4.0, abs=PHASE_BEATS)
    playing.ticks(1)
    assert clock.jumps == 2
    assert playing.beat == pytest.approx(11.25, abs=PHASE_BEATS)


def test_a_continue_while_it_plays_changes_nothing(clock: MidiClock, playing: Sender) -> None:
    playing.send(CONTINUE)
    playing.ticks(1)
    assert clock.jumps == 1
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_a_change_of_tempo_is_no_jump(clock: MidiClock, playing: Sender) -> None:
    for tempo in (140.0, 60.0, 90.0):
        playing.tempo = tempo
        playing.ticks(8)
        assert clock.line.tempo_bpm == pytest.approx(tempo, rel=0.005)
    assert clock.jumps == 1
    assert playing.beat == pytest.approx(28.0, abs=PHASE_BEATS)


@pytest.mark.parametrize("ask", ["start", "stop", "tempo"])
def test_what_only_the_sender_can_do_is_refused_with_who_and_how(
    clock: MidiClock, sender: Sender, ask: str
) -> None:
    asked = {
        "start": lambda: clock.start(sender.now),
        "stop": lambda: clock.stop(sender.now),
        "tempo": lambda: clock.set_tempo(100.0, sender.now),
    }
    with pytest.raises(ClockError, match=r"the MIDI clock of DAW: .* /vae/clock source internal"):
        asked[ask]()


# Silence


def test_a_sender_without_a_tick_for_50_ms_is_gone(clock: MidiClock, playing: Sender) -> None:
    due = clock.next_due()
    last = playing.now - 60 / 24 / 120
    assert last + 0.047 <= due < last + 0.054
    clock.advance(due - 0.001)
    assert not clock.gone
    clock.advance(due)
    assert clock.gone
    assert clock.playing
    assert clock.next_due() == math.inf


def test_a_slow_sender_is_gone_only_when_a_tick_is_overdue(clock: MidiClock) -> None:
    sender = Sender(clock, tempo=30.0).ticks(4)
    sender.send(START)
    sender.ticks(8)
    assert not clock.gone
    last = sender.now - 60 / 24 / 30
    assert clock.next_due() == pytest.approx(last + 60 / 24 / 30 + 0.006, abs=PERIOD)


def test_a_sender_that_stands_is_never_gone(clock: MidiClock, sender: Sender) -> None:
    assert clock.next_due() == math.inf
    sender.silence(5)
    assert not clock.gone


def test_after_a_short_silence_the_song_is_where_the_ticks_say_and_has_not_jumped(
    clock: MidiClock, playing: Sender
) -> None:
    playing.silence(60 / 24 / 120 * 18)  # 18 ticks, 0.375 s
    assert clock.gone
    playing.ticks(1)
    assert not clock.gone
    assert clock.jumps == 1
    assert playing.beat == pytest.approx(5.75, abs=PHASE_BEATS)
    playing.ticks(8)
    assert playing.beat == pytest.approx(13.75, abs=PHASE_BEATS)


def test_after_a_long_silence_the_song_goes_on_from_where_the_ticks_broke_off(
    clock: MidiClock, playing: Sender
) -> None:
    playing.silence(0.83)
    playing.ticks(1)
    assert not clock.gone
    assert clock.playing
    assert clock.jumps == 2
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_a_sender_may_come_back_after_an_hour(clock: MidiClock, playing: Sender) -> None:
    clock.advance(playing.now + 60)
    playing.now += 3600
    playing.ticks(1)
    assert clock.playing
    assert not clock.gone
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_a_stop_ends_the_being_gone(clock: MidiClock, playing: Sender) -> None:
    playing.silence(1)
    playing.send(STOP)
    assert not clock.gone
    assert not clock.playing


def test_being_gone_is_said_once_and_being_back_too(
    clock: MidiClock, playing: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    playing.silence(3)
    playing.ticks(2)
    assert [record.getMessage() for record in caplog.records if "DAW" in record.getMessage()] == [
        "MIDI clock: DAW has fallen silent while it plays: silence until it is back",
        "MIDI clock: DAW plays from beat 4",
        "MIDI clock: DAW is back",
    ]


# Tempi beside the range


@pytest.mark.parametrize("tempo", [2.0, 800.0])
def test_a_tempo_that_no_song_has_is_not_followed_and_said_once(
    clock: MidiClock, playing: Sender, tempo: float, caplog: pytest.LogCaptureFixture
) -> None:
    playing.tempo = tempo
    playing.ticks(2)
    before = clock.line.tempo_bpm
    playing.ticks(14)
    assert clock.line.tempo_bpm == before
    said = [each.getMessage() for each in caplog.records if "bpm" in each.getMessage()]
    assert said == ["MIDI clock: DAW is not in 3..600 bpm; the last tempo stays"]


def test_a_song_can_start_while_the_tempo_is_beside_the_range(clock: MidiClock) -> None:
    sender = Sender(clock, tempo=900.0).ticks(16)
    sender.send(START)
    first = sender.now
    sender.ticks(1 / 24)
    assert clock.playing
    assert SLOWEST_BPM <= clock.line.tempo_bpm <= FASTEST_BPM
    assert clock.line.beat_at(first) == pytest.approx(0.0, abs=PHASE_BEATS)


# Two senders


def test_of_two_senders_the_first_is_followed(clock: MidiClock, playing: Sender) -> None:
    other = Sender(clock, "drum machine", 93.0, playing.now)
    other.send(START)
    for _ in range(96):
        playing.ticks(1 / 24)
        if other.now <= playing.now:
            other.ticks(1 / 24)
    assert clock.line.tempo_bpm == pytest.approx(120.0, rel=0.001)
    assert playing.beat == pytest.approx(8.0, abs=PHASE_BEATS)
    assert clock.jumps == 1


def test_a_second_sender_is_named_once(clock: MidiClock, playing: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10):
        clock.hear(TICK, "drum machine", playing.now)
        playing.ticks(1 / 24)
    said = [each.getMessage() for each in caplog.records if "drum machine" in each.getMessage()]
    assert said == ["MIDI clock: drum machine sends one as well, ignored while DAW does"]


def test_a_second_sender_takes_over_when_the_first_was_silent_for_a_second(
    clock: MidiClock, sender: Sender
) -> None:
    other = Sender(clock, "drum machine", 93.0, sender.now + 0.9)
    other.ticks(1 / 24)
    other.send(START)
    other.now = sender.now + 1.1
    other.ticks(4)
    assert clock.line.tempo_bpm == pytest.approx(93.0, rel=0.01)


def test_a_sender_that_plays_as_well_goes_on_with_the_song_of_the_one_it_takes_over(
    clock: MidiClock, playing: Sender
) -> None:
    other = Sender(clock, "copy", now=playing.now)
    other.send(START)
    other.silence(1.2)
    assert clock.gone
    other.ticks(1)
    assert clock.playing
    assert not clock.gone
    assert clock.jumps == 2
    assert other.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_a_sender_that_stands_does_not_go_on_with_the_song_of_another(clock: MidiClock, playing: Sender) -> None:
    other = Sender(clock, "drum machine", now=playing.now)
    other.silence(1.2)
    other.ticks(1)
    assert not clock.playing
    assert not clock.gone


# Ports that vanish


def test_when_its_port_vanishes_the_song_is_gone_at_once(clock: MidiClock, playing: Sender) -> None:
    clock.port_vanished("DAW")
    assert clock.gone
    assert clock.playing


def test_a_port_that_comes_back_brings_the_song_back(clock: MidiClock, playing: Sender) -> None:
    clock.port_vanished("DAW")
    playing.silence(3)
    playing.ticks(1)
    assert not clock.gone
    assert clock.playing
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_when_another_port_vanishes_nothing_changes(clock: MidiClock, playing: Sender) -> None:
    clock.port_vanished("drum machine")
    assert not clock.gone
    playing.ticks(1)
    assert playing.beat == pytest.approx(5.0, abs=PHASE_BEATS)


def test_when_its_port_vanishes_another_need_not_wait(clock: MidiClock, playing: Sender) -> None:
    clock.port_vanished("DAW")
    other = Sender(clock, "drum machine", 93.0, playing.now)
    other.send(START)
    other.ticks(2)
    assert clock.playing
    assert other.beat == pytest.approx(2.0, abs=0.05)


# Whatever comes

MESSAGES = st.one_of(
    st.sampled_from([TICK] * 6 + [START, CONTINUE, STOP, b"", b"\xf2\x01", b"\xfe", b"\x90\x24\x64"]),
    st.integers(0, 16_383).map(lambda sixteenths: position(sixteenths / 4)),
)
GAPS = st.one_of(
    st.sampled_from([0.0, 0.01, 60 / 24 / 120, 60 / 24 / 90, 0.1, 0.49, 0.6, 1.1]), st.floats(-0.01, 4.0)
)
RUNS = st.tuples(MESSAGES, GAPS, st.integers(1, 40), st.sampled_from(["DAW"] * 9 + ["drum machine"]))


@settings(max_examples=200, deadline=None)
@given(st.lists(RUNS, max_size=25))
def test_whatever_comes_nothing_raises_and_the_song_goes_back_only_in_a_jump(
    runs: list[tuple[bytes, float, int, str]],
) -> None:
    clock, now, last = MidiClock(), 1000.0, 1000.0
    for message, gap, repeats, port in runs:
        for _ in range(repeats):
            now += gap
            last = max(last, now)
            clock.advance(last)
            jumps, played, beat = clock.jumps, clock.playing, clock.line.beat_at(last)
            clock.hear(message, port, now)
            assert SLOWEST_BPM <= clock.line.tempo_bpm <= FASTEST_BPM
            assert not clock.gone or clock.playing
            if clock.playing and played and clock.jumps == jumps:
                assert clock.line.beat_at(last) >= beat - ELSEWHERE_BEATS - 1e-6


@settings(max_examples=60, deadline=None)
@given(st.floats(30.0, 240.0), st.floats(0.0, PERIOD), st.integers(1, 400))
def test_at_a_steady_tempo_the_song_never_goes_back_by_more_than_a_few_ms(
    tempo: float, phase: float, more: int
) -> None:
    clock = MidiClock()
    sender = Sender(clock, tempo=tempo, now=1000 + phase).ticks(8)
    sender.send(START)
    sender.ticks(1 / 24)
    for _ in range(more):
        before = sender.beat
        sender.ticks(1 / 24)
        heard = sender.now - 60 / 24 / tempo
        assert clock.line.beat_at(heard) >= before - 0.006 * tempo / 60
    assert clock.jumps == 1


def test_a_song_that_turns_out_to_be_elsewhere_has_jumped(clock: MidiClock, playing: Sender) -> None:
    playing.tempo = 20.0
    playing.ticks(0.5)
    assert clock.line.tempo_bpm == pytest.approx(20.0, rel=0.01)
    assert clock.jumps == 2
