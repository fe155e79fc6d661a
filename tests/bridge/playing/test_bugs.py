"""What cannot be asked of the engine, and what meets a bug, ends neither the daemon nor the rest of the music."""

import logging
from typing import Any

import pytest

from bridge.playing.clock import InternalClock
from bridge.playing.controls import Control
from bridge.playing.live_settings import LiveSettings
from engine.clip import Clip, Note
from engine.requests import Results
from tests.bridge.band import Band

BEAT = Clip(tuple(Note(36, float(beat), 0.5, 100) for beat in range(4)), 4.0)
OTHER = Clip((Note(50, 0.0, 0.5, 100),), 4.0)
HUNDRED_BARS = Clip(BEAT.notes, 400.0)


@pytest.fixture
def band() -> Band:
    band = Band()
    for slot, clip in (("a", BEAT), ("b", OTHER)):
        band.slots.put(slot, clip)
    return band


def a_bug(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("a bug")


def bugs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has met a bug; each with its traceback."""
    records = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert all(each.exc_info for each in records)
    return [each.getMessage() for each in records]


def test_a_clip_about_which_nothing_can_be_asked_is_told_once_and_what_played_goes_on(
    band: Band, caplog: pytest.LogCaptureFixture
) -> None:
    band.ensemble.start_live(LiveSettings(mode="loop", verb="drumify", slot="a"), band.now)
    band.run_to_beat(5)
    struck, missed = len(band.struck), band.ensemble.live.missed
    band.slots.put("a", HUNDRED_BARS)
    band.run_to_beat(20.5)
    assert "bars must be in 1..64, not 100" in band.ensemble.problem
    assert caplog.text.count("bars must be in 1..64") == 1
    assert len(band.struck) == struck + 15, "the last variation repeats"
    assert band.ensemble.live.missed - missed >= 3
    band.slots.put("a", BEAT)
    asked = len(band.requests)
    band.run_to_beat(25)
    assert len(band.requests) > asked
    assert band.ensemble.problem == ""
    assert not bugs(caplog)


def test_after_a_refusal_the_next_bar_asks_again_though_the_loop_is_longer(band: Band) -> None:
    band.slots.put("a", Clip(BEAT.notes, 16.0))
    band.ensemble.start_live(LiveSettings(mode="loop", verb="drumify", slot="a"), band.now)
    band.run_to_beat(14)
    band.slots.put("a", HUNDRED_BARS)
    band.run_to_beat(17)
    band.slots.put("a", BEAT)
    asked = len(band.requests)
    band.run_to_beat(21)
    assert len(band.requests) > asked


def test_a_slot_that_is_emptied_is_told_once_and_counted(band: Band, caplog: pytest.LogCaptureFixture) -> None:
    band.ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    band.run_to_beat(5)
    band.slots.clear("a")
    band.run_to_beat(17)
    assert caplog.text.count("'a' is empty") == 1
    assert band.ensemble.live.missed >= 2


@pytest.mark.parametrize(
    "part", ["live_settings.LiveSettings.build", "live_history.Variations.begin_bar", "live.plan_clip"]
)
def test_a_bug_in_the_live_mode_stops_it_and_the_clips_play_on(
    band: Band, part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ensemble = band.ensemble
    ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    ensemble.play("b", at="bar", loop=True, channel=3, now=band.now)
    band.run_to_beat(6.1)
    with monkeypatch.context() as broken:
        broken.setattr(f"bridge.playing.{part}", a_bug)
        for _ in range(100):
            ensemble.run_due(band.now)
            band.now += 0.02
    assert ensemble.problem == "internal error: ZeroDivisionError: a bug"
    assert not ensemble.live.running
    assert "the live mode met a bug" in bugs(caplog)
    band.run_to_beat(14)
    assert set(band.hanging) <= {(2, 50)}
    assert [pitch for at, pitch in band.struck if at > band.now - 3.2] == [50, 50]


def test_a_bug_that_stays_does_not_keep_the_live_mode_due(band: Band, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = band.ensemble
    ensemble.start_live(LiveSettings(mode="answer"), band.now)
    band.run_to_beat(3.8)
    monkeypatch.setattr("bridge.playing.phrases.Phrases.close", a_bug)
    band.now += 0.1
    for _ in range(3):
        ensemble.run_due(band.now)
    assert ensemble.next_due() > band.now


def test_after_a_bug_the_live_mode_can_be_started_again(band: Band) -> None:
    ensemble = band.ensemble
    ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    request = ensemble.take_request()
    assert request is not None
    ensemble.answered(request, Results((), "fake", 7, 1.0), band.now)
    assert "internal error" in ensemble.problem
    ensemble.start_live(LiveSettings(mode="loop", slot="a"), band.now)
    band.run_to_beat(5)
    assert ensemble.problem == ""
    assert band.struck


@pytest.mark.parametrize("part", ["playback.Playback", "live.Live", "ear.Ear"])
def test_a_bug_where_the_song_moves_is_met_once_and_the_song_goes_on(
    band: Band, part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ensemble = band.ensemble
    ensemble.play("a", at="bar", loop=True, channel=None, now=band.now)
    band.run_to_beat(2)
    with monkeypatch.context() as broken:
        broken.setattr(f"bridge.playing.{part}.song_moved", a_bug)
        ensemble.transport.clock.start(band.now)
        band.run(1)
    assert len(bugs(caplog)) == 1
    assert ensemble.transport.clock.playing
    ensemble.play("b", at="now", loop=True, channel=None, now=band.now)
    band.run(4)
    assert band.struck[-1][1] == 50


def test_a_bug_in_one_clip_ends_that_clip(
    band: Band, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ensemble = band.ensemble
    ensemble.play("a", at="bar", loop=True, channel=1, now=band.now)
    ensemble.play("b", at="bar", loop=True, channel=2, now=band.now)
    band.run_to_beat(2.9)
    get = band.slots.__getitem__
    monkeypatch.setattr(type(band.slots), "__getitem__", lambda self, name: a_bug() if name == "a" else get(name))
    band.run_to_beat(13)
    assert bugs(caplog) == ["playing a met a bug"]
    assert [pitch for at, pitch in band.struck if at > band.now - 4.1] == [50, 50]
    assert band.told == ["a", "b"]
    assert ensemble.next_due() > band.now


def test_a_bug_in_one_planned_note_leaves_out_that_note(band: Band, caplog: pytest.LogCaptureFixture) -> None:
    broken = Note(36, 1.0, 0.5, 100)
    object.__setattr__(broken, "pitch", 300)
    band.slots.put("c", Clip((Note(36, 0.0, 0.5, 100), broken, Note(38, 2.0, 0.5, 100)), 4.0))
    band.ensemble.play("c", at="bar", loop=False, channel=None, now=band.now)
    band.run_to_beat(4)
    assert [pitch for _, pitch in band.struck] == [36, 38]
    assert bugs(caplog) == ["a planned note met a bug"]
    assert not band.hanging


@pytest.mark.parametrize("told", ["on_playing", "on_learned", "send"])
def test_whoever_is_told_may_fail_and_the_music_goes_on(told: str, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def fails(*arguments: object) -> None:
        calls.append(arguments)
        raise OSError("no room")

    band = Band(**{told: fails})
    band.slots.put("a", BEAT)
    band.ensemble.controls.learn("freeze")
    band.hear((0xB0, 9, 127))
    band.ensemble.play("a", at="bar", loop=True, channel=None, now=band.now)
    band.run_to_beat(3.9)
    assert len(bugs(caplog)) == len(calls) > 0
    assert band.ensemble.scheduler.punctuality.sent == 4
    assert band.ensemble.controls.bindings == {"freeze": Control("control", 1, 9)}


def test_a_bug_in_what_is_heard_skips_that_message(
    band: Band, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(band.ensemble.transport.midi_clock, "hear", a_bug)
        band.hear((0x99, 36, 100))
    assert bugs(caplog) == ["a MIDI message met a bug"]
    band.ensemble.start_live(LiveSettings(mode="answer", bars=1), band.now)
    band.run_to_beat(0.5)
    band.tap()
    band.run_to_beat(6)
    assert len(band.requests) == 1


class BrokenClock(InternalClock):
    """Somebody else's, as it is where its library fails."""

    source = "link"

    def advance(self, now: float) -> None:
        if now > 103:
            raise RuntimeError("the library has gone")

    def next_due(self) -> float:
        return 0.0


def test_a_clock_that_fails_gives_way_to_our_own_from_where_the_song_is(
    band: Band, caplog: pytest.LogCaptureFixture
) -> None:
    ensemble = band.ensemble
    ensemble.use_clock(BrokenClock(90.0), band.now)
    ensemble.play("a", at="bar", loop=True, channel=None, now=band.now)
    while band.now < 106:
        ensemble.run_due(band.now)
        band.now += 0.005
    assert bugs(caplog) == ["the clock met a bug"]
    assert (
        ensemble.transport.clock.source,
        ensemble.transport.clock.line.tempo_bpm,
        ensemble.transport.clock.playing,
    ) == (
        "internal",
        90.0,
        True,
    )
    assert ensemble.transport.clock.line.beat_at(band.now) == pytest.approx(1.5 * (band.now - 100.05), abs=1e-6)
    assert band.struck[-1][0] > 105
    assert ensemble.next_due() > band.now - 0.01


@pytest.mark.parametrize("message", [(0xB0, 9, 127), (0xC9, 0)])
def test_a_control_that_meets_a_bug_is_logged(
    message: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    band = Band(controls={"start": Control("control", 1, 9)})
    for asked in ("check", "steer"):
        monkeypatch.setattr(band.ensemble.live, asked, a_bug)
    band.hear(message)
    assert len(bugs(caplog)) == 1
    assert not band.ensemble.live.running


def test_a_mode_that_begins_after_one_that_could_not_go_on_has_missed_nothing_yet(band: Band) -> None:
    band.ensemble.start_live(LiveSettings(mode="loop", verb="drumify", slot="a"), band.now)
    band.slots.put("a", HUNDRED_BARS)
    band.run_to_beat(7.6)
    missed = band.ensemble.live.missed
    band.ensemble.start_live(LiveSettings(mode="answer"), band.now)
    band.run_to_beat(13)
    assert band.ensemble.live.missed == missed
