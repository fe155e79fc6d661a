"""A clip as a MIDI file of its own."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.clip import Clip, Note, Part
from engine.midi.events import MidiBytes, track_chunk
from engine.midi.files import save_midi
from engine.midi.notes import DRUM_CHANNEL
from engine.midi.track import SET_TEMPO, TEXT, TIME_SIGNATURE, TRACK_NAME, Event, meta, written

TICKS_PER_BEAT = 480
"""The resolution of files that are written anew."""


def clip_to_midi(clip: Clip, path: Path, *, text: str = "") -> None:
    """Write a clip as a new file."""
    save_midi(clip_as_midi(clip, text=text), path)


def clip_as_midi(clip: Clip, *, text: str = "") -> MidiBytes:
    """A new file of a clip: its parts on their own tracks, else drums; muted notes are left out."""
    parts = clip.parts or (Part("vaebridge", DRUM_CHANNEL, 0, 0, len(clip.notes)),)
    tracks, end_tick = [_part_events(clip, part) for part in parts], length_ticks(clip)
    head = _head_events(clip, text)
    kind, tracks = (1, [head, *tracks]) if clip.parts else (0, [head + tracks[0]])
    return MidiBytes(kind, TICKS_PER_BEAT, tuple(track_chunk(written(each, end_tick)) for each in tracks))


def length_ticks(clip: Clip) -> int:
    """The ticks of a clip in a new file: whole bars, those of its length and those that its notes start in."""
    heard = [note.start_beats for note in clip.notes if not note.mute]
    numerator, exponent = _meter(clip)
    bar_beats = numerator * 4 / 2**exponent
    length, start = clip.bars * clip.beats_per_bar / bar_beats, max(heard, default=0.0) / bar_beats
    return max(1, ticks(max(math.ceil(length - 1e-6), math.floor(start + 1e-6) + 1) * bar_beats))


def ticks(beats: float, per_beat: int = TICKS_PER_BEAT) -> int:
    """The tick nearest to a beat, none before the start."""
    return max(0, round(beats * per_beat))


def _head_events(clip: Clip, text: str) -> list[Event]:
    """Tempo, meter and the text of a new file."""
    microseconds = min(round(60e6 / clip.tempo_bpm), 0xFFFFFF)
    events = [
        meta(SET_TEMPO, microseconds.to_bytes(3, "big")),
        meta(TIME_SIGNATURE, bytes([*_meter(clip), 24, 8])),
    ]
    return [*events, meta(TEXT, text.encode())] if text else events


def _meter(clip: Clip) -> tuple[int, int]:
    """The numerator and the power of 2 of the meter of a new file, which is the clip's or next to it."""
    exponents = [clip.beat_unit.bit_length() - 1, *range(2, 8)]
    exponent = next((e for e in exponents if (clip.beats_per_bar * 2**e / 4).is_integer()), 6)
    return min(max(1, round(clip.beats_per_bar * 2**exponent / 4)), 255), exponent


def _part_events(clip: Clip, part: Part) -> list[Event]:
    """The name, program and notes of a part; an end comes before a start at the same tick."""
    notes = clip.notes[part.first : part.first + part.count]
    events = _note_events(notes, part.channel, end_tick=length_ticks(clip))
    timed = sorted(events, key=lambda event: (event.tick, event.status))
    is_drums = part.channel == DRUM_CHANNEL
    program = [] if is_drums else [Event(0, 0xC0 | part.channel - 1, bytes([part.program]))]
    return [meta(TRACK_NAME, part.name.encode()), *program, *timed]


def _note_events(notes: Iterable[Note], channel: int, *, end_tick: int) -> Iterator[Event]:
    """The start and end of each note that is not muted, apart from the next of its pitch, none after end_tick."""
    heard = sorted((note for note in notes if not note.mute), key=lambda note: note.start_beats)
    later: dict[int, tuple[int, int]] = {}
    for note in reversed(heard):
        start = min(ticks(note.start_beats), end_tick - 1)
        following, latest = later.get(note.pitch, (end_tick, end_tick))
        if start < following:
            latest = following
            later[note.pitch] = (start, latest)
        end = min(max(start + 1, ticks(note.start_beats + note.duration_beats)), latest)
        yield Event(start, 0x90 | channel - 1, bytes([note.pitch, note.velocity]))
        yield Event(end, 0x80 | channel - 1, bytes([note.pitch, 0]))
