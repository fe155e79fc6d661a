"""Where the events of a file go when notes are moved, come or go: no note is cut short by its neighbour.

Knows nothing of clips: times are ticks here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, takewhile

from engine.midi.events import MidiBytes
from engine.midi.meters import bar_lines
from engine.midi.notes import DRUM_CHANNEL, NEW, FileNote
from engine.midi.track import END_OF_TRACK, META, TEXT, Track, Writer, meta, written

OVERHANG_BEATS = 0.25
"""What is no more than this behind a bar line, and only rings, ends on the line."""

NOTE_STATUSES = range(0x80, 0xA0)

Change = tuple[int, int, int, int, int, bytes]
"""An event that is left out or comes: before which event it goes; 1 for one that is left out, else 0; its tick; its
rank among what goes there; the index of the event that it takes the place of, or NEW; its status and data.
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A note, and the ticks and the velocity that it gets. early: its end must come before what is at that tick."""

    note: FileNote
    tick: int
    end_tick: int
    velocity: int
    early: bool = False

    @property
    def moved(self) -> bool:
        """Whether it starts elsewhere than before."""
        return self.tick != self.note.tick or self.note.on == NEW


def as_it_is(note: FileNote) -> Placed:
    """A note where it was."""
    return Placed(note, note.tick, note.end_tick, note.velocity)


def rewritten(
    midi: MidiBytes,
    placed: Sequence[Placed],
    ends: Mapping[int, int],
    gone: Iterable[FileNote] = (),
    *,
    remark: str = "",
) -> MidiBytes:
    """The file with all of its notes in their places, without those that are gone; each track ends at its tick.

    placed: as apart has put them. remark: a text behind the meta events that open the first track.
    """
    tracks = midi.tracks
    changes, left_out = {chunk: list[Change]() for chunk in ends}, {chunk: set[int]() for chunk in ends}
    for each in placed:
        changes[each.note.chunk] += _changes(each, tracks[each.note.chunk])
        left_out[each.note.chunk].update(each.note.strays)
    for note in gone:
        left_out[note.chunk] |= {index for index in (note.on, note.off, *note.strays) if index is not None}
    if remark:
        first = min(tracks)
        changes[first].append(_text(tracks[first], remark))
    return midi.with_tracks(
        {chunk: spliced(tracks[chunk], left_out[chunk], changes[chunk], end) for chunk, end in ends.items()}
    )


def apart(placed: Sequence[Placed], ends: Mapping[int, int]) -> list[Placed]:
    """The same, but no note ends after its pitch starts again, or after the tick at which its track ends.

    Notes that are one instrument's are neighbours: those of a track on a channel, and all on the drum channel.
    """
    found = list(placed)
    rows = defaultdict[tuple[int, int, int], list[int]](list)
    for index, each in enumerate(found):
        note = each.note
        rows[-1 if note.channel == DRUM_CHANNEL else note.chunk, note.channel, note.pitch].append(index)
    for row in rows.values():
        row.sort(key=lambda index: (found[index].tick, found[index].note.chunk))
        _give_ends(found, row)
        following: Placed | None = None
        for place in range(len(row) - 1, -1, -1):
            each = found[row[place]]
            found[row[place]] = _before(each, following, ends[each.note.chunk])
            if place and found[row[place - 1]].tick < each.tick:
                following = each
    return found


def track_ends(midi: MidiBytes, chosen: Iterable[FileNote], rest: Iterable[FileNote]) -> dict[int, int]:
    """Where the tracks are to end: those of chosen notes, and the longest, on a bar line; others where they do.

    None ends behind the last of these bar lines.
    """
    lines, overhang = bar_lines(midi), round(OVERHANG_BEATS * midi.ticks_per_beat)
    told = {chunk: track[-1].tick for chunk, track in midi.tracks.items()}
    needed = {chunk: track.last_but(NOTE_STATUSES) for chunk, track in midi.tracks.items()}
    chosen, ends = tuple(chosen), dict[int, int]()
    for note in chain(chosen, rest):
        needed[note.chunk] = max(needed[note.chunk], note.tick + 1)
    for chunk, end in told.items():
        line, _ = lines(end)
        rings_only = line > 0 and end - line <= overhang and needed[chunk] <= line
        ends[chunk] = line if rings_only else lines(max(end, needed[chunk]))[1]
    played = {note.chunk for note in chosen}
    longest = max(ends[chunk] if chunk in played else end for chunk, end in told.items())
    last = max(ends[chunk] for chunk, end in told.items() if chunk in played or end == longest)
    moves = {chunk for chunk, end in told.items() if chunk in played or end == longest or end > last}
    return {chunk: ends[chunk] if chunk in moves else end for chunk, end in told.items()}


def _give_ends(found: list[Placed], row: Sequence[int]) -> None:
    """Where a note that is never ended starts in one that is, the end is its own: the other one starts it again."""
    for index, following in pairwise(row):
        each, after = found[index], found[following]
        has_end = each.note.off is not None or each.end_tick != each.note.end_tick
        if has_end and after.note.off is None and after.note.on != NEW and each.tick < after.tick < each.end_tick:
            found[following] = replace(after, end_tick=each.end_tick)


def _before(each: Placed, following: Placed | None, end_tick: int) -> Placed:
    """A note that ends before the next of its pitch starts, and when its track does at the latest."""
    if following is None:
        return replace(each, end_tick=end_tick) if each.end_tick > end_tick else each
    last, note, other = min(end_tick, following.tick), each.note, following.note
    if last == following.tick > each.tick + 1 and note.chunk > other.chunk:
        last -= 1  # players read track by track: the end would come behind the start
    end = min(each.end_tick, last)
    late = note.chunk == other.chunk and NEW != other.on < (note.off or 0)
    early = end == following.tick and late and not (each.moved or following.moved)
    return each if end == each.end_tick and not early else replace(each, end_tick=end, early=early)


def _changes(placed: Placed, track: Track) -> Iterator[Change]:
    """What becomes of a note's events; nothing where it stays.

    At its new tick a moved note starts after what is there and ends before it: a note that ends where the next of
    its pitch starts does not end that one.
    """
    note, moved, channel = placed.note, placed.moved, placed.note.channel - 1
    off = NEW if note.off is None else note.off
    if moved or placed.velocity != note.velocity:
        start = bytes((0x90 | channel, note.pitch, placed.velocity))
        yield _change(track, placed.tick, int(moved), note.on, start)
    if moved or placed.early or placed.end_tick != note.end_tick or off == NEW:
        end = bytes((0x80 | channel, note.pitch, 0)) if off == NEW else track.raw(off)
        yield _change(track, placed.end_tick, -1 if placed.end_tick > placed.tick else 1, off, end)
    if moved:
        for each in note.pedals:
            yield _change(track, placed.tick, 1, each, track.raw(each))


def _change(track: Track, tick: int, rank: int, index: int, raw: bytes) -> Change:
    """An event in place of another: before all at its tick (-1), after them (1), or where that one was (0)."""
    before = index if rank == 0 else track.before(tick) if rank < 0 else track.behind(tick)
    return before, 0, tick, rank, index, raw


def _text(track: Track, text: str) -> Change:
    """A text behind the meta events that open a track."""
    opening = takewhile(lambda each: each.status == META and not (each.tick or each.is_meta(END_OF_TRACK)), track)
    event = meta(TEXT, text.encode())
    return sum(1 for _ in opening), 0, 0, 0, NEW, bytes((META,)) + event.data


def spliced(track: Track, gone: Iterable[int], changes: Sequence[Change], end_tick: int) -> Track:
    """The track without some events and with others, ended at a tick."""
    left_out = {*gone, *(each[4] for each in changes)} - {NEW}
    if not (left_out or changes or track[-1].tick != end_tick):
        return track
    cuts = sorted([*changes, *((index, 1, 0, 0, index, b"") for index in left_out)])
    writer, at, last = Writer(), 0, min(len(track) - 1, track.behind(end_tick))  # behind it are ends of nothing
    for before, is_left_out, tick, _, _, raw in cuts:
        if at < before:
            writer.copy(track, at, min(before, last))
            at = before
        if is_left_out:
            at = before + 1
        else:
            writer.put(tick, raw)
    writer.copy(track, at, last)
    return writer.track(end_tick)


def finer(midi: MidiBytes, factor: int) -> MidiBytes:
    """The same file in ticks of which so many make one."""
    tracks = {
        chunk: written((replace(each, tick=each.tick * factor) for each in track), track[-1].tick * factor)
        for chunk, track in midi.tracks.items()
    }
    return replace(midi.with_tracks(tracks), ticks_per_beat=midi.ticks_per_beat * factor)
