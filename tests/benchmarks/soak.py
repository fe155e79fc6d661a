"""The live mode for minutes beside a model that generates without pause: `python -m tests.benchmarks.soak`.

On JACK without a sound card. Reports the bars that came late, how late the notes were sent, and how memory grew.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from bridge.percentiles import percentile
from engine.clip import Clip, Note
from tests.bridge.conftest import Daemon, launch
from tests.bridge.jack import PERIOD_SECONDS, Jack
from tests.bridge.peer import Peer, stiff_clip
from tests.bridge.performer import Performer

TEMPO_BPM = 174.0
BAR_SECONDS = 4 * 60 / TEMPO_BPM
CLICK, CLICK_CHANNEL = 76, 1


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of it. bars: those heard; *_mib: both processes together.

    late_*_ms: how late the notes were sent; heard_*_ms: how far from their own sixteenth grid the notes of a steady
    click were heard.
    """

    bars: int
    silent_bars: int
    missed: int
    skipped: int
    hanging: int
    notes: int
    others: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    heard_p50_ms: float
    heard_p99_ms: float
    heard_max_ms: float
    mib_before: float
    mib_after: float

    def __str__(self) -> str:
        return (
            f"{self.bars} bars at {TEMPO_BPM:g} bpm, {self.notes} notes, beside {self.others} other requests\n"
            f"late bars {self.missed}, silent bars {self.silent_bars}, notes left out {self.skipped}, "
            f"hanging {self.hanging}\n"
            f"sent late by p50 {self.late_p50_ms:.2f}, p99 {self.late_p99_ms:.2f}, max {self.late_max_ms:.2f} ms "
            f"(a JACK period is {PERIOD_SECONDS * 1000:.1f})\n"
            f"clicks heard off the grid by p50 {self.heard_p50_ms:.2f}, p99 {self.heard_p99_ms:.2f}, "
            f"max {self.heard_max_ms:.2f} ms\n"
            f"memory {self.mib_before:.1f} -> {self.mib_after:.1f} MiB\n"
        )


def soak(seconds: float) -> Soak:
    """Play for so long with the real model."""
    with TemporaryDirectory() as folder, on_jack() as jack:
        daemon = launch(Path(folder), midi=1, tempo=TEMPO_BPM)
        try:
            daemon.wait_until_ready()
            with Performer(jack) as performer, Peer(daemon.port) as client:
                performer.plug_in()
                return _play(daemon, performer, client, seconds)
        finally:
            daemon.stop()


@contextmanager
def on_jack() -> Iterator[Jack]:
    """A server that libjack finds in this process as well."""
    jack = Jack()
    try:
        with patch.dict(os.environ, jack.environment):
            yield jack
    finally:
        jack.close()


def _play(daemon: Daemon, performer: Performer, client: Peer, seconds: float) -> Soak:
    client.upload("beat", stiff_clip())
    client.upload("click", Clip(tuple(Note(CLICK, step / 4, 0.1, 100) for step in range(16)), 4.0))
    assert client.ask("play", "slot", "click", "loop", 1, "channel", CLICK_CHANNEL).is_done
    assert client.ask("live", "mode", "loop", "slot", "beat", "bars", 1).is_done
    others, stop = [0], threading.Event()
    flood = threading.Thread(target=_generate, args=(daemon.port, others, stop))
    flood.start()
    try:
        time.sleep(min(10.0, seconds / 4))
        before = memory_mib(daemon)
        time.sleep(seconds - min(10.0, seconds / 4))
        after = memory_mib(daemon)
    finally:
        stop.set()
        flood.join()
    status = client.ask("status").keys
    client.ask("stop")
    performer.wait_until(lambda: not performer.hanging)
    bars, off = bars_heard(performer), off_grid_ms(performer)
    return Soak(
        bars=len(bars),
        silent_bars=bars.count(0),
        missed=int(status["missed"]),
        skipped=int(status["skipped"]),
        hanging=sum(performer.hanging.values()),
        notes=len(performer.struck),
        others=others[0],
        late_p50_ms=float(status["late_p50_ms"]),
        late_p99_ms=float(status["late_p99_ms"]),
        late_max_ms=float(status["late_max_ms"]),
        heard_p50_ms=percentile(off, 50),
        heard_p99_ms=percentile(off, 99),
        heard_max_ms=max(off),
        mib_before=before,
        mib_after=after,
    )


def _generate(port: int, others: list[int], stop: threading.Event) -> None:
    """Let the model never rest."""
    with Peer(port) as client:
        while not stop.is_set():
            assert client.ask("sample", "bars", 2).is_done
            others[0] += 1


def bars_heard(performer: Performer) -> list[int]:
    """How many notes of the live mode were heard in each bar since the first."""
    moments = [at for at, pitch, _ in performer.struck if pitch != CLICK]
    bars = [0] * (1 + int((moments[-1] - moments[0] + BAR_SECONDS / 8) / BAR_SECONDS))
    for moment in moments:
        bars[min(len(bars) - 1, int((moment - moments[0] + BAR_SECONDS / 8) / BAR_SECONDS))] += 1
    return bars


def off_grid_ms(performer: Performer) -> list[float]:
    """How far from the grid of sixteenths each click was heard; the grid lies in the middle of them."""
    step, moments = BAR_SECONDS / 16, [at for at, pitch, _ in performer.struck if pitch == CLICK]
    phases = [(at - moments[0] + step / 2) % step for at in moments]
    return [abs(phase - statistics.median(phases)) * 1000 for phase in phases]


def memory_mib(daemon: Daemon) -> float:
    """What both processes hold."""
    return mib_of(daemon.process.pid) + mib_of(daemon.model_pid)


def mib_of(pid: int) -> float:
    """What a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Play and report; exit 1 if a bar was late or a note hangs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long")
    result = soak(parser.parse_args().seconds)
    sys.stdout.write(str(result))
    raise SystemExit(1 if result.missed or result.hanging or result.silent_bars else 0)


if __name__ == "__main__":
    main()
