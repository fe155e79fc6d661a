"""/vae/audio/continue without a process: which files it may touch, and that it runs beside the music."""

import sys
from pathlib import Path

import pytest

from bridge.osc.packet import Message
from bridge.playing.ensemble import Ensemble, Stage
from bridge.service.service import Service
from bridge.service.session_verbs import About
from bridge.worker.messages import Drop, Finished, Job, Load, Ready, Refused, Run, Sound
from engine.requests import ContinueSound, Results
from tests.bridge.service.test_service import Studio, ends


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """The user's folder, with a file in it and another outside."""
    folder = tmp_path / "sounds"
    (folder / "in").mkdir(parents=True)
    for place in (folder / "seed.wav", tmp_path / "secret.wav"):
        place.write_bytes(b"sound")
    return folder


@pytest.fixture
def studio(sounds: Path) -> Studio:
    studio = Studio()
    about = About("1.0", 7, 8710, lambda: studio.cards, timeout_seconds=60.0, sounds=sounds)
    studio.ensemble = Ensemble(Stage(send=studio.sent.append, slots=studio.slots, on_playing=lambda slot: None))
    studio.service = Service(about, studio.slots, studio.ensemble, studio.wires, studio.now)
    studio.service.engine_verbs.report(Ready("cpu", ("m",)), studio.now)
    return studio


def told(messages: list[Message]) -> dict[object, object]:
    """The keys of the last done."""
    arguments = messages[-1].arguments
    return dict(zip(arguments[2::2], arguments[3::2], strict=True))


def finish(studio: Studio, job: Job) -> None:
    results = Results((), "score", 5, 900.0, remarks=("3 s were repeated",), facts=(("seconds", 4.0),))
    studio.service.engine_verbs.report(Finished.of(job.number, results), studio.now)


def test_the_files_of_the_folder_are_read_and_written(studio: Studio, sounds: Path) -> None:
    studio.send("audio/continue", 1, "path", "seed.wav", "to", "in/out.wav", "seconds", 4, "seed", 5, "append", 1)
    job = studio.job()
    assert isinstance(job, Sound)
    assert job.request == ContinueSound(
        path=sounds / "seed.wav", to=sounds / "in" / "out.wav", seconds=4.0, seed=5, append=1
    )
    finish(studio, job)
    keys = told(studio.said())
    assert (keys["path"], keys["model"], keys["seed"]) == ("in/out.wav", "score", 5)
    assert (keys["seconds"], keys["remark"]) == (4.0, "3 s were repeated")


def test_a_path_in_full_is_taken_where_it_lies_in_the_folder(studio: Studio, sounds: Path) -> None:
    studio.send("audio/continue", 1, "path", str(sounds / "seed.wav"), "to", str(sounds / "in" / ".." / "out.wav"))
    job = studio.job()
    assert isinstance(job, Sound)
    assert (job.request.path, job.request.to) == (sounds / "seed.wav", sounds / "out.wav")


@pytest.mark.parametrize("key", ["path", "to"])
@pytest.mark.parametrize(
    "place", ["../secret.wav", "in/../../secret.wav", "/etc/passwd", "link.wav", "away/secret.wav"]
)
def test_what_lies_outside_is_refused(studio: Studio, sounds: Path, key: str, place: str) -> None:
    if sys.platform == "win32":
        pytest.skip("links need a right that few have there")
    (sounds / "link.wav").symlink_to(sounds.parent / "secret.wav")
    (sounds / "away").symlink_to(sounds.parent)
    places = {"path": "seed.wav", "to": "out.wav", key: place}
    studio.send("audio/continue", 1, "path", places["path"], "to", places["to"])
    (fail,) = studio.said()
    assert fail.arguments[:3] == (1, "audio/continue", "bad_request")
    assert str(fail.arguments[3]).startswith(f"{key} must lie in the audio folder")
    assert studio.service.engine_verbs.take(studio.now) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right that few have there")
def test_links_that_go_round_lead_nowhere(studio: Studio, sounds: Path) -> None:
    (sounds / "link.wav").symlink_to(sounds.parent / "secret.wav")
    (sounds / "round").symlink_to("round")
    for place in ("round/../link.wav", "round/../away/secret.wav", "round/../../secret.wav"):
        (sounds / "away").unlink(missing_ok=True)
        (sounds / "away").symlink_to(sounds.parent)
        studio.send("audio/continue", 1, "path", place, "to", "out.wav")
        (fail,) = studio.said()
        assert str(fail.arguments[3]).startswith("path must lie in the audio folder")
    for key, other in (("path", "to"), ("to", "path")):
        studio.send("audio/continue", 1, key, "round", other, "seed.wav")
        for said in studio.said():
            assert said.arguments[2] == "bad_request", said


