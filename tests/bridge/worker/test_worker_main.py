import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.worker.main import answer, answers, in_order, work
from bridge.worker.messages import (
    CannotStart,
    Drop,
    Finished,
    HaveBegun,
    Load,
    Loaded,
    Ready,
    Recipe,
    Refused,
    Run,
    Sound,
    Together,
)
from bridge.worker.pipe import Channel
from engine.clip import Clip, Note
from engine.errors import ClipError, ModelError, TooLongError, WeightsError
from engine.pausing import look
from engine.requests import ContinueSound, Humanize, Request, Results, Sample
from engine.weights import Library

RECIPE = Recipe(models=("a", "broken", "b"), weight_folders=(), generator=f"{__name__}:Fake")


class Fake:
    """Raises what its class says, else has no notes."""

    error: Exception | None = None

    def __init__(self, library: Library, *, device: str, drum_map: Path | None, own: Path | None = None):
        if device == "toaster":
            raise ModelError("no such device")
        self.device = device
        self.loaded: tuple[str, ...] = ()
        self.may_go_on = threading.Event()

    def load(self, name: str, *, default: bool = True, warm: bool = False) -> None:
        if name == "broken":
            raise WeightsError("broken is damaged")
        if name == "slow":
            assert self.may_go_on.wait(10)
        self.loaded = (name, *self.loaded) if default else (*self.loaded, name)

    def warm_up(self) -> None:
        pass

    def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
        for place, request in enumerate(requests):
            try:
                yield place, self.run(request)
            except Exception as error:  # noqa: PERF203
                yield place, error

    def run(self, request: Request) -> Results:
        if self.error is not None:
            raise self.error
        if isinstance(request, ContinueSound):
            assert self.may_go_on.wait(10)
        self.may_go_on.set()
        return Results((), self.loaded[0], 5, 1.0)


class Patient(Fake):
    """Makes sound until it is given up."""

    begun, ended = threading.Event(), threading.Event()

    def run(self, request: Request) -> Results:
        assert isinstance(request, ContinueSound)
        self.begun.set()
        wait_for(request.given_up)
        self.ended.set()
        raise ClipError("given up")


class OnAGpuThatFails(Fake):
    """Its GPU fails in the first request, which the CPU answers."""

    problems: tuple[str, ...] = ()

    def run(self, request: Request) -> Results:
        self.device, self.problems = "cpu", ("the GPU has failed",)
        return super().run(request)


class Pausing(Fake):
    """Runs requests until one in a hurry has been run."""

    def run(self, request: Request) -> Results:
        if request.seed == 1:
            return Results((), "hurried", 1, 1.0)
        until = time.monotonic() + 10
        while not self.may_go_on.is_set():
            assert time.monotonic() < until
            look()
        return Results((), "patient", 1, 1.0)

    def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
        for place, request in enumerate(requests):
            yield place, self.run(request)
            if request.seed == 1:
                self.may_go_on.set()


def wait_for(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.001)


