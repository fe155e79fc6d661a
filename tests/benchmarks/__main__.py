"""Every measurement as one table: `python -m tests.benchmarks`."""

import argparse
import sys

from tests.benchmarks import engine_latency, loading, osc_latency
from tests.benchmarks.engine_latency import Row


def table(rows: list[Row]) -> str:
    """Rows as text, with the ratio to the floor where one is known."""
    lines = [f"{'ms':34}{'p50':>8}{'p95':>8}{'p99':>8}{'floor':>8}{'p50/floor':>11}"]
    for row in rows:
        known = row.floor_ms == row.floor_ms
        floor = f"{row.floor_ms:8.2f}{row.p50_ms / row.floor_ms:11.1f}" if known else ""
        lines.append(f"{row.name:34}{row.p50_ms:8.2f}{row.p95_ms:8.2f}{row.p99_ms:8.2f}{floor}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how often each is run")
    runs = parser.parse_args().runs
    sys.stdout.write("inside the engine\n" + table(engine_latency.measure(runs)) + "\n")
    rows, footprint = osc_latency.measure(runs)
    sys.stdout.write("over OSC\n" + table(rows) + osc_latency.footprint_text(footprint) + "\n")
    sys.stdout.write("beside a model that is loaded\n" + table(loading.measure(runs)))


if __name__ == "__main__":
    main()
