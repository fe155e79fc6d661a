"""Clips that every representation can hold, and what they are as the notes of the original's NoteSequence."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from engine.clip import Clip, Note, Part
from engine.representation.kits import GENERAL_MIDI_PITCHES

Notes = list[dict[str, Any]]

DRUM_PITCHES = [pitches[0] for pitches in GENERAL_MIDI_PITCHES]
SECONDS_PER_BEAT = 0.5
"""magenta.js writes 120 bpm."""


def melody(bars: int, seed: int, lowest: int = 50) -> list[Note]:
    """One voice with rests, on sixteenths."""
    random, notes, step = np.random.default_rng(seed), [], 0
    while step < 16 * bars - 8:
        start, length = step + int(random.integers(0, 3)), int(random.integers(1, 6))
        notes.append(Note(lowest + int(random.integers(0, 20)), start / 4, length / 4, 80))
        step = start + length
    return notes


def drums(bars: int, seed: int) -> list[Note]:
    """Hits of all nine classes, on sixteenths."""
    steps, classes = np.nonzero(np.random.default_rng(seed).random((16 * bars, 9)) < 0.2)
    return [Note(DRUM_PITCHES[each], step / 4, 0.25, 100) for step, each in zip(steps, classes, strict=True)]


def groove(bars: int, seed: int) -> list[Note]:
    """Hits of all velocities, early and late."""
    random = np.random.default_rng(seed)
    starts = random.uniform(-0.1, 0.1, 18 * 16 * bars)
    return [
        Note(note.pitch, max(0.0, note.start_beats + float(late)), 0.25, int(random.integers(1, 128)))
        for note, late in zip(drums(bars, seed), starts, strict=False)
    ]


def band(seed: int) -> Clip:
    """A bar of three instruments on a grid of 24 steps a beat, with velocities."""
    random = np.random.default_rng(seed)
    tracks = [(Part("bass", 2, 33, 0, 0), 12), (Part("piano", 1, 4, 0, 0), 9), (Part("drums", 10, 0, 0, 0), 8)]
    notes: list[Note] = []
    parts = []
    for part, count in tracks:
        parts.append(Part(part.name, part.channel, part.program, len(notes), count))
        starts = sorted(random.choice(80, count, replace=False).tolist())
        notes += [
            Note(36 + 2 * index, start / 24, int(random.integers(1, 12)) / 24, int(random.integers(1, 128)))
            for index, start in enumerate(starts)
        ]
    return Clip(tuple(notes), 4.0, parts=tuple(parts))


def clip_of(kind: str, bars: int, seed: int = 5) -> Clip:
    """A clip for a representation."""
    if kind == "multitrack":
        return band(seed)
    if kind == "trio":
        tracks = [melody(bars, seed, 60), melody(bars, seed + 1, 30), drums(bars, seed + 2)]
        return _joined(tracks, [("melody", 1, 0), ("bass", 2, 33), ("drums", 10, 0)], bars)
    makers = {"melody": melody, "drums": drums, "groove": groove}
    return Clip(tuple(makers[kind](bars, seed)), 4.0 * bars)


def sequence_of(clip: Clip, *, drums: bool, steps_per_beat: int = 4) -> Notes:
    """A clip as the quantised notes of a NoteSequence; drums: those of a clip without parts are."""
    parts = clip.parts or (Part("", 10 if drums else 1, 0, 0, len(clip.notes)),)
    return [
        {
            "pitch": note.pitch,
            "velocity": note.velocity,
            "quantizedStartStep": round(note.start_beats * steps_per_beat),
            "quantizedEndStep": round((note.start_beats + note.duration_beats) * steps_per_beat),
            "isDrum": part.channel == 10,
            "program": part.program,
            "instrument": number,
        }
        for number, part in enumerate(parts)
        for note in clip.notes[part.first : part.first + part.count]
    ]


def timed_sequence_of(clip: Clip) -> Notes:
    """A groove as notes in seconds."""
    return [
        {
            "pitch": note.pitch,
            "velocity": note.velocity,
            "startTime": note.start_beats * SECONDS_PER_BEAT,
            "endTime": (note.start_beats + note.duration_beats) * SECONDS_PER_BEAT,
            "isDrum": True,
        }
        for note in clip.notes
    ]


def _joined(tracks: Iterable[list[Note]], names: Iterable[tuple[str, int, int]], bars: int) -> Clip:
    notes: list[Note] = []
    parts = []
    for track, (name, channel, program) in zip(tracks, names, strict=True):
        parts.append(Part(name, channel, program, len(notes), len(track)))
        notes += track
    return Clip(tuple(notes), 4.0 * bars, parts=tuple(parts))