def worked(recipe: Recipe, *jobs: object, more: int = 0) -> list[object]:
    """What comes out of the process for these jobs, each as it was answered, and more; then the daemon goes."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    daemon, process = Channel(ours), threading.Thread(target=work, args=(recipe, Channel(theirs)))
    process.start()
    for job in jobs:
        daemon.put(job)
    reports: list[object] = []
    expected = 1 + more + sum(0 if isinstance(job, Drop) else len(getattr(job, "runs", "1")) for job in jobs)
    while sum(not isinstance(each, HaveBegun) for each in reports) < expected:
        reports += daemon.read()
    ours.shutdown(socket.SHUT_WR)
    process.join(10)
    daemon.close()
    theirs.close()
    return reports


def test_it_says_ready_then_answers_jobs_until_the_daemon_is_gone() -> None:
    ready, finished = worked(RECIPE, Run(1, Sample()))
    assert ready == Ready("auto", ("b", "a"), ("broken is damaged",))
    assert isinstance(finished, Finished)
    assert (finished.number, finished.about.model) == (1, "b")


def test_a_gpu_that_fails_is_told_once() -> None:
    recipe = replace(RECIPE, generator=f"{__name__}:OnAGpuThatFails")
    ready, finished, again, last = worked(recipe, Run(1, Sample()), Run(2, Sample()), more=1)
    assert isinstance(finished, Finished)
    assert again == replace(ready, device="cpu; the GPU has failed")  # type: ignore[type-var]
    assert isinstance(last, Finished)


def test_a_model_is_loaded_as_the_default() -> None:
    _, loaded = worked(RECIPE, Load(2, "c"))
    assert isinstance(loaded, Loaded)
    assert (loaded.number, loaded.loaded) == (2, ("c", "b", "a"))


def test_a_sound_that_is_dropped_is_given_up() -> None:
    sound = Sound(1, ContinueSound(path=Path("a.wav"), to=Path("b.wav")))
    _, refused = worked(replace(RECIPE, generator=f"{__name__}:Patient"), Drop(1), sound, Drop(2), Drop(1))
    assert refused == Refused(1, "bad_request", "given up")


def test_when_the_daemon_goes_a_sound_is_given_up_first() -> None:
    Patient.begun.clear()
    Patient.ended.clear()
    ours, theirs = socket.socketpair()
    recipe = replace(RECIPE, generator=f"{__name__}:Patient")
    daemon, process = Channel(ours), threading.Thread(target=work, args=(recipe, Channel(theirs)))
    process.start()
    daemon.put(Sound(1, ContinueSound(path=Path("a.wav"), to=Path("b.wav"))))
    assert Patient.begun.wait(10)
    ours.shutdown(socket.SHUT_WR)
    process.join(10)
    assert Patient.ended.is_set()
    assert not process.is_alive()
    daemon.close()
    theirs.close()


def test_a_request_does_not_wait_for_sound() -> None:
    sound = Sound(3, ContinueSound(path=Path("in.wav"), to=Path("out.wav")))
    _, first, second = worked(RECIPE, sound, Run(4, Sample()))
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert (first.number, second.number) == (4, 3)


def test_a_model_that_requests_need_leaves_the_default() -> None:
    _, loaded = worked(RECIPE, Load(2, "c", default=False))
    assert isinstance(loaded, Loaded)
    assert loaded.loaded == ("b", "a", "c")


def test_requests_run_while_a_model_is_loaded() -> None:
    _, finished, loaded = worked(RECIPE, Load(1, "slow"), Run(2, Sample()))
    assert isinstance(finished, Finished)
    assert isinstance(loaded, Loaded)


def test_it_says_why_it_cannot_start() -> None:
    recipe = Recipe(models=(), weight_folders=(), device="toaster", generator=RECIPE.generator)
    assert worked(recipe) == [CannotStart("no such device")]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ModelError("no model"), "no_model", "no model"),
        (WeightsError("damaged"), "no_model", "damaged"),
        (ClipError("too short"), "bad_request", "too short"),
        (TooLongError("too long"), "too_big", "too long"),
        (ZeroDivisionError("bug"), "internal", "ZeroDivisionError: bug"),
    ],
)
def test_whatever_goes_wrong_is_a_refusal(error: Exception, code: str, text: str) -> None:
    fake = Fake(Library([]), device="cpu", drum_map=None)
    fake.error = error
    assert answer(fake, Run(3, Sample())) == Refused(3, code, text)


def test_results_are_sorted_unless_they_are_the_notes_of_the_request() -> None:
    clip = Clip((Note(38, 1.0, 0.5, 9), Note(36, 1.0, 0.5, 9), Note(40, 0.0, 0.5, 9)), 4.0)
    results = Results((clip,), "m", 5, 1.0)
    assert [note.pitch for note in in_order(Sample(), results).clips[0].notes] == [40, 36, 38]
    assert in_order(Humanize(clip=clip), results) == results


def test_requests_that_go_together_have_begun_and_each_is_answered() -> None:
    runs = (Run(1, Sample()), Run(2, Sample()), Run(3, Sample()))
    _, begun, *reports = worked(RECIPE, Together(runs))
    assert begun == HaveBegun((1, 2, 3))
    assert [each.number for each in reports if isinstance(each, Finished)] == [1, 2, 3]


@pytest.mark.parametrize("waiting", [Together((Run(1, Sample()), Run(2, Sample()))), Run(1, Sample())])
def test_what_goes_first_is_run_while_others_are(waiting: Together | Run) -> None:
    recipe = replace(RECIPE, generator=f"{__name__}:Pausing")
    _, *reports = worked(recipe, waiting, Run(9, Sample(seed=1), first=True))
    assert [each.number for each in reports if isinstance(each, Finished)] in ([9, 1, 2], [9, 1])


def test_a_bug_that_ends_all_that_go_together_is_told_to_each() -> None:
    class Broken(Fake):
        def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
            yield 1, Results((), "m", 5, 1.0)
            raise ZeroDivisionError("bug")

    runs = (Run(1, Sample()), Run(2, Sample()), Run(3, Sample()))
    generator = Broken(Library([]), device="cpu", drum_map=None)
    done, *refused = answers(generator, runs)
    assert done.number == 2  # type: ignore[union-attr]
    assert refused == [Refused(number, "internal", "ZeroDivisionError: bug") for number in (1, 3)]
