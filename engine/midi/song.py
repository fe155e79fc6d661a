"""Clips and MIDI files: a song is edited in place, a clip for each section of one meter; a clip is written anew.

Knows nothing of models. midi_events.py knows the bytes, midi_notes.py what is music in them.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, islice, pairwise
from pathlib import Path

from engine.clip import EARLIEST_START_BEATS, Clip, Note, Part
from engine.errors import MidiFileError
from engine.files import replacing
from engine.midi.choice import choose
from engine.midi.events import (
    END_OF_TRACK,
    HEADER,
    META,
    RIFF,
    SET_TEMPO,
    TEXT,
    TIME_SIGNATURE,
    TRACK_NAME,
    Chunk,
    MidiBytes,
    format_midi,
    meta,
    parse_midi,
)
from engine.midi.moving import Edit, Placed, edited, edits_of, ended, finer, placed_apart, with_others
from engine.midi.notes import DRUM_CHANNEL, FileNote, Section, bar_line, instruments, sections
from engine.midi.packed import Event, packed

TICKS_PER_BEAT = 480
"""The resolution of files that are written anew."""

COARSEST_TICKS_PER_BEAT = 192
"""Coarser ticks swallow what is played: one is more than 2.6 ms at 120 bpm."""

ON_TICK = 1e-6

LONGEST_SILENCE_BARS = 64
"""A longer one parts two passages."""

MOST_BYTES = 2**30
"""More than any song has; a pipe may have no end."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The notes of one section, and the clip they are; note i of the clip is notes[i]."""

    section: Section
    notes: tuple[FileNote, ...]
    clip: Clip


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A MIDI file whose chosen notes can be played anew while everything else stays as it is.

    are_drums: None where neither channel, name, program nor pitches tell. remarks: what was wrong with the file,
    and which of its notes were chosen, where that is not plain.
    """

    midi: MidiBytes
    passages: tuple[Passage, ...]
    are_drums: bool | None = None
    remarks: tuple[str, ...] = ()

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The chosen notes as clips, one for each section of one meter that has any."""
        return tuple(passage.clip for passage in self.passages)

    @property
    def clip(self) -> Clip:
        """The chosen notes as one clip from the file's start, in the meter that has the most of them."""
        longest = max(self.passages, key=lambda passage: len(passage.notes))
        return _clip(self.midi, replace(longest.section, tick=0), _in_file_order(self.passages))

    @property
    def clip_in_parts(self) -> Clip:
        """The same, its notes by instrument, each a part."""
        found = instruments(self.midi, _in_file_order(self.passages))
        longest = max(self.passages, key=lambda passage: len(passage.notes))
        notes = [note for each in found for note in each.notes]
        firsts = accumulate((len(each.notes) for each in found), initial=0)
        parts = tuple(
            Part(each.name, each.channel, each.program, first, len(each.notes))
            for each, first in zip(found, firsts, strict=False)
        )
        return replace(_clip(self.midi, replace(longest.section, tick=0), notes), parts=parts)

    def with_clips(self, clips: Sequence[Clip], *, remark: str = "") -> MidiBytes:
        """The file with those notes' starts and velocities, and a text that says how they came about.

        A note's end, the offs that stand behind it and a hat's pedal move with its start; one that would start
        before the file starts at tick 0. A note ends where its pitch starts again, and none outlasts its bars.
        """
        placed, ends = self._placed(clips)
        edits: defaultdict[int, dict[int, Edit]] = defaultdict(dict)
        for each in placed:
            if each.changed:
                edits[each.note.chunk].update(edits_of(each, self.midi.chunks[each.note.chunk].events))
        chunks = [edited(chunk, edits[at], ends.get(at, 0)) for at, chunk in enumerate(self.midi.chunks)]
        return _remarked(replace(self.midi, chunks=tuple(chunks)), remark)

    def as_written(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """The clips as with_clips writes them: in ticks, and none before the file starts."""
        placed, written = iter(self._placed(clips)[0]), []
        for passage, clip in zip(self.passages, clips, strict=True):
            starts = ((next(placed).tick - passage.section.tick) / self.midi.ticks_per_beat for _ in clip.notes)
            notes = (replace(note, start_beats=start) for note, start in zip(clip.notes, starts, strict=True))
            written.append(clip.with_notes(tuple(notes)))
        return tuple(written)

    def fine_enough(self, clips: Sequence[Clip]) -> "MidiSong":
        """The song itself, or, where its ticks are too coarse for the starts, the same in finer ones."""
        per_beat = self.midi.ticks_per_beat
        starts = (note.start_beats * per_beat for clip in clips for note in clip.notes)
        if per_beat >= COARSEST_TICKS_PER_BEAT or all(abs(start - round(start)) < ON_TICK for start in starts):
            return self
        factor = -(-TICKS_PER_BEAT // per_beat)
        passages = (
            replace(
                each,
                section=replace(
                    each.section, tick=each.section.tick * factor, end_tick=each.section.end_tick * factor
                ),
                notes=tuple(
                    replace(note, tick=note.tick * factor, end_tick=note.end_tick * factor) for note in each.notes
                ),
            )
            for each in self.passages
        )
        return replace(self, midi=finer(self.midi, factor), passages=tuple(passages))

    def _placed(self, clips: Sequence[Clip]) -> tuple[list[Placed], dict[int, int]]:
        """Where each note comes to lie, in the order of the passages, and where each chunk ends at the latest."""
        wanted = [
            (place, passage.section.tick + round(note.start_beats * self.midi.ticks_per_beat), note.velocity)
            for passage, clip in zip(self.passages, clips, strict=True)
            for place, note in zip(passage.notes, clip.notes, strict=True)
        ]
        ends = {chunk: self._end_tick(chunk) for chunk in {place.chunk for place, *_ in wanted}}
        return placed_apart(wanted, ends), ends

    def _end_tick(self, chunk: int, new: Iterable[Note] = ()) -> int:
        """Where a track is to end at the latest: on the bar line that it ends on now, or the next."""
        starts = [_ticks(note.start_beats, self.midi.ticks_per_beat) for note in new]
        starts += [note.tick for passage in self.passages for note in passage.notes if note.chunk == chunk]
        return bar_line(self.midi, max([self.midi.chunks[chunk].events[-1].tick, *(tick + 1 for tick in starts)]))

    def with_notes(self, notes: Iterable[Note], *, remark: str = "") -> MidiBytes:
        """The file with notes of the clip in place of the chosen ones: one that is among these stays as it is.

        Others come onto the track and the channel that most of the chosen ones are on.
        """
        places, left = _in_file_order(self.passages), Counter(notes)
        gone: defaultdict[int, set[int | None]] = defaultdict(set)
        for place, note in zip(places, self.clip.notes, strict=True):
            if left[note] > 0:
                left[note] -= 1
            else:
                gone[place.chunk] |= {place.on, place.off, *place.strays}
        [((home, channel), _)] = Counter((place.chunk, place.channel) for place in places).most_common(1)
        ends = {chunk: self._end_tick(chunk) for chunk in gone} | {home: self._end_tick(home, left.elements())}
        new = list(_note_events(left.elements(), channel, self.midi.ticks_per_beat, end_tick=ends[home]))
        chunks = [
            _exchanged(chunk, gone[index], new if index == home else [], ends.get(index, 0))
            for index, chunk in enumerate(self.midi.chunks)
        ]
        return _remarked(replace(self.midi, chunks=tuple(chunks)), remark)


def load_song(path: Path, *, track: str | None = None, channel: int | None = None, drums: bool = True) -> MidiSong:
    """The song in a file, around the notes of a track (a name, or a number from 1) and of a channel.

    Where neither is given: the drums, where they are wanted and found, else all. MidiFileError if there is
    nothing to play.
    """
    try:
        return parse_song(_read(path), track=track, channel=channel, drums=drums)
    except OSError as error:
        raise MidiFileError(f"{path} cannot be read: {error.strerror}") from error
    except MidiFileError as error:
        raise MidiFileError(f"{path} cannot be played: {error}") from error


def read_midi(path: Path) -> MidiBytes:
    """The events of a file; MidiFileError where it cannot be read."""
    try:
        return parse_midi(_read(path))
    except OSError as error:
        raise MidiFileError(f"{path} cannot be read: {error.strerror}") from error
    except MidiFileError as error:
        raise MidiFileError(f"{path} cannot be played: {error}") from error


def _read(path: Path) -> bytes:
    """The bytes of a file or a pipe; what does not begin as MIDI does is not read on: it might have no end."""
    with path.open("rb") as file:
        content = file.read(len(HEADER))
        if content in (HEADER, RIFF):
            content += file.read(MOST_BYTES)
        if len(content) > MOST_BYTES:
            raise MidiFileError(f"it has more than {MOST_BYTES >> 20} MiB")
    return content


def parse_song(
    content: bytes, *, track: str | None = None, channel: int | None = None, drums: bool = True
) -> MidiSong:
    """The song in the bytes of a file."""
    midi = parse_midi(content)
    if midi.kind == 2:
        raise MidiFileError("it holds independent patterns (type 2); only songs (type 0 and 1) can be played")
    try:
        choice = choose(midi, track, channel, drums=drums)
    except MidiFileError as error:
        raise MidiFileError("; ".join((str(error), *midi.faults))) from error
    parts = sections(midi, max(note.tick for note in choice.notes) + _early_ticks(midi) + 1)
    remarks = (*midi.faults, *filter(None, [choice.remark]))
    return MidiSong(midi, tuple(_passages(midi, parts, choice.notes)), choice.are_drums, remarks)


def clip_from_midi(path: Path, *, track: str | None = None, channel: int | None = None) -> Clip:
    """The chosen notes of a file as one clip."""
    return load_song(path, track=track, channel=channel).clip


def parts_from_midi(path: Path, *, track: str | None = None, channel: int | None = None) -> Clip:
    """The notes of a file as one clip, all of them unless some are chosen; each instrument is a part."""
    return load_song(path, track=track, channel=channel, drums=False).clip_in_parts


def drums_of(clip: Clip) -> Clip:
    """The notes of its drum parts alone, or all where none of its parts is drums; in no part."""
    drums = [part for part in clip.parts if part.channel == DRUM_CHANNEL]
    notes = tuple(note for part in drums for note in clip.notes[part.first : part.first + part.count])
    return replace(clip, notes=notes or clip.notes, parts=(), origin=None)


def clip_to_midi(clip: Clip, path: Path, *, text: str = "") -> None:
    """Write a clip as a new file: its parts on their own tracks, else drums; muted notes are left out."""
    parts = clip.parts or (Part("vaebridge", DRUM_CHANNEL, 0, 0, len(clip.notes)),)
    tracks, end_tick = [_part_events(clip, part) for part in parts], length_ticks(clip)
    head = _head_events(clip, text)
    kind, tracks = (1, [head, *tracks]) if clip.parts else (0, [head + tracks[0]])
    chunks = tuple(
        Chunk(b"MTrk", events=tuple(ended(events, meta(END_OF_TRACK, b"", tick=end_tick), end_tick)))
        for events in tracks
    )
    save_midi(MidiBytes(kind, TICKS_PER_BEAT, chunks), path)


def save_midi(midi: MidiBytes, path: Path) -> None:
    """Write a file whole or not at all: beside its place first, then into it."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise MidiFileError(f"{path} is no file that could be written over")
    try:
        with replacing(path) as beside:
            beside.write_bytes(format_midi(midi))
    except OSError as error:
        raise MidiFileError(f"{path} cannot be written: {error.strerror}") from error


def _passages(midi: MidiBytes, parts: Sequence[Section], notes: Iterable[FileNote]) -> Iterable[Passage]:
    """The notes by section; a hit up to half a step early belongs to the bar line it leads to."""
    ticks = [part.tick for part in parts]
    found: defaultdict[int, list[FileNote]] = defaultdict(list)
    for note in notes:
        found[bisect_right(ticks, note.tick + _early_ticks(midi)) - 1].append(note)
    for index in sorted(found):
        for section, group in _without_silence(midi, parts[index], found[index]):
            yield Passage(section, tuple(group), _clip(midi, section, group))


def _without_silence(
    midi: MidiBytes, section: Section, notes: Sequence[FileNote]
) -> Iterable[tuple[Section, list[FileNote]]]:
    """The notes of a section, cut at bar lines behind long silences, so that these cost nothing."""
    bar_ticks = section.beats_per_bar * midi.ticks_per_beat
    if max(note.tick for note in notes) - section.tick <= LONGEST_SILENCE_BARS * bar_ticks:
        yield section, list(notes)
        return
    bars = [math.floor((note.tick + _early_ticks(midi) - section.tick) / bar_ticks) for note in notes]
    heard = sorted(set(bars))
    begins = [0, *(bar for before, bar in pairwise(heard) if bar - before > LONGEST_SILENCE_BARS)]
    groups: defaultdict[int, list[FileNote]] = defaultdict(list)
    for note, at in zip(notes, bars, strict=True):
        groups[begins[bisect_right(begins, max(0, at)) - 1]].append(note)
    for bar in sorted(groups):
        yield replace(section, tick=section.tick + round(bar * bar_ticks)), groups[bar]


def _early_ticks(midi: MidiBytes) -> int:
    """How many ticks before its first bar line a clip may start."""
    return math.floor(-EARLIEST_START_BEATS * midi.ticks_per_beat)


def _in_file_order(passages: Sequence[Passage]) -> list[FileNote]:
    notes = (note for passage in passages for note in passage.notes)
    return sorted(notes, key=lambda note: (note.chunk, note.on))


def _clip(midi: MidiBytes, section: Section, notes: Sequence[FileNote]) -> Clip:
    """The notes counted from the section's first bar, in whole bars up to the last that starts."""
    per_beat = midi.ticks_per_beat
    heard = tuple(
        Note(
            pitch=note.pitch,
            start_beats=(note.tick - section.tick) / per_beat,
            duration_beats=max(1, note.end_tick - note.tick) / per_beat,
            velocity=note.velocity,
        )
        for note in notes
    )
    last_beats = max(note.start_beats for note in heard)
    bars = math.floor(max(0.0, last_beats) / section.beats_per_bar) + 1
    length_beats = bars * section.beats_per_bar
    return Clip(heard, length_beats, section.beats_per_bar, section.tempo_bpm, beat_unit=section.beat_unit)


def _exchanged(chunk: Chunk, gone: set[int | None], new: list[Event], end_tick: int) -> Chunk:
    """The track without some events and with others: at one tick new ends come first and new starts last."""
    if not gone and not new:
        return chunk
    ranked = [((event.tick, 1 if event.status & 0x10 else -1, number), event) for number, event in enumerate(new)]
    return with_others(chunk, gone, ranked, end_tick)


def _remarked(midi: MidiBytes, remark: str) -> MidiBytes:
    """The file with a text event after the meta events that open its first track."""
    if not remark:
        return midi
    first = next(index for index, chunk in enumerate(midi.chunks) if chunk.events)
    events = midi.chunks[first].events
    at = next(
        (i for i, e in enumerate(events) if e.tick or e.status != META or e.is_meta(END_OF_TRACK)), len(events)
    )
    with_text = chain(events[:at], [meta(TEXT, remark.encode())], islice(events, at, None))
    chunk = replace(midi.chunks[first], events=packed(with_text))
    return replace(midi, chunks=(*midi.chunks[:first], chunk, *midi.chunks[first + 1 :]))


def _ticks(beats: float, per_beat: int = TICKS_PER_BEAT) -> int:
    return max(0, round(beats * per_beat))


def length_ticks(clip: Clip) -> int:
    """The ticks of a clip in a new file: whole bars, those of its length and those that its notes start in."""
    heard = [note.start_beats for note in clip.notes if not note.mute]
    bars = max(clip.bars, math.floor(max(heard, default=0.0) / clip.beats_per_bar + 1e-6) + 1)
    return max(1, _ticks(bars * clip.beats_per_bar))


def _head_events(clip: Clip, text: str) -> list[Event]:
    """Tempo, meter and the text of a new file."""
    microseconds = min(round(60e6 / clip.tempo_bpm), 0xFFFFFF)
    exponents = [clip.beat_unit.bit_length() - 1, *range(2, 7)]
    exponent = next((e for e in exponents if (clip.beats_per_bar * 2**e / 4).is_integer()), 6)
    numerator = min(max(1, round(clip.beats_per_bar * 2**exponent / 4)), 255)
    events = [
        meta(SET_TEMPO, microseconds.to_bytes(3, "big")),
        meta(TIME_SIGNATURE, bytes([numerator, exponent, 24, 8])),
    ]
    return [*events, meta(TEXT, text.encode())] if text else events


def _part_events(clip: Clip, part: Part) -> list[Event]:
    """The name, program and notes of a part; an end comes before a start at the same tick."""
    notes = clip.notes[part.first : part.first + part.count]
    events = _note_events(notes, part.channel, end_tick=length_ticks(clip))
    timed = sorted(events, key=lambda event: (event.tick, event.status))
    is_drums = part.channel == DRUM_CHANNEL
    program = [] if is_drums else [Event(0, 0xC0 | part.channel - 1, bytes([part.program]))]
    return [meta(TRACK_NAME, part.name.encode()), *program, *timed]


def _note_events(
    notes: Iterable[Note], channel: int, per_beat: int = TICKS_PER_BEAT, *, end_tick: int
) -> Iterable[Event]:
    """The start and end of each note that is not muted, apart from the next of its pitch, none after end_tick."""
    heard = sorted((note for note in notes if not note.mute), key=lambda note: note.start_beats)
    later: dict[int, tuple[int, int]] = {}
    for note in reversed(heard):
        start = min(_ticks(note.start_beats, per_beat), end_tick - 1)
        following, latest = later.get(note.pitch, (end_tick, end_tick))
        if start < following:
            latest = following
            later[note.pitch] = (start, latest)
        end = min(max(start + 1, _ticks(note.start_beats + note.duration_beats, per_beat)), latest)
        yield Event(start, 0x90 | channel - 1, bytes([note.pitch, note.velocity]))
        yield Event(end, 0x80 | channel - 1, bytes([note.pitch, 0]))
