"""A replica: the inside of a model process on a thread, which Serve asks instead of a pipe.

Runs on whichever machine Ray has put it, where vaebridge of the same version must be installed. Imports no Ray.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from bridge.log import set_up_log
from bridge.realtime import go_before_others
from bridge.replicas.recipe import RayRecipe
from bridge.worker.messages import (
    CannotStart,
    Drop,
    HaveBegun,
    Job,
    Load,
    Loaded,
    Ready,
    Refused,
    Report,
    Run,
    Together,
)
from bridge.worker.pipe import Channel
from engine.weights import shipped_folder

logger = logging.getLogger(__name__)

FIRST_OWN_NUMBER = 2**40
"""Of the jobs that the replica gives itself; those of the daemon are far below."""


class Replica:
    """Models in memory. Jobs may be asked for at once: the model process's inside says what runs together."""

    def __init__(self, recipe: RayRecipe):
        from bridge.worker.main import work

        set_up_log(recipe.log_level)
        go_before_others()
        ours, theirs = socket.socketpair()
        self._channel, inside = Channel(ours), Channel(theirs)
        self._asked: dict[int, tuple[asyncio.Future[Report], asyncio.AbstractEventLoop]] = {}
        self._waiting, self._running = dict[int, Run](), set[int]()
        self._own_numbers, self._catching_up = itertools.count(FIRST_OWN_NUMBER), asyncio.Lock()
        self.begun: Ready | CannotStart
        if version("vaebridge") != recipe.version:
            text = (
                f"a replica has vaebridge {version('vaebridge')}, this machine {recipe.version}: install the same"
            )
            self.begun = CannotStart(text)
            return
        here = replace(recipe, weight_folders=_folders_here(recipe.weight_folders))
        self._worker = threading.Thread(target=work, args=(here, inside), name="work", daemon=True)
        self._worker.start()
        self.begun = self._channel.read()[0]
        self._models = self.begun.loaded if isinstance(self.begun, Ready) else ()
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    async def about(self) -> Ready | CannotStart:
        """What it has, or why it has nothing."""
        return self.begun

    async def run(self, job: Job, models: tuple[str, ...]) -> Report:
        """What became of a job; one that Serve cancels is dropped, if it can be.

        models: those to be loaded, the default first: a replica that began later catches up.
        """
        async with self._catching_up:
            if models != self._models:
                await self._load(models)
        return await self._answer(job)

    async def _load(self, models: tuple[str, ...]) -> None:
        self._models = models
        for name in reversed(models):
            report = await self._answer(Load(next(self._own_numbers), name))
            if isinstance(report, Refused):
                logger.warning("%s", report.text)

    async def _answer(self, job: Job) -> Report:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Report] = loop.create_future()
        self._asked[job.number] = answer, loop
        if isinstance(job, Run) and not job.first:
            self._waiting[job.number] = job
            self._hand_over()
        else:
            self._channel.put(job)
        try:
            return await answer
        except asyncio.CancelledError:
            self._channel.put(Drop(job.number))
            raise
        finally:
            del self._asked[job.number]
            self._running.discard(job.number)
            self._hand_over()

    def _hand_over(self) -> None:
        """Have all requests that wait run together, once those before them have ended."""
        if self._waiting and not self._running:
            self._running, runs = set(self._waiting), tuple(self._waiting.values())
            self._waiting = {}
            self._channel.put(runs[0] if len(runs) == 1 else Together(runs))

    def check_health(self) -> None:
        """RuntimeError where the inside has met a bug: Serve starts another replica."""
        if isinstance(self.begun, Ready) and not self._worker.is_alive():
            raise RuntimeError("the inside of the replica has ended")

    def _listen(self) -> None:
        """Hand each report to whoever has asked, on the loop that has asked."""
        with contextlib.suppress(EOFError):
            while True:
                for report in self._channel.read():
                    if isinstance(report, Ready | HaveBegun):  # the relay has said it; the log tells the rest
                        continue
                    if isinstance(report, Loaded):
                        self._models = report.loaded
                    answer, loop = self._asked.get(report.number, (None, None))
                    if answer is not None and loop is not None:
                        loop.call_soon_threadsafe(_give, answer, report)


def _give(answer: "asyncio.Future[Report]", report: Report) -> None:
    if not answer.done():
        answer.set_result(report)


def _folders_here(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The folders of weights that are here as well, and the shipped one, which may lie elsewhere than there."""
    there = (folder for folder in folders if folder.is_dir() and folder != shipped_folder())
    return (*there, shipped_folder())
