"""What clients ask of the ensemble, through the whole service."""

import math

import pytest

from bridge.osc.packet import Message
from bridge.worker.messages import Finished, Run
from engine.clip import Clip, Note
from engine.requests import Humanize, Interpolate, Results, Sample, Vary
from tests.bridge.service.test_service import CLIP, Studio

NOTES = (36, 0.0, 0.25, 100, 0)


@pytest.fixture
def studio() -> Studio:
    studio = Studio()
    studio.send("clip", 900, "a", 4.0, 1, *NOTES)
    studio.send("clip", 901, "b", 4.0, 1, *NOTES)
    studio.said()
    return studio


def answer(studio: Studio, verb: str, *arguments: int | float | str, number: int = 1) -> Message:
    studio.send(verb, number, *arguments)
    return next(message for message in studio.said() if message.arguments[0] == number)


def keys(message: Message) -> dict[str, object]:
    assert message.address == "/vae/done", message
    rest = message.arguments[2:]
    return dict(zip(map(str, rest[::2]), rest[1::2], strict=True))


def refusal(message: Message) -> tuple[object, object]:
    assert message.address == "/vae/fail", message
    return message.arguments[2], message.arguments[3]


def notes_on(studio: Studio) -> int:
    return sum(message[0] & 0xF0 == 0x90 for message in studio.sent)


def test_a_clip_is_played_and_stopped(studio: Studio) -> None:
    assert keys(answer(studio, "play", "slot", "a", "loop", 1)) == {"slot": "a"}
    studio.said(after=0.06)
    assert notes_on(studio) == 1
    assert keys(answer(studio, "stop", number=2)) == {}
    assert studio.ensemble.scheduler.sounding == 0


@pytest.mark.parametrize(
    ("verb", "arguments", "code", "sentence"),
    [
        ("play", ("slot", "z"), "no_clip", "'z' is empty"),
        ("play", ("slot", "a", "at", "noon"), "bad_request", "at must be bar, beat, now"),
        ("play", ("slot", "a", "channel", 17), "bad_request", "channel must be in 1..16, not 17"),
        ("tempo", ("bpm", 2.0), "bad_request", "tempo must be in 3..600 bpm, not 2"),
        ("tempo", (), "bad_request", "tempo needs the key bpm, or beats_per_bar"),
        ("tempo", ("bpm", 100.0, "beats_per_bar", 0.0), "bad_request", "beats_per_bar must be in 0.25..64"),
        ("clock", ("source", "sundial"), "bad_request", "source must be internal, midi, link"),
        ("clock", ("source", "link"), "bad_request", "there is no Link here"),
        ("live", ("mode", "dance"), "bad_request", "mode must be off, answer"),
        ("live", ("mode", "answer", "bars", 0), "bad_request", "bars must be in 1..64"),
        ("live", ("mode", "loop", "slot", "z"), "no_clip", "'z' is empty"),
        (
            "live",
            ("mode", "loop", "slot", "a", "verb", "continue"),
            "no_model",
            "no loaded model can continue: load",
        ),
        ("live", ("mode", "answer", "verb", "continue"), "no_model", "no loaded model can continue: load"),
        ("live", ("mode", "answer", "verb", "continue", "model", "m"), "bad_request", "m cannot continue; it can"),
        ("steer", ("temperature", 3.0), "bad_request", "temperature must be in 0..2"),
        ("learn", ("target", "volume"), "bad_request", "target must be"),
        ("subscribe", ("topic", "weather"), "bad_request", "topic must be beat, play, status or notes"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_accepted(
    studio: Studio, verb: str, arguments: tuple[int | float | str, ...], code: str, sentence: str
) -> None:
    said, text = refusal(answer(studio, verb, *arguments))
    assert said == code
    assert sentence in str(text)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("play", ("slot", "a")),
        ("live", ("mode", "answer")),
        ("learn", ("target", "freeze")),
        ("clock", ("source", "midi")),
    ],
)
def test_without_midi_it_says_why_nothing_can_be_played(
    studio: Studio, verb: str, arguments: tuple[str, ...]
) -> None:
    studio.wires.why_none = "there is no MIDI system"
    assert refusal(answer(studio, verb, *arguments)) == ("no_port", "there is no MIDI system")


def test_the_live_mode_asks_the_engine_before_everything_that_waits(studio: Studio) -> None:
    studio.send("sample", 5)
    running = studio.job()
    studio.send("sample", 6)
    assert keys(answer(studio, "live", "mode", "loop", "slot", "a", number=7)) == {"mode": "loop", "verb": "vary"}
    studio.finish(running)
    job = studio.job()
    assert isinstance(job, Run)
    assert isinstance(job.request, Vary)


def test_its_result_plays_on_the_next_line(studio: Studio) -> None:
    answer(studio, "live", "mode", "loop", "slot", "a")
    job = studio.job()
    studio.service.engine_verbs.report(
        Finished.of(job.number, Results((Clip((Note(50, 0.0, 1.0, 90),), 4.0),), "m", 5, 1.0)), studio.now
    )
    studio.said(after=0.06)
    assert b"\x99\x32\x5a" in studio.sent


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("mode", "loop"), Sample),
        (("mode", "loop", "slot", "a", "verb", "humanize", "timing", 0.5), Humanize),
        (("mode", "morph", "position", 0.25), Interpolate),
    ],
)
def test_a_mode_asks_for_its_verb(studio: Studio, arguments: tuple[int | float | str, ...], kind: type) -> None:
    keys(answer(studio, "live", *arguments))
    job = studio.job()
    assert isinstance(job, Run)
    assert type(job.request) is kind


