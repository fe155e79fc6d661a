"""What is turned while a mode plays, through the whole service."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.worker.messages import Ready, Run
from engine.clip import Clip, Note
from engine.requests import Request
from tests.bridge.service.test_play_verbs import answer, keys, refusal
from tests.bridge.service.test_service import CARD, Studio

LONG = Clip((Note(36, 0.0, 1.0, 100),), 400.0)
FEELS, TOKENS = ("sample", "humanize", "drumify"), ("sample", "vary", "interpolate")


@pytest.fixture
def studio() -> Studio:
    """One model that knows styles, and a newer one that can do something else."""
    studio = Studio()
    studio.cards["m"] = replace(CARD, verbs=FEELS, styles=("funk", "rock"))
    studio.cards["tokens"] = replace(CARD, name="tokens", verbs=TOKENS, styles=())
    studio.service.engine_verbs.report(Ready("cpu", ("m", "tokens")), studio.now)
    studio.slots.put("a", Clip((Note(36, 0.0, 1.0, 100),), 4.0))
    return studio


def asked(studio: Studio, *live: Any) -> Any:
    """What a mode asks of the engine first."""
    keys(answer(studio, "live", *live, number=next(NUMBERS)))
    return request_of(studio)


def request_of(studio: Studio) -> Request:
    job = studio.job()
    assert isinstance(job, Run)
    studio.finish(job)
    return job.request


NUMBERS = iter(range(1000, 10**6))


def steer(studio: Studio, *keys_and_values: Any) -> Any:
    return answer(studio, "steer", *keys_and_values, number=next(NUMBERS))


HUMANIZE = ("mode", "loop", "slot", "a", "verb", "humanize")
SAMPLE = ("mode", "loop", "verb", "sample")


@pytest.mark.parametrize(
    ("knob", "value", "accepted"),
    [
        ("timing", 7.0, "timing must be in 0..1, not 7"),
        ("accents", 2.0, "accents must be in 0..1, not 2"),
        ("seed", -1, "seed must be in 0..16777215, not -1"),
        ("taps", 2, "taps must be in 0..1, not 2"),
        ("position", -0.5, "position must be in 0..1"),
        ("density", 4.0, "density must be in -3..3"),
        ("model", "nobody", "there is no model 'nobody'"),
        ("style", "polka", "style of m, tokens must be funk, rock, not 'polka'"),
        ("clear", "timing,volume", "clear takes model, seed, "),
    ],
)
def test_a_value_that_is_refused_changes_nothing(studio: Studio, knob: str, value: Any, accepted: str) -> None:
    _, text = refusal(steer(studio, "temperature", 0.25, knob, value))
    assert accepted in str(text)
    request = asked(studio, *HUMANIZE)
    assert (request.temperature, request.timing, request.seed, request.style) == (1.0, 1.0, None, None)


def test_a_knob_of_another_verb_waits_until_its_verb_is_on(studio: Studio) -> None:
    keys(steer(studio, "timing", 0.5))
    assert not hasattr(asked(studio, *SAMPLE), "timing")
    assert asked(studio, *HUMANIZE).timing == 0.5


def test_what_a_mode_is_set_to_goes_before_a_knob_until_that_is_turned_again(studio: Studio) -> None:
    keys(steer(studio, "temperature", 0.5))
    assert asked(studio, *SAMPLE, "temperature", 1.5).temperature == 1.5
    keys(steer(studio, "temperature", 0.75))
    studio.said(after=8.0)
    assert request_of(studio).temperature == 0.75
    assert asked(studio, *SAMPLE).temperature == 0.75


def test_a_knob_that_is_taken_back_leaves_what_the_mode_was_set_to_else_what_is_usual(studio: Studio) -> None:
    asked(studio, *HUMANIZE, "velocity", 0.25)
    keys(steer(studio, "velocity", 0.5, "timing", 0.5, "temperature", 0.5))
    keys(steer(studio, "clear", "velocity, timing"))
    studio.said(after=4.0)
    request: Any = request_of(studio)
    assert (request.velocity, request.timing, request.temperature) == (0.25, 1.0, 0.5)


def test_a_knob_can_be_taken_back_and_another_turned_at_once(studio: Studio) -> None:
    keys(steer(studio, "timing", 0.5))
    keys(steer(studio, "clear", "timing", "velocity", 0.5))
    request = asked(studio, *HUMANIZE)
    assert (request.timing, request.velocity) == (1.0, 0.5)


def test_the_seed_can_be_steered_and_taken_back(studio: Studio) -> None:
    asked(studio, *SAMPLE, "seed", 5)
    keys(steer(studio, "seed", 6))
    studio.said(after=8.0)
    assert request_of(studio).seed == 6
    keys(steer(studio, "clear", "seed"))
    studio.said(after=4.0)
    assert request_of(studio).seed == 5


def test_a_style_is_one_of_the_model_that_plays(studio: Studio) -> None:
    keys(steer(studio, "style", "funk"))
    assert asked(studio, *SAMPLE).style == "funk"
    assert "style of tokens must be left out" in str(refusal(steer(studio, "model", "tokens", "style", "funk"))[1])
    studio.said(after=8.0)
    request: Any = request_of(studio)
    assert (request.model, request.style) == (None, "funk")


def test_a_style_waits_while_a_model_plays_that_does_not_have_it(studio: Studio) -> None:
    keys(steer(studio, "style", "funk"))
    asked(studio, *SAMPLE)
    keys(steer(studio, "model", "tokens"))
    studio.said(after=8.0)
    request: Any = request_of(studio)
    assert (request.model, request.style) == ("tokens", None)
    assert studio.ensemble.problem == ""
    keys(steer(studio, "clear", "model"))
    studio.said(after=4.0)
    request = request_of(studio)
    assert (request.model, request.style) == (None, "funk")


def test_a_style_that_is_forgotten_while_it_plays_is_a_problem_until_the_knob_is_taken_back(studio: Studio) -> None:
    keys(steer(studio, "style", "funk"))
    assert asked(studio, *SAMPLE).style == "funk"
    studio.cards["m"] = replace(CARD, verbs=FEELS, styles=("rock",))
    studio.said(after=8.0)
    request: Any = request_of(studio)
    assert request.style is None
    assert studio.ensemble.problem == ("the style funk is not played: style of m, tokens must be rock, not 'funk'")
    keys(steer(studio, "clear", "style"))
    studio.said(after=8.0)
    request_of(studio)
    assert studio.ensemble.problem == ""


def test_a_model_that_cannot_do_what_is_played_is_refused_and_one_turned_before_waits(studio: Studio) -> None:
    asked(studio, *HUMANIZE)
    assert (
        refusal(steer(studio, "model", "tokens"))[1] == "tokens cannot humanize; it can sample, vary, interpolate"
    )
    asked(studio, *SAMPLE)
    keys(steer(studio, "model", "tokens"))
    assert asked(studio, *HUMANIZE).model is None


def test_a_program_change_to_a_model_that_cannot_do_what_is_played_changes_nothing(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    asked(studio, *HUMANIZE)
    studio.ensemble.hear(studio.now, "keys", b"\xc9\x01", studio.now)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "program: tokens cannot humanize; it can sample, vary, interpolate"
    ]
    studio.said(after=4.0)
    assert request_of(studio).model is None


@pytest.mark.parametrize(
    ("live", "accepted"),
    [
        (("mode", "loop", "slot", "empty"), "'empty' is empty"),
        (("mode", "loop", "verb", "drumify", "slot", "long"), "bars must be in 1..64, not 100"),
        (("mode", "loop", "verb", "humanize", "slot", "longer"), "humanize takes 512 bars"),
        ((*SAMPLE, "model", "nobody"), "there is no model 'nobody'"),
        ((*SAMPLE, "model", "tokens", "style", "funk"), "style of tokens must be left out"),
        ((*SAMPLE, "style", "polka"), "style of m must be funk, rock"),
        ((*HUMANIZE, "model", "tokens"), "tokens cannot humanize"),
        ((*HUMANIZE, "similarity", 7.0), "similarity must be in 0..1"),
        ((*HUMANIZE, "count_in", 9), "count_in must be in 0..8"),
    ],
)
def test_a_live_that_is_refused_leaves_the_mode_that_plays(
    studio: Studio, live: tuple[Any, ...], accepted: str
) -> None:
    studio.slots.put("long", LONG)
    studio.slots.put("longer", replace(LONG, length_beats=4 * 513.0))
    asked(studio, *SAMPLE, "temperature", 0.5)
    before = studio.ensemble.live.settings
    assert accepted in str(refusal(answer(studio, "live", *live))[1])
    assert studio.ensemble.live.running
    assert studio.ensemble.live.settings is before
    studio.said(after=8.0)
    assert request_of(studio).temperature == 0.5


def test_a_mode_that_cannot_begin_does_not_start_the_clock(studio: Studio) -> None:
    refusal(answer(studio, "live", *SAMPLE, "style", "polka"))
    assert not studio.ensemble.transport.clock.playing


@pytest.mark.parametrize(("knob", "turned", "said"), [("style", "funk", "disco"), ("model", "m", "tokens")])
def test_a_knob_that_was_turned_hides_no_mistake_of_the_next_mode(
    studio: Studio, knob: str, turned: str, said: str
) -> None:
    steer(studio, knob, turned)
    assert refusal(answer(studio, "live", *HUMANIZE, knob, said, number=next(NUMBERS)))[0] == "bad_request"
    assert not studio.ensemble.live.running


@pytest.mark.parametrize("key", ["keep", "keep_slot", "timing.snare"])
def test_what_is_about_the_notes_of_one_clip_is_no_knob(studio: Studio, key: str) -> None:
    assert "has no key" in refusal(steer(studio, key, "36"))[1]


def test_accents_are_a_knob_of_what_plays_note_for_note(studio: Studio) -> None:
    steer(studio, "accents", 0.5)
    assert asked(studio, *HUMANIZE).accents == 0.5


def test_a_knob_of_a_part_is_of_a_model_that_has_the_part(studio: Studio) -> None:
    studio.cards["m"] = replace(CARD, verbs=FEELS, attributes={"density": (17.0, 8.0), "late": (0.0, 10.0)})
    keys(answer(studio, "live", *SAMPLE, "model", "m", number=next(NUMBERS)))
    lacks = "no model that answers has density.bass to be asked for; they have density, late"
    assert lacks in refusal(steer(studio, "density.bass", 1))[1]
    keys(steer(studio, "density", 1))
    studio.cards["m"] = replace(CARD, verbs=FEELS, attributes={"density.bass": (5.0, 4.0)})
    keys(steer(studio, "density.bass", 1))
