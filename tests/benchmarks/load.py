"""Many clients at once: `python -m tests.benchmarks.load --clients 1,8,64,256`.

Each client asks for a humanized clip, waits for its answer and asks again; one that is told busy waits a little
first. Beside them a loop is varied bar by bar, whose missed bars are counted. For each number of clients: results a
second, how long an answer took, how even the shares are, and how often was refused.
"""

import argparse
import itertools
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from bridge.osc.packet import write_message
from tests.benchmarks.engine_latency import stiff_clip
from tests.benchmarks.osc_latency import Caller, running_daemon

PAUSE_SECONDS = 0.05
"""Before a client that was told busy asks again."""

LOST_SECONDS = 10.0
"""After so long a client asks again: a datagram may be lost."""


@dataclass
class Client:
    """One that asks again and again; ms of each answer, and how many were refused."""

    socket: socket.socket
    asked: float = 0.0
    due: float = 0.0
    ms: list[float] = field(default_factory=list)
    refused: int = 0

    def ask(self, number: int, now: float) -> None:
        """Send the next request."""
        self.socket.send(write_message("/vae/humanize", number, "slot", "two", "seed", number))
        self.asked, self.due = now, now + LOST_SECONDS

    def hear(self, now: float) -> bool:
        """Read a datagram; whether the next request may be sent at once."""
        content = self.socket.recv(65536)
        if content.startswith(b"/vae/done"):
            self.ms.append((now - self.asked) * 1000)
            return True
        if content.startswith(b"/vae/fail"):
            self.refused, self.due = self.refused + 1, now + PAUSE_SECONDS
        return False


def measure(port: int, count: int, seconds: float) -> str:
    """A line on so many clients, each of which has the clip of the slot `two` humanized for so long."""
    chosen, ids = selectors.DefaultSelector(), itertools.count(1)
    clients = [Client(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
    for client in clients:
        client.socket.connect(("127.0.0.1", port))
        chosen.register(client.socket, selectors.EVENT_READ, client)
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for client in clients:
            if client.due <= now:
                client.ask(next(ids), now)
        for key, _ in chosen.select(PAUSE_SECONDS):
            if key.data.hear(time.perf_counter()):
                key.data.ask(next(ids), time.perf_counter())
    for client in clients:
        client.socket.close()
    shares = np.array([len(client.ms) for client in clients])
    half, most = np.percentile(np.concatenate([client.ms for client in clients]), [50, 99])
    return (
        f"{count:7}{shares.sum() / seconds:12.1f}{half:9.1f}{most:9.1f}{shares.min() / shares.mean():17.2f}"
        f"{sum(client.refused for client in clients):9}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", default="1,8,64,256", help="how many, with commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each")
    given = parser.parse_args()
    with running_daemon() as (_, caller, _):
        caller.upload("two", stiff_clip(2))
        listen(caller)
        sys.stdout.write(
            f"{'clients':7}{'results/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'least/mean share':>17}{'busy':>9}\n"
        )
        for count in map(int, given.clients.split(",")):
            before = caller.ask("status")[1]["missed"]
            line = measure(caller.port, count, given.seconds)
            missed = int(caller.ask("status")[1]["missed"]) - int(before)
            sys.stdout.write(f"{line}{missed:9} bars of the loop missed\n")


def listen(caller: Caller) -> None:
    """Let a loop of the clip be varied for this client."""
    caller.ask("subscribe", "topic", "notes", "on", 1)
    caller.ask("tempo", "bpm", 120.0)
    caller.ask("live", "mode", "loop", "verb", "humanize", "slot", "two", "bars", 2)


if __name__ == "__main__":
    main()
