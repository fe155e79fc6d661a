"""Records what is played as notes in beats of the song, and cuts clips out of it. Pure.

Keeps the timing as it was played; knows no port and no mode.
"""

import itertools
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.playing.transport import Transport
from engine.clip import EARLIEST_START_BEATS, Clip, Note, Part

logger = logging.getLogger(__name__)

MAX_CAPTURED = 8192
MAX_CLIP_NOTES = 4096
SHORTEST_NOTE_BEATS = 1 / 64
PICKUP_BEATS = 1.0


@dataclass(slots=True)
class Captured:
    """A note as it was played. end_beat is None while it is held."""

    channel: int
    pitch: int
    velocity: int
    start_beat: float
    end_beat: float | None = None


@dataclass(slots=True)
class Recorder:
    """Records all the time, keeping the last MAX_CAPTURED notes, out of which clips are cut.

    A clip has parts if any of it was played on another channel than the home one. lost counts what there was no
    room for.
    """

    transport: Transport
    home_channel: int = 10
    lost: int = 0
    _notes: deque[Captured] = field(default_factory=lambda: deque(maxlen=MAX_CAPTURED))
    _held: dict[tuple[int, int], Captured] = field(default_factory=dict)
    _pedalled: dict[int, deque[Captured]] = field(default_factory=dict)

    def note_on(self, beat: float, channel: int, pitch: int, velocity: int) -> None:
        """A key is struck; one that is held already ends first."""
        self.note_off(beat, channel, pitch, pedalled=False)
        self.lost += len(self._notes) == MAX_CAPTURED
        note = self._held[channel, pitch] = Captured(channel, pitch, velocity, beat)
        self._notes.append(note)

    def note_off(self, beat: float, channel: int, pitch: int, *, pedalled: bool = True) -> None:
        """A key is let go; with the pedal down the note goes on."""
        note = self._held.pop((channel, pitch), None)
        if note is None:
            return
        if pedalled and channel in self._pedalled:
            self._pedalled[channel].append(note)
        else:
            note.end_beat = beat

    def pedal(self, beat: float, channel: int, *, down: bool) -> None:
        """The sustain pedal."""
        if down:
            self._pedalled.setdefault(channel, deque(maxlen=MAX_CAPTURED))
            return
        for note in self._pedalled.pop(channel, []):
            note.end_beat = beat

    def let_go(self, beat: float) -> None:
        """Release every key and pedal: a port is gone, and no note off will come."""
        for channel, pitch in list(self._held):
            self.note_off(beat, channel, pitch)
        for channel in list(self._pedalled):
            self.pedal(beat, channel, down=False)

    def add(self, note: Captured) -> None:
        """A note that was played elsewhere, whole."""
        self.lost += len(self._notes) == MAX_CAPTURED
        self._notes.append(note)

    def forget(self) -> None:
        """Drop everything recorded: the song has jumped, so its beats no longer fit."""
        self._notes.clear()
        self._held.clear()
        for notes in self._pedalled.values():
            notes.clear()

    def first_since(self, beat: float) -> float | None:
        """The beat of the first note that was struck at or after a beat."""
        return min((note.start_beat for note in self._notes if note.start_beat >= beat), default=None)

    def count(self, first: float, last: float) -> int:
        """How many notes were struck in first <= beat < last."""
        return sum(first <= note.start_beat < last for note in self._notes)

    def cut(
        self,
        first_beat: float,
        length_beats: float,
        *,
        pickup: bool = False,
        closing_beats: float = -EARLIEST_START_BEATS,
    ) -> Clip:
        """The clip from first_beat: notes from closing_beats before it to closing_beats before its end.

        A start earlier than EARLIEST_START_BEATS is moved there. A note held across the end is cut there. With
        pickup, notes of the beat before the clip are put at its end, where the pick-up of a loop is.
        """
        begin = first_beat - closing_beats
        taken = [(note, first_beat) for note in self._between(begin, begin + length_beats)]
        if pickup:
            before = self._between(begin - PICKUP_BEATS, begin)
            taken += [(note, first_beat - length_beats) for note in before]
        taken.sort(key=lambda each: (each[0].channel, each[0].start_beat - each[1], each[0].pitch))
        if len(taken) > MAX_CLIP_NOTES:
            logger.warning(
                "a clip takes %d notes, %d more are left out", MAX_CLIP_NOTES, len(taken) - MAX_CLIP_NOTES
            )
            self.lost += len(taken) - MAX_CLIP_NOTES
            taken = taken[:MAX_CLIP_NOTES]
        notes = tuple(_note(note, origin, length_beats) for note, origin in taken)
        channels = [note.channel for note, _ in taken]
        parts = tuple(_parts(channels)) if set(channels) - {self.home_channel} else ()
        return Clip(notes, length_beats, self.transport.beats_per_bar, self.transport.tempo_bpm, parts)

    def _between(self, first_beat: float, last_beat: float) -> Iterator[Captured]:
        return (note for note in self._notes if first_beat <= note.start_beat < last_beat)


def _note(captured: Captured, origin: float, length_beats: float) -> Note:
    start = max(captured.start_beat - origin, EARLIEST_START_BEATS)
    end = length_beats if captured.end_beat is None else min(captured.end_beat - origin, length_beats)
    return Note(captured.pitch, start, max(end - start, SHORTEST_NOTE_BEATS), captured.velocity)


def _parts(channels: list[int]) -> Iterator[Part]:
    """One part a channel; the notes are in the order of their channels."""
    first = 0
    for channel, group in itertools.groupby(channels):
        count = len(list(group))
        yield Part(f"channel {channel}", channel, 0, first, count)
        first += count
