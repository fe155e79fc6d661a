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
from bridge.worker.children import LONGEST_PAUSE_SECONDS, Children, Restarted

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
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


class PageProcess(Restarted):
    """The process as the daemon sees it; none where no page is wanted. It does well once it has lived long."""

    def __init__(self, config: Config, osc_port: int, children: Children):
        super().__init__("bridge.page.main", children, FIRST_PAUSE_SECONDS, math.inf)
        self._recipe: PageRecipe | None = None
        self._began = -math.inf
        if config.page is not None:
            check_installed()
            host = LOOPBACK.get(config.osc_host, config.osc_host)
            token = secrets.token_urlsafe(16)
            self._recipe = PageRecipe(config.page_host, config.page, (host, osc_port), config.log_level, token)
            self.next_start = -math.inf

    def start_if_due(self, now: float) -> None:
        """Start the process if there is none and its time has come."""
        if now >= self.next_start and self._recipe is not None:
            self._began = now
            self._start(self._recipe, now)

    def look(self, now: float) -> None:
        """Its channel can be read: it tells its port, or has ended and is started again after a while, there."""
        if self._child is None or self._recipe is None:
            return
        try:
            for port in self._child.channel.read():
                self._recipe = replace(self._recipe, port=port)
        except EOFError:
            if now - self._began >= LONGEST_PAUSE_SECONDS:
                self._does_well()
            logger.warning("the page's process has ended, it is started again in %g s", self._pause_seconds)
            self._start_again(now)


def check_installed() -> None:
    """BridgeError where what the page needs is not here."""
    if any(find_spec(name) is None for name in NEEDED):
        raise BridgeError(f"the page needs more: {sys.executable} -m pip install 'vaebridge[page]'")
