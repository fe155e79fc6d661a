import logging

from bridge.log import LINES_PER_SECOND, FewLines


def record(name: str = "a") -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "", 0, "line %d", (1,), None)


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
