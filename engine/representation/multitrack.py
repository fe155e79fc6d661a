"""A bar of a band as up to eight tracks of 64 tokens each, from a vocabulary of 490.

A track is a program token, then events, then END, padded with ABSENT; an unused track is END and padding. Tracks
are sorted by program, drums last. 24 steps a quarter note; a note that crosses the bar line ends there. Source:
Simon et al. 2018, arXiv 1806.00195; MultitrackConverter of @magenta/music 1.23.1.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, takewhile

import numpy as np
from numpy.typing import NDArray

from engine.clip import Clip, Note, Part
from engine.errors import ClipError
from engine.midi.notes import DRUM_CHANNEL
from engine.representation.drum_map import DrumMap
from engine.representation.tokens import (
    BEATS_PER_BAR,
    GridNotes,
    Reading,
    Tokens,
    check_meter,
    grid_notes,
    inside,
    is_drums,
    notes_of,
    remark,
)

GRID_STEPS_PER_BEAT = 24
BAR = BEATS_PER_BAR * GRID_STEPS_PER_BEAT
TRACKS, EVENTS = 8, 64
MOST_NOTES = (EVENTS - 2) // 2
"""The most notes of a track in a bar: each takes at least a note on and a note off."""

NOTE_ON = 0
NOTE_OFF = 128
TIME_SHIFT = 256
VELOCITY = TIME_SHIFT + BAR
PROGRAM = VELOCITY + 8
DRUMS = PROGRAM + 128
END = DRUMS + 1
ABSENT = -1
"""NOTE_ON + pitch, NOTE_OFF + pitch, TIME_SHIFT + steps - 1, VELOCITY + bin, PROGRAM + program."""

VELOCITY_BIN = 16
LOUDEST_BIN = 7
"""A track starts with the loudest bin; a bin is played with its lowest velocity, 1 + 16·bin."""


@dataclass(frozen=True, slots=True)
class BandTrack:
    """What one instrument plays; a step is a 24th of a beat. program 0..127."""

    program: int
    is_drum: bool
    notes: GridNotes

    def in_bar(self, bar: int) -> "BandTrack":
        """The notes that start in a bar, counted from its start."""
        here = self.notes[self.notes.first // BAR == bar]
        first, end = here.first - bar * BAR, np.minimum(here.end - bar * BAR, BAR)
        return BandTrack(self.program, self.is_drum, GridNotes(first, end, here.pitch, here.velocity))


class Multitrack:
    """Up to eight instruments, with velocities."""

    name = "multitrack"
    sizes = (END + 1,)
    steps_per_bar = TRACKS * EVENTS

    def clip_to_tokens(self, clip: Clip, drum_map: DrumMap) -> Reading:
        """Each part is a track; a clip without parts is one, a piano."""
        check_meter(self.name, clip)
        parts = clip.parts or (Part("piano", 1, 0, 0, len(clip.notes)),)
        tracks, remarks = _read_parts(clip, parts)
        if not tracks:
            raise ClipError("a multitrack model needs a clip with at least one note that sounds")
        bars = [fitting_bar([track.in_bar(bar) for track in tracks]) for bar in range(clip.bars)]
        dense = sum(left_out for _, left_out in bars)
        remarks += remark(f"notes that do not fit into {EVENTS - 2} events a bar are left out", dense)
        return Reading(np.concatenate([tokens for tokens, _ in bars])[:, None], remarks)

    def tokens_to_clip(self, tokens: Tokens, drum_map: DrumMap, *, tempo_bpm: float = 120.0) -> Clip:
        """A part for each track; the n-th track of a program is the same part in every bar."""
        found: defaultdict[tuple[bool, int, int], list[Note]] = defaultdict(list)
        bars = tokens[:, 0].reshape(-1, TRACKS, EVENTS)
        for bar, tracks in enumerate(bars.tolist()):
            like: defaultdict[tuple[bool, int], int] = defaultdict(int)
            for events in tracks:
                is_drum, program, notes = track_notes(events, bar)
                if notes:
                    found[is_drum, program, like[is_drum, program]] += notes
                    like[is_drum, program] += 1
        return _clip(found, len(bars) * float(BEATS_PER_BAR), tempo_bpm)


def _read_parts(clip: Clip, parts: Sequence[Part]) -> tuple[list[BandTrack], tuple[str, ...]]:
    """The parts that sound as tracks in the published order; of more than eight those with the most notes."""
    tracks, late = [], 0
    for part in parts:
        sounding = grid_notes(notes_of(clip, part), GRID_STEPS_PER_BEAT)
        notes, _ = inside(sounding, clip.bars * BAR)
        late += len(sounding) - len(notes)
        if len(notes):
            tracks.append(BandTrack(0 if is_drums(part) else part.program, is_drums(part), apart(notes)))
    fullest = sorted(range(len(tracks)), key=lambda index: -len(tracks[index].notes))[:TRACKS]
    remarks = remark("notes that start at the clip's end or later are left out", late)
    remarks += remark(f"parts beyond the {TRACKS} with the most notes are left out", len(tracks) - len(fullest))
    return band_order(tracks[index] for index in sorted(fullest)), remarks


def band_order(tracks: Iterable[BandTrack]) -> list[BandTrack]:
    """By program, drums last."""
    return sorted(tracks, key=lambda track: (track.is_drum, track.program))


def apart(notes: GridNotes) -> GridNotes:
    """Notes without overlap on a pitch: each ends at the next of its pitch; of equal starts the longest is kept.

    Sorted by start and pitch.
    """
    ordered = notes[np.lexsort((-notes.end, notes.first, notes.pitch))]
    same = np.diff(ordered.pitch, append=-1) == 0
    ordered.end[same] = np.minimum(ordered.end[same], np.roll(ordered.first, -1)[same])
    single = ordered[ordered.end > ordered.first]
    return single[np.lexsort((single.pitch, single.first))]


def fitting_bar(tracks: Sequence[BandTrack]) -> tuple[Tokens, int]:
    """A bar of at most eight tracks as [512], and how many of their last notes did not fit in."""
    written, left_out = [], 0
    for track in tracks:
        notes = track.notes[np.arange(min(len(track.notes), MOST_NOTES))]
        left_out += len(track.notes) - len(notes)
        while len(notes) and len(played := track_events(notes)) > EVENTS - 2:
            notes = notes[np.arange(len(notes) - 1)]
            left_out += 1
        if len(notes):
            written.append((track, played))
    return bar_tokens(written), left_out


def bar_tokens(tracks: Sequence[tuple[BandTrack, list[int]]]) -> Tokens:
    """At most eight tracks with at most 62 events each as [512]."""
    tokens = np.full((TRACKS, EVENTS), ABSENT, np.int64)
    tokens[len(tracks) :, 0] = END
    for row, (track, played) in zip(tokens, tracks, strict=False):
        events = [DRUMS if track.is_drum else PROGRAM + track.program, *played, END]
        row[: len(events)] = events
    return tokens.reshape(-1)


def track_events(notes: GridNotes) -> list[int]:
    """The notes of a bar as events; at one step what ends comes before what starts."""
    first, end, pitch = notes.first.tolist(), notes.end.tolist(), notes.pitch.tolist()
    loudness = ((notes.velocity - 1) // VELOCITY_BIN).tolist()
    timed = sorted([(step, 1, i) for i, step in enumerate(first)] + [(step, 0, i) for i, step in enumerate(end)])
    events, now, bin_now = [], 0, LOUDEST_BIN
    for step, starts, index in timed:
        if step > now:
            events.append(TIME_SHIFT + step - now - 1)
            now = step
        if starts and loudness[index] != bin_now:
            bin_now = loudness[index]
            events.append(VELOCITY + bin_now)
        events.append((NOTE_ON if starts else NOTE_OFF) + pitch[index])
    if now < BAR:
        events.append(TIME_SHIFT + BAR - now - 1)
    return events


def track_notes(events: Sequence[int], bar: int) -> tuple[bool, int, list[Note]]:
    """A track's tokens -> whether it is drums, its program, its notes. Any tokens are accepted."""
    heard = list(takewhile(lambda event: event not in (END, ABSENT), events))
    program = next((event - PROGRAM for event in heard if event >= PROGRAM), 0)
    sounding: defaultdict[int, deque[tuple[int, int]]] = defaultdict(deque)
    found, now, velocity = [], 0, 1 + VELOCITY_BIN * LOUDEST_BIN
    for event in heard:
        if event < NOTE_OFF:
            sounding[event].append((now, velocity))
        elif event < TIME_SHIFT:
            if starts := sounding[event - NOTE_OFF]:
                found.append((starts.popleft(), event - NOTE_OFF, now))
        elif event < VELOCITY:
            now = min(BAR, now + event - TIME_SHIFT + 1)
        elif event < PROGRAM:
            velocity = 1 + VELOCITY_BIN * (event - VELOCITY)
    found += [(start, pitch, BAR) for pitch, starts in sounding.items() for start in starts]
    notes = [
        Note(pitch, (bar * BAR + first) / GRID_STEPS_PER_BEAT, (end - first) / GRID_STEPS_PER_BEAT, velocity)
        for (first, velocity), pitch, end in sorted(found, key=lambda each: (each[0][0], each[1]))
        if end > first
    ]
    is_drum = program == DRUMS - PROGRAM
    return is_drum, 0 if is_drum else program, notes


