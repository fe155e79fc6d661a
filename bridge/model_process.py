"""What starts the model process, watches it and starts it again. model_worker.py is its inside."""

import contextlib
import logging
import math
import os
import pickle
import socket
import subprocess
import sys
from dataclasses import replace

from bridge.channel import Channel
from bridge.engine_queue import Job, Ready, Report
from bridge.model_worker import CannotStart, Recipe

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 30.0
"""The pause before a restart: it doubles until the process has been ready."""

STOP_SECONDS = 1.0


class ModelProcess:
    """The process as the daemon sees it. channel is None while there is none; next_start is when one is due."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self.channel: Channel | None = None
        self.next_start = 0.0

    def start_if_due(self, now: float) -> None:
        """Start the process if there is none and its time has come. Ready comes through the channel."""
        if now < self.next_start:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._process, self.channel, self.next_start = self._spawn(theirs), Channel(ours), math.inf
        logger.info("the model process is %d", self._process.pid)

    def keep(self, loaded: tuple[str, ...]) -> None:
        """Load these, the default first, whenever a process starts from now on."""
        self._recipe = replace(self._recipe, models=tuple(reversed(loaded)))

    def submit(self, job: Job) -> None:
        """Hand a job over; should the process be gone, read will tell."""
        if self.channel is not None:
            self.channel.put(job)

    def read(self, now: float) -> list[Report | CannotStart | None]:
        """What the process has to say; None at the end where it has died. Its restart is then planned."""
        if self.channel is None:
            return []
        try:
            reports: list[Report | CannotStart | None] = list(self.channel.read())
        except EOFError:
            self.kill(now)
            return [None]
        if any(isinstance(each, Ready) for each in reports):
            self._pause_seconds = FIRST_PAUSE_SECONDS
        if any(isinstance(each, CannotStart) for each in reports):
            self.kill(now)
        return reports

    def kill(self, now: float) -> None:
        """End the process at once and plan its restart, each time later until it has been ready."""
        self._end(0.0)
        self.next_start = now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def stop(self) -> None:
        """Let the process end for good: its channel closes; it is killed if that does not do."""
        self._end(STOP_SECONDS)
        self.next_start = math.inf

    def _spawn(self, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        """A process of its own that inherits one end of the channel, and reads its recipe from stdin."""
        windows = sys.platform == "win32"
        arguments = [] if windows else [str(theirs.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.model_worker", *arguments],
            stdin=subprocess.PIPE,
            pass_fds=() if windows else (theirs.fileno(),),
            start_new_session=not windows,  # out of reach of the terminal's Ctrl-C
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin as stdin:  # one that died at once is told by its channel
            stdin.write(pickle.dumps(self._recipe))
            if sys.platform == "win32":
                stdin.write(pickle.dumps(theirs.share(process.pid)))
        theirs.close()
        return process

    def _end(self, patience_seconds: float) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self._process is None:
            return
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
