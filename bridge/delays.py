"""Messages of bundles that are dated ahead, until they are due. Pure: time is a number that is passed in."""

import heapq
import itertools
from collections.abc import Iterator

from bridge.clients import Address
from bridge.osc_packet import Message

LONGEST_DELAY_SECONDS = 10.0
"""A message dated further ahead is handled then: a clock that is wrong delays, it does not refuse."""

MAX_DELAYED = 1024


class Delays:
    """A bounded heap; messages of one time keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message, Address]] = []
        self._order = itertools.count()

    def put(self, message: Message, source: Address, now: float, ahead_seconds: float) -> bool:
        """Whether there was room to keep a message."""
        if len(self._heap) >= MAX_DELAYED:
            return False
        due = now + min(ahead_seconds, LONGEST_DELAY_SECONDS)
        heapq.heappush(self._heap, (due, next(self._order), message, source))
        return True

    def due(self, now: float) -> Iterator[tuple[Message, Address]]:
        """What is to be handled now, in order."""
        while self._heap and self._heap[0][0] <= now:
            _, _, message, source = heapq.heappop(self._heap)
            yield message, source

    def next_due(self) -> float:
        """When to ask again, inf if nothing waits."""
        return self._heap[0][0] if self._heap else float("inf")
