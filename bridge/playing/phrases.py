"""Cuts what was recorded into phrases, windows of whole bars, and remembers what was played to them. Pure."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bridge.playing.recorder import PICKUP_BEATS, Recorder
from bridge.playing.transport import Transport
from engine.clip import EARLIEST_START_BEATS, Clip, Note, Part

CLOSING_BEATS = -EARLIEST_START_BEATS
"""A window closes half a step before its last line, so that the answer can start on it."""


class Phrases:
    """Windows of a number of bars: the first begins with the bar of the first note after a silence.

    Windows follow each other until one is empty. Notes in the last beat of a bar that is otherwise empty are the
    pick-up of a first window in the next bar.
    """

    def __init__(self, transport: Transport, recorder: Recorder):
        self._transport, self._recorder = transport, recorder
        self.bars, self.takes_pickup = 2, True
        self.restart(-math.inf)

    def restart(self, beat: float) -> None:
        """Listen anew, to what is played from a beat on."""
        self._from = beat + EARLIEST_START_BEATS
        self._window: float | None = None
        self._pickup = False

    @property
    def open_beat(self) -> float:
        """The beat from which on what is played belongs to no window that has been closed."""
        return self._from

    def close(self, line_beat: float, closing_beats: float = CLOSING_BEATS) -> Clip | None:
        """The clip whose window ends on this bar line, if there is one. Called each bar, so long before it."""
        if self._window is None:
            first = self._recorder.first_since(self._from)
            if first is None:
                next_window = line_beat - (self.bars - 1) * self._transport.beats_per_bar
                self._from = max(self._from, next_window - closing_beats)
                return None
            self._window, self._pickup = self._transport.bar_line(first + closing_beats), False
            if self.takes_pickup and self._is_pickup(line_beat - closing_beats):
                self._window, self._pickup = line_beat, True
        length = self.bars * self._transport.beats_per_bar
        if line_beat < self._window + length - CLOSING_BEATS:
            return None
        clip = self._cut(line_beat - length, length, closing_beats)
        self._window, self._pickup = (line_beat if clip else None), False
        self._from = line_beat - closing_beats
        return clip

    def _is_pickup(self, end_beat: float) -> bool:
        """Whether what was played in the bar that ends here was played in its last beat alone."""
        last_beat = end_beat - PICKUP_BEATS
        return self._transport.beats_per_bar > PICKUP_BEATS and not self._recorder.count(self._from, last_beat)

    def _cut(self, first_beat: float, length: float, closing_beats: float) -> Clip | None:
        """The window that begins here; where nothing follows a pick-up, the window whose end that is."""
        end_beat = first_beat + length - closing_beats
        is_empty = not self._recorder.count(first_beat - closing_beats, end_beat)
        if is_empty and not self._pickup:
            return None
        return self._recorder.cut(
            first_beat - length if is_empty else first_beat,
            length,
            pickup=self._pickup and not is_empty,
            closing_beats=closing_beats,
        )


REMEMBERED = 8
"""So many passages of a melody, and what was made to them, are heard again with the next."""

LEAD = Part("lead", 1, 0, 0, 0)
"""As what a melody is heard, on whatever channel it is played."""


@dataclass(slots=True)
class Accompaniment:
    """Passages of a melody, each with what was made to it, if that came in time."""

    _passages: deque[tuple[Clip, Clip | None]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def begin(self) -> None:
        """Forget what was played."""
        self._passages.clear()

    def heard(self, melody: Clip) -> Clip:
        """The song so far, with the passage that has just been played at its end, in parts."""
        if self._passages and self._passages[-1][0].beats_per_bar != melody.beats_per_bar:
            self.begin()
        self._passages.append((melody, None))
        return _in_parts(tuple(self._passages))

    def made(self, clip: Clip) -> None:
        """What is played to the passage heard last."""
        if self._passages:
            self._passages[-1] = self._passages[-1][0], clip


def _in_parts(passages: Sequence[tuple[Clip, Clip | None]]) -> Clip:
    """Passages one after the other; parts of one name are one."""
    found: dict[str, tuple[Part, list[Note]]] = {}
    begin = 0.0
    for melody, made in passages:
        heard = [(melody, replace(LEAD, count=len(melody.notes)))]
        heard += [(made, part) for part in made.parts] if made else []
        for clip, part in heard:
            _, notes = found.setdefault(part.name, (part, []))
            own = clip.notes[part.first : part.first + part.count]
            notes += [replace(note, start_beats=max(0.0, begin + note.start_beats)) for note in own]
        begin += melody.length_beats
    together, parts = list[Note](), list[Part]()
    for part, each in found.values():
        parts.append(replace(part, first=len(together), count=len(each)))
        together += each
    return replace(passages[-1][0], notes=tuple(together), parts=tuple(parts), length_beats=begin)
