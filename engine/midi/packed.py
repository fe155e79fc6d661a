"""Many events in few bytes: fourteen an event at most, where an object takes a hundred. Knows nothing of files."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import overload

MANY = 2**16
"""From so many events on they are packed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a track.

    tick counts from the start of the file; status is 0x80..0xff; data is what follows it (of a meta event from
    its type on, of a sysex from its length on). running: the file left the status byte out.
    """

    tick: int
    status: int
    data: bytes
    running: bool = False

    def is_meta(self, kind: int) -> bool:
        """Whether this is the meta event of that type."""
        return self.status == 0xFF and self.data[0] == kind


class PackedEvents(Sequence[Event]):
    """Events as columns; what is read of them is made anew."""

    __slots__ = ("_data", "_known", "_status", "_ticks", "_values")

    def __init__(self, events: Iterable[Event] = ()):
        self._ticks, self._status, self._data = array("I"), array("H"), array("I")
        self._known: dict[bytes, int] = {}
        self._values: list[bytes] = []
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        """One more event."""
        if event.tick >> 32 and self._ticks.typecode == "I":
            self._ticks = array("Q", self._ticks)
        place = self._known.setdefault(event.data, len(self._values))
        if place == len(self._values):
            self._values.append(event.data)
        self._ticks.append(event.tick)
        self._status.append(event.status | event.running << 8)
        self._data.append(place)

    def __len__(self) -> int:
        return len(self._ticks)

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, self._ticks, self._status, self._data)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return packed(map(self._event, self._ticks[index], self._status[index], self._data[index]))
        return self._event(self._ticks[index], self._status[index], self._data[index])

    def _event(self, tick: int, status: int, data: int) -> Event:
        return Event(tick, status & 0xFF, self._values[data], status > 0xFF)


def packed(events: Iterable[Event]) -> Sequence[Event]:
    """Events as a tuple, or, where there are many, as columns."""
    coming = iter(events)
    first = tuple(islice(coming, MANY))
    return first if len(first) < MANY else PackedEvents(chain(first, coming))
