"""The one percentile that the status shows."""

import statistics
from collections.abc import Collection


def percentile(values: Collection[float], percent: int) -> float:
    """Of what was measured, never beyond its largest; 0 before there are two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else 0.0
