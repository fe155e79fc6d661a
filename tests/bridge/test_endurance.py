"""40 seconds of what `python -m tests.benchmarks.endurance` does for as long as one likes."""

import sys
from collections.abc import Callable

import pytest

from tests.benchmarks.endurance import endure


@pytest.mark.jack
def test_whatever_goes_wrong_every_request_ends_once_and_nothing_hangs(needs: Callable[[str, str], None]) -> None:
    needs("jackd", "jackd2")
    endured = endure(40.0)
    sys.stdout.write(str(endured))
    assert (endured.unended, endured.doubled, endured.hanging, endured.exit_code) == (0, 0, 0, 0), endured
    assert not endured.tally.problems, endured
    assert endured.tally.requests > 333, endured
    assert endured.tally.notes > 14, endured
    assert min(endured.tally.deeds.values()) >= 1, endured
    assert len(endured.tally.deeds) == 5, endured
