"""Datagrams that wait to be handled: a bounded queue for each source address, served in turn. Pure."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice

from bridge.addresses import Address
from bridge.osc.packet import Element

MOST_OF_ONE = 4096
MOST_IN_ALL = 32_768
"""Datagrams; a large one counts as one for each KiB."""

LOOKED_AT = 64
"""So many sources are compared to find the one with the longest queue, which makes room."""

Item = bytes | Element
"""A datagram, or one message of it: those before it have been handled."""


@dataclass(slots=True)
class Queue:
    """What one source has sent, and how many it counts as."""

    items: deque[Item] = field(default_factory=deque)
    size: int = 0


class Inbox:
    """What comes from one source stays in order; the sources take turns, so that a flood holds up only itself."""

    def __init__(self) -> None:
        self._queues: OrderedDict[Address, Queue] = OrderedDict()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, datagram: bytes, source: Address) -> list[Address]:
        """Queue a datagram. Returns the source of each one dropped for it: this one, or one that has sent more."""
        size, held = _size(datagram), self._queues[source].size if source in self._queues else 0
        if held + size > MOST_OF_ONE:
            return [source]
        losers: list[Address] = []
        if self._size + size > MOST_IN_ALL:
            fullest = max(islice(self._queues, LOOKED_AT), key=lambda each: self._queues[each].size)
            if self._queues[fullest].size < held + 2 * size:
                return [source]
            while self._size + size > MOST_IN_ALL:
                self._drop_newest(fullest)
                losers.append(fullest)
        queue = self._queues.setdefault(source, Queue())
        queue.items.append(datagram)
        self._count(queue, size)
        return losers

    def put_back(self, elements: list[Element], source: Address) -> None:
        """What was taken and is not handled yet: it is taken next when the source's turn comes."""
        if elements:
            queue = self._queues.setdefault(source, Queue())
            queue.items.extendleft(reversed(elements))

    def take(self) -> tuple[Item, Address]:
        """The oldest of the source whose turn it is; there must be one."""
        source, queue = self._queues.popitem(last=False)
        item = queue.items.popleft()
        self._count(queue, -_size(item))
        if queue.items:
            self._queues[source] = queue
        return item, source

    def _drop_newest(self, source: Address) -> None:
        queue = self._queues[source]
        self._count(queue, -_size(queue.items.pop()))
        if not queue.items:
            del self._queues[source]

    def _count(self, queue: Queue, more: int) -> None:
        queue.size += more
        self._size += more


def _size(item: Item) -> int:
    return 1 + len(item) // 1024 if isinstance(item, bytes) else 0
