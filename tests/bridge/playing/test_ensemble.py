import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ClockError, RequestError
from bridge.playing.controls import HOLD_SECONDS, Control
from bridge.playing.live_settings import LiveSettings
from engine.clip import Clip, Note
from engine.requests import Humanize, Vary
from tests.bridge.band import Band

START, CONTINUE, STOP = (0xFA,), (0xFB,), (0xFC,)
LONG = Clip((Note(36, 0.0, 8.0, 100),), 8.0)
BEAT = Clip(tuple(Note(36, float(beat), 0.5, 100) for beat in range(4)), 4.0)


@pytest.fixture
def band() -> Band:
    band = Band()
    band.slots.put("a", BEAT)
    band.slots.put("long", LONG)
    return band


@pytest.fixture
def daw(band: Band) -> Band:
    """A band that follows the MIDI clock of a DAW."""
    band.ensemble.use_clock(band.ensemble.transport.midi_clock, band.now)
    return band


def play(band: Band, slot: str, *, at: str = "bar", loop: bool = False) -> None:
    band.ensemble.play(slot, at=at, loop=loop, channel=None, now=band.now)  # type: ignore[arg-type]


def test_playing_starts_the_internal_clock_and_the_first_note_is_not_late(band: Band) -> None:
    play(band, "a")
    band.run(3)
    assert len(band.struck) == 4
    assert max(band.ensemble.scheduler.punctuality.late_ms) < 0.2


@pytest.mark.parametrize(("at", "beat"), [("bar", 8.0), ("beat", 6.0), ("now", 5.3)])
def test_a_clip_begins_on_the_next_bar_or_beat_or_at_once(band: Band, at: str, beat: float) -> None:
    play(band, "long")
    band.run_to_beat(5.3)
    play(band, "a", at=at)
    band.run(6)
    first = next(when for when, pitch in band.struck[1:])
    assert band.ensemble.transport.clock.line.beat_at(first) == pytest.approx(beat, abs=0.01)


def test_stopping_at_once_leaves_nothing_sounding_and_stops_the_clock(band: Band) -> None:
    play(band, "long", loop=True)
    band.run(1)
    assert band.hanging
    band.ensemble.stop(at="now", now=band.now)
    assert not band.hanging
    assert not band.ensemble.transport.clock.playing
    band.run(10)
    assert not band.hanging


def test_stopping_on_the_bar_line_ends_what_sounds_there(band: Band) -> None:
    play(band, "long", loop=True)
    band.run(0.5)
    band.ensemble.stop(at="bar", now=band.now)
    band.run(1.4)
    assert band.hanging
    band.run(0.2)
    assert not band.hanging


def test_panic_tells_all_channels_and_nothing_comes_after(band: Band) -> None:
    play(band, "a", loop=True)
    band.run(1)
    band.ensemble.panic(band.now)
    count = len(band.sent)
    assert {message[0] for _, message in band.sent[-48:]} == set(range(0xB0, 0xC0))
    band.run(5)
    assert len(band.sent) == count


def test_an_empty_slot_neither_plays_nor_starts_the_clock(band: Band) -> None:
    with pytest.raises(RequestError, match="empty"):
        play(band, "z")
    assert not band.ensemble.transport.clock.playing


def test_the_tempo_changes_what_is_planned(band: Band) -> None:
    play(band, "a")
    band.run_to_beat(0.5)
    band.ensemble.transport.set_tempo(240.0, band.now)
    band.run(0.8)
    assert len(band.struck) == 4
    with pytest.raises(ClockError, match=r"3\.\.600"):
        band.ensemble.transport.set_tempo(700.0, band.now)


def test_two_bars_that_are_played_in_are_answered_in_the_next_two(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="answer", bars=2), band.now)
    for beat in (0, 2.5, 5):
        band.run_to_beat(beat)
        band.tap()
    band.run_to_beat(16)
    assert isinstance(band.requests[0], Humanize)
    assert [note.start_beats for note in band.requests[0].clip.notes] == pytest.approx([0, 2.5, 5], abs=0.01)
    line = band.ensemble.transport.clock.line
    assert [round(line.beat_at(at), 2) for at, _ in band.struck] == [float(beat) for beat in range(8, 16)]


