"""The log of all our processes: to stderr, never faster than somebody could read it, and never waited for."""

import logging
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from bridge.escapes import shown

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LINES_PER_SECOND = 50
"""Of one logger; a flood of requests must not become a flood of lines."""

MOST_WAITING = 1000
"""Lines that wait for whoever reads them; what comes after them is counted and left out."""

EXIT_SECONDS = 0.5
"""How long the end of the process waits for a reader of the last lines."""

STDERR = 2


def set_up_log(level: str) -> None:
    """Log from this level on."""
    handler = PatientHandler(write_to_stderr)
    handler.addFilter(FewLines())
    handler.setFormatter(SafeFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)  # Python's own would be written to stderr, and waited for


def write_to_stderr(line: str) -> None:
    """Write a line past sys.stderr, whose lock a thread that is stuck in it would keep beyond the end."""
    content = line.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "backslashreplace")
    while content:
        try:
            content = content[os.write(STDERR, content) :]
        except BlockingIOError:  # noqa: PERF203 - whoever shares it with us has made it so
            select.select([], [STDERR], [])


class PatientHandler(logging.Handler):
    """Hands lines to a thread of its own, which may wait for a reader; whoever logs never does."""

    def __init__(self, write: Callable[[str], None]):
        super().__init__()
        self._write = write
        self._waiting: deque[str | int] = deque()  # a number stands for so many lines that had no room
        self._change, self._writing = threading.Condition(), False
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Let a line wait for its turn; where there is no room it is counted."""
        try:
            line = self.format(record) + "\n"
        except Exception as error:  # as logging has it: a bug in a line must not end what it tells of
            line = shown(f"a line of {record.name} cannot be written: {record.msg!r}: {error}") + "\n"
        with self._change:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(line)
            elif isinstance(left_out := self._waiting[-1], int):
                self._waiting[-1] = left_out + 1
            else:
                self._waiting.append(1)
            self._change.notify_all()

    def flush(self) -> None:
        """Give the thread a moment to write what waits."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting and not self._writing, EXIT_SECONDS)

    def _write_all(self) -> None:
        while True:
            with self._change:
                self._writing = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting)
                line, self._writing = self._waiting.popleft(), True
            try:
                self._write(f"{line} lines are left out: nobody read them\n" if isinstance(line, int) else line)
            except OSError:  # whoever has read the log is gone
                continue


class SafeFormatter(logging.Formatter):
    """Lines in which nothing from outside begins another line or acts on a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line itself."""
        return shown(super().formatMessage(record))

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802
        """A traceback, which has lines of its own."""
        return "\n".join(map(shown, super().formatException(ei).split("\n")))


class FewLines(logging.Filter):
    """Lets through some lines a second of each logger, and says how many it has left out."""

    def __init__(self, now: Callable[[], float] = time.perf_counter):
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
