"""Cuts what was recorded into phrases: windows of whole bars. Pure."""

import math

from bridge.playing.recorder import PICKUP_BEATS, Recorder
from bridge.playing.transport import Transport
from engine.clip import EARLIEST_START_BEATS, Clip

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

    def close(self, line_beat: float, closing_beats: float = CLOSING_BEATS) -> Clip | None:
        """The clip whose window ends on this bar line, if there is one. Called each bar, so long before it."""
        if self._window is None:
            first = self._recorder.first_since(self._from)
            if first is None:
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
