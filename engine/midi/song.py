"""Songs in MIDI files, edited in place: a clip for each section of one meter.

Knows nothing of models. track.py and events.py know the bytes, notes.py and meters.py what is music in them.
"""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from engine.clip import EARLIEST_START_BEATS, Clip, Note, Part
from engine.errors import MidiFileError
from engine.midi.choice import choose, kit
from engine.midi.clips import TICKS_PER_BEAT, ticks
from engine.midi.events import MidiBytes, parse_midi
from engine.midi.files import read_midi
from engine.midi.meters import Section, bar_lines, sections
from engine.midi.moving import Placed, apart, as_it_is, finer, rewritten, track_ends
from engine.midi.notes import DRUM_CHANNEL, NEW, FileNote, instruments
from engine.midi.track import LONGEST_WAIT

COARSEST_TICKS_PER_BEAT = 192
"""Coarser ticks swallow what is played: one is more than 2.6 ms at 120 bpm."""

ON_TICK = 1e-6

LONGEST_SILENCE_BARS = 64
"""A longer one parts two passages."""

LONGEST_PIECE_BARS = 4096
"""Of a passage, which is decoded whole."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The notes of one section, and the clip they are; note i of the clip is notes[i]."""

    section: Section
    notes: tuple[FileNote, ...]
    clip: Clip

    def finer(self, factor: int) -> "Passage":
        """The same in ticks of which so many make one."""
        start, end = self.section.tick * factor, self.section.end_tick * factor
        notes = tuple(_finer(note, factor) for note in self.notes)
        return replace(self, section=replace(self.section, tick=start, end_tick=end), notes=notes)


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A MIDI file whose chosen notes can be played anew while everything else stays as it is: rest are other notes.

    are_drums: None where neither channel, name, program nor pitches tell. remarks: what was wrong with the file,
    and which of its notes were chosen, where that is not plain.
    """

    midi: MidiBytes
    passages: tuple[Passage, ...]
    rest: tuple[FileNote, ...] = ()
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
        return _clip(self.midi, replace(longest.section, tick=0), in_file_order(self.passages))

    @property
    def clip_in_parts(self) -> Clip:
        """The same, its notes by instrument, each a part; drums are on channel 10, wherever the file has them."""
        found = instruments(self.midi, in_file_order(self.passages))
        drums = [id(each) for each in kit(found)]
        longest = max(self.passages, key=lambda passage: len(passage.notes))
        notes = [note for each in found for note in each.notes]
        firsts = accumulate((len(each.notes) for each in found), initial=0)
        parts = tuple(
            Part(each.name, DRUM_CHANNEL, 0, first, len(each.notes))
            if id(each) in drums
            else Part(each.name, each.channel, each.program, first, len(each.notes))
            for each, first in zip(found, firsts, strict=False)
        )
        return replace(_clip(self.midi, replace(longest.section, tick=0), notes), parts=parts)

    def with_clips(self, clips: Sequence[Clip], *, remark: str = "") -> MidiBytes:
        """The file with those notes' starts and velocities, and a text that says how they came about.

        A note's end and a hat's pedal move with its start; one that would start before the file starts at tick 0. A
        note ends where its pitch starts again, and with its track, which ends on a bar line; offs that end nothing
        are left out, ends that are missing come. Where there is nothing to change the file is as it was.
        """
        placed, ends = self._placed(clips)
        same = all((each.tick, each.velocity) == (each.note.tick, each.note.velocity) for each in placed)
        if same and not remark:
            return self.midi
        return rewritten(self.midi, placed, ends, remark=remark)

    def as_written(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """The clips as with_clips writes them: in ticks, and none before the file starts."""
        placed, shown, per_beat = iter(self._placed(clips)[0]), [], self.midi.ticks_per_beat
        for passage, clip in zip(self.passages, clips, strict=True):
            starts = ((next(placed).tick - passage.section.tick) / per_beat for _ in clip.notes)
            notes = (replace(note, start_beats=start) for note, start in zip(clip.notes, starts, strict=True))
            shown.append(clip.with_notes(tuple(notes)))
        return tuple(shown)

    def fine_enough(self, clips: Sequence[Clip]) -> "MidiSong":
        """The song itself, or, where its ticks are too coarse for the starts, the same in finer ones."""
        per_beat = self.midi.ticks_per_beat
        starts = (note.start_beats * per_beat for clip in clips for note in clip.notes)
        if per_beat >= COARSEST_TICKS_PER_BEAT or all(abs(start - round(start)) < ON_TICK for start in starts):
            return self
        factor = -(-TICKS_PER_BEAT // per_beat)
        if factor * max(track.longest_wait for track in self.midi.tracks.values()) > LONGEST_WAIT:
            return self
        passages = tuple(each.finer(factor) for each in self.passages)
        rest = tuple(_finer(note, factor) for note in self.rest)
        return replace(self, midi=finer(self.midi, factor), passages=passages, rest=rest)

    def _placed(self, clips: Sequence[Clip]) -> tuple[list[Placed], dict[int, int]]:
        """Where each note comes to lie, the chosen ones first, in the order of the passages; where tracks end."""
        chosen = [note for passage in self.passages for note in passage.notes]
        ends = track_ends(self.midi, chosen, self.rest)
        moved = [
            Placed(place, tick, tick + place.end_tick - place.tick, note.velocity)
            for passage, clip in zip(self.passages, clips, strict=True)
            for place, note in zip(passage.notes, clip.notes, strict=True)
            for wish in [passage.section.tick + round(note.start_beats * self.midi.ticks_per_beat)]
            for tick in [min(max(0, wish), ends[place.chunk] - 1)]
        ]
        return apart([*moved, *map(as_it_is, self.rest)], ends), ends

    def with_notes(self, clip: Clip, *, remark: str = "") -> MidiBytes:
        """The file with the notes of a clip in place of the chosen ones: one that is among these stays as it is.

        Others come onto the track and the channel that most of the chosen ones are on, which lasts as long as the
        clip.
        """
        places, left = in_file_order(self.passages), Counter(clip.notes)
        gone, stay = list[FileNote](), list[FileNote]()
        for place, note in zip(places, self.clip.notes, strict=True):
            (stay if left[note] > 0 else gone).append(place)
            left[note] -= left[note] > 0
        [((home, channel), _)] = Counter((place.chunk, place.channel) for place in places).most_common(1)
        new = [self.new_note(note, home, channel) for note in left.elements() if not note.mute]
        ends = track_ends(self.midi, [*places, *new], self.rest)
        length = ticks(clip.bars * clip.beats_per_bar, self.midi.ticks_per_beat)
        ends[home] = max(ends[home], bar_lines(self.midi)(length)[1])
        if not (new or gone or remark):
            return self.midi
        placed = apart([as_it_is(each) for each in (*stay, *new, *self.rest)], ends)
        return rewritten(self.midi, placed, ends, gone, remark=remark)

    def new_note(self, note: Note, chunk: int, channel: int) -> FileNote:
        """A note of a clip from the file's start, to come onto a track."""
        per_beat = self.midi.ticks_per_beat
        start, end = (
            ticks(beats, per_beat) for beats in (note.start_beats, note.start_beats + note.duration_beats)
        )
        return FileNote(chunk, NEW, None, start, max(start + 1, end), channel, note.pitch, note.velocity)


