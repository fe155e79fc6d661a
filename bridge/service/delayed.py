"""Messages of bundles with a timetag in the future, until they are due. Pure: time is passed in."""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator

from bridge.addresses import Address
from bridge.osc.packet import Message

LONGEST_DELAY_SECONDS = 10.0
"""A message with a later timetag is handled after this: a client's wrong clock delays it, and does not lose it."""

MAX_OF_ONE, MAX_IN_ALL = 1024, 4096
"""Messages that wait. Where so many wait in all, each source may have its share of them."""

MOST_AT_ONCE = 32
"""Handled at a time, so that everything else gets its turn."""


class Delays:
    """A bounded heap; messages of one time keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message, Address]] = []
        self._order = itertools.count()
        self._held: Counter[Address] = Counter()

    def put(self, message: Message, source: Address, now: float, ahead_seconds: float) -> bool:
        """Whether there was room to keep a message."""
        most = MAX_OF_ONE if len(self._heap) < MAX_IN_ALL else min(MAX_OF_ONE, MAX_IN_ALL // len(self._held))
        if self._held[source] >= most:
            return False
        self._held[source] += 1
        due = now + min(ahead_seconds, LONGEST_DELAY_SECONDS)
        heapq.heappush(self._heap, (due, next(self._order), message, source))
        return True

    def due(self, now: float) -> Iterator[tuple[Message, Address]]:
        """What is to be handled now, in order, or the first of it."""
        for _ in range(MOST_AT_ONCE):
            if not self._heap or self._heap[0][0] > now:
                return
            _, _, message, source = heapq.heappop(self._heap)
            self._held[source] -= 1
            if not self._held[source]:
                del self._held[source]
            yield message, source

    def next_due(self) -> float:
        """When to ask again, inf if nothing waits."""
        return self._heap[0][0] if self._heap else float("inf")
