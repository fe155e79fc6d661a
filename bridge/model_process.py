"""The other process: it alone imports torch, keeps the models, and answers jobs that come through a pipe.

Here is both its inside (`main`) and what starts, watches and restarts it from the daemon.
"""

import gc
import importlib
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bridge.engine_queue import Finished, Job, Load, Loaded, Ready, Refused, Report, Run
from engine.errors import EngineError, ModelError
from engine.weights import Library

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 30.0
STOP_SECONDS = 1.0
GENERATOR = "engine.generator:Generator"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the process is started with. generator is module:class; a test puts another."""

    models: tuple[str, ...]
    weight_folders: tuple[Path, ...]
    device: str = "auto"
    drum_map: Path | None = None
    generator: str = GENERATOR


class ModelProcess:
    """The process as the daemon sees it: started, asked, watched, started again."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._process: multiprocessing.process.BaseProcess | None = None
        self.pipe: Connection | None = None
        self.restart_at = 0.0

    @property
    def pid(self) -> int:
        """The running process's id, 0 if there is none."""
        return (self._process.pid or 0) if self._process else 0

    def start(self) -> None:
        """Spawn the process; Ready comes through the pipe."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=main, args=(theirs, self._settings), name="vaebridge models", daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, job: Job) -> bool:
        """Whether the process took the job; False if it is gone."""
        try:
            assert self.pipe is not None
            self.pipe.send(job)
        except (OSError, AssertionError):
            return False
        return True

    def receive(self) -> Iterator[Report]:
        """What the process has to say; EOFError when it is gone."""
        while self.pipe is not None and self.pipe.poll():
            try:
                report: Report = self.pipe.recv()
            except OSError as error:
                raise EOFError from error
            if isinstance(report, Ready):
                self._pause_seconds = FIRST_PAUSE_SECONDS
            yield report

    def kill(self, now: float) -> None:
        """End the process at once, and plan its restart: sooner or, when it keeps dying, later."""
        self._end(signal_first=False)
        self.restart_at = now + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 3, LONGEST_PAUSE_SECONDS)

    def stop(self) -> None:
        """Let the process end, or end it."""
        self._end(signal_first=True)

    def _end(self, *, signal_first: bool) -> None:
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None
        if self._process is None:
            return
        if signal_first:
            self._process.terminate()
            self._process.join(STOP_SECONDS)
        self._process.kill()
        self._process.join(STOP_SECONDS)
        self._process = None


def main(pipe: Connection, settings: Settings) -> None:
    """The inside of the process: load, warm up, say Ready, then answer jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the daemon decides
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    module, _, name = settings.generator.partition(":")
    library = Library(settings.weight_folders)
    generator = getattr(importlib.import_module(module), name)(
        library, device=settings.device, drum_map=settings.drum_map
    )
    problems = list(library.problems)
    for model in settings.models:
        try:
            generator.load(model)
        except EngineError as error:
            problems.append(str(error))
    generator.warm_up()
    gc.collect()
    gc.freeze()
    try:
        pipe.send(Ready(str(generator.device), generator.loaded, tuple(problems)))
        while True:
            pipe.send(answer(generator, pipe.recv()))
    except (EOFError, OSError):
        return  # the daemon is gone


def answer(generator: "Generator", job: Job) -> Report:  # type: ignore[name-defined]  # noqa: F821
    """Do one job; whatever goes wrong is told, and the process lives on."""
    try:
        if isinstance(job, Load):
            return _load(generator, job)
        return Finished(job.number, generator.run(job.request))
    except ModelError as error:
        return Refused(job.number, "no_model", str(error))
    except EngineError as error:
        return Refused(job.number, "bad_request", str(error))
    except Exception as error:  # the outermost handler: a bug in one request must not end the others
        logger.exception("a %s failed", type(job).__name__)
        return Refused(job.number, "internal", f"{type(error).__name__}: {error}")
