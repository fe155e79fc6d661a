"""Meters, bar lines and tempos of a MIDI file. Knows nothing of notes: times are ticks here."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.midi.events import MidiBytes
from engine.midi.track import SET_TEMPO, TIME_SIGNATURE, Event, payload

DEFAULT_BEATS_PER_BAR = 4.0
DEFAULT_TEMPO_BPM = 120.0


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the song in one meter: bars are counted from its tick. tempo_bpm: that of the most ticks.

    beat_unit: the denominator of its meter.
    """

    tick: int
    end_tick: int
    beats_per_bar: float
    tempo_bpm: float
    beat_unit: int = 4


def sections(midi: MidiBytes, end_tick: int) -> tuple[Section, ...]:
    """The song up to end_tick, cut where the meter changes."""
    changes = _meter_changes(midi, end_tick)
    found = tempos(midi)
    cuts = [*changes, (end_tick, 0.0, 4)]
    return tuple(
        Section(tick, end, beats_per_bar, _longest_tempo(found, tick, end), unit)
        for (tick, beats_per_bar, unit), (end, *_) in pairwise(cuts)
    )


def bar_lines(midi: MidiBytes) -> Callable[[int], tuple[int, int]]:
    """What says which bar lines are next to a tick: the last at or before it, and the first at or after it."""
    changes = _meter_changes(midi, None)
    ticks = [tick for tick, *_ in changes]

    def around(tick: int) -> tuple[int, int]:
        place = bisect_right(ticks, tick) - 1
        start, bar_ticks = ticks[place], changes[place][1] * midi.ticks_per_beat
        bar = math.floor((tick - start) / bar_ticks + 1e-9)
        line = start + round(bar * bar_ticks)
        following = line if line == tick else start + round((bar + 1) * bar_ticks)
        return line, min([following, *ticks[place + 1 : place + 2]])

    return around


def _meter_changes(midi: MidiBytes, end_tick: int | None) -> list[tuple[int, float, int]]:
    """(tick, beats_per_bar, beat_unit) of each new meter before end_tick; one only repeated changes nothing."""
    changes = [(0, DEFAULT_BEATS_PER_BAR, 4)]
    for event in _metas(midi, TIME_SIGNATURE):
        meter = _meter(payload(event))
        if meter is None or (end_tick is not None and event.tick >= end_tick):
            continue
        tick, *current = changes[-1]
        bar_ticks = current[0] * midi.ticks_per_beat
        if event.tick == tick:
            changes.pop()
        elif meter[0] == current[0] and (event.tick - tick) % bar_ticks == 0:
            continue
        changes.append((event.tick, *meter))
    return changes


def _meter(content: bytes) -> tuple[float, int] | None:
    """Quarter notes a bar and the denominator, None where the time signature makes no sense."""
    if len(content) < 2 or content[1] > 7:
        return None
    beats_per_bar: float = content[0] * 4 / 2 ** content[1]
    unit = 2 ** content[1] if content[1] < 7 else 64 if content[0] % 2 == 0 else 4  # a clip knows no 128th
    return (beats_per_bar, unit) if 0.25 <= beats_per_bar <= 64 else None


def tempos(midi: MidiBytes) -> list[tuple[int, float]]:
    """(tick, bpm) of each tempo, inside what a clip can have."""
    found = [(0, DEFAULT_TEMPO_BPM)]
    for event in _metas(midi, SET_TEMPO):
        microseconds = int.from_bytes(payload(event)[:3], "big")
        if microseconds:
            found.append((event.tick, min(max(60e6 / microseconds, 3.0), 1000.0)))
    return found


def _longest_tempo(tempos: Sequence[tuple[int, float]], tick: int, end_tick: int) -> float:
    """The tempo that holds for the most ticks of a section."""
    first, last = (bisect_right(tempos, each, key=lambda tempo: tempo[0]) for each in (tick, end_tick))
    lasting: Counter[float] = Counter()
    for (start, bpm), (end, _) in pairwise([*tempos[first - 1 : last], (end_tick, 0.0)]):
        lasting[bpm] += max(0, min(end, end_tick) - max(start, tick))
    return lasting.most_common(1)[0][0]


def _metas(midi: MidiBytes, kind: int) -> list[Event]:
    """The meta events of a type on all tracks, in time."""
    found = (event for track in midi.tracks.values() for event in track.metas(kind))
    return sorted(found, key=lambda event: event.tick)
