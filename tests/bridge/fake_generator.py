"""A generator that needs no torch: it stands where engine.verbs.generator:Generator stands, in the real process."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from engine.clip import Clip, Note
from engine.errors import ClipError, ModelError
from engine.requests import Decode, Encode, Interpolate, NoteForNote, Request, Results, Sample
from engine.weights import Library

LATE_BEATS = 0.02
LATENT = tuple(i / 7 for i in range(300))


class FakeGenerator:
    """Plays every note a little late. A style says what is to go wrong: `sleep 0.5`, `crash`, `bug`, `nothing`."""

    def __init__(
        self, library: Library, *, device: str = "auto", drum_map: Path | None = None, own: Path | None = None
    ):
        self.device = "fake"
        self._loaded: list[str] = []
        time.sleep(float(os.environ.get("VAEBRIDGE_TEST_START_SECONDS", "0")))

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(reversed(self._loaded))

    def load(self, name: str, *, default: bool = True, warm: bool = False) -> None:
        if name == "missing":
            raise ModelError("there is no model 'missing'; the models are: drummer")
        gate = os.environ.get("VAEBRIDGE_TEST_GATE")
        while warm and gate and not Path(gate).exists():
            time.sleep(0.01)
        others = [each for each in self._loaded if each != name]
        self._loaded = [*others, name] if default else [name, *others]

    def warm_up(self) -> None:
        pass

    def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
        for place, request in enumerate(requests):
            try:
                yield place, self.run(request)
            except Exception as error:  # noqa: PERF203 - as the real one, it tells of each what has become of it
                yield place, error

    def run(self, request: Request) -> Results:
        style = getattr(request, "style", None) or ""
        if style.startswith("sleep"):
            time.sleep(float(style.split()[1]))
        elif style == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        elif style == "bug":
            raise RuntimeError("a bug")
        elif style:
            raise ClipError(f"{style!r} is no style")
        seed = 4711 if request.seed is None else request.seed
        model = request.model or self.loaded[0]
        if isinstance(request, Encode):
            return Results((), model, seed, 0.5, latent=LATENT)
        return Results(tuple(self._clips(request, seed)), model, seed, 0.5)

    def _clips(self, request: Request, seed: int) -> list[Clip]:
        if isinstance(request, Sample):
            bars = request.bars or 2
            notes = tuple(Note(36 + i % 8, i / 4, 0.25, 1 + (seed + i) % 127) for i in range(16 * bars))
            return [Clip(notes, 4.0 * bars)] * request.count
        if isinstance(request, Decode):  # a note a number, as loud as that is large
            notes = tuple(Note(36, i / 4, 0.25, 1 + round(abs(x)) % 127) for i, x in enumerate(request.z))
            return [Clip(notes, float(len(notes)))] * request.count
        if isinstance(request, Interpolate):
            return [request.clips[0]] * len(request.points)
        clip: Clip = request.clip  # type: ignore[attr-defined]
        if isinstance(request, NoteForNote):
            late = LATE_BEATS * request.timing
            moved = (
                replace(note, start_beats=note.start_beats + late, velocity=1 + (seed + i) % 127)
                for i, note in enumerate(clip.notes)
            )
            clip = clip.with_notes(tuple(moved))
        return [clip] * request.count
