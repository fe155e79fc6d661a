"""The log of both processes: to stderr, and never faster than somebody could read it."""

import logging
import time
from collections.abc import Callable

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LINES_PER_SECOND = 50
"""Of one logger; a flood of requests must not become a flood of lines."""


def set_up_log(level: str) -> None:
    """Log from this level on."""
    handler = logging.StreamHandler()
    handler.addFilter(FewLines())
    logging.basicConfig(level=level.upper(), format=FORMAT, handlers=[handler])


class FewLines(logging.Filter):
    """Lets through some lines a second of each logger, and says how many it has left out."""

    def __init__(self, now: Callable[[], float] = time.monotonic):
        super().__init__()
        self._now = now
        self._seconds: dict[str, int] = {}
        self._lines: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is one of the first of its second."""
        second = int(self._now())
        if self._seconds.get(record.name) != second:
            left_out = self._lines.get(record.name, 0) - LINES_PER_SECOND
            if left_out > 0:
                record.msg, record.args = f"{record.getMessage()} ({left_out} lines before this are left out)", ()
            self._seconds[record.name], self._lines[record.name] = second, 0
        self._lines[record.name] += 1
        return self._lines[record.name] <= LINES_PER_SECOND