def test_without_a_folder_it_says_how_there_is_one() -> None:
    studio = Studio()
    studio.send("audio/continue", 1, "path", "seed.wav", "to", "out.wav")
    (fail,) = studio.said()
    assert fail.arguments[2:] == (
        "bad_request",
        "there is no folder of sound: serve --audio-folder FOLDER names one",
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (("to", "seed.wav"), "path and to must be two files"),
        (("to", "out.wav", "seconds", 0.0), "seconds must be in 0.25..3600, not 0.0"),
        (("to", "out.wav", "count", 2), "count must be in 1..1, not 2"),
        ((), "audio/continue needs the key to"),
    ],
)
def test_what_is_wrong_with_the_rest_is_told(studio: Studio, settings: tuple[object, ...], why: str) -> None:
    studio.send("audio/continue", 1, "path", "seed.wav", *settings)  # type: ignore[arg-type]
    (fail,) = studio.said()
    assert (fail.arguments[2], why in str(fail.arguments[3])) == ("bad_request", True), fail.arguments


def test_requests_do_not_wait_for_sound_and_sounds_wait_for_each_other(studio: Studio) -> None:
    studio.cards = {**studio.cards, "n": studio.cards["m"]}
    studio.send("audio/continue", 1, "path", "seed.wav", "to", "a.wav")
    studio.send("audio/continue", 2, "path", "seed.wav", "to", "b.wav")
    studio.send("sample", 3)
    studio.send("load", 4, "model", "m")
    begun = [studio.job() for _ in range(3)]
    assert {type(job) for job in begun} == {Run, Load, Sound}
    assert studio.service.engine_verbs.take(studio.now) is None
    sound = next(job for job in begun if isinstance(job, Sound))
    studio.finish(next(job for job in begun if isinstance(job, Run)))
    finish(studio, sound)
    assert ends(studio.said()) == [(3, "sample"), (1, "audio/continue")]
    assert isinstance(studio.job(), Sound)


def test_a_file_that_is_no_sound_is_told_and_the_next_has_its_turn(studio: Studio) -> None:
    studio.send("audio/continue", 1, "path", "seed.wav", "to", "a.wav")
    studio.send("audio/continue", 2, "path", "seed.wav", "to", "b.wav")
    studio.service.engine_verbs.report(Refused(studio.job().number, "bad_request", "it is no sound"), studio.now)
    assert ends(studio.said()) == [(1, "bad_request")]
    finish(studio, studio.job())
    assert ends(studio.said()) == [(2, "audio/continue")]


def test_a_newer_one_of_a_group_takes_the_place_of_one_that_waits(studio: Studio) -> None:
    for number in (1, 2, 3):
        studio.send("audio/continue", number, "path", "seed.wav", "to", "a.wav", "group", "g")
        if number == 1:
            studio.job()
    assert ends(studio.said()) == [(2, "stale")]


def test_a_cancelled_sound_that_is_being_made_is_given_up_and_the_next_has_its_turn(studio: Studio) -> None:
    for number in (1, 2, 3):
        studio.send("audio/continue", number, "path", "seed.wav", "to", "a.wav")
    first = studio.job()
    studio.send("cancel", 4, "target", 2)
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.send("cancel", 5, "target", 1)
    assert studio.service.engine_verbs.take(studio.now) == Drop(first.number)
    assert studio.service.engine_verbs.take(studio.now) is None
    studio.service.engine_verbs.report(Refused(first.number, "bad_request", "it was given up"), studio.now)
    assert ends(studio.said()) == [(2, "cancelled"), (4, "cancel"), (1, "cancelled"), (5, "cancel")]
    finish(studio, studio.job())
    assert ends(studio.said()) == [(3, "audio/continue")]


def test_sound_that_takes_long_does_not_end_the_models(studio: Studio) -> None:
    studio.send("audio/continue", 1, "path", "seed.wav", "to", "a.wav", "seconds", 3600)
    studio.job()
    assert not studio.service.engine_verbs.running_too_long(studio.now + 1800)
    assert studio.service.engine_verbs.running_too_long(studio.now + 3600)
    assert ends(studio.said()) == [(1, "timeout")]
