"""What starts the model process, watches it and starts it again. main.py is its inside."""

import logging
from dataclasses import replace

from bridge.worker.children import STOP_SECONDS, Children, Restarted
from bridge.worker.messages import CannotStart, Drop, Job, Ready, Recipe, Report, Together

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1


class ModelProcess(Restarted):
    """The process as the daemon sees it. It does well once it is ready.

    module: its inside. stop_seconds: how long it may take to end.
    """

    def __init__(
        self,
        recipe: Recipe,
        children: Children,
        *,
        module: str = "bridge.worker.main",
        stop_seconds: float = STOP_SECONDS,
    ):
        super().__init__(module, children, FIRST_PAUSE_SECONDS, 0.0, stop_seconds)
        self._recipe = recipe

    def start_if_due(self, now: float) -> None:
        """Start the process if there is none and its time has come. Ready comes through the channel."""
        if now >= self.next_start and (child := self._start(self._recipe, now)):
            logger.info("the model process is %d", child.process.pid)

    def keep(self, loaded: tuple[str, ...]) -> None:
        """Load these, the default first, whenever a process starts from now on."""
        self._recipe = replace(self._recipe, models=tuple(reversed(loaded)))

    def submit(self, job: Job | Together | Drop) -> None:
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
            self._does_well()
        if any(isinstance(each, CannotStart) for each in reports):
            self.kill(now)
        return reports

    def kill(self, now: float) -> None:
        """End the process at once and plan its restart, each time later until it has been ready."""
        self._start_again(now)
