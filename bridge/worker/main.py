"""The other process: builds a generator, says that it is ready, and does its jobs until its socket closes.

It runs requests one after the other, or several together; a model is loaded, and sound is made, on a thread beside.

The only module of the bridge that brings torch in, and it does so when it runs.
"""

import gc
import importlib
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.log import set_up_log
from bridge.realtime import go_after_others, go_before_others, steady_interpreter
from bridge.worker.children import inherited
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
    Report,
    Run,
    Sound,
    Together,
)
from bridge.worker.pipe import Channel
from engine.clip import Clip
from engine.errors import EngineError, ModelError, TooLongError, VaebridgeError, WeightsError
from engine.pausing import letting_first
from engine.requests import NoteForNote, Request, Results
from engine.weights import Library

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.001
"""How often it is looked at most, while requests run together, whether one has come that is in a hurry."""


def main() -> None:
    """Read what to be, and work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to handle
    recipe, channel = inherited()
    set_up_log(recipe.log_level)
    go_before_others()
    work(recipe, channel)


def work(recipe: Recipe, channel: Channel) -> None:
    """Build, warm up, answer jobs; returns when the other end is gone."""
    try:
        generator, problems = build(recipe)
    except VaebridgeError as error:
        channel.put(CannotStart(str(error)))
        return
    gc.collect()
    steady_interpreter()
    Worker(recipe, channel, generator).work(ready_with(generator, problems))


class Worker:
    """Does jobs as they come: requests one after the other or several together, the rest on threads beside them."""

    def __init__(self, recipe: Recipe, channel: Channel, generator: Any):
        self._recipe, self._channel, self._generator = recipe, channel, generator
        self._tell = Teller(channel).tell
        self._sounds: dict[int, tuple[threading.Thread, threading.Event]] = {}
        self._first, self._waiting = deque[Run](), deque[Run | Together]()
        self._is_alone, self._look_again = False, 0.0

    def work(self, ready: Ready) -> None:
        """Say that it is ready; returns when the other end is gone."""
        self._tell(ready)
        told = problems_of(self._generator)
        while not self._is_alone:
            if told != (told := problems_of(self._generator)):
                self._tell(ready_with(self._generator, ready.problems))
            if self._first:
                self._tell(answer(self._generator, self._first.popleft()))
            elif self._waiting:
                self._run(self._waiting.popleft())
            else:
                self._read()
        for _, given_up in self._sounds.values():
            given_up.set()
        for thread, _ in self._sounds.values():
            thread.join()  # it removes the file that it has begun

    def _run(self, job: Run | Together) -> None:
        """Run one, or several together, and what is in a hurry in between."""
        if isinstance(job, Together):
            self._tell(HaveBegun(tuple(run.number for run in job.runs)))
        with letting_first(self._let_first):
            for report in answers(self._generator, job.runs if isinstance(job, Together) else (job,)):
                self._tell(report)

    def _let_first(self) -> None:
        """Run what has come meanwhile and goes first."""
        if time.perf_counter() < self._look_again:
            return
        while not self._is_alone and self._channel.has_news():
            self._read()
        while self._first:
            self._tell(answer(self._generator, self._first.popleft()))
        self._look_again = time.perf_counter() + LOOK_SECONDS

    def _read(self) -> None:
        """Begin what goes on beside requests, and keep these."""
        try:
            jobs = self._channel.read()
        except EOFError:
            self._is_alone = True
            return
        for job in jobs:
            if isinstance(job, Run) and job.first:
                self._first.append(job)
            elif isinstance(job, Run | Together):
                self._waiting.append(job)
            elif isinstance(job, Drop):
                if job.number in self._sounds:
                    self._sounds[job.number][1].set()
            else:
                self._begin_beside(job)

    def _begin_beside(self, job: Load | Sound) -> None:
        given_up = threading.Event()
        if isinstance(job, Sound):
            job = replace(job, request=replace(job.request, given_up=given_up.is_set))
        arguments = (self._generator, job, self._recipe.weight_folders, self._tell)
        thread = threading.Thread(target=answer_beside, args=arguments, name="beside", daemon=True)
        thread.start()
        if isinstance(job, Sound):  # one at a time: those before it have ended
            self._sounds = {job.number: (thread, given_up)}


def ready_with(generator: Any, problems: tuple[str, ...]) -> Ready:
    """What the generator has now, and what has become of its GPU. problems: of its start."""
    return Ready("; ".join((str(generator.device), *problems_of(generator))), generator.loaded, problems)


def problems_of(generator: Any) -> tuple[str, ...]:
    """What it has met since it started, such as a GPU that failed."""
    return tuple(getattr(generator, "problems", ()))


class Teller:
    """Puts reports into a channel from several threads, one after the other."""

    def __init__(self, channel: Channel):
        self._channel, self._turn = channel, threading.Lock()

    def tell(self, report: Report) -> None:
        """Put one."""
        with self._turn:
            self._channel.put(report)


def answer_beside(
    generator: Any, job: Load | Sound, folders: tuple[Path, ...], tell: Callable[[Report], None]
) -> None:
    """Load a model, warm, or make sound, while requests run; what has come into the folders since is seen."""
    go_after_others()
    generator.library = Library(folders)
    tell(answer(generator, job))


def build(recipe: Recipe) -> tuple[Any, tuple[str, ...]]:
    """A warm generator, and a sentence for each model that could not be loaded."""
    module, name = recipe.generator.split(":")
    kind = getattr(importlib.import_module(module), name)
    library = Library(recipe.weight_folders)
    generator = kind(library, device=recipe.device, drum_map=recipe.drum_map, own=recipe.styles)
    problems: list[str] = []
    for model in recipe.models:
        try:
            generator.load(model)
        except (ModelError, WeightsError) as error:  # noqa: PERF203 - one bad file must not keep out the others
            problems.append(str(error))
    generator.warm_up()
    return generator, tuple(dict.fromkeys((*problems, *library.empty, *library.problems)))


def answer(generator: Any, job: Run | Load | Sound) -> Report:
    """What became of one job; the process lives on whatever happens."""
    if isinstance(job, Run):
        (report,) = answers(generator, (job,))
        return report
    try:
        if isinstance(job, Sound):
            return Finished.of(job.number, generator.run(job.request))
        began = time.perf_counter()
        generator.load(job.name, default=job.default, warm=True)
        ms = (time.perf_counter() - began) * 1000
        return Loaded(job.number, job.name, ms, generator.loaded)
    except Exception as error:  # the outermost: a bug in one job must not end the others
        return refusal(job.number, error)


def answers(generator: Any, runs: Sequence[Run]) -> Iterator[Report]:
    """What became of requests that run together, of each as soon as it is known."""
    left = dict(enumerate(runs))
    try:
        for place, results in generator.run_together([run.request for run in runs]):
            run = left.pop(place)
            if isinstance(results, Exception):
                yield refusal(run.number, results)
            else:
                yield Finished.of(run.number, in_order(run.request, results))
    except Exception as error:  # the outermost: a bug in one request must not end the others
        for run in left.values():
            yield refusal(run.number, error)


def refusal(number: int, error: Exception) -> Refused:
    """What is told of a job that raised an error."""
    if isinstance(error, ModelError | WeightsError):
        return Refused(number, "no_model", str(error))
    if isinstance(error, TooLongError):
        return Refused(number, "too_big", str(error))
    if isinstance(error, EngineError):
        return Refused(number, "bad_request", str(error))
    logger.error("a job failed", exc_info=error)
    return Refused(number, "internal", f"{type(error).__name__}: {error}")


def in_order(request: Request, results: Results) -> Results:
    """The results as they are sent: sorted, but for those that are the notes of the request."""
    if isinstance(request, NoteForNote):
        return results
    return replace(results, clips=tuple(map(Clip.in_order, results.clips)))