def _clip(found: Mapping[tuple[bool, int, int], list[Note]], beats: float, tempo_bpm: float) -> Clip:
    """A part for each instrument, drums last; channels are given out in order, the drums' aside."""
    notes: list[Note] = []
    parts: list[Part] = []
    free = cycle(channel for channel in range(1, 17) if channel != DRUM_CHANNEL)
    for number, (is_drum, program, place) in enumerate(sorted(found), start=1):
        played = found[is_drum, program, place]
        channel, name = (DRUM_CHANNEL, "drums") if is_drum else (next(free), f"track {number}")
        parts.append(Part(name, channel, program, len(notes), len(played)))
        notes += played
    return Clip(tuple(notes), beats, BEATS_PER_BAR, tempo_bpm, tuple(parts))


def transposed_band(tokens: Tokens, interval: NDArray[np.int64]) -> Tokens:
    """Windows [window, step, 1], all but drums moved by [window] semitones; those that would leave 0..127 stay."""
    tracks = tokens.reshape(len(tokens), -1, EVENTS)
    played = (tracks >= NOTE_ON) & (tracks < TIME_SHIFT) & (tracks[..., :1] != DRUMS)
    pitch = tracks % NOTE_OFF + interval[:, None, None]
    fits = ((pitch >= 0) & (pitch < NOTE_OFF) | ~played).all(axis=(1, 2), keepdims=True)
    moved = np.where(played & fits, tracks + interval[:, None, None], tracks)
    return moved.reshape(tokens.shape)
