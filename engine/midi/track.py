"""The events of a track: its bytes, and where in them each event stands, which takes nine bytes an event.

An event is made when it is looked at; what is only passed on stays bytes, and is written as they are. Knows nothing
of music.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import overload

from engine.errors import MidiFileError

META, SYSEX, ESCAPE = 0xFF, 0xF0, 0xF7
TEXT, TRACK_NAME, END_OF_TRACK = 0x01, 0x03, 0x2F
SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x51, 0x58, 0x59
LONGEST_WAIT = 2**28 - 1
"""Ticks from one event to the next, in four bytes."""

DATA_BYTES = bytes(0 if not 0x80 <= s < SYSEX else 1 if s & 0xE0 == 0xC0 else 2 for s in range(256))
"""How many bytes follow the status of a channel's message; 0 for all else."""

NOTES = re.compile(rb"[\x80-\x9f]")
PROGRAM_CHANGES, METAS, OTHERS = re.compile(rb"[\xc0-\xcf]"), re.compile(rb"\xff"), re.compile(rb"[\xf0\xff]")
"""The statuses that Track.places looks for."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a track.

    tick counts from the start of the file; status is 0x80..0xff; data is what follows it (of a meta event from
    its type on, of a sysex from its length on).
    """

    tick: int
    status: int
    data: bytes

    def is_meta(self, kind: int) -> bool:
        """Whether this is the meta event of that type."""
        return self.status == META and self.data[0] == kind


@dataclass(frozen=True, slots=True)
class Columns:
    """Of each event the tick, the status, and where its data starts; and what was found on the way.

    stop: where the events end, behind the end of the track if it has one. reason: why that is not where it should
    be, if so. lax: whether a status is missing behind a meta or sysex event. over: how many messages have a value
    over 127.
    """

    ticks: "array[int]"
    statuses: bytearray
    starts: "array[int]"
    stop: int
    reason: str
    lax: bool
    over: int


