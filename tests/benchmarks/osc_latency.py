"""The daemon as musicians have it: from datagram to last datagram, how long until ready, how much memory."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.osc.packet import Atom, read_packet, write_message
from bridge.osc.replies import note_atoms
from engine.clip import Clip
from tests.benchmarks.engine_latency import Row, percentiles, stiff_clip

ROOT = Path(__file__).parents[2]
SERVE = "from bridge.cli.main import main; main()"
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the daemon costs: seconds from the command to ready, MiB of memory that are its own (Linux only)."""

    ready_seconds: float
    serve_mib: float
    models_mib: float


class Caller:
    """The least client that there can be."""

    def __init__(self, port: int):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self.port, self._ids = port, itertools.count(1)

    def again(self) -> "Caller":
        """Another client of the same daemon."""
        return Caller(self.port)

    def ask(self, verb: str, *arguments: Atom) -> tuple[float, dict[str, Atom]]:
        """How many milliseconds until the last datagram of the answer was here, and the keys of its done."""
        request = write_message(f"/vae/{verb}", next(self._ids), *arguments)
        began = time.perf_counter()
        self._socket.send(request)
        return self._finish(began)

    def upload(self, slot: str, clip: Clip) -> None:
        """A clip in chunks."""
        number = next(self._ids)
        self._socket.send(write_message("/vae/clip/begin", number, slot, len(clip.notes), clip.length_beats))
        for first in range(0, len(clip.notes), 48):
            notes = clip.notes[first : first + 48]
            self._socket.send(write_message("/vae/clip/notes", number, first, len(notes), *note_atoms(notes)))
        self._socket.send(write_message("/vae/clip/end", number))
        self._finish(time.perf_counter())

    def is_ready(self) -> bool:
        """Whether a daemon is there and warm."""
        try:
            return self.ask("ping")[1]["ready"] == 1
        except ConnectionRefusedError:
            return False

    def _finish(self, began: float) -> tuple[float, dict[str, Atom]]:
        while True:
            content = self._socket.recv(65536)
            if content.startswith(b"/vae/fail"):
                raise RuntimeError(str(read_packet(content)[0].arguments))
            if content.startswith(b"/vae/done"):
                ms = (time.perf_counter() - began) * 1000
                keys = read_packet(content)[0].arguments[2:]
                return ms, dict(zip(map(str, keys[::2]), keys[1::2], strict=True))


def requests() -> Iterator[tuple[str, tuple[Atom, ...]]]:
    """What is timed."""
    yield "humanize, 2 bars, 48 notes", ("humanize", "slot", "two")
    yield "sample, 2 bars", ("sample",)
    yield "humanize, 16 bars, 384 notes", ("humanize", "slot", "sixteen")


def measure(runs: int = 200) -> tuple[list[Row], Footprint]:
    """A row for each request over OSC, one for what the bridge adds to the first, and what the daemon costs."""
    with running_daemon() as (process, caller, ready_seconds):
        caller.upload("two", stiff_clip(2))
        caller.upload("sixteen", stiff_clip(16))
        rows = []
        for name, (verb, *arguments) in requests():
            answers = [caller.ask(str(verb), *arguments, "seed", seed) for seed in range(runs)]
            rows.append(percentiles(name, [ms for ms, _ in answers]))
            rows.append(percentiles("  of it in the bridge", [ms - float(keys["ms"]) for ms, keys in answers]))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return rows, Footprint(ready_seconds, own_mib(process.pid), sum(own_mib(int(pid)) for pid in children))


@contextmanager
def running_daemon(*flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", Caller, float]]:
    """`vaebridge serve` on a free port, once it is ready, and the seconds that took."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    command = [sys.executable, "-c", SERVE, "serve", "--osc-port", str(port), "--no-midi", "--quiet", *flags]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "VAEBRIDGE_LOG_LEVEL": "warning"})
    try:
        caller = Caller(port)
        while not caller.is_ready():
            if process.poll() is not None:
                raise RuntimeError("the daemon did not start")
            time.sleep(0.01)
        yield process, caller, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def own_mib(pid: int) -> float:
    """The process's share of memory (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def footprint_text(footprint: Footprint) -> str:
    """One line a figure."""
    total = footprint.serve_mib + footprint.models_mib
    return (
        f"ready after {footprint.ready_seconds:.1f} s\n"
        f"memory {total:.0f} MiB: serve {footprint.serve_mib:.0f}, models {footprint.models_mib:.0f}\n"
    )
