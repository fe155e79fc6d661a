"""Clips of several parts and MIDI files: notes go onto their part's track, new parts onto new tracks."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from engine.clip import Clip, Note, Part
from engine.midi.events import MidiBytes, track_chunk
from engine.midi.moving import apart, as_it_is, rewritten, track_ends
from engine.midi.notes import DRUM_CHANNEL, FileNote, Instrument, instruments
from engine.midi.song import MidiSong, in_file_order
from engine.midi.track import TRACK_NAME, Event, Track, meta, written


def with_parts(song: MidiSong, clip: Clip, *, remark: str = "") -> MidiBytes:
    """The file with the notes of a clip's parts: those that are in it stay as they are, all other parts as well.

    A part that the file has not gets a track at its end, on a channel that no other notes are on.
    """
    midi, own = song.midi, song.clip_in_parts
    chosen = in_file_order(song.passages)
    left = list(zip(own.parts, instruments(midi, chosen), strict=True))
    taken = {note.channel for note in (*chosen, *song.rest)}
    gone, stay, new = list[FileNote](), list(song.rest), list[FileNote]()
    for part in clip.parts:
        notes = clip.notes[part.first : part.first + part.count]
        place = next((k for k, (known, _) in enumerate(left) if _same(known, part)), None)
        if place is None:
            home, fresh, channel = len(midi.chunks), list(notes), _free(part.channel, taken)
            taken.add(channel)
            head = track_chunk(_head(replace(part, channel=channel)))
            midi = replace(midi, kind=1, chunks=(*midi.chunks, head))
        else:
            known, instrument = left.pop(place)
            home = Counter(note.chunk for note in instrument.notes).most_common(1)[0][0]
            channel = instrument.channel
            fresh = _left_over(own, known, instrument, notes, gone, stay)
        new += [song.new_note(note, home, channel) for note in fresh if not note.mute]
    if not (new or gone or remark):
        return song.midi
    stay += [note for _, instrument in left for note in instrument.notes]
    ends = track_ends(midi, [*new, *gone], stay)
    return rewritten(midi, apart([as_it_is(each) for each in (*stay, *new)], ends), ends, gone, remark=remark)


def followed_by(clip: Clip, other: Clip) -> Clip:
    """The clip with the notes of another behind its last bar, part by part; new parts come last."""
    begin, left = clip.bars * clip.beats_per_bar, list(other.parts)
    notes: list[Note] = []
    parts: list[Part] = []
    for part in (*clip.parts, *(new for new in other.parts if not any(_same(new, each) for each in clip.parts))):
        is_own = len(parts) < len(clip.parts)
        own = clip.notes[part.first : part.first + part.count] if is_own else ()
        later = next((each for each in left if _same(each, part)), None)
        if later is not None:
            left.remove(later)
            added = other.notes[later.first : later.first + later.count]
            own = (*own, *(replace(note, start_beats=begin + note.start_beats) for note in added))
        parts.append(replace(part, first=len(notes), count=len(own)))
        notes += own
    return replace(
        clip, notes=tuple(notes), parts=tuple(parts), length_beats=begin + other.length_beats, origin=None
    )


def are_alike(clip: Clip, other: Clip) -> bool:
    """Whether a clip has parts, and another the same ones and its length, so that it can take its place."""
    pairs = zip(clip.parts, other.parts, strict=False)
    as_many = len(clip.parts) == len(other.parts) > 0 and clip.length_beats == other.length_beats
    return as_many and all(_same(known, part) for known, part in pairs)


def made_since(clip: Clip, made: Clip, since: float) -> Clip:
    """What was made of some parts from a beat of a clip on, in its place; what they play before it stays."""
    notes: list[Note] = []
    parts: list[Part] = []
    for part in made.parts:
        known = next((each for each in clip.parts if _same(each, part)), replace(part, count=0))
        before = [n for n in clip.notes[known.first : known.first + known.count] if n.start_beats < since]
        own = made.notes[part.first : part.first + part.count]
        parts.append(replace(part, first=len(notes), count=len(before) + len(own)))
        notes += [*before, *(replace(note, start_beats=since + note.start_beats) for note in own)]
    return replace(clip, notes=tuple(notes), parts=tuple(parts), origin=None)


def _free(wanted: int, taken: Collection[int]) -> int:
    """A channel for a new part; drums are on theirs, whoever else is."""
    voices = (channel for channel in (wanted, *range(1, 17)) if channel not in (*taken, DRUM_CHANNEL))
    return wanted if wanted == DRUM_CHANNEL else next(voices, wanted)


def _same(known: Part, part: Part) -> bool:
    return (known.name, known.channel, known.program) == (part.name, part.channel, part.program)


def _left_over(
    own: Clip,
    known: Part,
    instrument: Instrument,
    notes: Iterable[Note],
    gone: list[FileNote],
    stay: list[FileNote],
) -> list[Note]:
    """The notes that a part does not have yet; those that it has stay or are gone."""
    left = Counter(notes)
    for place, note in zip(instrument.notes, own.notes[known.first : known.first + known.count], strict=True):
        (stay if left[note] > 0 else gone).append(place)
        left[note] -= left[note] > 0
    return list(left.elements())


def _head(part: Part) -> Track:
    """A track with nothing but a part's name and program."""
    program = [] if part.channel == DRUM_CHANNEL else [Event(0, 0xC0 | part.channel - 1, bytes([part.program]))]
    return written([meta(TRACK_NAME, part.name.encode()), *program], 0)
