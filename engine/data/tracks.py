"""The tracks of a section of a song in one meter: their tokens, and the bars in which they play.

Source of the rules: MusicVAE, Roberts et al. 2018, arXiv 1803.05428, and its released data pipeline.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clip import STEPS_PER_BEAT
from engine.data.songs import Meter, Song, Track
from engine.representation.drum_map import DrumMap
from engine.representation.drums import Drums, drum_tokens
from engine.representation.melody import HIGHEST, LOWEST, melody_tokens, one_voice
from engine.representation.multitrack import (
    EVENTS,
    GRID_STEPS_PER_BEAT,
    TRACKS,
    BandTrack,
    apart,
    band_order,
    bar_tokens,
    track_events,
)
from engine.representation.tokens import BEATS_PER_BAR, STEPS_PER_BAR, GridNotes, Tokens, on_grid

GAP_BARS = 1
"""A rest as long as this ends a melody or a drum part."""

TRIO_GAP_BARS = 2
"""A part of a trio may be silent in bars that are as near as this to a bar in which it sounds."""

FEWEST_EVENTS = 8
"""A bar of a band with fewer events is left out."""

Bars = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Line:
    """One track of one voice or of drums: its notes in order, and its tokens [step]."""

    notes: GridNotes
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a song in one meter, 4/4; bars: how many bars it spans, the last one rounded up."""

    song: Song
    meter: Meter
    bars: int

    def voices(self, programs: Container[int]) -> list[Line]:
        """The tracks of some programs, each as one voice; pitches outside 21..108 are not read."""
        lines = []
        for track in self.song.tracks:
            if not track.is_drum and track.program in programs:
                notes = self._notes(track)
                voice = one_voice(notes[(notes.pitch >= LOWEST) & (notes.pitch <= HIGHEST)])
                lines.append(Line(voice, melody_tokens(voice, self.bars * STEPS_PER_BAR)))
        return [line for line in lines if len(line.notes)]

    def drums(self, drums: Drums, drum_map: DrumMap) -> list[Line]:
        """The drum track as hits of a step; pitches outside the map are not read."""
        lines = []
        for track in self.song.tracks:
            if track.is_drum:
                notes = self._notes(track)
                hits = notes[drum_map.inside[notes.pitch]]
                bits = drums.bits(drum_map)[hits.pitch]
                tokens = drum_tokens(hits.first, bits, self.bars * STEPS_PER_BAR)
                lines.append(Line(GridNotes(hits.first, hits.first + 1, hits.pitch, hits.velocity), tokens))
        return [line for line in lines if len(line.notes)]

    def band(self) -> list[Tokens | str]:
        """Each bar of two to eight instruments as [512], or why it is left out."""
        played = [(track, apart(self._notes(track, GRID_STEPS_PER_BEAT))) for track in self.song.tracks]
        tracks = band_order(BandTrack(track.program, track.is_drum, notes) for track, notes in played)
        return [_band_bar(tracks, bar) for bar in range(self.bars)]

    def _notes(self, track: Track, steps_per_beat: int = STEPS_PER_BEAT) -> GridNotes:
        """The notes of a track that start in the section, counted from there, none longer than it."""
        start, end = track.start_beats - self.meter.start_beats, track.end_beats - self.meter.start_beats
        notes = on_grid(start, end, track.pitch, track.velocity, steps_per_beat)
        steps = self.bars * BEATS_PER_BAR * steps_per_beat
        notes = notes[(notes.first >= 0) & (notes.first < steps)]
        return GridNotes(notes.first, np.minimum(notes.end, steps), notes.pitch, notes.velocity)


def bars_of(meter: Meter) -> int:
    """How many bars the section of a meter spans, rounded up; less than half a step more is ignored."""
    steps = np.floor((meter.end_beats - meter.start_beats) * STEPS_PER_BEAT + 0.5)
    return int(np.ceil(steps / (meter.beats_per_bar * STEPS_PER_BEAT)))


def over_bars(each: NDArray[np.generic], bars: int) -> NDArray[Any]:
    """A value of each bar [bar], as sliding windows of bars [window, bar]."""
    return np.lib.stride_tricks.sliding_window_view(each, bars)


def phrases(notes: GridNotes, bars: int) -> NDArray[np.int64]:
    """The number of the phrase that each bar belongs to, from its first note's bar to its last's; -1 in a rest."""
    phrase = np.full(bars, -1, np.int64)
    rests = notes.first[1:] - notes.end[:-1]
    cuts = np.flatnonzero(rests >= GAP_BARS * STEPS_PER_BAR) + 1
    firsts, lasts = np.append(0, cuts), np.append(cuts, len(notes)) - 1
    for number, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        phrase[notes.first[first] // STEPS_PER_BAR : -(-notes.end[last] // STEPS_PER_BAR)] = number
    return phrase


def all_playing(lines: Sequence[Line], bars: int) -> Bars:
    """Whether all parts of a trio play in each bar or near it [bar]; at both ends one of them is enough."""
    playing = np.stack([_playing(line.notes, bars) for line in lines])
    together: Bars = np.all(playing, axis=0)
    for edge in (slice(None, TRIO_GAP_BARS), slice(-TRIO_GAP_BARS, None)):
        together[edge] = playing[:, edge].any()
    return together


def _playing(notes: GridNotes, bars: int) -> Bars:
    """Whether a part sounds in each bar or as near to it as a trio's part may [bar]."""
    change = np.zeros(bars + 1, np.int64)
    np.add.at(change, notes.first // STEPS_PER_BAR, 1)
    np.add.at(change, -(-notes.end // STEPS_PER_BAR), -1)
    sounding = np.pad(np.cumsum(change[:-1]) > 0, TRIO_GAP_BARS)
    playing: Bars = np.any(over_bars(sounding, 2 * TRIO_GAP_BARS + 1), axis=1)
    return playing


def _band_bar(tracks: Sequence[BandTrack], bar: int) -> Tokens | str:
    here = [track for track in (track.in_bar(bar) for track in tracks) if len(track.notes)]
    if not 2 <= len(here) <= TRACKS:
        return f"with fewer than 2 or more than {TRACKS} instruments"
    played = [(track, track_events(track.notes)) for track in here]
    if max(len(events) for _, events in played) > EVENTS - 2:
        return f"with more than {EVENTS - 2} events of one instrument"
    if sum(len(events) for _, events in played) < FEWEST_EVENTS:
        return f"with fewer than {FEWEST_EVENTS} events"
    return bar_tokens(played)
