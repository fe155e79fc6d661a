import contextlib
import socket
from pathlib import Path

import pytest

from bridge.channel import Channel
from bridge.engine_queue import Finished, Load, Loaded, Ready, Refused, Run
from bridge.model_worker import CannotStart, Recipe, answer, work
from engine.errors import ClipError, ModelError, WeightsError
from engine.requests import Request, Results, Sample
from engine.weights import Library

RECIPE = Recipe(models=("a", "broken", "b"), weight_folders=(), generator=f"{__name__}:Fake")


class Fake:
    """Raises what its class says, else has no notes."""

    error: Exception | None = None

    def __init__(self, library: Library, *, device: str, drum_map: Path | None):
        if device == "toaster":
            raise ModelError("no such device")
        self.device = device
        self.loaded: tuple[str, ...] = ()

    def load(self, name: str) -> None:
        if name == "broken":
            raise WeightsError("broken is damaged")
        self.loaded = (name, *self.loaded)

    def warm_up(self) -> None:
        pass

    def run(self, request: Request) -> Results:
        if self.error is not None:
            raise self.error
        return Results((), self.loaded[0], 5, 1.0)


def worked(recipe: Recipe, *jobs: object) -> list[object]:
    """What comes out of the process for these jobs, after which the daemon is gone."""
    ours, theirs = socket.socketpair()
    daemon = Channel(ours)
    for job in jobs:
        daemon.put(job)
    ours.shutdown(socket.SHUT_WR)
    work(recipe, Channel(theirs))
    theirs.close()
    reports: list[object] = []
    with contextlib.suppress(EOFError):
        while True:
            reports += daemon.read()
    daemon.close()
    return reports


def test_it_says_ready_then_answers_jobs_until_the_daemon_is_gone() -> None:
    ready, finished, loaded = worked(RECIPE, Run(1, Sample()), Load(2, "c"))
    assert ready == Ready("auto", ("b", "a"), ("broken is damaged",))
    assert isinstance(finished, Finished)
    assert (finished.number, finished.results.model) == (1, "b")
    assert isinstance(loaded, Loaded)
    assert (loaded.number, loaded.loaded) == (2, ("c", "b", "a"))


def test_it_says_why_it_cannot_start() -> None:
    recipe = Recipe(models=(), weight_folders=(), device="toaster", generator=RECIPE.generator)
    assert worked(recipe) == [CannotStart("no such device")]


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ModelError("no style"), "no_model", "no style"),
        (WeightsError("damaged"), "no_model", "damaged"),
        (ClipError("too short"), "bad_request", "too short"),
        (ZeroDivisionError("bug"), "internal", "ZeroDivisionError: bug"),
    ],
)
def test_whatever_goes_wrong_is_a_refusal(error: Exception, code: str, text: str) -> None:
    fake = Fake(Library([]), device="cpu", drum_map=None)
    fake.error = error
    assert answer(fake, Run(3, Sample())) == Refused(3, code, text)