class Track(Sequence[Event]):
    """The events in the bytes of a track, found when they are first looked at."""

    def __init__(self, content: bytes):
        self.content = content

    @cached_property
    def columns(self) -> Columns:
        """Where the events are."""
        try:
            return _columns(self.content, array("I"))
        except OverflowError:
            return _columns(self.content, array("Q"))

    @property
    def is_ended(self) -> bool:
        """Whether the last event is the end of the track."""
        return len(self) > 0 and self[-1].is_meta(END_OF_TRACK)

    def __len__(self) -> int:
        return len(self.columns.ticks)

    def __iter__(self) -> Iterator[Event]:
        return map(self._event, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        places = range(len(self))[index]
        return self._event(places) if isinstance(places, int) else [self._event(place) for place in places]

    def _event(self, index: int) -> Event:
        columns = self.columns
        data = self.content[columns.starts[index] : self.end(index)]
        return Event(columns.ticks[index], columns.statuses[index], data)

    def raw(self, index: int) -> bytes:
        """The status and data of an event."""
        columns = self.columns
        return bytes((columns.statuses[index],)) + self.content[columns.starts[index] : self.end(index)]

    def end(self, index: int) -> int:
        """Where in the bytes an event ends."""
        start, status = self.columns.starts[index], self.columns.statuses[index]
        size = DATA_BYTES[status]
        return start + size if size else _other_end(self.content, start, status)

    def places(self, statuses: re.Pattern[bytes]) -> Iterator[int]:
        """The indexes of the events with such a status."""
        return (found.start() for found in statuses.finditer(self.columns.statuses))

    def message(self, index: int) -> tuple[int, int, int, int]:
        """Tick, status and the first two bytes of an event."""
        columns, content = self.columns, self.content
        start = columns.starts[index]
        return columns.ticks[index], columns.statuses[index], content[start], content[start + 1]

    def is_message(self, index: int, wanted: tuple[int, int, int]) -> bool:
        """Whether an event has this tick, status and first byte."""
        tick, status, first = wanted
        found = (self.columns.ticks[index], self.columns.statuses[index]) == (tick, status)
        return found and self.content[self.columns.starts[index]] == first

    def metas(self, kind: int) -> Iterator[Event]:
        """The meta events of a type."""
        found = (index for index in self.places(METAS) if self.content[self.columns.starts[index]] == kind)
        return map(self._event, found)

    def tick(self, index: int) -> int:
        """When an event is, without making it."""
        return self.columns.ticks[index]

    def before(self, tick: int) -> int:
        """The index of the first event at a tick or after."""
        return bisect_left(self.columns.ticks, tick)

    def behind(self, tick: int) -> int:
        """The index of the first event after a tick."""
        return bisect_right(self.columns.ticks, tick)

    @property
    def longest_wait(self) -> int:
        """The most ticks from one event to the next, or to the first."""
        return max((later - tick for tick, later in pairwise(chain([0], self.columns.ticks))), default=0)

    def last_but(self, statuses: Sequence[int]) -> int:
        """The tick of the last event that is neither the end nor has one of these statuses; 0 if there is none."""
        left = self.columns.statuses[: len(self) - self.is_ended].rstrip(bytes(statuses))
        return self.columns.ticks[len(left) - 1] if left else 0


class Writer:
    """The bytes of a track as they come about; a status for each event that is not passed on as bytes."""

    def __init__(self) -> None:
        self.content, self.tick = bytearray(), 0

    def put(self, tick: int, raw: bytes) -> None:
        """One more event, its status and data, not before the last."""
        wait = tick - self.tick
        while wait > LONGEST_WAIT:
            self.content += length_bytes(LONGEST_WAIT) + bytes((META, TEXT, 0))
            wait -= LONGEST_WAIT
        self.content += length_bytes(wait) + raw
        self.tick = tick

    def copy(self, track: Track, first: int, last: int) -> None:
        """The events of a track from the first up to the last, which is left out."""
        if first < last:
            self.put(track.tick(first), track.raw(first))
            if last - first > 1:
                self.content += memoryview(track.content)[track.end(first) : track.end(last - 1)]
                self.tick = track.tick(last - 1)

    def track(self, end_tick: int) -> Track:
        """The track, ended at a tick, or where its last event is if that is later."""
        self.put(max(self.tick, end_tick), bytes((META, END_OF_TRACK, 0)))
        return Track(bytes(self.content))


def written(events: Iterable[Event], end_tick: int) -> Track:
    """The track of events in the order of time, ended at a tick; an end among them is none."""
    writer = Writer()
    for event in events:
        if not event.is_meta(END_OF_TRACK):
            writer.put(event.tick, bytes((event.status,)) + event.data)
    return writer.track(end_tick)


def meta(kind: int, content: bytes, *, tick: int = 0) -> Event:
    """A new meta event."""
    return Event(tick, META, bytes([kind]) + length_bytes(len(content)) + content)


def payload(event: Event) -> bytes:
    """The content of a meta event, without its type and length."""
    _, start = read_length(event.data, 1)
    return event.data[start:]


def length_bytes(value: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the last without the high bit."""
    if value < 0x80:
        return bytes((value,))
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def read_length(content: bytes, at: int) -> tuple[int, int]:
    """A variable-length quantity of at most four bytes, and where it ends; IndexError if it is cut off."""
    value = 0
    for _ in range(4):
        byte = content[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    raise MidiFileError("a length or time takes more than four bytes")


def _columns(content: bytes, ticks: "array[int]") -> Columns:
    """Find each event. Meta and sysex events let the last channel status stand, as writers do."""
    end, starts, statuses = len(content), array("I"), bytearray()
    at = tick = running = over = 0
    lax, behind_meta, reason = False, False, ""
    try:
        while at < end:
            wait, start = content[at], at + 1
            if wait > 0x7F:
                wait, start = read_length(content, at)
            status = content[start]
            if status < 0x80:
                status, lax = running, lax or behind_meta
            else:
                start += 1
            size = DATA_BYTES[status]
            stop = start + size if size else _other_end(content, start, status)
            if stop > end:
                raise IndexError
            if size:
                running, behind_meta = status, False
                if content[start] > 0x7F or content[stop - 1] > 0x7F:
                    over += 1
            else:
                behind_meta = True
            at, tick = stop, tick + wait
            ticks.append(tick)
            statuses.append(status)
            starts.append(start)
            if status == META and content[start] == END_OF_TRACK:
                break
    except IndexError:
        reason = "it ends in the middle of an event"
    except MidiFileError as error:
        reason = str(error)
    return Columns(ticks, statuses, starts, at, reason, lax, over)


def _other_end(content: bytes, start: int, status: int) -> int:
    """Where the data of a meta or sysex event ends; IndexError where that is past what is there."""
    if status not in (META, SYSEX, ESCAPE):
        raise MidiFileError(f"an event has the status {status}, which has no place in a file")
    size, payload_start = read_length(content, start + 1 if status == META else start)
    return payload_start + size
