"""How points of z are moved to the attributes that are asked for, learnt from windows of tokens.

The networks stand in engine/model/constraint.py. Knows no file, card or verb.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import DataError
from engine.learning.prior import Prior
from engine.model.constraint import HIDDEN, REACH, AttributeVectors, LatentConstraint
from engine.model.noise import Noise
from engine.representation.attributes import Scale
from engine.representation.measures import Values
from engine.representation.token_measures import token_attributes
from engine.representation.tokens import Representation, Tokens

FEWEST_WINDOWS = 64
"""Of which an attribute is known: of fewer it is not learnt."""

RIDGE = 10.0
BATCH, VALUE_STEPS, STEPS = 256, 2500, 3000
VALUE_RATE, RATE, DECAY, DROPOUT = 2e-3, 1e-3, 0.1, 0.2
ASKED = 0.35
"""How often each attribute is asked for in training, beside one that always is."""

KEPT, NEAR, REAL = 0.3, 0.05, 0.1
"""What counts beside a deviation that is lacking, squared: a deviation by which what is not asked for moves, and
one of z by which the point moves, both squared; a nat by which the critic tells it from points of the data."""


def window_attributes(tokens: Tokens, representation: Representation) -> dict[str, Values]:
    """Each attribute of windows (window, step, part), the mean of its bars, in its unit: (window,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no bar has one it is nan
        return {name: np.nanmean(bars, axis=1) for name, bars in token_attributes(tokens, representation).items()}


def spreads(values: Mapping[str, Values]) -> dict[str, tuple[float, float]]:
    """The mean and the deviation of each attribute that differs among windows; DataError where none does."""
    found = {name: each[~np.isnan(each)] for name, each in values.items()}
    told = {
        name: (round(float(each.mean()), 4), round(float(each.std()), 4))
        for name, each in found.items()
        if len(each) >= FEWEST_WINDOWS
    }
    told = {name: pair for name, pair in told.items() if pair[1] > 0}
    if not told:
        raise DataError(f"there are too few windows to learn attributes from: at least {FEWEST_WINDOWS}")
    return told


def in_deviations(values: Mapping[str, Values], scales: Mapping[str, Scale]) -> Values:
    """(window, attribute), in the order of the scales."""
    return np.stack([scale.asked(values[name]) for name, scale in scales.items()], axis=1)


@dataclass(frozen=True, slots=True)
class Points:
    """Where windows lie: mu and sigma (window, z); values (window, attribute) in deviations, and where known."""

    mu: Tensor
    sigma: Tensor
    values: Tensor
    known: Tensor

    def draw(self, count: int, spread: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """A z of windows, mu at a spread of 0 (or (count, 1) of each), and which windows they are of."""
        chosen = torch.randint(len(self.mu), (count,))
        noise = torch.randn(count, self.mu.shape[1])
        return self.mu[chosen] + spread * self.sigma[chosen] * noise, chosen


def points_of(mu: Tensor, sigma: Tensor, values: Values) -> Points:
    """The points of windows of which some values may be nan."""
    table = torch.from_numpy(values).float()
    return Points(mu, sigma, table.nan_to_num(), ~table.isnan())


def learn_vectors(points: Points, seed: int) -> AttributeVectors:
    """The mean of the top quarter less that of the bottom quarter, and a ridge regression."""
    torch.manual_seed(seed)
    z = points.mu + points.sigma * torch.randn_like(points.mu)
    found = AttributeVectors(z.shape[1], points.values.shape[1]).requires_grad_(False)
    for index, (values, known) in enumerate(zip(points.values.T, points.known.T, strict=True)):
        own, told = z[known], values[known]
        low, high = torch.quantile(told, 0.25), torch.quantile(told, 0.75)
        found.vectors[index] = own[told >= high].mean(dim=0) - own[told <= low].mean(dim=0)
        centre = own.mean(dim=0)
        squares = (own - centre).T @ (own - centre) + RIDGE * torch.eye(z.shape[1])
        found.weight[index] = torch.linalg.solve(squares, (own - centre).T @ (told - told.mean()))
        found.bias[index] = told.mean() - centre @ found.weight[index]
    return found


def learn_generator(
    points: Points, prior: Prior, seed: int, on_progress: Callable[[str], None] = lambda _: None
) -> LatentConstraint:
    """A generator that a value function and a critic teach: half of what it moves is drawn from the prior."""
    torch.manual_seed(seed)
    size, attributes = points.mu.shape[1], points.values.shape[1]
    value = _learn_value(points, on_progress)
    generator, critic = LatentConstraint(size, attributes), _network(size, 1)
    nn.init.zeros_(generator.output.weight)
    nn.init.zeros_(generator.output.bias)
    optimiser, schedule = _optimiser(generator, RATE, STEPS)
    judging = torch.optim.Adam(critic.parameters(), RATE, betas=(0.5, 0.9))
    spread, noise = points.draw(4 * BATCH)[0].std(dim=0), Noise(seed)
    for step in range(STEPS):
        drawn = prior.draw(noise, BATCH // 2)
        z = torch.cat([drawn, points.draw(BATCH - len(drawn), torch.rand(BATCH - len(drawn), 1))[0]])
        mask = (torch.rand(BATCH, attributes) < ASKED).float()
        mask[torch.arange(BATCH), torch.randint(attributes, (BATCH,))] = 1
        asked = (2 * torch.rand(BATCH, attributes) - 1) * REACH
        moved = generator(z, asked, mask)
        real = F.softplus(-critic(points.draw(BATCH)[0])).mean() + F.softplus(critic(moved.detach())).mean()
        _step(judging, real)
        before, after = value(z), value(moved)
        loss = (mask * (after - asked) ** 2 + KEPT * (1 - mask) * (after - before) ** 2).sum(dim=1).mean()
        loss = loss + NEAR * ((moved - z) / spread).square().sum(dim=1).mean()
        _step(optimiser, loss + REAL * F.softplus(-critic(moved)).mean())
        schedule.step()
        if step % 500 == 499:
            on_progress(f"the generator: step {step + 1} of {STEPS}, loss {loss.item():.2f}")
    return generator.eval().requires_grad_(False)


def _learn_value(points: Points, on_progress: Callable[[str], None]) -> nn.Module:
    """What reads the attributes of points, drawn anew each time; it goes on dropping out: then none fools it."""
    value = _network(points.mu.shape[1], points.values.shape[1], DROPOUT)
    optimiser, schedule = _optimiser(value, VALUE_RATE, VALUE_STEPS, DECAY)
    for step in range(VALUE_STEPS):
        z, chosen = points.draw(BATCH)
        off = points.known[chosen] * (value(z) - points.values[chosen]) ** 2
        _step(optimiser, off.mean())
        schedule.step()
        if step % 500 == 499:
            on_progress(f"the value function: step {step + 1} of {VALUE_STEPS}, loss {off.mean().item():.3f}")
    return value.requires_grad_(False)


def _network(inputs: int, outputs: int, dropout: float = 0.0) -> nn.Module:
    def layer(size: int) -> tuple[nn.Module, ...]:
        return nn.Linear(size, HIDDEN), nn.SiLU(), nn.Dropout(dropout)

    return nn.Sequential(*layer(inputs), *layer(HIDDEN), nn.Linear(HIDDEN, outputs))


def _optimiser(
    network: nn.Module, rate: float, steps: int, decay: float = 0.0
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.OneCycleLR]:
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
