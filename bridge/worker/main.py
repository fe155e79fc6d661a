"""The other process: builds a generator, says that it is ready, and does its jobs until its socket closes.

It runs one request at a time; a model is loaded, and sound is made, on a thread beside them.

The only module of the bridge that brings torch in, and it does so when it runs.
"""

import gc
import importlib
import logging
import signal
import threading
import time
from collections.abc import Callable
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
    Job,
    Load,
    Loaded,
    Ready,
    Recipe,
    Refused,
    Report,
    Run,
    Sound,
)
from bridge.worker.pipe import Channel
from engine.clip import Clip
from engine.errors import EngineError, ModelError, TooLongError, VaebridgeError, WeightsError
from engine.requests import NoteForNote, Request, Results
from engine.weights import Library

logger = logging.getLogger(__name__)


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
    tell = Teller(channel).tell
    tell(ready(generator, problems))
    sounds: dict[int, tuple[threading.Thread, threading.Event]] = {}
    while True:
        try:
            jobs = channel.read()
        except EOFError:
            for _, given_up in sounds.values():
                given_up.set()
            for thread, _ in sounds.values():
                thread.join()  # it removes the file that it has begun
            return
        for job in jobs:
            if isinstance(job, Run):
                before = problems_of(generator)
                tell(answer(generator, job))
                if problems_of(generator) != before:
                    tell(ready(generator, problems))
            elif isinstance(job, Drop):
                if job.number in sounds:
                    sounds[job.number][1].set()
            else:
                given_up = threading.Event()
                if isinstance(job, Sound):
                    job = replace(job, request=replace(job.request, given_up=given_up.is_set))
                arguments = (generator, job, recipe.weight_folders, tell)
                thread = threading.Thread(target=answer_beside, args=arguments, name="beside", daemon=True)
                thread.start()
                if isinstance(job, Sound):  # one at a time: those before it have ended
                    sounds = {job.number: (thread, given_up)}


def ready(generator: Any, problems: tuple[str, ...]) -> Ready:
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


def answer(generator: Any, job: Job) -> Report:
    """What became of one job; the process lives on whatever happens."""
    try:
        if isinstance(job, Load):
            began = time.perf_counter()
            generator.load(job.name, default=job.default, warm=True)
            ms = (time.perf_counter() - began) * 1000
            return Loaded(job.number, job.name, ms, generator.loaded)
        return Finished.of(job.number, in_order(job.request, generator.run(job.request)))
    except (ModelError, WeightsError) as error:
        return Refused(job.number, "no_model", str(error))
    except TooLongError as error:
        return Refused(job.number, "too_big", str(error))
    except EngineError as error:
        return Refused(job.number, "bad_request", str(error))
    except Exception as error:  # the outermost: a bug in one request must not end the others
        logger.exception("a job failed")
        return Refused(job.number, "internal", f"{type(error).__name__}: {error}")


def in_order(request: Request, results: Results) -> Results:
    """The results as they are sent: sorted, but for those that are the notes of the request."""
    if isinstance(request, NoteForNote):
        return results
    return replace(results, clips=tuple(map(Clip.in_order, results.clips)))
