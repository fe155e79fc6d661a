"""Learning from what is drawn: a decoder of phrases whose bars critics cannot tell from played ones.

Likelihood alone never sees what the decoder makes of its own mistakes: each drawn bar strays a little more than a
played one, and after eight a listener knows. So it learns by policy gradient as well (Williams 1992; Yu et al.,
arXiv 1609.05473): it draws phrases as the verbs do, a bar is rewarded by what it and, less and less, the bars after
it add to the critics' logit; and it goes on learning from data, so that it forgets nothing.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.learning.critics import Critics, Hits, Seen, joined, seen
from engine.model.noise import Noise
from engine.model.phrases.decoder import Condition
from engine.model.phrases.steps import draw_hits
from engine.model.phrases.vae import PhraseVae
from engine.registry import Recipe

FIRST_DRAWS, FIRST_STEPS = 10, 250
"""Before the decoder learns, critics learn so many steps from about so many batches of draws, at most."""

STEPS, REMEMBERED = 5, 10
"""Then so many steps for one of the decoder, from its last so many batches."""

LATER = 0.8
"""By how much less each bar after one counts to its reward."""

LARGEST = 3.0
"""The largest reward, in standard deviations."""

DATA = 0.02
"""The weight of a nat of data; rewards have a standard deviation of 1."""

SIMILARITIES = (0.3, 0.7)
"""Between which `vary` is drawn."""

Rng = np.random.Generator
Ask = Callable[[str, int, Rng], Condition]
"""A verb, how many phrases, chance -> phrases of the data with what the verb is given; all their hits are there."""


class Drawing:
    """Critics that have learnt to tell what the decoder draws, and then losses for it, one after the other.

    recipe: with verbs as its tasks, and the temperature and opening at which the model is to be drawn. hits, piece:
    played phrases, as Critics take them. steps: how many the decoder will
    learn.
    """

    def __init__(
        self,
        model: PhraseVae,
        recipe: Recipe,
        ask: Ask,
        hits: Hits,
        piece: NDArray[np.int64],
        rng: Rng,
        steps: int = FIRST_STEPS,
    ):
        self.model, self.recipe, self._ask, self._rng = model, recipe, ask, rng
        self._batches = min(FIRST_DRAWS, steps)
        for part in (model.encoder, model.bar_encoder, model.z_prior):
            part.requires_grad_(False)  # what z means stays as it is
        self.critics = Critics(hits, piece, rng)
        self._drawn = self._of_each_verb(self._batches)
        self.critics.learn(joined(self._drawn), min(FIRST_STEPS, STEPS * steps))

    def told(self) -> float:
        """In what share of pairs critics tell a played phrase that they never saw from a new draw."""
        return self.critics.told(joined(self._of_each_verb(self._batches)))

    def loss(self) -> Tensor:
        """By which the decoder makes bars with a reward above the mean likelier, and the others less likely."""
        verbs, shares = zip(*self.recipe.tasks.items(), strict=True)
        verb = verbs[self._rng.choice(len(verbs), p=np.array(shares) / sum(shares))]
        z, condition, drawn = self.draw(verb, self.recipe.batch)
        self._drawn = [*self._drawn, drawn][-REMEMBERED:]
        reward = rewards(self.critics.logits(drawn))
        with torch.autocast(z.device.type, enabled=False):
            nats = self.model.decoder.nats(z, condition, temperature=self.recipe.step_temperature)
        of_bars = nats.view(*reward.shape, -1).sum(dim=2)
        self.critics.learn(joined(self._drawn), STEPS)
        return (of_bars * reward.to(of_bars)).mean()

    def draw(self, verb: str, rows: int) -> tuple[Tensor, Condition, Seen]:
        """z of phrases, what is given of them with the hits that are drawn, and what critics see of these."""
        condition = self._ask(verb, rows, self._rng)
        noise = Noise(int(self._rng.integers(2**31)), device=condition.hits.device)
        self.model.eval()
        for part in self.model.modules():
            if isinstance(part, nn.LSTM):  # nothing is dropped in it, and a GPU has no gradient for one that is not
                part.train()
        with torch.no_grad(), torch.autocast(condition.hits.device.type, enabled=False):
            z = self.model.z_prior.draw(condition, noise.normal(rows, self.model.shape.z))
            if verb == "vary":
                similarity = float(self._rng.uniform(*SIMILARITIES))
                z = torch.lerp(z, self.model.encoder(condition).mu, similarity)
                order = noise.uniform(rows, condition.bars).argsort(dim=1).argsort(dim=1)
                condition = replace(
                    condition,
                    bar_z=self.model.bar_encoder(condition).mu,
                    bar_z_given=(order < round(similarity * condition.bars)).float(),
                )
            hits = draw_hits(
                self.model.decoder,
                z,
                replace(condition, hits=condition.given_hits),
                temperature=self.recipe.step_temperature,
                opening=self.recipe.opening_temperature,
                noise=noise,
            )
        bars = hits.view(rows, condition.bars, condition.steps_per_bar, -1).cpu().numpy() > 0
        return z, replace(condition, hits=hits), seen(bars)

    def _of_each_verb(self, batches: int) -> list[Seen]:
        shares = self.recipe.tasks.items()
        counts = {verb: max(1, round(batches * share / sum(self.recipe.tasks.values()))) for verb, share in shares}
        return [self.draw(verb, self.recipe.batch)[2] for verb, count in counts.items() for _ in range(count)]


def rewards(logits: Tensor) -> Tensor:
    """What critics say of the bars so far (phrase, bar) -> how much better than the mean each bar is."""
    later, reward = logits.new_zeros(len(logits)), torch.diff(F.pad(logits, (1, 0)), dim=1)
    for bar in reversed(range(logits.shape[1])):
        later = reward[:, bar] + LATER * later
        reward[:, bar] = later
    better = reward - reward.mean(dim=0)
    return (better / reward.std().clamp(min=1e-6)).clamp(-LARGEST, LARGEST)