def test_knobs_steer_what_comes_next_in_whatever_mode(studio: Studio) -> None:
    keys(answer(studio, "steer", "temperature", 0.5, "position", 0.75))
    keys(answer(studio, "live", "mode", "morph", number=2))
    job = studio.job()
    assert isinstance(job, Run)
    assert isinstance(job.request, Interpolate)
    assert (job.request.temperature, job.request.position) == (0.5, 0.75)


def test_freeze_and_undo_are_answered_with_the_state(studio: Studio) -> None:
    answer(studio, "live", "mode", "loop", "slot", "a")
    studio.finish(studio.job())
    studio.said(after=0.06)
    assert keys(answer(studio, "freeze", number=2)) == {"frozen": 1}
    assert keys(answer(studio, "freeze", "on", 0, number=3)) == {"frozen": 0}
    assert keys(answer(studio, "undo", number=4)) == {"frozen": 1}
    assert keys(answer(studio, "live", "mode", "off", number=5)) == {"mode": "off"}


def test_the_answer_to_learn_comes_with_the_control_that_moves(studio: Studio) -> None:
    studio.send("learn", 1, "target", "temperature")
    assert studio.said() == []
    studio.ensemble.hear(studio.now, "knobs", b"\xb2\x15\x40", studio.now)
    studio.service.playing.learned("temperature", studio.ensemble.controls.bindings["temperature"], studio.now)
    [message] = studio.said()
    assert keys(message) == {"target": "temperature", "control": 21, "channel": 3}


def test_a_lesson_that_nobody_takes_ends_after_20_s(studio: Studio) -> None:
    studio.send("learn", 1, "target", "temperature")
    assert studio.service.next_due(studio.now) == pytest.approx(studio.now + 20)
    [message] = studio.said(after=20.0)
    assert refusal(message) == ("timeout", "no control was moved for temperature")


def test_a_newer_lesson_takes_the_place_of_an_older(studio: Studio) -> None:
    studio.send("learn", 1, "target", "temperature")
    studio.send("learn", 2, "target", "position")
    [message] = studio.said()
    assert message.arguments[0] == 1
    assert refusal(message)[0] == "stale"


def test_a_lesson_that_is_cancelled_teaches_nothing(studio: Studio) -> None:
    studio.send("learn", 1, "target", "temperature")
    studio.send("cancel", 2, "target", 1)
    assert refusal(studio.said()[0])[0] == "cancelled"
    studio.ensemble.hear(studio.now, "knobs", b"\xb2\x15\x40", studio.now)
    assert studio.ensemble.controls.bindings == {}


def test_whoever_forgets_a_target_ends_its_lesson_at_once(studio: Studio) -> None:
    studio.send("learn", 1, "target", "temperature")
    studio.send("learn", 2, "target", "temperature", "on", 0)
    messages = studio.said()
    assert refusal(messages[0])[0] == "cancelled"
    assert keys(messages[1]) == {"target": "temperature"}


def test_without_anything_to_go_back_to_undo_says_that_nothing_is_kept(studio: Studio) -> None:
    assert keys(answer(studio, "undo")) == {"frozen": 0}


def test_whoever_subscribes_is_told_each_beat(studio: Studio) -> None:
    answer(studio, "subscribe", "topic", "beat")
    answer(studio, "play", "slot", "a", "loop", 1, number=2)
    told = [
        message.arguments for _ in range(26) for message in studio.said(after=0.1) if message.address == "/vae/beat"
    ]
    assert told[:6] == [(0, 4), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1)] or told[:5] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
    ]
    answer(studio, "subscribe", "topic", "beat", "on", 0, number=3)
    assert studio.said(after=1.0) == []
    assert studio.service.next_due(studio.now) == math.inf