def test_what_is_played_comes_in_at_the_time_of_its_port_and_not_when_it_is_read(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="answer", bars=1), band.now)
    band.run_to_beat(1.0)
    struck_at = band.now
    band.run(0.02)
    band.hear((0x99, 36, 100), at=struck_at)
    band.run_to_beat(4.5)
    assert isinstance(band.requests[0], Humanize)
    assert band.requests[0].clip.notes[0].start_beats == pytest.approx(1.0, abs=0.001)


def test_channels_that_are_not_in_the_map_are_not_heard_and_the_answer_goes_where_it_says() -> None:
    band = Band(channels={1: 3})
    band.ensemble.start_live(LiveSettings(mode="answer", bars=1), band.now)
    band.tap(channel=2)
    band.tap(channel=1)
    band.run_to_beat(7)
    assert isinstance(band.requests[0], Humanize)
    assert len(band.requests[0].clip.notes) == 1
    assert {message[0] & 0x0F for _, message in band.sent if message[0] & 0xF0 == 0x90} == {2}


def test_what_it_plays_itself_is_not_recorded_and_a_loop_of_cables_is_named(
    band: Band, caplog: pytest.LogCaptureFixture
) -> None:
    play(band, "a", loop=True)
    for _ in range(100):
        count = len(band.struck)
        band.run(0.1)
        for _, pitch in band.struck[count:]:
            band.tap(pitch)
    assert "live" not in band.slots
    assert "vaebridge in" in band.ensemble.problem
    assert caplog.text.count("loop of cables") == 1


def test_a_foot_switch_and_two_knobs_learned_from_a_controller_start_steer_freeze_and_stop(band: Band) -> None:
    ensemble = band.ensemble
    for target, number in (("switch", 64), ("temperature", 21), ("similarity", 22)):
        ensemble.controls.learn(target)
        band.hear((0xB0, number, 127), (0xB0, number, 0))
    assert [target for target, _ in band.learned] == ["switch", "temperature", "similarity"]
    ensemble.live.settings = LiveSettings(mode="loop", slot="a")
    band.hear((0xB0, 21, 127), (0xB0, 22, 0))
    band.hear((0xB0, 64, 127), (0xB0, 64, 0))
    band.run(3)
    assert ensemble.live.running
    assert isinstance(band.requests[0], Vary)
    assert (band.requests[0].temperature, band.requests[0].similarity) == (2.0, 0.0)
    band.hear((0xB0, 64, 127), (0xB0, 64, 0))
    assert ensemble.live.variations.frozen
    band.hear((0xB0, 64, 127))
    band.run(HOLD_SECONDS + 0.1)
    assert not ensemble.live.running
    assert not band.hanging


def test_a_program_change_selects_the_model(band: Band, caplog: pytest.LogCaptureFixture) -> None:
    band.hear((0xC9, 1))
    band.ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    band.run(0.1)
    assert band.requests[0].model == "groovae"
    band.hear((0xC9, 5))
    assert "there are 2 models" in caplog.text


def test_a_knob_goes_through_the_models() -> None:
    band = Band(controls={"model": Control("control", 1, 7)})
    band.slots.put("a", BEAT)
    band.hear((0xB0, 7, 127))
    band.ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    band.run(0.1)
    assert band.requests[0].model == "groovae"


def test_a_knob_goes_through_the_modes(band: Band) -> None:
    band.ensemble.controls.learn("mode")
    band.hear((0xB0, 9, 1))
    band.ensemble.start_live(LiveSettings(mode="answer"), band.now)
    band.hear((0xB0, 9, 127))
    assert band.ensemble.live.settings is not None
    assert (band.ensemble.live.settings.mode, band.ensemble.live.running) == ("answer", True), "its slots are empty"
    for name in "ab":
        band.slots.put(name, BEAT)
    band.hear((0xB0, 9, 126))
    assert band.ensemble.live.settings.mode == "morph"


def test_the_count_in_comes_before_beat_0(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="answer", bars=1, count_in=1), band.now)
    band.run(2.3)
    assert [pitch for _, pitch in band.struck] == [76, 77, 77, 77]
    assert band.ensemble.transport.clock.line.beat_at(band.now) == pytest.approx(0.5, abs=0.1)


