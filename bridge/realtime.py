"""What the daemon asks of the system and of the interpreter so that it is on time. Knows nothing of its work."""

import atexit
import contextlib
import ctypes
import gc
import logging
import os
import sys
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

PRIORITY = 1
"""The lowest of the real-time ones: the audio server's threads stay above."""

PERMISSION = "put '@audio - rtprio 95' into /etc/security/limits.d/audio.conf, join the group audio, log in again"

TIMER_MS = 1
"""Windows otherwise wakes whoever waits at ticks of 15.6 ms."""

WINDOWS_TASK = "Pro Audio"
"""One of the tasks of the Multimedia Class Scheduler."""

USER_INTERACTIVE = 0x21
"""macOS: the highest quality of service, QOS_CLASS_USER_INTERACTIVE in sys/qos.h."""

NICENESS = -10
AUTOGROUP = Path("/proc/self/autogroup")
"""The niceness of the session's group; see sched(7)."""

PATIENCE = 5
SWITCH_SECONDS = 0.0005
OLD_COLLECTIONS = 5
"""Of those of the middle generation; after ten of them Python would go through the oldest."""


def ask_for_realtime(*, tell: bool = True) -> bool:
    """Whether the calling thread goes before all ordinary ones from now on; tell: whether to log that.

    Not so the threads and processes that it starts: a model that computes for seconds would stop everything else.
    """
    level = logging.INFO if tell else logging.DEBUG
    try:
        what = _asked_for_realtime()
    except OSError as error:
        advice = f"; to permit it, {PERMISSION}" if sys.platform == "linux" else ""
        logger.log(
            level,
            "no real-time priority (%s): notes may be late while the machine is busy%s",
            error.strerror or error,
            advice,
        )
        return False
    logger.log(level, "%s", what)
    return True


def _asked_for_realtime() -> str:
    """What was granted, in words; OSError where nothing was. Windows also wakes to the millisecond from now on."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
        return f"real-time priority {PRIORITY}"
    if sys.platform == "win32":
        winmm, avrt = ctypes.WinDLL("winmm"), ctypes.WinDLL("avrt", use_last_error=True)
        if winmm.timeBeginPeriod(TIMER_MS) == 0:
            atexit.register(winmm.timeEndPeriod, TIMER_MS)
        if not avrt.AvSetMmThreadCharacteristicsW(WINDOWS_TASK, ctypes.byref(ctypes.c_ulong(0))):
            raise OSError(ctypes.get_last_error(), f"error {ctypes.get_last_error()}")
        return f"the priority of {WINDOWS_TASK!r}, a timer of {TIMER_MS} ms"
    if sys.platform == "darwin":
        if error := ctypes.CDLL(None).pthread_set_qos_class_self_np(USER_INTERACTIVE, 0):
            raise OSError(error, os.strerror(error))
        return "the priority of what a user waits for"
    raise OSError(f"not known on {sys.platform}")


def go_before_others() -> None:
    """Let this process have the processor before ordinary ones where that is permitted, but never before all.

    Where Linux groups processes by session niceness counts within the group alone: a group of our own is told too.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
    if sys.platform == "linux" and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            AUTOGROUP.write_text(str(NICENESS))


def go_after_others() -> None:
    """Let the other threads of this process have the processor before the calling one, where that can be had."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(PATIENCE, os.getpriority(os.PRIO_PROCESS, thread)))


def spare_the_old() -> None:
    """Let the collector never go through all that has lived for a while, which takes .2 s of a million notes.

    To be called again and again: what it passes over is still freed when nothing refers to it any more.
    """
    if gc.get_count()[2] >= OLD_COLLECTIONS:
        gc.freeze()


def steady_interpreter() -> None:
    """Let the interpreter's own work not come between; to be called when everything is loaded.

    What lives by now lives until the end: the collector, which would look through all of it again and again, leaves
    it alone. A thread that computes gives way after half a millisecond rather than five, so that a MIDI port's
    thread gets its turn soon.
    """
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
