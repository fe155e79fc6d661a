"""The relay process: it stands where the model process stands, and hands each job to a replica.

Holds no model and imports no torch. Each request waits for its replica on a thread: all replicas work at once, also
at requests that are handed over together.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from queue import SimpleQueue

from bridge.errors import StartError
from bridge.log import set_up_log
from bridge.realtime import go_before_others, steady_interpreter
from bridge.replicas.cluster import TOGETHER, Replicas
from bridge.replicas.recipe import RayRecipe
from bridge.worker.children import die_with_daemon, end_group, inherited
from bridge.worker.main import Teller
from bridge.worker.messages import CannotStart, Drop, HaveBegun, Job, Report, Together
from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)


def main() -> None:
    """Read what to be, have replicas, and hand jobs to them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to handle
    recipe, channel = inherited()
    die_with_daemon(False)  # it ends what it has started first
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - Ray tells there of each process that dies
    set_up_log(recipe.log_level)
    go_before_others()
    relay(recipe, channel)


def relay(recipe: RayRecipe, channel: Channel) -> None:
    """Have replicas, hand them jobs; returns when the other end is gone, and what was started here with it."""
    jobs: SimpleQueue[Job | Together | Drop | None] = SimpleQueue()
    begun = threading.Event()
    threading.Thread(target=listen, args=(channel, jobs, begun), name="listen", daemon=True).start()
    try:
        replicas = Replicas(recipe)
    except StartError as error:
        channel.put(CannotStart(str(error)))
        return
    begun.set()
    gc.collect()
    steady_interpreter()
    tell = Teller(channel).tell
    tell(replicas.begun)
    room = threading.Semaphore(recipe.replicas * TOGETHER)
    while (job := jobs.get()) is not None:
        if isinstance(job, Drop):
            replicas.drop(job.number)
            continue
        for each in job.runs if isinstance(job, Together) else (job,):
            waits = room if isinstance(job, Together) else nullcontext()
            threading.Thread(target=ask, args=(replicas, each, tell, waits), name="ask", daemon=True).start()
    replicas.leave()


def listen(channel: Channel, jobs: "SimpleQueue[Job | Together | Drop | None]", begun: threading.Event) -> None:
    """Put what the daemon says into jobs, None when it is gone; nothing is waited for then that has not begun."""
    try:
        while True:
            for job in channel.read():
                jobs.put(job)
    except EOFError:
        if not begun.is_set():
            end_group()  # a Ray of our own as well
        jobs.put(None)


def ask(replicas: Replicas, job: Job, tell: Callable[[Report], None], room: AbstractContextManager[object]) -> None:
    """Have a replica do a job once there is room."""
    try:
        with room:
            if not isinstance(room, nullcontext):
                tell(HaveBegun((job.number,)))
            tell(replicas.ask(job))
    except Exception:  # the outermost: without Ray there is nothing to go on with, and the daemon starts us again
        logger.exception("Ray is gone")
        end_group()
