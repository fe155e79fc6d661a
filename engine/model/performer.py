"""How the hits are played: offset and velocity are sampled one hit after the other, each given those before it.

Sampled independently, the marginals of timing and velocity are right and the joint is wrong, which listeners hear.
So an LSTM takes the hits in the order of step and drum, and samples the offset from 33 bins over -1..1, then the
velocity from 32 bins over 0..1 given the offset. Feeding predicted means back does not give the mean of the
samples, so temperature 0 uses a separate regressor, expectation.py.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.blocks import Array, Laid, in_blocks, product
from engine.model.captured.drummer import HitSteps
from engine.model.captured.runner import Kept, bucket, is_captured
from engine.model.encoder import POSITIONS
from engine.model.expectation import Expectation
from engine.model.lstm import InitialState, Lstm, LstmState, heard, unexpanded
from engine.model.noise import Noise
from engine.model.plan import Plan
from engine.model.stepping import BlockHead, State, Stepper, by_step, projected, run, spread
from engine.model.tasks import Given
from engine.model.walk import PAST, Walk, given_prefix, past, walk
from engine.pausing import look
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, OFFSETS, VELOCITIES

OFFSET_BINS, VELOCITY_BINS = 33, 32
OFFSETS_OF_BINS = torch.linspace(-1, 1, OFFSET_BINS)
VELOCITIES_OF_BINS = (torch.arange(VELOCITY_BINS) + 0.5) / VELOCITY_BINS
VELOCITIES_OF_BINS[-1] = 1 + 0.5 / VELOCITY_BINS
"""Centred so that every sample of the last bin is clamped to 1: pads report all of their hardest hits as 127."""

CONTEXT_DEPTH = 4 * CLASSES + 6 + 16 + 1
MEAN_WEIGHTS = (4.0, 8.0)
"""About 1 / (2·variance) of offsets and velocities: brings squared errors to the scale of nats."""

SHARED_ERROR_DISCOUNT = 0.7
"""The share of their common error that training leaves out: of a window's offsets, of a drum's velocities in it.

