"""MidiPorts with their processes, turned as the daemon's loop turns them."""

import select
import time
from collections.abc import Callable
from types import TracebackType

from bridge.midi.ports import Heard, MidiPorts, Ports
from bridge.worker.children import Children

PATIENCE_SECONDS = 60


class Turned:
    """The ports, and all that they have heard and told."""

    def __init__(self, wanted: Ports | None = Ports(api="jack")):  # noqa: B008 -- frozen
        self.children = Children()
        self.ports = MidiPorts(wanted, self.children, time.perf_counter())
        self.heard: list[Heard] = []
        self.vanished: list[str] = []
        self.returned: list[str] = []
        self.longest_turn = 0.0

    def __enter__(self) -> "Turned":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ports.close(time.perf_counter())
        self.children.end_all(2.0)

    @property
    def messages(self) -> list[bytes]:
        return [message for _, _, message in self.heard]

    def turn(self, seconds: float) -> None:
        """Wait for something, at most so long, and do what is due."""
        channels = self.ports.channels
        readable, writable, _ = select.select(
            channels, [each for each in channels if each.waiting_bytes], [], seconds
        )
        began = time.perf_counter()
        if readable:
            self.heard += self.ports.read(began)
        for each in writable:
            each.flush()
        self.ports.run_due(began)
        self.children.run_due(began)
        vanished, returned = self.ports.take_changes()
        self.vanished += vanished
        self.returned += returned
        self.longest_turn = max(self.longest_turn, time.perf_counter() - began)

    def until(self, holds: Callable[[], bool]) -> None:
        """Turn until something is true, or fail."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while not holds():
            assert time.perf_counter() < deadline, (self.ports.names, self.vanished, self.returned, self.heard[-5:])
            self.turn(0.01)

    def until_settled(self) -> "Turned":
        self.until(lambda: self.ports.is_settled)
        return self

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.ports.send(message)
