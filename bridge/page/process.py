"""What the daemon knows of the page: a process that it starts, starts again, and ends. main.py is its inside.

The daemon tells it how it is to be, and hears but its port from it: the page is a client like any other.
"""

import logging
import math
import secrets
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec

from bridge.addresses import LOOPBACK, Address
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.worker.children import Child, Children
from bridge.worker.pipe import Channel

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""The pause before a restart: it doubles until the process has lived for as long as the longest."""

STOP_SECONDS = 1.0
NEEDED = ("starlette", "uvicorn", "websockets")


@dataclass(frozen=True, slots=True)
class PageRecipe:
    """Where the page listens, and the daemon whose client it is; the same when it is started again.

    port 0 takes any free one. token: what must be shown where more than this machine is listened to.
    """

    host: str
    port: int
    daemon: Address
    log_level: str
    token: str


class PageProcess:
    """The process as the daemon sees it; none where no page is wanted. channel is None while there is none."""

    def __init__(self, config: Config, osc_port: int, children: Children):
        self._recipe: PageRecipe | None = None
        self._children = children
        self._child: Child | None = None
        self._pause_seconds, self._began = FIRST_PAUSE_SECONDS, -math.inf
        self.next_start = math.inf
        if config.page is not None:
            check_installed()
            host = LOOPBACK.get(config.osc_host, config.osc_host)
            token = secrets.token_urlsafe(16)
            self._recipe = PageRecipe(config.page_host, config.page, (host, osc_port), config.log_level, token)
            self.next_start = -math.inf

    @property
    def channel(self) -> Channel | None:
        """To wait for, None while there is no process."""
        return self._child.channel if self._child else None

    def start_if_due(self, now: float) -> None:
        """Start the process if there is none and its time has come."""
        if now < self.next_start or self._recipe is None:
            return
        self.next_start, self._began = math.inf, now
        try:
            self._child = self._children.start("bridge.page.main", self._recipe)
        except OSError as error:
            logger.warning("the page cannot be started: %s", error)
            self._plan_start(now)

    def look(self, now: float) -> None:
        """Its channel can be read: it tells its port, or has ended and is started again after a while, there."""
        if self._child is None or self._recipe is None:
            return
        try:
            for port in self._child.channel.read():
                self._recipe = replace(self._recipe, port=port)
        except EOFError:
            logger.warning("the page's process has ended, it is started again in %g s", self._pause_seconds)
            self._let_go(now, 0.0)
            self._plan_start(now)

    def stop(self, now: float) -> None:
        """Let the process end for good."""
        self._let_go(now, STOP_SECONDS)
        self.next_start = math.inf

    def _plan_start(self, now: float) -> None:
        if now - self._began >= LONGEST_PAUSE_SECONDS:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self.next_start = now + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)

    def _let_go(self, now: float, patience_seconds: float) -> None:
        if self._child is not None:
            child, self._child = self._child, None
            self._children.let_go(child, now, patience_seconds)


def check_installed() -> None:
    """BridgeError where what the page needs is not here."""
    if any(find_spec(name) is None for name in NEEDED):
        raise BridgeError(f"the page needs more: {sys.executable} -m pip install 'vaebridge[page]'")