def load_song(path: Path, *, track: str | None = None, channel: int | None = None, drums: bool = True) -> MidiSong:
    """The song in a file, around the notes of a track (a name, or a number from 1) and of a channel.

    Where neither is given: the drums, where they are wanted and found, else all. MidiFileError if there is
    nothing to play.
    """
    midi = read_midi(path)
    try:
        return song_of(midi, track=track, channel=channel, drums=drums)
    except MidiFileError as error:
        raise MidiFileError(f"{path} cannot be played: {error}") from error


def parse_song(
    content: bytes, *, track: str | None = None, channel: int | None = None, drums: bool = True
) -> MidiSong:
    """The song in the bytes of a file."""
    return song_of(parse_midi(content), track=track, channel=channel, drums=drums)


def song_of(
    midi: MidiBytes, *, track: str | None = None, channel: int | None = None, drums: bool = True
) -> MidiSong:
    """The song in a file that has been read."""
    try:
        choice = choose(midi, track, channel, drums=drums)
    except MidiFileError as error:
        raise MidiFileError("; ".join((str(error), *midi.faults))) from error
    parts = sections(midi, max(note.tick for note in choice.notes) + _early_ticks(midi) + 1)
    remarks = (*midi.faults, *filter(None, [choice.remark]))
    return MidiSong(midi, tuple(_passages(midi, parts, choice.notes)), choice.rest, choice.are_drums, remarks)


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


def _passages(midi: MidiBytes, parts: Sequence[Section], notes: Iterable[FileNote]) -> Iterable[Passage]:
    """The notes by section; a hit up to half a step early belongs to the bar line it leads to."""
    ticks = [part.tick for part in parts]
    found: defaultdict[int, list[FileNote]] = defaultdict(list)
    early = _early_ticks(midi)
    for note in notes:
        found[bisect_right(ticks, note.tick + early) - 1].append(note)
    for index in sorted(found):
        for section, group in _in_pieces(midi, parts[index], found[index]):
            yield Passage(section, tuple(group), _clip(midi, section, group))


def _in_pieces(
    midi: MidiBytes, section: Section, notes: Sequence[FileNote]
) -> Iterable[tuple[Section, list[FileNote]]]:
    """The notes of a section, cut at bar lines: behind long silences, which then cost nothing, and where long."""
    bar_ticks = section.beats_per_bar * midi.ticks_per_beat
    first = section.tick - _early_ticks(midi)
    bars = [max(0, math.floor((note.tick - first) / bar_ticks)) for note in notes]
    begins, before = [0], 0
    for bar in sorted(set(bars)):
        if bar - before > LONGEST_SILENCE_BARS or bar - begins[-1] >= LONGEST_PIECE_BARS:
            begins.append(bar)
        before = bar
    groups: defaultdict[int, list[FileNote]] = defaultdict(list)
    for note, at in zip(notes, bars, strict=True):
        groups[begins[bisect_right(begins, at) - 1]].append(note)
    for bar in sorted(groups):
        yield replace(section, tick=section.tick + round(bar * bar_ticks)), groups[bar]


def _early_ticks(midi: MidiBytes) -> int:
    """How many ticks before its first bar line a clip may start."""
    return math.floor(-EARLIEST_START_BEATS * midi.ticks_per_beat)


def in_file_order(passages: Sequence[Passage]) -> list[FileNote]:
    """All notes of passages, track by track, by their note on."""
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


def _finer(note: FileNote, factor: int) -> FileNote:
    """The same in ticks of which so many make one; what has no length sounds for one of the old ticks."""
    end = max(note.end_tick, note.tick + 1)
    return replace(note, tick=note.tick * factor, end_tick=end * factor)