def test_with_the_clock_of_a_daw_it_waits_until_the_daw_starts(daw: Band) -> None:
    play(daw, "a", loop=True)
    daw.play_ticks(4, 120)
    assert daw.struck == []
    daw.hear(START)
    daw.play_ticks(7.5, 120)
    assert len(daw.struck) == 8
    assert max(daw.ensemble.scheduler.punctuality.late_ms) < 10


def test_when_the_daw_stops_in_the_middle_of_a_bar_it_is_silent_at_once_and_comes_back(daw: Band) -> None:
    play(daw, "long", loop=True)
    daw.play_ticks(4, 120)
    daw.hear(START)
    daw.play_ticks(2.4, 120)
    assert daw.hanging
    daw.hear(STOP)
    assert not daw.hanging
    daw.play_ticks(1, 120)
    daw.hear(START)
    daw.play_ticks(1, 120)
    assert daw.hanging


def test_when_the_cable_of_the_clock_is_pulled_it_is_silent_within_50_ms_and_comes_back(daw: Band) -> None:
    play(daw, "a", loop=True)
    daw.play_ticks(4, 120)
    daw.hear(START)
    daw.play_ticks(8.25, 120)
    assert daw.hanging
    daw.run(0.05 - 0.5 / 24)
    assert not daw.hanging
    count = len(daw.struck)
    daw.run(3)
    assert len(daw.struck) == count
    daw.play_ticks(8, 120)
    assert len(daw.struck) >= count + 6


def test_when_a_port_vanishes_everything_ends_and_when_it_is_back_nothing_hangs_behind_it(band: Band) -> None:
    play(band, "long", loop=True)
    band.run(1)
    band.ensemble.ports_changed(["vaebridge out"], [], band.now)
    assert not band.hanging
    count = len(band.sent)
    band.ensemble.ports_changed([], ["vaebridge out"], band.now)
    assert {message[1] for _, message in band.sent[count:]} == {123}
    band.run(10)
    assert len(band.struck) >= 2


def test_when_the_model_dies_it_is_silent_at_once_and_the_last_clip_goes_on_from_the_next_line(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="loop", slot="long"), band.now)
    band.run_to_beat(5.1)
    assert band.hanging
    band.engine_seconds = 1000.0
    band.ensemble.engine_died(band.now)
    assert not band.hanging
    count = len(band.struck)
    band.run_to_beat(7.9)
    assert len(band.struck) == count
    band.run_to_beat(12.1)
    assert len(band.struck) > count


def test_when_the_model_dies_while_the_song_stands_it_is_asked_again(daw: Band) -> None:
    daw.ensemble.start_live(LiveSettings(mode="loop", slot="a"), daw.now)
    assert daw.ensemble.take_request() is not None
    daw.ensemble.engine_died(daw.now)
    assert daw.ensemble.take_request() is not None


def test_changing_the_meter_strikes_nothing_twice(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="loop", slot="long"), band.now)
    band.run_to_beat(5.2)
    band.ensemble.set_meter(3.0, band.now)
    band.run_to_beat(30)
    moments = [round(at, 2) for at, _ in band.struck]
    assert len(moments) == len(set(moments))


def test_a_note_that_is_planned_before_the_line_of_a_stop_ends_on_it(band: Band) -> None:
    band.slots.put("tail", Clip((Note(36, 3.0, 4.0, 100),), 4.0))
    play(band, "tail")
    band.run_to_beat(1.0)
    band.ensemble.stop(at="bar", now=band.now)
    band.run_to_beat(3.9)
    assert band.hanging
    band.run_to_beat(4.05)
    assert not band.hanging


def test_at_a_slow_tempo_a_line_that_is_just_over_is_over() -> None:
    band = Band(tempo_bpm=60.0)
    band.slots.put("a", BEAT)
    play(band, "a")
    band.run_to_beat(0.04)
    play(band, "a")
    band.run_to_beat(4.5)
    assert band.ensemble.scheduler.punctuality.skipped == 0
    assert band.struck[-1][0] == pytest.approx(band.ensemble.transport.clock.line.time_at(4.0), abs=0.01)


def test_changing_the_clock_ends_what_sounds(band: Band) -> None:
    play(band, "long", loop=True)
    band.run(1)
    band.ensemble.use_clock(band.ensemble.transport.midi_clock, band.now)
    assert not band.hanging


