import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge.log import LINES_PER_SECOND, MOST_WAITING, FewLines, PatientHandler, SafeFormatter

WAIT_SECONDS = 10


def record(name: str = "a", text: str = "line %d", *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "", 0, text, values or (1,), None)


def test_a_flood_is_cut_and_the_next_second_says_how_much() -> None:
    seconds = [0.0]
    lines = FewLines(lambda: seconds[0])
    assert sum(lines.filter(record()) for _ in range(LINES_PER_SECOND + 70)) == LINES_PER_SECOND
    assert lines.filter(record("b"))
    seconds[0] = 1.0
    first = record()
    assert lines.filter(first)
    assert first.getMessage() == "line 1 (70 lines before this are left out)"
    second = record()
    assert lines.filter(second)
    assert second.getMessage() == "line 1"


class Reader:
    """Reads no line before it is told to; knows when one waits for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.waited_for, self.reads = threading.Event(), threading.Event()

    def __call__(self, line: str) -> None:
        self.waited_for.set()
        self.reads.wait(WAIT_SECONDS)
        self.lines.append(line)


@contextmanager
def handler_of(write: Callable[[str], None]) -> Iterator[PatientHandler]:
    handler = PatientHandler(write)
    yield handler
    handler.flush()
    handler.close()


def test_lines_are_written_in_their_order() -> None:
    reader = Reader()
    reader.reads.set()
    with handler_of(reader) as handler:
        for number in range(100):
            handler.handle(record("a", "line %d", number))
    assert reader.lines == [f"line {number}\n" for number in range(100)]


def test_while_nobody_reads_lines_are_counted_and_nobody_waits() -> None:
    reader = Reader()
    with handler_of(reader) as handler:
        handler.handle(record("a", "%s", "first"))
        assert reader.waited_for.wait(WAIT_SECONDS)
        for number in range(MOST_WAITING + 70):
            handler.handle(record("a", "line %d", number))
        assert reader.lines == [], "it returned before anything was read"
        reader.reads.set()
        handler.flush()
        handler.handle(record("a", "%s", "last"))
    assert len(reader.lines) == MOST_WAITING + 3
    assert reader.lines[-2:] == ["70 lines are left out: nobody read them\n", "last\n"]


def test_lines_that_nobody_reads_do_not_keep_the_process_from_ending() -> None:
    reader = Reader()
    handler = PatientHandler(reader)
    handler.handle(record())
    assert reader.waited_for.wait(WAIT_SECONDS)
    handler.flush()
    assert reader.lines == []
    reader.reads.set()


def test_a_reader_who_is_gone_costs_the_line_and_not_those_that_follow() -> None:
    lines: list[str] = []

    def write(line: str) -> None:
        if "gone" in line:
            raise BrokenPipeError
        lines.append(line)

    with handler_of(write) as handler:
        handler.handle(record("a", "%s", "gone"))
        handler.handle(record("a", "%s", "here"))
    assert lines == ["here\n"]


def test_a_line_that_cannot_be_formatted_is_told() -> None:
    reader = Reader()
    reader.reads.set()
    with handler_of(reader) as handler:
        handler.handle(record("a", "line %d", "one"))
    (line,) = reader.lines
    assert line.startswith("a line of a cannot be written: 'line %d'")


def test_nothing_from_outside_begins_a_line_or_acts_on_a_terminal() -> None:
    line = SafeFormatter("%(name)s: %(message)s").format(record("a", "%s", "no\nERROR b: \x1b[2J"))
    assert line == r"a: no\nERROR b: \x1b[2J"


def test_a_traceback_keeps_its_own_lines() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        failed = logging.LogRecord("a", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    lines = SafeFormatter("%(message)s").format(failed).splitlines()
    assert lines[0] == "failed"
    assert lines[-1] == r"ValueError: \x1b[2J"
    assert len(lines) >= 4
