"""What starts the model process, watches it and starts it again. main.py is its inside."""

import logging
import math
from dataclasses import replace

from bridge.worker.children import Child, Children
from bridge.worker.messages import CannotStart, Job, Ready, Recipe, Report
from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 30.0
"""The pause before a restart: it doubles until the process has been ready."""

STOP_SECONDS = 1.0


class ModelProcess:
    """The process as the daemon sees it. channel is None while there is none; next_start is when one is due."""

    def __init__(self, recipe: Recipe, children: Children):
        self._recipe, self._children = recipe, children
        self._child: Child | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self.next_start = 0.0

    @property
    def channel(self) -> Channel | None:
        """To wait for, None while there is no process."""
        return self._child.channel if self._child else None

    def start_if_due(self, now: float) -> None:
        """Start the process if there is none and its time has come. Ready comes through the channel."""
        if now < self.next_start:
            return
        try:
            self._child = self._children.start("bridge.worker.main", self._recipe)
        except OSError as error:
            logger.warning("the model process cannot be started: %s", error)
            self._plan_start(now)
            return
        self.next_start = math.inf
        logger.info("the model process is %d", self._child.process.pid)

    def keep(self, loaded: tuple[str, ...]) -> None:
        """Load these, the default first, whenever a process starts from now on."""
        self._recipe = replace(self._recipe, models=tuple(reversed(loaded)))

    def submit(self, job: Job) -> None:
        """Hand a job over; should the process be gone, read will tell."""
        if self._child is not None:
            self._child.channel.put(job)

    def read(self, now: float) -> list[Report | CannotStart | None]:
        """What the process has to say; None at the end where it has died. Its restart is then planned."""
        if self._child is None:
            return []
        try:
            reports: list[Report | CannotStart | None] = list(self._child.channel.read())
        except EOFError:
            self.kill(now)
            return [None]
        except Exception:  # the outermost of what comes from there: half a report, from a process that dies
            logger.exception("what the model process says cannot be read")
            self.kill(now)
            return [None]
        if any(isinstance(each, Ready) for each in reports):
            self._pause_seconds = FIRST_PAUSE_SECONDS
        if any(isinstance(each, CannotStart) for each in reports):
            self.kill(now)
        return reports

    def kill(self, now: float) -> None:
        """End the process at once and plan its restart, each time later until it has been ready."""
        self._let_go(now, 0.0)
        self._plan_start(now)

    def stop(self, now: float) -> None:
        """Let the process end for good: its channel closes; it is killed if that does not do."""
        self._let_go(now, STOP_SECONDS)
        self.next_start = math.inf

    def _plan_start(self, now: float) -> None:
        self.next_start = now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _let_go(self, now: float, patience_seconds: float) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            self._children.let_go(child, now, patience_seconds)