def test_the_place_is_told_from_1_as_in_a_daw(band: Band) -> None:
    assert band.ensemble.transport.place(band.now) is None
    play(band, "a", loop=True)
    band.run_to_beat(6.5)
    assert band.ensemble.transport.place(band.now) == (2, pytest.approx(3.5, abs=0.01))
    assert band.ensemble.transport.next_beat_at(band.now) == pytest.approx(
        band.ensemble.transport.clock.line.time_at(7.0)
    )


def test_in_7_8_the_last_beat_is_half_as_long() -> None:
    band = Band(beats_per_bar=3.5)
    band.slots.put("a", BEAT)
    play(band, "a", loop=True)
    band.run_to_beat(3.2)
    assert band.ensemble.transport.next_beat_at(band.now) == pytest.approx(
        band.ensemble.transport.clock.line.time_at(3.5)
    )


def test_another_meter_counts_other_bars(band: Band) -> None:
    play(band, "long", loop=True)
    band.run_to_beat(1)
    band.ensemble.set_meter(3.0, band.now)
    play(band, "a")
    band.run_to_beat(3.1)
    assert len(band.struck) == 2


MESSAGES = st.one_of(
    st.sampled_from([START, CONTINUE, STOP, (0xF8,), (0xF2, 3, 0), (0xFE,), (0xF0, 1, 2, 0xF7), (), (0xC0, 0)]),
    st.tuples(st.sampled_from([0x80, 0x90, 0x99, 0x89, 0xB0, 0xE0]), st.integers(0, 127), st.integers(0, 127)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), MESSAGES),
        st.tuples(st.just("ticks"), st.tuples(st.floats(0.1, 5), st.floats(30, 300))),
        st.tuples(st.just("run"), st.floats(0.001, 4)),
        st.tuples(st.just("live"), st.sampled_from(["answer", "drumify", "through", "loop", "morph"])),
        st.tuples(st.just("play"), st.sampled_from(["bar", "beat", "now"])),
        st.tuples(st.just("stop"), st.sampled_from(["bar", "now"])),
        st.tuples(st.just("tempo"), st.floats(3, 600)),
        st.tuples(st.just("clock"), st.booleans()),
        st.tuples(st.just("vanish"), st.booleans()),
        st.tuples(st.just("die"), st.none()),
        st.tuples(st.just("panic"), st.none()),
        st.tuples(st.just("meter"), st.sampled_from([3.5, 4.0, 0.5])),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_is_played_stopped_changed_and_unplugged_no_note_is_left_on(
    steps: list[tuple[str, object]],
) -> None:
    logging.disable(logging.WARNING)
    band = Band()
    for name in ("a", "b", "live"):
        band.slots.put(name, BEAT)
    internal = band.ensemble.transport.clock
    for name, value in steps:
        try:
            if name == "hear":
                band.hear(value)  # type: ignore[arg-type]
            elif name == "ticks":
                band.play_ticks(*value)  # type: ignore[misc]
            elif name == "run":
                band.run(value)  # type: ignore[arg-type]
            elif name == "live":
                band.ensemble.start_live(LiveSettings(mode=value), band.now)  # type: ignore[arg-type]
            elif name == "play":
                band.ensemble.play("a", at=value, loop=True, channel=None, now=band.now)  # type: ignore[arg-type]
            elif name == "stop":
                band.ensemble.stop(at=value, now=band.now)  # type: ignore[arg-type]
            elif name == "tempo":
                band.ensemble.transport.set_tempo(value, band.now)  # type: ignore[arg-type]
            elif name == "clock":
                band.ensemble.use_clock(band.ensemble.transport.midi_clock if value else internal, band.now)
            elif name == "vanish":
                ports = ["vaebridge in"]
                band.ensemble.ports_changed(*((ports, []) if value else ([], ports)), band.now)
            elif name == "die":
                band.ensemble.engine_died(band.now)
            elif name == "panic":
                band.ensemble.panic(band.now)
            else:
                band.ensemble.set_meter(value, band.now)  # type: ignore[arg-type]
        except ClockError:
            pass
        assert sum(band.hanging.values()) == band.ensemble.scheduler.sounding
    band.ensemble.stop(at="now", now=band.now)
    band.run(20)
    assert not band.hanging
    logging.disable(logging.NOTSET)
