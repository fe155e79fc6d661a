"""What a model of phrases draws as verbs ask it, while it learns from it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.learning.critics import seen
from engine.learning.drawing import Drawn, by_bar, fixed, without_dropout
from engine.model.noise import Noise
from engine.model.phrases.decoder import Condition
from engine.model.phrases.steps import draw_hits
from engine.model.phrases.vae import PhraseVae
from engine.registry import Recipe

SIMILARITIES = (0.3, 0.7)
"""Between which `vary` is drawn."""

DRUMS = "drums"
Rng = np.random.Generator
Ask = Callable[[str, int, Rng], Condition]
"""A verb, how many phrases, chance -> phrases of the data with what the verb is given; all their hits are there."""


@dataclass(frozen=True, slots=True)
class DrawnPhrases:
    """A drawing.Draw. recipe: the temperature and opening at which the model is to be drawn."""

    model: PhraseVae
    recipe: Recipe
    ask: Ask

    def __post_init__(self) -> None:
        fixed((self.model.encoder, self.model.bar_encoder, self.model.z_prior))

    def __call__(self, verb: str, rows: int, rng: Rng) -> dict[str, Drawn]:
        """See drawing.Draw."""
        z, condition = self.draw(verb, rows, rng)
        bars = condition.hits.view(rows, condition.bars, condition.steps_per_bar, -1).cpu().numpy() > 0
        return {DRUMS: Drawn(seen(bars), lambda: self._nats(z, condition))}

    @torch.no_grad()
    def draw(self, verb: str, rows: int, rng: Rng) -> tuple[Tensor, Condition]:
        """z of phrases, and what is given of them with the hits that are drawn."""
        condition, model = self.ask(verb, rows, rng), self.model
        noise = Noise(int(rng.integers(2**31)), device=condition.hits.device)
        without_dropout(model)
        with torch.autocast(condition.hits.device.type, enabled=False):
            z = model.z_prior.draw(condition, noise.normal(rows, model.shape.z))
            if verb == "vary":
                similarity = float(rng.uniform(*SIMILARITIES))
                z = torch.lerp(z, model.encoder(condition).mu, similarity)
                order = noise.uniform(rows, condition.bars).argsort(dim=1).argsort(dim=1)
                condition = replace(
                    condition,
                    bar_z=model.bar_encoder(condition).mu,
                    bar_z_given=(order < round(similarity * condition.bars)).float(),
                )
            hits = draw_hits(
                model.decoder,
                z,
                replace(condition, hits=condition.given_hits),
                temperature=self.recipe.step_temperature,
                opening=self.recipe.opening_temperature,
                noise=noise,
            )
        return z, replace(condition, hits=hits)

    def _nats(self, z: Tensor, condition: Condition) -> Tensor:
        without_dropout(self.model)
        with torch.autocast(z.device.type, enabled=False):
            nats = self.model.decoder.nats(z, condition, temperature=self.recipe.step_temperature)
        return by_bar(nats, condition.bars)