How late and how loud a window is as a whole is soon memorised; the differences from hit to hit are not. Generalised
least squares with random effects: Laird and Ware 1982, Random-effects models for longitudinal data.
"""

HIDDEN_WINDOWS = 0.5
"""In training, the share of windows in which a random share of the hits is hidden from the hits after them."""

TEMPLATE = 2 * CLASSES
"""A groove template, linear in z: 9 offsets and 9 velocities for each position in the bar."""

Static = tuple[Tensor, Tensor, Tensor]
"""The inputs of a hit that do not depend on earlier hits: drum (batch, hit, 9); z; template and context."""

Pair = tuple[Tensor, Tensor]
"""One tensor for the offset, one for the velocity."""

Chance = tuple[Array, Array]
"""See _Hit."""

Bins = NDArray[np.int64]

AHEAD = 4
"""The predicted mean offset and velocity; beats since the hit before; whether the drum was hit a bar ago."""


class Performer(nn.Module):
    """p(offset, velocity | hits, z, given offsets and velocities), one hit at a time.

    A bidirectional LSTM reads all hits, the given offsets and velocities, the taps, the position in the bar and the
    tempo: the context. An MLP of drum, z, template and context, plus the template's own values for the drum,
    predicts the mean offset and velocity. Input of the sampling LSTM = [past, mean, gap, drum, z, template,
    context]. The past holds the residuals of earlier hits, their difference from the mean; in training some are
    hidden: else the LSTM would infer the feel from the first hits, and would ignore z.
    """

    def __init__(self, z: int, hidden: int, context: int, *, dropout: float):
        super().__init__()
        self.context = nn.LSTM(CONTEXT_DEPTH, context, batch_first=True, bidirectional=True)
        self.template = Plan(z, POSITIONS, TEMPLATE)
        static = CLASSES + z + TEMPLATE + 2 * context
        hidden_of_mean, mean = nn.Linear(static, hidden), nn.Linear(hidden, 2)
        self.mean = nn.Sequential(hidden_of_mean, nn.Tanh(), mean)
        self.initial_state = InitialState(z, hidden)
        self.lstm = Lstm(PAST + AHEAD + static, hidden)
        self.offset = nn.Linear(hidden, OFFSET_BINS)
        self.velocity_hidden = nn.Linear(hidden, hidden // 2)
        self.offset_drawn = nn.Embedding(OFFSET_BINS, hidden // 2)
        self.velocity = nn.Linear(hidden // 2, VELOCITY_BINS)
        self.dropout = nn.Dropout(dropout)
        self.laid_mean = Laid(hidden_of_mean), Laid(mean)
        self._captured = Kept()
        self.laid_heads = Laid(self.offset, self.velocity_hidden), Laid(self.velocity)
        self.expectation = Expectation(CONTEXT_DEPTH, z, context, dropout=dropout)

    def loss(
        self, z: Tensor, target: Tensor, given: Given, *, hidden_share: float | None = None
    ) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> the losses of hits whose timing is not given: (batch,).

        offset and velocity in nats, mean: weighted squared error. hidden_share: of hits hidden from those after
        them; None: as HIDDEN_WINDOWS says in training, else 0.
        """
        path = walk(target[..., HITS])
        played = path.played(target)
        mean, *logits = self.predictions(path, z, target, given, hidden_share=hidden_share)
        bins = _offset_bin(played[..., 0]), _velocity_bin(played[..., 1])
        offset_nats, velocity_nats = (
            F.cross_entropy(each.transpose(1, 2), true, reduction="none")
            for each, true in zip(logits, bins, strict=True)
        )
        wrong = ((played - mean) ** 2 * torch.tensor(MEAN_WEIGHTS).to(mean)).sum(dim=-1)
        nats = {"offset": offset_nats, "velocity": velocity_nats, "mean": wrong}
        not_given = path.real * (1 - path.at(given.timing_given))
        return {name: (value * not_given).sum(dim=1) for name, value in nats.items()}

    def predictions(
        self, path: Walk, z: Tensor, target: Tensor, given: Given, *, hidden_share: float | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is said of each hit of target where the hits before it are known; path = walk(hits of target).

        z (batch, z), target (batch, step, 27) -> the mean (batch, hit, 2), the logits of offset bins (batch, hit,
        33), and of velocity bins given the true offset (batch, hit, 32). hidden_share: see loss.
        """
        hits, played = target[..., HITS], path.played(target)
        parts = self._static(path, z[:, None].expand(-1, hits.shape[1], -1), hits, given)
        static = self.dropout(torch.cat(parts, dim=-1))
        mean, before = self._mean(parts, self.mean(static)), path.before(given.steps_per_bar)
        seen = path.real * self._seen(path, hidden_share)
        errors = F.pad(((played - mean) * seen[..., None]).detach(), (0, 0, 1, 0))
        inputs = torch.cat([past(errors, before), mean, path.gap(before), static], dim=-1)
        hidden = self.dropout(self.lstm.run(inputs, self.initial_state(z))[0])
        mixed = torch.tanh(self.velocity_hidden(hidden) + self.offset_drawn(_offset_bin(played[..., 0])))
        return mean, self.offset(hidden), self.velocity(mixed)

    def decode(
        self,
        z: Tensor,
        hits: Tensor,
        given: Given,
        *,
        temperature: float | Tensor,
        noise: Noise,
        draws: int = 1,
    ) -> Tensor:
        """z (batch, step, z), hits (batch, step, 9) -> (batch·draws, step, 27). Temperature 0 gives the mean.

        temperature: one for all, or (batch, 1, 1), of which none is 0.
        """
        path = walk(hits)
        if isinstance(temperature, float | int) and temperature == 0:
            expected = self.expectation(step_features(hits, given), unexpanded(z))
            mean = torch.stack([path.at(expected[..., block, :]) for block in (0, 1)], dim=-1)
            played = _or_given(path, given, mean).repeat_interleave(draws, dim=0)
        else:
            if draws > 1 and isinstance(temperature, Tensor):
                temperature = temperature.repeat_interleave(draws, dim=0)
            hit_noise = _hit_noise(path.times(draws), given, temperature, noise)
            played = self._draw(path, z, hits, given, hit_noise)
        return path.times(draws).groove(played, hits.shape[1])

    def expectation_loss(self, z: Tensor, target: Tensor, given: Given) -> Tensor:
        """z (batch, z), target (batch, step, 27) -> squared error at the hits not given: (batch,)."""
        hits = target[..., HITS]
        predictions = self.expectation.predictions(step_features(hits, given), z[:, None])
        truth = torch.stack([target[..., OFFSETS], target[..., VELOCITIES]], dim=2)
        own = (hits * (1 - given.timing_given))[:, :, None]
        errors = (predictions - truth) * own
        squares, of_drum, hits_of_drum = (errors**2).sum(dim=(2, 4)), errors.sum(dim=2), own.sum(dim=1).clamp(min=1)
        of_window = of_drum[:, :, 0].sum(dim=2) ** 2 / own.sum(dim=(1, 2, 3)).clamp(min=1)
        shared = torch.stack([of_window, (of_drum**2 / hits_of_drum)[:, :, 1].sum(dim=2)], dim=2)
        discount = SHARED_ERROR_DISCOUNT if self.training else 0.0
        wrong = (squares - discount * shared) * torch.tensor(MEAN_WEIGHTS).to(truth)
        return wrong.mean(dim=0).sum(dim=1)

    def _draw(self, path: Walk, z: Tensor, hits: Tensor, given: Given, hit_noise: Tensor) -> Tensor:
        """Sample offset and velocity of each hit: (batch·draws, hit, 2).

        z (batch, step, z), hit_noise (batch·draws, hit, 67). The draws of a row share the leading hits whose timing
        is given in every row.
        """
        draws = len(hit_noise) // len(z)
        static, before = (
            self._static(path, unexpanded(z), hits, given, blocks=True),
            path.before(given.steps_per_bar),
        )
        ahead = torch.cat([_of_each(part, path) for part in static], dim=-1)
        first_layer, second_layer = self.laid_mean
        mean = self._mean(static, product(torch.tanh(product(ahead, *first_layer())), *second_layer()))
        played = _or_given(path, given, torch.nan)
        errors = F.pad(torch.nan_to_num(played - mean), (0, 0, 1, 0))
        gates = projected(self.lstm, PAST, mean, path.gap(before), ahead)
        state = self.initial_state(z[:, 0], blocks=True)
        first = 0 if is_captured(z.device) else given_prefix(played)
        if first:
            state = self._after(state, gates[:first], past(errors, before[:, :first]))
        of_row = torch.arange(len(hit_noise), device=z.device) // draws
        state = [(c[of_row], h[of_row]) for c, h in state]
        before, mean, to_sample = (each[of_row, first:] for each in (before, mean, played))
        gumbel, values = _bins_of(to_sample, hit_noise[:, first:])
        of_bins = torch.cat([each - mean[..., k : k + 1] for k, each in enumerate(values)], dim=-1)
        chance = self._biases(gumbel)
        if is_captured(z.device):
            chosen = self._choose_captured(state, gates[:, of_row], of_bins, chance, before)
        else:
            places = torch.arange(len(of_row), device=z.device)[:, None, None] * errors[0].numel()
            its_gates = spread(gates[first:], of_row.cpu().numpy())
            known = zip(its_gates, by_step(before + places), by_step(of_bins), strict=True)
            lstm = Stepper(self.lstm, PAST, state, blocks=True)
            begun = State(lstm, errors[of_row].cpu().numpy(), 1 + first)
            bins = run(_Hit(self, lstm), begun, known, zip(*map(by_step, chance), strict=True))
            chosen = torch.from_numpy(np.stack(bins, axis=1)).to(z.device)
        sampled = torch.cat([each.gather(2, chosen[..., k, None]) for k, each in enumerate(values)], dim=2)
        return torch.cat([played[of_row, :first], sampled], dim=1)

    def _choose_captured(
        self, state: LstmState, gates: Tensor, of_bins: Tensor, chance: Pair, before: Tensor
    ) -> Tensor:
        """The bins of all hits (batch, hit, 2), on the device; gates (hit, batch, n), else (batch, hit, n)."""
        hits, batch = gates.shape[:2]
        places = bucket(1 + hits)
        heads, last = (laid()[0].whole() for laid in self.laid_heads)
        drawn = self.offset_drawn.weight
        captured = self._captured.get(
            self.lstm, places, lambda: HitSteps(self.lstm, heads, last, drawn, places, PAST)
        )
        now = torch.arange(1, 1 + hits, device=gates.device)[:, None, None].expand(-1, batch, 1)
        others = (each.transpose(0, 1) for each in (of_bins, *chance, before))
        return captured.run(state[0], (gates, *others, now)).transpose(0, 1)

    def _after(self, state: LstmState, gates: Tensor, fed: Tensor) -> LstmState:
        """The state after some hits: gates (hit, batch, 4·hidden), fed (batch, hit, 22)."""
        lstm = Stepper(self.lstm, PAST, state, blocks=True)
        for its_gates, its_fed in zip(gates.cpu().numpy(), by_step(fed), strict=True):
            look()
            lstm.fed[...] = its_fed
            lstm.step(its_gates)
        return [(c.to(fed.device), h.to(fed.device)) for c, h in lstm.state()]

    def _biases(self, gumbel: Pair) -> Pair:
        """The chance of all hits, see _Hit; gumbel (batch, hit, 33), (batch, hit, 32)."""
        bias = torch.cat([self.offset.bias, self.velocity_hidden.bias])
        offset = bias + F.pad(gumbel[0], (0, self.velocity_hidden.out_features))
        velocity = gumbel[1] + self.velocity.bias
        return offset, velocity

    def _seen(self, path: Walk, hidden_share: float | None) -> Tensor:
        """Which hits are visible to those after them, drawn at random in training: (batch, hit)."""
        uniform = torch.rand(2, len(path.cell), 1, device=path.cell.device)
        if hidden_share is not None:
            rate = torch.full_like(uniform[0], hidden_share)
        elif self.training:
            rate = torch.where(uniform[0] < HIDDEN_WINDOWS, uniform[1], 0.0)
        else:
            return torch.ones_like(path.real)
        return torch.rand(path.cell.shape, device=rate.device) >= rate

    def _static(self, path: Walk, z: Tensor, hits: Tensor, given: Given, *, blocks: bool = False) -> Static:
        """The inputs of each hit that do not depend on earlier hits: see Static.

        z (batch, step, z) becomes (batch, hit, z), or stays (batch, 1, z); the last is (batch, hit, 18 +
        2·context). blocks: see blocks.py.
        """

        def template(z: Tensor) -> Tensor:
            return self.template(z.expand(-1, hits.shape[1], -1), given.position[0])  # type: ignore[no-any-return]

        features = step_features(hits, given)
        if blocks:
            ways = in_blocks(template, z), in_blocks(partial(heard, self.context), features)
        else:
            ways = template(z), self.context(features)[0]
        rest = torch.cat(ways, dim=-1)
        at_hit = [part if part.shape[1] == 1 < hits.shape[1] else path.from_steps(part) for part in (z, rest)]
        return F.one_hot(path.drum, CLASSES).to(hits), at_hit[0], at_hit[1]

    def _mean(self, parts: Static, by_network: Tensor) -> Tensor:
        """The predicted mean offset and velocity of each hit: (batch, hit, 2), what the network adds among it."""
        drum, _, rest = parts
        template = torch.unflatten(rest[..., :TEMPLATE], -1, (2, CLASSES))
        return by_network + (template * drum[..., None, :]).sum(dim=-1)


class _Hit:
    """A Step that chooses the bins of a hit's offset and velocity: (batch, 2).

    An error is a value less the predicted mean; the past (batch, 1 + hit, 2) holds those of the hits before. known:
    the gates; which errors are fed, counted through the batch (batch, 22); the error of each bin (batch, 65).
    chance: Gumbel noise and biases of offset bins and velocity_hidden (batch, n), and of velocity bins (batch, 32).
    """

    def __init__(self, performer: Performer, lstm: Stepper):
        heads, last = (laid()[0] for laid in performer.laid_heads)
        top, rows = lstm.top_in_blocks(), len(lstm.fed)
        self._offset_and_hidden = BlockHead(heads, top, rows)
        both = self._offset_and_hidden.out
        self._offset_logits, self._hidden = both[:, :OFFSET_BINS], both[:, OFFSET_BINS:]
        self._offset_drawn = performer.offset_drawn.weight.cpu().numpy()
        mixed = np.zeros((*top.shape[:2], last.reads), np.float32)
        self._mix, self._velocity = mixed.reshape(-1, last.reads)[:rows], BlockHead(last, mixed, rows)
        self._bins = np.empty((2, rows), np.int64).T
        self._offset_bin, self._velocity_bin = self._bins.T
        self._first_bins = np.arange(rows)[:, None] * (OFFSET_BINS + VELOCITY_BINS) + (0, OFFSET_BINS)

    def __call__(self, state: State, known: tuple[Array, Bins, Array], chance: Chance) -> Bins:
        gates, fed, errors = known
        state.past.take(fed, out=state.lstm.fed, mode="clip")
        state.lstm.step(gates)
        self._offset_and_hidden(chance[0])
        self._offset_logits.argmax(axis=1, out=self._offset_bin)
        np.add(self._offset_drawn.take(self._offset_bin, axis=0), self._hidden, out=self._mix)
        np.tanh(self._mix, out=self._mix)
        self._velocity(chance[1]).argmax(axis=1, out=self._velocity_bin)
        state.remember(errors.take(self._bins + self._first_bins))
        return self._bins.copy()


def step_features(hits: Tensor, given: Given) -> Tensor:
    """Inputs of each step: hits; which are given as played, how; taps; position; tempo: (batch, step, 59)."""
    position = F.one_hot(given.position, 16).to(hits)
    tempo = torch.log2(given.tempo_bpm / 120)[:, None, None].expand(-1, position.shape[1], 1)
    is_given = given.timing_given * hits
    values = [given.groove[..., VELOCITIES] * is_given, given.groove[..., OFFSETS] * is_given]
    return torch.cat([hits, is_given, *values, given.taps, position, tempo], dim=-1)


def _or_given(path: Walk, given: Given, played: Tensor | float) -> Tensor:
    """played (batch, hit, 2), offset and velocity of each hit, or what is given of it: (batch, hit, 2)."""
    return torch.where(path.at(given.timing_given)[..., None] > 0, path.played(given.groove), played)


def _hit_noise(path: Walk, given: Given, temperature: float | Tensor, noise: Noise) -> Tensor:
    """The random numbers of each hit, those of its cell whatever the other hits: (batch, hit, 67).

    Two in -0.5..0.5 place offset and velocity within their bins; 33 and 32 of Gumbel noise choose the bins.
    """
    batch, cells = len(path.cell), given.groove.shape[1] * CLASSES
    jitter = path.rows_at(noise.uniform(batch, cells, 2)) - 0.5
    gumbel = noise.gumbel(batch, cells, OFFSET_BINS + VELOCITY_BINS, wanted=path.rows_at)
    return torch.cat([jitter, temperature * gumbel], -1)


def _bins_of(played: Tensor, hit_noise: Tensor) -> tuple[Pair, Pair]:
    """What is added to the logits of offset and velocity bins, and the value of each bin: (batch, hit, bin) each.

    played (batch, hit, 2), nan where a hit is to be sampled, hit_noise (batch, hit, 67). Hits whose timing is given
    are not sampled: every bin holds the given value, and all but its own offset bin get a logit of -inf, since the
    velocity logits depend on the offset bin.
    """
    jitter, gumbel, velocity_gumbel = torch.split(hit_noise, [2, OFFSET_BINS, VELOCITY_BINS], dim=-1)
    offset = (OFFSETS_OF_BINS.to(hit_noise) + jitter[..., :1] * (2 / (OFFSET_BINS - 1))).clamp(-1, 1)
    velocity = (VELOCITIES_OF_BINS.to(hit_noise) + jitter[..., 1:] / VELOCITY_BINS).clamp(0, 1)
    to_sample = played.isnan()
    if not to_sample.all():
        offset, velocity = (
            torch.where(to_sample[..., :1], offset, played[..., :1]),
            torch.where(to_sample[..., 1:], velocity, played[..., 1:]),
        )
        own_bin = F.one_hot(_offset_bin(torch.nan_to_num(played[..., 0])), OFFSET_BINS)
        gumbel = torch.where(to_sample[..., :1], gumbel, own_bin.log())
    return (gumbel, velocity_gumbel), (offset, velocity)


def _of_each(part: Tensor, path: Walk) -> Tensor:
    """An input of each hit, or (batch, 1, n) of all: (batch, hit, n)."""
    return part.expand(-1, path.cell.shape[1], -1)


def _offset_bin(offset: Tensor) -> Tensor:
    return torch.round((offset.clamp(-1, 1) + 1) * ((OFFSET_BINS - 1) / 2)).long()


def _velocity_bin(velocity: Tensor) -> Tensor:
    return (velocity * VELOCITY_BINS).long().clamp(0, VELOCITY_BINS - 1)
