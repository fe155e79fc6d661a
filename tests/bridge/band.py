"""The ensemble with everything round it that tests need: an engine that takes its time, and what has been sent."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bridge.playing.ensemble import Ensemble, Stage
from bridge.playing.slots import Slots
from engine.clip import Clip, Note
from engine.requests import Interpolate, Request, Results, Sample
from tests.bridge.playing.test_scheduler import hanging

TICKS_PER_BEAT = 24


def generated(request: Request, number: int) -> tuple[Clip, ...]:
    """What stands for the model: each answer has a pitch of its own, 40 and up, on the beats of its clip."""
    if isinstance(request, Sample):
        beats = 4.0 * request.bars
    else:
        clip: Clip = request.clips[0] if isinstance(request, Interpolate) else request.clip  # type: ignore[attr-defined]
        beats = clip.length_beats
    notes = tuple(Note(40 + number % 80, float(beat), 0.25, 100) for beat in range(int(beats)))
    return (Clip(notes, beats),) * request.count


class Band:
    """Time is a number that run moves on, from one thing that is due to the next."""

    def __init__(self, **stage: Any) -> None:
        self.now = 100.0
        self.sent: list[tuple[float, bytes]] = []
        self.told: list[str] = []
        self.learned: list[tuple[str, Any]] = []
        self.slots = Slots()
        told = {
            "send": lambda message: self.sent.append((self.now, message)),
            "on_playing": self.told.append,
            "on_learned": lambda target, control: self.learned.append((target, control)),
        }
        self.ensemble = Ensemble(Stage(slots=self.slots, **{**told, **stage}))
        self.ensemble.models = ("drummer", "groovae")
        self.engine_seconds, self.requests = 0.01, list[Request]()
        self._working: tuple[float, Request] | None = None

    def hear(self, *messages: Sequence[int], port: str = "vaebridge in", at: float | None = None) -> None:
        for message in messages:
            self.ensemble.hear(self.now if at is None else at, port, bytes(message), self.now)

    def tap(self, pitch: int = 36, velocity: int = 100, channel: int = 10) -> None:
        self.hear((0x90 | channel - 1, pitch, velocity), (0x80 | channel - 1, pitch, 0))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            self._work()
            self.ensemble.run_due(self.now)
            self._work()
            if self.now >= until:
                return
            done = self._working[0] if self._working else math.inf
            self.now = min(max(self.now + 1e-4, min(self.ensemble.next_due(), done)), until)

    def run_to_beat(self, beat: float) -> None:
        self.run(max(0.0, self.ensemble.transport.clock.line.time_at(beat) - self.now))

    def play_ticks(self, beats: float, tempo_bpm: float, *, port: str = "vaebridge in") -> None:
        """Be the sender of a MIDI clock for so many beats."""
        for _ in range(round(beats * TICKS_PER_BEAT)):
            self.hear((0xF8,), port=port)
            self.run(60 / tempo_bpm / TICKS_PER_BEAT)

    def _work(self) -> None:
        if self._working and self.now >= self._working[0]:
            request, self._working = self._working[1], None
            clips = generated(request, len(self.requests) - 1)
            self.ensemble.answered(request, Results(clips, "fake", 7, 1.0), self.now)
        if self._working is None and (request := self.ensemble.take_request()) is not None:
            self.requests.append(request)
            self._working = (self.now + self.engine_seconds, request)

    @property
    def struck(self) -> list[tuple[float, int]]:
        """When each note on was sent, and its pitch."""
        return [(at, message[1]) for at, message in self.sent if message[0] & 0xF0 == 0x90]

    @property
    def hanging(self) -> Counter[tuple[int, int]]:
        """The notes that sound; asserts that none was struck while it sounded."""
        return hanging([message for _, message in self.sent])
