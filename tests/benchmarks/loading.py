"""How long a request takes while another model, of 67 million weights, is loaded beside it."""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.engine_latency import Row, percentiles, stiff_clip
from tests.benchmarks.osc_latency import Caller, running_daemon
from tests.engine.untrained import write_random_weights

CONFIG = "cat-mel_2bar_big"
PAUSE_SECONDS = 0.003


def measure(runs: int = 200) -> list[Row]:
    """A row for a request alone, one while a model is loaded, and one for the load."""
    with tempfile.TemporaryDirectory() as folder:
        write_random_weights(Path(folder), CONFIG)
        with running_daemon("--weights", folder) as (_, caller, _):
            caller.upload("two", stiff_clip(2))
            _humanize(caller, lambda done: done < runs)
            alone = _humanize(caller, lambda done: done < runs)
            took: list[float] = []
            loading = threading.Thread(target=lambda: took.append(caller.again().ask("load", "model", CONFIG)[0]))
            loading.start()
            beside = _humanize(caller, lambda _: loading.is_alive())
    return [
        percentiles("humanize, 2 bars, 48 notes", alone),
        percentiles(f"  while {CONFIG} loads", beside),
        percentiles("  which takes", 2 * took),
    ]


def _humanize(caller: Caller, go_on: Callable[[int], bool]) -> list[float]:
    """The milliseconds of requests, one after the other for as long as go_on says so of their number."""
    times_ms: list[float] = []
    while go_on(len(times_ms)):
        times_ms.append(caller.ask("humanize", "slot", "two", "model", "drummer", "seed", len(times_ms))[0])
        time.sleep(PAUSE_SECONDS)
    return times_ms
