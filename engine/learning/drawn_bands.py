"""What a model of bands draws as verbs ask it, part after part, while it learns from it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from engine.learning.critics import seen
from engine.learning.drawing import Drawn, by_bar, fixed, without_dropout
from engine.model.band.decoder import BAR, PartDecoder, Score, of_usual_density
from engine.model.band.steps import draw_part
from engine.model.band.vae import BandVae
from engine.model.noise import Noise
from engine.registry import Recipe
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, part_hits

ASKED = {"sample": (LEAD, BASS, DRUMS), "accompany": (BASS, DRUMS)}
"""The parts that a verb draws."""

Rng = np.random.Generator
Ask = Callable[[str, int, Rng], Score]
"""A verb, how many bands, chance -> bands of the data with what the verb is given."""


@dataclass(frozen=True, slots=True)
class DrawnBands:
    """A drawing.Draw. recipe: the temperature at which voices are drawn; drums are at 1."""

    model: BandVae
    recipe: Recipe
    ask: Ask

    def __post_init__(self) -> None:
        fixed((self.model.encoder, self.model.bar_encoders, self.model.z_prior))

    @torch.no_grad()
    def __call__(self, verb: str, rows: int, rng: Rng) -> dict[str, Drawn]:
        """See drawing.Draw."""
        score, model, found = self.ask(verb, rows, rng), self.model, dict[str, Drawn]()
        noise = Noise(int(rng.integers(2**31)), device=score.given.device)
        without_dropout(model)
        with torch.autocast(score.given.device.type, enabled=False):
            z = model.z_prior.draw(score, noise.normal(rows, model.shape.z))  # type: ignore[arg-type]
            for part in ASKED[verb]:
                told = of_usual_density(score, part)
                states = draw_part(
                    self._decoder(part),
                    z,
                    told,
                    temperature=self._temperature(part),
                    opening=self.recipe.opening_temperature,
                    noise=noise,
                )
                own = score.states.clone()
                own[..., part] = states
                found[PARTS[part]] = self._drawn(part, z, replace(told, states=own))
                score = score.with_drawn(part, states)
        return found

    def _drawn(self, part: int, z: Tensor, score: Score) -> Drawn:
        states = score.states.view(len(z), score.bars, BAR, len(PARTS)).cpu().numpy()

        def nats() -> Tensor:
            without_dropout(self.model)
            with torch.autocast(z.device.type, enabled=False):
                of_steps = self._decoder(part).nats(z, score, temperature=self._temperature(part))
            return by_bar(of_steps, score.bars)

        return Drawn(seen(part_hits(states, part)), nats)

    def _decoder(self, part: int) -> PartDecoder:
        return cast(PartDecoder, self.model.decoders[part])

    def _temperature(self, part: int) -> float:
        return 1.0 if part == DRUMS else self.recipe.step_temperature
