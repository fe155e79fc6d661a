"""Meters and tempos over OSC."""

from dataclasses import replace

import pytest

from bridge.worker.messages import Finished, Run
from engine.clip import Clip, Note
from engine.requests import Results, Sample, clips_of
from tests.bridge.service.test_service import Studio

SIX = Clip((Note(36, 0.0, 0.25, 100),), 3.0, 3.0, beat_unit=8)


def keys(message: tuple[object, ...]) -> dict[object, object]:
    return dict(zip(message[2::2], message[3::2], strict=True))


def uploaded(studio: Studio, *more: float | str) -> dict[object, object]:
    studio.send("clip", 1, "a", 3.0, 1, 36, 0.0, 0.25, 100, 0, *more)
    studio.send("clip/get", 2, "slot", "a")
    return keys(studio.said()[-1].arguments)


def test_a_meter_goes_up_with_a_clip_and_comes_back() -> None:
    studio = Studio()
    assert uploaded(studio, "meter", "6/8")["meter"] == "6/8"
    assert studio.slots["a"].beats_per_bar == 3


def test_quarters_are_not_said() -> None:
    assert "meter" not in uploaded(Studio(), "beats_per_bar", 3.0)
    assert "meter" not in uploaded(Studio(), "meter", "3/4")


@pytest.mark.parametrize("meter", ["6", "6/7", "x/8", "0/4", "6/8/2", "400/4"])
def test_what_is_no_meter_is_refused(meter: str) -> None:
    studio = Studio()
    studio.send("clip", 1, "a", 3.0, 1, 36, 0.0, 0.25, 100, 0, "meter", meter)
    assert studio.said()[-1].arguments[2] == "bad_request"


def test_a_meter_and_other_beats_a_bar_are_refused() -> None:
    studio = Studio()
    studio.send("clip", 1, "a", 3.0, 1, 36, 0.0, 0.25, 100, 0, "meter", "6/8", "beats_per_bar", 4.0)
    assert "a bar of 6/8 has 3 beats" in str(studio.said()[-1].arguments[3])


def test_the_results_of_a_clip_in_eighths_say_so() -> None:
    studio = Studio()
    uploaded(studio, "meter", "6/8")
    studio.send("vary", 3, "slot", "a")
    job = studio.job()
    assert isinstance(job, Run)
    assert [clip.meter for clip in clips_of(job.request)] == ["6/8"]
    studio.service.engine_verbs.report(
        Finished.of(job.number, Results((SIX,), "m", 5, 1.0, meter="6/8")), studio.now
    )
    assert keys(studio.said()[-1].arguments)["meter"] == "6/8"


@pytest.mark.parametrize(("bpm", "said", "asked"), [(120.0, None, None), (90.0, None, 90.0), (90.0, 77.0, 77.0)])
def test_a_sample_has_its_own_tempo_or_the_daemons(bpm: float, said: float | None, asked: float | None) -> None:
    studio = Studio()
    studio.send("tempo", 1, "bpm", bpm)
    studio.send("sample", 2, *(() if said is None else ("tempo", said)))
    job = studio.job()
    assert isinstance(job, Run)
    assert isinstance(job.request, Sample)
    assert job.request.tempo == asked
    studio.finish(replace(job))
    assert keys(studio.said()[-1].arguments).get("tempo") == asked
