"""What the verbs on a model of grooves share: what its encoder reads, its decoder is given, and what is steered."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.asking import Asking
from engine.clip import Clip
from engine.model import tasks
from engine.model.noise import Noise
from engine.model.tasks import Example, Given
from engine.pausing import looking
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import (
    HITS,
    OFFSETS,
    VELOCITIES,
    Array,
    clip_to_groove,
    groove_to_clip,
    steps_per_bar,
)
from engine.styles import NONE
from engine.verbs.resident import Decoding, Encoding, GrooveResident
from engine.verbs.running import RunsVerbs
from engine.verbs.steering.knobs import Place
from engine.verbs.steering.styles import Chosen, choose, drawn

STEPS_AT_ONCE = 2048
"""Rows × steps of one request that are decoded together: 8 results of 16 bars. More are hardly faster each."""

DRAWS_OF_KNOBS, STEPS_OF_KNOBS = 8, 512
"""Of how many draws the nearest to the attributes is moved, of at most so many steps together."""


class Drummer(RunsVerbs):
    """A model of grooves, one seeded random source, and what one request asks for. own: the user's styles."""

    def __init__(self, resident: GrooveResident, drum_map: DrumMap, noise: Noise, own: Path | None = None):
        self.resident, self.noise, self.drum_map, self.own = resident, noise, drum_map, own

    def take_style(self, text: str, others: Sequence[str] = ()) -> Chosen:
        """Play in a style from now on; what the request asks for goes before what it is usually like.

        others: styles of the model whose hits are played.
        """
        chosen = choose(text, self.resident, self.own, others)
        self.knobs.usually(chosen.feel, chosen.remarks)
        return chosen

    def play_hits(
        self,
        grooves: Array,
        timing_given: Array,
        *,
        bar: int,
        tempo_bpm: float,
        temperature: float,
        style: str | None = None,
        taps: Array | None = None,
        first_bar: int = 0,
    ) -> Asking[Array]:
        """The hits of grooves (row, step, 27) as the model plays them, but those whose timing is given (step, 9).

        taps (step, 27): what was tapped beneath, whose timing and dynamics the hits follow. first_bar: see Place.
        """
        given = replace(
            self._nothing(grooves, 1, tempo_bpm, bar),
            hits_given=torch.ones(*grooves.shape[:2], CLASSES, device=self.resident.device),
            timing_given=self._rows(timing_given, len(grooves)),
        )
        example = tasks.with_some_timing(given)
        if taps is not None:
            tapped = self._tapped(taps, given)
            example = Example(tapped.encoder_input, replace(given, taps=tapped.given.taps))
        if style:
            z = self._prior(len(grooves), style, temperature=temperature)
        else:
            z = yield from self._encode(example, temperature)
        draws = self._draws_of_knobs(grooves.shape[1], temperature)
        rows = yield from self._decode(z, example.given, temperature, draws)
        return self._steered(rows.cpu().numpy(), Place(1 - timing_given, bar, tempo_bpm, first_bar), draws)

    def _draws_of_knobs(self, steps: int, temperature: float) -> int:
        """Of how many draws the one is taken that is nearest to the feel that is asked for."""
        if not self.knobs.of_feel or temperature == 0 or self.resident.model.shape.decoder == "groove":
            return 1
        return max(1, min(DRAWS_OF_KNOBS, STEPS_OF_KNOBS // steps))

    def _steered(self, grooves: Array, place: Place, draws: int = 1) -> Array:
        """Grooves (row·draw, step, 27) with the feel that is asked for: (row, step, 27)."""
        if not self.knobs.asked:
            return grooves
        played = self.knobs.steer(grooves, self.resident.scales, place, draws)
        self.knobs.hear(played, self.resident.scales, place)
        return played

    def _tapped(self, taps: Array, given: Given) -> Example:
        """The example of taps (step, 27). Velocities or offsets that are all alike are not played, so left open."""
        hit = taps[:, HITS] > 0
        return tasks.tap(
            self._rows(taps, len(given.groove)),
            given,
            velocity_given=_varies(taps[:, VELOCITIES][hit]),
            offset_given=bool(np.abs(taps[:, OFFSETS][hit]).max() > 1e-3),
        )

    def _given(self, groove: Array, clip: Clip, count: int, timing_given: Array | None = None) -> Given:
        """As _nothing, in the tempo and meter of a clip; timing_given (step, 9), or (row, step, 9)."""
        given = self._nothing(groove, count, clip.tempo_bpm, bar_of(clip))
        if timing_given is None:
            return given
        return replace(given, timing_given=self._rows(timing_given, count).view(given.timing_given.shape))

    def _nothing(self, groove: Array, count: int, tempo_bpm: float, bar: int) -> Given:
        """A groove (step, 27) for `count` rows, or some (row, step, 27) for each, of which nothing is given yet."""
        rows = self._rows(groove, count).view(-1, *groove.shape[-2:])
        return tasks.nothing_given(rows, rows.new_full((len(rows),), tempo_bpm), bar)

    def _rows(self, groove: Array, count: int) -> Tensor:
        return torch.from_numpy(groove).to(self.resident.device).expand(count, *groove.shape).contiguous()

    def _hear(self, clip: Clip, steps: int) -> Asking[Tensor]:
        """The mu of a clip, repeated to a length and read as the encoder was trained to: (1, window, z)."""
        groove = clip_to_groove(clip, self.drum_map)
        repeated = np.resize(groove, (steps, groove.shape[1]))
        given = self._nothing(repeated, 1, clip.tempo_bpm, bar_of(clip))
        trained = [task.removesuffix("_note_dropout") for task in self.resident.config.recipe.tasks]
        task = tasks.TRAINING_TASKS[trained[0] if len(trained) == 1 else "autoencode"]
        return (yield from self._encode(task(given.groove, given.groove, given, torch.Generator()), 0.0))

    def _encode(self, example: Example, temperature: float) -> Asking[Tensor]:
        """One z for each window of the model's length: (batch, window, z)."""
        given = example.given
        hits_given = bool(given.hits_given.all())
        encoding = Encoding(
            self.resident, example.encoder_input, given.steps_per_bar, hits_given, temperature, self.noise
        )
        z: Tensor = yield encoding
        return z

    def _prior(self, count: int, style: str | None = None, *, temperature: float = 1.0) -> Tensor:
        """A z a row, from where a style lies or all clips: (batch, 1, z)."""
        prior = self.resident.prior
        if style is None or style == NONE:
            return prior.draw(self.noise, count, temperature=temperature)[:, None]
        chosen = self.take_style(style)
        if style in prior.names or chosen.z is None:
            own = style if style in prior.names else None
            return prior.draw(self.noise, count, own, temperature=temperature)[:, None]
        return drawn(chosen.z, self.noise.normal(count, len(chosen.z[0])), temperature)[:, None]

    def _decode(self, z: Tensor, given: Given, temperature: float, draws: int = 1) -> Asking[Tensor]:
        """(batch, window, z) -> grooves (batch·draws, step, 27)."""
        at_once = max(1, STEPS_AT_ONCE // (given.groove.shape[1] * draws))
        grooves, hits_given = list[Tensor](), bool(given.hits_given.all())
        for first in range(0, len(z), at_once):
            part = slice(first, first + at_once)
            noise = self.noise.again() if self.noise.is_shared else self.noise
            own = given if at_once >= len(z) else given.rows(part)
            decoding = Decoding(self.resident, z[part], own, temperature, noise, draws, hits_given)
            grooves.append((yield decoding))
        return grooves[0] if len(grooves) == 1 else torch.cat(grooves)

    def _clips(
        self,
        grooves: Tensor,
        drum_map: DrumMap,
        beats_per_bar: float,
        tempos: list[float],
        free: Array | None = None,
    ) -> list[Clip]:
        """A clip a row; tempos has one entry, or one a row. free (step, 9): the hits that are made, else all."""
        rows = grooves.cpu().numpy()
        each = tempos * len(rows) if len(tempos) == 1 else tempos
        free = np.ones((rows.shape[1], CLASSES), np.float32) if free is None else free
        rows = self._steered(rows, Place(free, steps_per_bar(beats_per_bar), np.array(each, np.float32)))
        return [
            groove_to_clip(row, drum_map, beats_per_bar=beats_per_bar, tempo_bpm=tempo)
            for row, tempo in looking(zip(rows, each, strict=True))
        ]


def _varies(values: Array) -> bool:
    return bool(np.ptp(values) > 1e-3)


def bar_of(clip: Clip) -> int:
    """The sixteenths in a clip's bar."""
    return steps_per_bar(clip.beats_per_bar)
