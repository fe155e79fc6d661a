"""Learning from what is drawn: decoders whose bars critics cannot tell from played ones.

Likelihood alone never sees what a decoder makes of its own mistakes: each drawn bar strays a little more than a
played one, and after eight a listener knows. So it learns by policy gradient as well (Williams 1992; Yu et al.,
arXiv 1609.05473): it draws bars as the verbs do, each is rewarded by what it and, less and less, the bars after
it add to the critics' logit; and it goes on learning from data, so that it forgets nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.learning.critics import Critics, Hits, Seen, joined
from engine.learning.curriculum import BatchLosses
from engine.registry import Recipe

FIRST_DRAWS, FIRST_STEPS = 10, 250
"""Before decoders learn, critics learn so many steps from about so many batches of draws, at most."""

STEPS, REMEMBERED = 5, 10
"""Then so many steps for one of the decoders, from their last so many batches."""

LATER = 0.8
"""By how much less each bar after one counts to its reward."""

LARGEST = 3.0
"""The largest reward, in standard deviations."""

DATA = 0.02
"""The weight of a nat of data; rewards have a standard deviation of 1."""

DATA_SHARE = 8
"""Decoders that learn from what they draw learn a window of data as well for so many phrases drawn."""

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one decoder has drawn, as critics see it. nats: of each bar, with a gradient (phrase, bar)."""

    seen: Seen
    nats: Callable[[], Tensor]


Draw = Callable[[str, int, Rng], Mapping[str, Drawn]]
"""A verb, how many phrases, chance -> what each decoder that the verb asks draws, by its part."""


class Drawing:
    """Critics of each part that have learnt to tell what is drawn, and then losses for the decoders, one by one.

    recipe: with verbs as its tasks. played: of each part phrases of the data, and of which piece each is, as
    Critics take them. steps: how many the decoders will learn.
    """

    def __init__(
        self,
        recipe: Recipe,
        draw: Draw,
        played: Mapping[str, tuple[Hits, NDArray[np.int64]]],
        rng: Rng,
        steps: int = FIRST_STEPS,
    ):
        self.recipe, self._draw, self._rng = recipe, draw, rng
        self._batches = min(FIRST_DRAWS, steps)
        self.critics = {part: Critics(*phrases, rng) for part, phrases in played.items()}
        self._drawn = self._of_each_verb()
        for part, critics in self.critics.items():
            critics.learn(joined(self._drawn[part]), min(FIRST_STEPS, STEPS * steps))

    def told(self) -> float:
        """In what share of pairs critics tell a played phrase that they never saw from a new draw."""
        drawn = self._of_each_verb()
        return float(np.mean([critics.told(joined(drawn[part])) for part, critics in self.critics.items()]))

    def loss(self) -> Tensor:
        """By which decoders make bars with a reward above the mean likelier, and the others less likely."""
        verbs, shares = zip(*self.recipe.tasks.items(), strict=True)
        verb = verbs[self._rng.choice(len(verbs), p=np.array(shares) / sum(shares))]
        losses = []
        for part, drawn in self._draw(verb, self.recipe.batch, self._rng).items():
            critics = self.critics[part]
            self._drawn[part] = [*self._drawn[part], drawn.seen][-REMEMBERED:]
            reward = rewards(critics.logits(drawn.seen))
            of_bars = drawn.nats()
            critics.learn(joined(self._drawn[part]), STEPS)
            losses.append((of_bars * reward.to(of_bars)).mean())
        return torch.stack(losses).sum()

    def losses(self, of_data: BatchLosses, step: int) -> dict[str, Tensor]:
        """The loss of what is drawn, and beside it that of some data."""
        data = of_data(step)["total"] / max(self.recipe.bars)
        drawn = self.loss()
        return {"data": data, "drawn": drawn, "total": drawn + DATA * data}

    def _of_each_verb(self) -> dict[str, list[Seen]]:
        shares = self.recipe.tasks.items()
        counts = {
            verb: max(1, round(self._batches * share / sum(self.recipe.tasks.values()))) for verb, share in shares
        }
        found: dict[str, list[Seen]] = {part: [] for part in self.critics}
        for verb, count in counts.items():
            for _ in range(count):
                for part, drawn in self._draw(verb, self.recipe.batch, self._rng).items():
                    found[part].append(drawn.seen)
        return found


def fixed(parts: Iterable[nn.Module]) -> None:
    """What z means stays as it is."""
    for part in parts:
        part.requires_grad_(False)


def without_dropout(model: nn.Module) -> None:
    """As a model draws; a GPU has no gradient for an LSTM that is not in training, but nothing is dropped in it."""
    model.eval()
    for part in model.modules():
        if isinstance(part, nn.LSTM):
            part.train()


def by_bar(nats: Tensor, bars: int) -> Tensor:
    """The nats of steps (phrase, step) as those of bars (phrase, bar)."""
    return nats.view(len(nats), bars, -1).sum(dim=2)


def rewards(logits: Tensor) -> Tensor:
    """What critics say of the bars so far (phrase, bar) -> how much better than the mean each bar is."""
    later, reward = logits.new_zeros(len(logits)), torch.diff(F.pad(logits, (1, 0)), dim=1)
    for bar in reversed(range(logits.shape[1])):
        later = reward[:, bar] + LATER * later
        reward[:, bar] = later
    better = reward - reward.mean(dim=0)
    return (better / reward.std().clamp(min=1e-6)).clamp(-LARGEST, LARGEST)