def test_whoever_subscribes_is_told_what_plays(studio: Studio) -> None:
    answer(studio, "subscribe", "topic", "play")
    studio.send("play", 2, "slot", "a", "loop", 1)
    studio.send("stop", 3)
    studio.send("play", 4, "slot", "a")
    told = [message.arguments for message in studio.said(after=0.06) if message.address == "/vae/playing"]
    assert told[-1] == ("a",)


def test_whoever_subscribes_is_told_the_state_when_it_changes(studio: Studio) -> None:
    studio.send("subscribe", 1, "topic", "status")
    [state] = [message.arguments for message in studio.said() if message.address == "/vae/state"]
    assert state[:2] == ("clock", "internal")
    assert studio.said(after=0.6) == []
    studio.send("tempo", 2, "bpm", 99.0)
    [state] = [message.arguments for message in studio.said(after=0.6) if message.address == "/vae/state"]
    assert 99.0 in state


def test_a_subscriber_from_whom_nothing_comes_for_60_s_is_told_no_more(studio: Studio) -> None:
    answer(studio, "subscribe", "topic", "beat")
    answer(studio, "play", "slot", "a", "loop", 1, number=2)
    assert studio.said(after=30.0)
    studio.said(after=31.0)
    assert studio.said(after=1.0) == []


def test_the_status_tells_clock_tempo_ports_and_what_was_late(studio: Studio) -> None:
    answer(studio, "tempo", "bpm", 93.0)
    status = keys(answer(studio, "status", number=2))
    assert (status["clock"], status["tempo"], status["playing"]) == ("internal", 93.0, 0)
    assert (status["ports"], status["skipped"], status["missed"]) == ("vaebridge in, vaebridge out", 0, 0)
    assert "problem" not in status
    studio.wires.why_none = "there is no MIDI system"
    assert keys(answer(studio, "status", number=3))["problem"] == "there is no MIDI system"


def test_the_status_tells_what_was_remarked_of_what_the_live_mode_made_last(studio: Studio) -> None:
    answer(studio, "live", "mode", "loop", "slot", "a")
    job, remarks = studio.job(), ("late came to 1, not to 2", "and more")
    results = Results((CLIP,), "m", 5, 1.0, remarks=remarks)
    studio.service.engine_verbs.report(Finished.of(job.number, results), studio.now)
    assert keys(answer(studio, "status", number=2))["remark"] == "late came to 1, not to 2; and more"
    answer(studio, "live", "mode", "loop", "slot", "a", number=3)
    studio.finish(studio.job())
    assert "remark" not in keys(answer(studio, "status", number=4))


def test_when_the_engine_goes_down_what_the_live_mode_asked_for_is_asked_again(studio: Studio) -> None:
    answer(studio, "live", "mode", "loop", "slot", "a")
    first = studio.job()
    studio.service.engine_verbs.engine_went_down("it died", studio.now)
    studio.service.engine.became_ready("cpu", ("m",))
    again = studio.job()
    assert isinstance(first, Run)
    assert isinstance(again, Run)
    assert again.request is first.request


def test_a_live_mode_that_ends_the_engine_again_and_again_is_ended_itself(studio: Studio) -> None:
    answer(studio, "live", "mode", "loop", "slot", "a")
    for _ in range(3):
        assert isinstance(studio.job(), Run)
        assert studio.ensemble.live.running
        studio.service.engine_verbs.engine_went_down("it died", studio.now)
        studio.service.engine.became_ready("cpu", ("m",))
    assert not studio.ensemble.live.running
    assert "died 3 times" in keys(answer(studio, "status", number=2))["problem"]
    assert studio.service.engine_verbs.take(studio.now) is None
    answer(studio, "live", "mode", "loop", "slot", "a", number=3)
    assert isinstance(studio.job(), Run)


def test_a_mode_to_begin_with_whose_slots_are_empty_waits_for_them_and_a_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    studio = Studio()
    studio.service.playing.begin("internal", "morph", 2, studio.now)
    assert "live morph begins when a and b hold clips" in caplog.text
    for slot in "ab":
        studio.send("clip", 1, slot, 4.0, 1, *NOTES)
    studio.ensemble.start_again(studio.now)
    assert studio.ensemble.live.running


def test_a_mode_to_begin_with_begins_once_the_ports_are_there() -> None:
    studio = Studio()
    studio.service.playing.begin("internal", "answer", 4, studio.now)
    assert not studio.ensemble.live.running
    studio.service.playing.ports_are_there(studio.now)
    assert studio.ensemble.live.running
    assert studio.ensemble.transport.clock.playing


def test_a_mode_that_was_stopped_does_not_begin_again_when_ports_return() -> None:
    studio = Studio()
    studio.service.playing.begin("internal", "answer", 4, studio.now)
    studio.service.playing.ports_are_there(studio.now)
    studio.ensemble.stop(at="now", now=studio.now)
    studio.service.playing.ports_are_there(studio.now)
    assert not studio.ensemble.live.running
