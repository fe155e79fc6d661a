"""Processes of ours, each with a channel to it: how they start, and how they end without anybody waiting.

Knows nothing of what they do.
"""

import contextlib
import ctypes
import logging
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)

MAIN = "import sys; sys.path = [each for each in sys.path if each]; from {} import main; main()"
"""How a process starts: `python -m` would let a file in the user's folder stand in for any module."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when the one that started it has died."""

LONGEST_PAUSE_SECONDS, STOP_SECONDS = 30.0, 1.0
KILLED_SECONDS = 0.2
LOOK_SECONDS = 0.05
"""How often it is looked whether a process that was let go has ended."""


ALONE = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy multiplies on one core: what it multiplies is small, and beside a busy DAW threads wait for each other."""


class Child:
    """A process that runs a module of ours, whose main reads what it is to be with `inherited`.

    Its end of the channel is a handle that it inherits, also where `python` is a launcher that starts the real one,
    as in an environment on Windows: what we know is then not the process that runs, but their handles are the same.
    """

    def __init__(self, module: str, recipe: object):
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.set_inheritable(True)
        self.channel = Channel(ours)
        windows = sys.platform == "win32"
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(module), str(theirs.fileno())],
            stdin=subprocess.PIPE,
            close_fds=not windows,  # there none but this one can be inherited
            pass_fds=() if windows else (theirs.fileno(),),
            start_new_session=not windows,  # out of reach of the terminal's Ctrl-C
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            env={**os.environ, **ALONE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self.process.stdin is not None
        with contextlib.suppress(OSError), self.process.stdin as stdin:  # one that died at once: its channel tells
            stdin.write(pickle.dumps(recipe))
        theirs.close()


def inherited() -> tuple[Any, Channel]:
    """In the process itself: what it is to be, and its end of the channel, which blocks."""
    die_with_daemon(True)
    recipe = pickle.load(sys.stdin.buffer)
    end = socket.socket(fileno=int(sys.argv[1]))
    end.setblocking(True)
    return recipe, Channel(end)


def die_with_daemon(does: bool) -> None:
    """In the process itself: whether it is killed when the daemon dies, whatever it does or waits for then.

    Where that cannot be had, but on Linux, it ends when it comes to read the channel.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL if does else 0)


def die_within(seconds: int) -> None:
    """In the process itself: it is killed then if it has not ended, also where it waits with Python's lock held."""
    if sys.platform != "win32":
        signal.alarm(seconds)


class Children:
    """Starts processes, and lets them go: whoever does not end in time is killed. No call waits but end_all."""

    def __init__(self) -> None:
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []

    def start(self, module: str, recipe: object) -> Child:
        """A new process; OSError where the system has no room for one."""
        return Child(module, recipe)

    def let_go(self, child: Child, now: float, patience_seconds: float = 0.0) -> None:
        """Close the channel, on which the process ends by itself; it is killed where that takes too long."""
        child.channel.close()
        self._leaving.append((child.process, now + patience_seconds))
        self.run_due(now)

    def run_due(self, now: float) -> None:
        """Kill whoever had time enough to end."""
        for process, deadline in self._leaving:
            if now >= deadline:
                _kill(process)
        self._leaving = [each for each in self._leaving if each[0].poll() is None]

    def next_due(self, now: float) -> float:
        """When run_due has something to do, inf if nobody is leaving."""
        return now + LOOK_SECONDS if self._leaving else math.inf

    def end_all(self, seconds: float) -> None:
        """Wait until all that were let go have ended, at most so long; then they are killed."""
        deadline = time.perf_counter() + seconds
        while self._leaving and time.perf_counter() < deadline:
            time.sleep(0.005)
            self.run_due(time.perf_counter())
        self.run_due(math.inf)
        for process, _ in self._leaving:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILLED_SECONDS)


def end_group() -> None:
    """In the process itself: end at once, and with it what it has started."""
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process of ours that has not been waited for, and what it has started, which may outlive it."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Restarted:
    """A process of ours that is started again after it has ended, each time later until it does well.

    next_start: when one is due, inf while there is one. first_pause_seconds: the pause before the first restart; it
    doubles, up to LONGEST_PAUSE_SECONDS. stop_seconds: how long it may take to end once it is told to.
    """

    def __init__(
        self,
        module: str,
        children: Children,
        first_pause_seconds: float,
        next_start: float,
        stop_seconds: float = STOP_SECONDS,
    ):
        self._module, self._children, self._first_pause_seconds = module, children, first_pause_seconds
        self.stop_seconds = stop_seconds
        self._pause_seconds, self.next_start = first_pause_seconds, next_start
        self._child: Child | None = None

    @property
    def channel(self) -> Channel | None:
        """To wait for, None while there is no process."""
        return self._child.channel if self._child else None

    def stop(self, now: float) -> None:
        """Let the process end for good: its channel closes; it is killed if that does not do."""
        self._let_go(now, self.stop_seconds)
        self.next_start = math.inf

    def _start(self, recipe: object, now: float) -> Child | None:
        """Start it, or plan that again where the system has no room for it."""
        try:
            self._child = self._children.start(self._module, recipe)
        except OSError as error:
            logger.warning("%s cannot be started: %s", self._module, error)
            self._plan_start(now)
            return None
        self.next_start = math.inf
        return self._child

    def _start_again(self, now: float) -> None:
        """End the process at once, if it has not, and plan its restart."""
        self._let_go(now, 0.0)
        self._plan_start(now)

    def _does_well(self) -> None:
        """The next pause is short again."""
        self._pause_seconds = self._first_pause_seconds

    def _plan_start(self, now: float) -> None:
        self.next_start = now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _let_go(self, now: float, patience_seconds: float) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            self._children.let_go(child, now, patience_seconds)
