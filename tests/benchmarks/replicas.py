"""What the way to a replica costs: one request over OSC to a local engine, to ray://auto and to ray://HOST:PORT.

`python -m tests.benchmarks.replicas`. The three take turns, so that what else the machine does meets them alike.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.replicas.cluster import ENVIRONMENT
from tests.benchmarks.__main__ import table
from tests.benchmarks.engine_latency import Row, percentiles, stiff_clip
from tests.benchmarks.osc_latency import running_daemon

START_SECONDS = 60.0
BEYOND_WORKERS = 23000
"""Ray gives its workers ports from 10002 to 19999."""


def measure(runs: int) -> list[Row]:
    """A row for each engine: humanize of 2 bars with 48 notes."""
    with ExitStack() as stack:
        place = stack.enter_context(running_ray())
        engines = {}
        for engine in ("local", "ray://auto", f"ray://{place}"):
            flags = ("--models", "drummer", "--engine", engine)
            engines[engine] = stack.enter_context(running_daemon(*flags))[1]
            engines[engine].upload("two", stiff_clip(2))
        ms: dict[str, list[float]] = {engine: [] for engine in engines}
        for seed in range(-10, runs):
            for engine, caller in engines.items():
                taken, _ = caller.ask("humanize", "slot", "two", "seed", abs(seed))
                if seed >= 0:
                    ms[engine].append(taken)
        return [percentiles(engine, each) for engine, each in ms.items()]


@contextmanager
def running_ray() -> Iterator[str]:
    """A Ray with a client's server on loopback; its HOST:PORT."""
    port = BEYOND_WORKERS + os.getpid() % 1000
    ray = Path(sys.executable).with_name("ray")
    flags = (f"--ray-client-server-port={port}", "--include-dashboard=false", "--disable-usage-stats", "--block")
    with TemporaryDirectory(prefix="ray") as folder:
        process = subprocess.Popen(
            [ray, "start", "--head", "--port=0", *flags],
            env={**os.environ, **ENVIRONMENT, "RAY_TMPDIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                if time.monotonic() > deadline:
                    raise RuntimeError("Ray did not start")
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how often each is run")
    sys.stdout.write(table(measure(parser.parse_args().runs)))


if __name__ == "__main__":
    main()
