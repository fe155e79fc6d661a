"""Half a minute of what `python -m tests.benchmarks.soak` does for ten."""

import sys
from collections.abc import Callable

import pytest

from tests.benchmarks.soak import soak

MOST_GROWTH_MIB = 8


@pytest.mark.jack
def test_half_a_minute_of_loop_beside_a_model_that_never_rests(needs: Callable[[str, str], None]) -> None:
    needs("jackd", "jackd2")
    result = soak(30.0)
    sys.stdout.write(str(result))
    assert (result.missed, result.silent_bars, result.skipped, result.hanging) == (0, 0, 0, 0), result
    assert result.bars >= 20
    assert result.others > 50
    assert result.mib_after - result.mib_before < MOST_GROWTH_MIB, result
