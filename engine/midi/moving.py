"""Where the events of a track go when its notes are moved.

Knows nothing of clips: times are ticks here.
"""

import heapq
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from engine.midi.events import Chunk, MidiBytes
from engine.midi.notes import FileNote
from engine.midi.packed import Event, packed


@dataclass(frozen=True, slots=True)
class Placed:
    """A note of the file, and the ticks and the velocity that it gets."""

    note: FileNote
    tick: int
    end_tick: int
    velocity: int

    @property
    def moved(self) -> bool:
        """Whether it starts elsewhere than before."""
        return self.tick != self.note.tick

    @property
    def changed(self) -> bool:
        """Whether anything of it is other than before."""
        note = self.note
        return self.tick != note.tick or self.velocity != note.velocity or self.end_tick != note.end_tick


@dataclass(frozen=True, slots=True)
class Edit:
    """Where an event goes, what velocity it gets (None: its own), and its rank among the events of that tick."""

    tick: int
    velocity: int | None
    rank: int


def placed_apart(wanted: Sequence[tuple[FileNote, int, int]], ends: Mapping[int, int]) -> list[Placed]:
    """Notes at the ticks and with the velocities that are wanted, each as long as it was.

    But none that moves, or beside which one moves, ends after its pitch starts again, or after the tick at which
    its chunk ends.
    """
    placed = [
        Placed(note, tick, tick + note.end_tick - note.tick, velocity)
        for note, wish, velocity in wanted
        for tick in [wish if wish == note.tick else min(max(0, wish), ends[note.chunk] - 1)]
    ]
    if not any(each.moved for each in placed):
        return placed
    by_pitch: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, each in enumerate(placed):
        by_pitch[each.note.channel, each.note.pitch].append(index)
    for row in by_pitch.values():
        row.sort(key=lambda index: placed[index].tick)
        end, following_moved = None, False
        for place in range(len(row) - 1, -1, -1):
            each = placed[row[place]]
            latest = ends[each.note.chunk] if end is None else end
            if (each.moved or following_moved) and each.end_tick > latest:
                placed[row[place]] = replace(each, end_tick=latest)
            if place and placed[row[place - 1]].tick < each.tick:
                end, following_moved = each.tick, each.moved
    return placed


def edits_of(placed: Placed, events: Sequence[Event]) -> dict[int, Edit]:
    """What becomes of a note's events; none where it stays.

    At its new tick a moved note starts after what is there and ends before it: a note that ends where the next
    of its pitch starts does not end that one.
    """
    note, edits = placed.note, dict[int, Edit]()
    if placed.moved or placed.velocity != note.velocity:
        edits[note.on] = Edit(placed.tick, placed.velocity, int(placed.moved))
    if placed.moved or placed.end_tick != note.end_tick:
        ending = Edit(placed.end_tick, None, -1 if placed.end_tick > placed.tick else 1)
        edits |= {index: ending for index in (note.off, *note.strays) if index is not None}
    if placed.moved:
        ticks = {index: max(0, events[index].tick + placed.tick - note.tick) for index in note.pedals}
        edits |= {index: Edit(tick, None, 1) for index, tick in ticks.items()}
    return edits


def edited(chunk: Chunk, edits: Mapping[int, Edit], end_tick: int) -> Chunk:
    """The track with the edits done; its end stays the last event, where it was or else at end_tick."""
    if not edits:
        return chunk
    moved = [((edit.tick, edit.rank, index), _after(chunk.events[index], edit)) for index, edit in edits.items()]
    return with_others(chunk, edits, moved, end_tick)


Placing = tuple[int, int, int]
"""Where an event goes: its tick, its rank among the events of that, its number among those of that rank."""


def with_others(
    chunk: Chunk, gone: Container[int | None], new: Iterable[tuple[Placing, Event]], end_tick: int
) -> Chunk:
    """The track without some of its events and with others; those that stay have rank 0. See edited for its end."""
    last, end = len(chunk.events) - 1, chunk.events[-1]
    staying = (
        ((event.tick, 0, index), event)
        for index, event in enumerate(chunk.events)
        if index != last and index not in gone
    )
    merged = heapq.merge(staying, sorted(new, key=itemgetter(0)), key=itemgetter(0))
    return replace(chunk, events=packed(ended((event for _, event in merged), end, end_tick)))


def _after(event: Event, edit: Edit) -> Event:
    data = event.data if edit.velocity is None else bytes([event.data[0], edit.velocity])
    return Event(edit.tick, event.status, data, event.running)


def ended(events: Iterable[Event], end: Event, end_tick: int) -> Iterator[Event]:
    """The events and the end of their track: where it was, else, if one comes later, at end_tick or after that."""
    last = 0
    for event in events:
        last = event.tick
        yield event
    yield end if last <= end.tick else replace(end, tick=max(end_tick, last))


def finer(midi: MidiBytes, factor: int) -> MidiBytes:
    """The same file in ticks of which so many make one."""
    chunks = (
        replace(chunk, events=packed(replace(event, tick=event.tick * factor) for event in chunk.events))
        for chunk in midi.chunks
    )
    return replace(midi, ticks_per_beat=midi.ticks_per_beat * factor, chunks=tuple(chunks))
