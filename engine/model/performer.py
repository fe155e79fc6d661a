"""How the hits are played: offset and velocity are sampled one hit after the other, each given those before it.

Sampled independently, the marginals of timing and velocity are right and the joint is wrong, which listeners hear.
So an LSTM takes the hits in the order of step and drum, and samples the offset from 33 bins over -1..1, then the
velocity from 32 bins over 0..1 given the offset. Feeding predicted means back does not give the mean of the
samples, so temperature 0 uses a separate regressor, expectation.py.

A step is a sixteenth counted from the start of the clip, its position 0..15 is where it is in the bar, a cell is
one drum in one step (step·9 + drum), and the index of a hit is its number in the order above.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import POSITIONS
from engine.model.expectation import Expectation
from engine.model.lstm import InitialState, Lstm, Stepper, unexpanded
from engine.model.noise import Noise
from engine.model.plan import Plan
from engine.model.tasks import Given
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

IS_VELOCITY = (0, 1, *CLASSES * (0,), *CLASSES * (1,), 0, 1)
PAST = len(IS_VELOCITY)
"""Which of the 22 inputs that depend on earlier hits are velocities (1) and which are offsets (0): offset and
velocity of the hit before; the last offset of each drum, the last velocity of each drum; offset and velocity of the
same drum a bar ago. All are differences from the predicted mean, 0 where there is no such hit.
"""

TEMPLATE = 2 * CLASSES
"""A groove template, linear in z: 9 offsets and 9 velocities for each position in the bar."""

Static = tuple[Tensor, Tensor, Tensor]
"""The inputs of a hit that do not depend on earlier hits: drum (batch, hit, 9); z; template and context."""

Pair = tuple[Tensor, Tensor]
"""One tensor for the offset, one for the velocity."""

AHEAD = 4
"""The predicted mean offset and velocity; beats since the hit before; whether the drum was hit a bar ago."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The hits of a batch in order: cell = step·9 + drum (batch, hit); real (batch, hit) is False on padding."""

    cell: Tensor
    real: Tensor

    @property
    def step(self) -> Tensor:
        """(batch, hit)."""
        return self.cell // CLASSES

    @property
    def drum(self) -> Tensor:
        """(batch, hit)."""
        return self.cell % CLASSES

    def times(self, draws: int) -> "Walk":
        """Each row repeated, the copies of a row next to each other."""
        return Walk(self.cell.repeat_interleave(draws, dim=0), self.real.repeat_interleave(draws, dim=0))

    def at(self, grid: Tensor) -> Tensor:
        """The values of a grid at the cells of the hits: (batch, step, 9) -> (batch, hit)."""
        return grid.flatten(1).gather(1, self.cell)

    def from_steps(self, table: Tensor) -> Tensor:
        """The rows of a table at the steps of the hits: (batch, step, n) -> (batch, hit, n)."""
        return table.gather(1, self.step[..., None].expand(-1, -1, table.shape[-1]))

    def rows_at(self, table: Tensor) -> Tensor:
        """The rows of a table at the cells of the hits: (batch, step·9, n) -> (batch, hit, n)."""
        return table.gather(1, self.cell[..., None].expand(-1, -1, table.shape[-1]))


def walk(hits: Tensor) -> Walk:
    """The hits (batch, step, 9) in the order of step and drum."""
    flat = hits.flatten(1) > 0
    counts = flat.sum(dim=1)
    longest = max(1, int(counts.max()))  # a batch without hits still has one hit of padding
    order = torch.argsort((~flat).to(torch.uint8), dim=1, stable=True)[:, :longest]
    real = torch.arange(longest, device=hits.device) < counts[:, None]
    return Walk(torch.where(real, order, 0), real)


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
        self.mean = nn.Sequential(nn.Linear(static, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.initial_state = InitialState(z, hidden)
        self.lstm = Lstm(PAST + AHEAD + static, hidden)
        self.offset = nn.Linear(hidden, OFFSET_BINS)
        self.velocity_hidden = nn.Linear(hidden, hidden // 2)
        self.offset_drawn = nn.Embedding(OFFSET_BINS, hidden // 2)
        self.velocity = nn.Linear(hidden // 2, VELOCITY_BINS)
        self.dropout = nn.Dropout(dropout)
        self.expectation = Expectation(CONTEXT_DEPTH, z, context, dropout=dropout)

    def loss(
        self, z: Tensor, target: Tensor, given: Given, *, hidden_share: float | None = None
    ) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> the losses of hits whose timing is not given: (batch,).

        offset and velocity in nats, mean: weighted squared error. hidden_share: of hits hidden from those after
        them; None: as HIDDEN_WINDOWS says in training, else 0.
        """
        hits = target[..., HITS]
        path = walk(hits)
        z_steps = z[:, None].expand(-1, hits.shape[1], -1)
        parts = self._static(path, z_steps, hits, given)
        static = self.dropout(torch.cat(parts, dim=-1))
        mean = self._mean(parts, static)
        offset, velocity = path.at(target[..., OFFSETS]), path.at(target[..., VELOCITIES])
        error = torch.stack([offset, velocity], dim=-1) - mean
        seen = self._seen(path, hidden_share)
        inputs = _inputs(path, (error * seen[..., None]).detach(), mean, static, given.steps_per_bar)
        hidden = self.dropout(self.lstm.run(inputs, self.initial_state(z))[0])
        not_given = path.real * (1 - path.at(given.timing_given))
        offset_bin = _offset_bin(offset)
        logits = self._logits(hidden, offset_bin)
        offset_nats, velocity_nats = (
            F.cross_entropy(each.transpose(1, 2), drawn, reduction="none")
            for each, drawn in zip(logits, (offset_bin, _velocity_bin(velocity)), strict=True)
        )
        wrong = (error**2 * torch.tensor(MEAN_WEIGHTS).to(error)).sum(dim=-1)
        nats = {"offset": offset_nats, "velocity": velocity_nats, "mean": wrong}
        return {name: (value * not_given).sum(dim=1) for name, value in nats.items()}

    def decode(
        self, z: Tensor, hits: Tensor, given: Given, *, temperature: float, noise: Noise, draws: int = 1
    ) -> Tensor:
        """z (batch, step, z), hits (batch, step, 9) -> (batch·draws, step, 27). Temperature 0 gives the mean."""
        path = walk(hits)
        repeated = path.times(draws)
        if temperature == 0:
            expected = self.expectation(step_features(hits, given), unexpanded(z))
            played = torch.stack([path.at(expected[..., 0, :]), path.at(expected[..., 1, :])], dim=-1)
            played = torch.where(path.at(given.timing_given)[..., None] > 0, _given_timing(path, given), played)
            played = played.repeat_interleave(draws, dim=0)
        else:
            static = self._static(path, unexpanded(z), hits, given)
            mean = self._mean(static, _whole(static, path))
            played = self._draw(path, z[:, 0], static, mean, given, _hit_noise(repeated, given, temperature, noise))
        offset, velocity = played[..., 0].clamp(-1, 1), played[..., 1].clamp(0, 1)
        values = torch.stack([torch.ones_like(offset), velocity, offset], dim=-1) * repeated.real[..., None]
        groove = torch.zeros(len(values), hits[0].numel(), 3, device=z.device)
        groove.scatter_add_(1, repeated.cell[..., None].expand(-1, -1, 3), values)
        return groove.view(-1, *hits.shape[1:], 3).transpose(2, 3).flatten(2)

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

    def _logits(self, hidden: Tensor, offset_bin: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of offset bins (batch, hit, 33), and of velocity bins given the offset (batch, hit, 32)."""
        mixed = torch.tanh(self.velocity_hidden(hidden) + self.offset_drawn(offset_bin))
        return self.offset(hidden), self.velocity(mixed)

    def _draw(self, path: Walk, z: Tensor, static: Static, mean: Tensor, given: Given, hit_noise: Tensor) -> Tensor:
        """Sample offset and velocity of each hit: (batch·draws, hit, 2).

        z (batch, z), mean (batch, hit, 2), hit_noise (batch·draws, hit, 67). The LSTM runs in one call over
        the leading hits whose timing is given in every row.
        """
        draws = len(hit_noise) // len(z)

        def many(row: Tensor) -> Tensor:
            return row if draws == 1 else row.repeat_interleave(draws, dim=0)

        played = torch.where(path.at(given.timing_given)[..., None] > 0, _given_timing(path, given), torch.nan)
        before = _before(path, given.steps_per_bar)
        ahead: tuple[Tensor, ...] = (mean, _gap(path, before), *static)
        state, errors = self.initial_state(z), F.pad(torch.nan_to_num(played - mean), (0, 0, 1, 0))
        first = _given_prefix(played)
        if first:
            past = errors.flatten(1).gather(1, before[:, :first].flatten(1)).view(len(z), first, PAST)
            parts = (past, *(part[:, :first].expand(-1, first, -1) for part in ahead))
            _, state = self.lstm.run(torch.cat(parts, dim=-1), state)
            ahead = tuple(part if part.shape[1] == 1 else part[:, first:] for part in ahead)
        cell = Stepper(self.lstm, PAST, [(many(c), many(h)) for c, h in state])
        gates = map(many, cell.project(*ahead))
        before, mean, to_sample = (many(each[:, first:]) for each in (before, mean, played))
        gumbel, values = _bins_of(to_sample, hit_noise[:, first:])
        off_mean = (values[0] - mean[..., :1], values[1] - mean[..., 1:])
        bins = self._walk(cell, gates, many(errors), before, gumbel, off_mean).to(z.device)
        sampled = torch.cat([each.gather(2, bins[..., k, None]) for k, each in enumerate(values)], dim=2)
        return torch.cat([many(played[:, :first]), sampled], dim=1)

    def _walk(
        self, cell: Stepper, gates: Iterable[Tensor], errors: Tensor, before: Tensor, gumbel: Pair, off_mean: Pair
    ) -> Tensor:
        """Sample one hit after the other: the chosen bins of its offset and velocity, (batch, hit, 2).

        gates: the share of each hit's LSTM gates that does not depend on earlier hits, as Stepper.project gives it.
        errors (batch, 1 + all hits, 2): the difference of each hit from the mean, filled in here for the hits that
        are sampled. before (batch, hit, 22): see _before. gumbel is added to the logits, off_mean is the value of
        each bin less the mean; both (batch, hit, bin).
        """
        batch, hits, _ = before.shape
        heads = torch.cat([self.offset.weight, self.velocity_hidden.weight]).t().cpu().contiguous()
        bias = torch.cat([self.offset.bias, self.velocity_hidden.bias])
        bias = bias + F.pad(gumbel[0], (0, self.velocity_hidden.out_features))
        velocity_bias = (gumbel[1] + self.velocity.bias).cpu().unbind(1)
        velocity_weights = self.velocity.weight.t().cpu().contiguous()
        drawn = self.offset_drawn.weight.cpu().numpy()
        both, velocity_logits = torch.empty(batch, bias.shape[2]), torch.empty(batch, VELOCITY_BINS)
        offset_logits, hidden = both.numpy()[:, :OFFSET_BINS], both.numpy()[:, OFFSET_BINS:]
        mixed, loudness_logits = torch.empty(batch, hidden.shape[1]), velocity_logits.numpy()
        mix, memory, row = mixed.numpy(), errors.cpu().numpy(), np.arange(batch)
        offset_row, velocity_row = row * OFFSET_BINS, row * VELOCITY_BINS
        indices = row[:, None, None] * memory[0].size + before.cpu().numpy()
        here = memory[:, -hits:]
        by_hit = [each.swapaxes(0, 1) for each in (indices, here[..., 0], here[..., 1])]
        by_hit += [each.transpose(0, 1).flatten(1).cpu().numpy() for each in off_mean]
        offset_bins, velocity_bins = [], []
        each_hit = zip(gates, bias.cpu().unbind(1), velocity_bias, *by_hit, strict=True)
        for gate, offset_bias, loudness_bias, index, late, loud, offsets, velocities in each_hit:
            memory.take(index, out=cell.fed, mode="clip")
            torch.addmm(offset_bias, cell.step(gate), heads, out=both)
            offset_bin = offset_logits.argmax(axis=1)
            np.add(drawn.take(offset_bin, axis=0), hidden, out=mix)
            np.tanh(mix, out=mix)
            torch.addmm(loudness_bias, mixed, velocity_weights, out=velocity_logits)
            velocity_bin = loudness_logits.argmax(axis=1)
            late[...] = offsets.take(offset_bin + offset_row)
            loud[...] = velocities.take(velocity_bin + velocity_row)
            offset_bins.append(offset_bin)
            velocity_bins.append(velocity_bin)
        return torch.from_numpy(np.stack([offset_bins, velocity_bins]).T.copy())

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

    def _static(self, path: Walk, z: Tensor, hits: Tensor, given: Given) -> Static:
        """The inputs of each hit that do not depend on earlier hits: see Static.

        z (batch, step, z) becomes (batch, hit, z), or stays (batch, 1, z); the last is (batch, hit, 18 +
        2·context).
        """
        context, _ = self.context(step_features(hits, given))
        template = self.template(z.expand(-1, hits.shape[1], -1), given.position[0])
        rest = torch.cat([template, context], dim=-1)
        at_hit = [part if part.shape[1] == 1 < hits.shape[1] else path.from_steps(part) for part in (z, rest)]
        return F.one_hot(path.drum, CLASSES).to(hits), at_hit[0], at_hit[1]

    def _mean(self, parts: Static, static: Tensor) -> Tensor:
        """The predicted mean offset and velocity of each hit: (batch, hit, 2). static: the parts, concatenated."""
        drum, _, rest = parts
        template = torch.unflatten(rest[..., :TEMPLATE], -1, (2, CLASSES))
        return self.mean(static) + (template * drum[..., None, :]).sum(dim=-1)  # type: ignore[no-any-return]


def step_features(hits: Tensor, given: Given) -> Tensor:
    """Inputs of each step: hits; which are given as played, how; taps; position; tempo: (batch, step, 59)."""
    position = F.one_hot(given.position, 16).to(hits)
    tempo = torch.log2(given.tempo_bpm / 120)[:, None, None].expand(-1, position.shape[1], 1)
    is_given = given.timing_given * hits
    values = [given.groove[..., VELOCITIES] * is_given, given.groove[..., OFFSETS] * is_given]
    return torch.cat([hits, is_given, *values, given.taps, position, tempo], dim=-1)


def _given_timing(path: Walk, given: Given) -> Tensor:
    """Offset and velocity of each hit in the given groove: (batch, hit, 2); valid where timing_given is 1."""
    return torch.stack([path.at(given.groove[..., block]) for block in (OFFSETS, VELOCITIES)], dim=-1)


def _given_prefix(played: Tensor) -> int:
    """How many hits of (batch, hit, 2) come before the first that is nan in any row, leaving one hit at least."""
    to_sample = played.isnan().any(dim=2).any(dim=0)
    to_sample[-1] = True
    return int(to_sample.to(torch.uint8).argmax())


def _hit_noise(path: Walk, given: Given, temperature: float, noise: Noise) -> Tensor:
    """The random numbers of each hit, those of its cell whatever the other hits: (batch, hit, 67).

    Two in -0.5..0.5 place offset and velocity within their bins; 33 and 32 of Gumbel noise choose the bins.
    """
    batch, cells = len(path.cell), given.groove.shape[1] * CLASSES
    jitter = path.rows_at(noise.uniform(batch, cells, 2)) - 0.5
    gumbel = noise.gumbel(batch, cells, OFFSET_BINS + VELOCITY_BINS, wanted=path.rows_at)
    return torch.cat([jitter, temperature * gumbel], -1)


def _bins_of(played: Tensor, hit_noise: Tensor) -> tuple[Pair, Pair]:
    """What is added to the logits of the offset and velocity bins, and the value of each bin.

    played (batch, hit, 2), nan where a hit is to be sampled, hit_noise (batch, hit, 67) -> (batch, hit, bin) each.
    Hits whose timing is given are not sampled: every bin holds the given value, and all but its own offset bin get
    a logit of -inf, since the velocity logits depend on the offset bin.
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


def _whole(static: Static, path: Walk) -> Tensor:
    """The static inputs of each hit, concatenated: (batch, hit, n)."""
    return torch.cat([part.expand(-1, path.cell.shape[1], -1) for part in static], dim=-1)


def _inputs(path: Walk, error: Tensor, mean: Tensor, static: Tensor, steps_per_bar: int) -> Tensor:
    """The LSTM's inputs where all hits are known: (batch, hit, n). error (batch, hit, 2): played less the mean."""
    before, errors = _before(path, steps_per_bar), F.pad(error * path.real[..., None], (0, 0, 1, 0)).flatten(1)
    past = errors.gather(1, before.flatten(1)).view(before.shape)
    return torch.cat([past, mean, _gap(path, before), static], dim=-1)


def _gap(path: Walk, before: Tensor) -> Tensor:
    """The beats since the hit before, at most 2, and 1 where the same drum was hit a bar ago: (batch, hit, 2)."""
    gap = F.pad(path.step[:, 1:] - path.step[:, :-1], (1, 0))[..., None]
    return torch.cat([(gap / 4).clamp(0, 2), (before[..., -2:-1] > 0).float()], dim=-1)


def _before(path: Walk, steps_per_bar: int) -> Tensor:
    """Indices of each hit's 22 past inputs (see PAST) into the errors, flattened to (1 + hit)·2: (batch, hit, 22).

    The first two hold zeros, for a past hit that does not exist.
    """
    index, bar = torch.arange(1, path.cell.shape[1] + 1, device=path.cell.device), steps_per_bar * CLASSES
    own = torch.where(path.drum[..., None] == torch.arange(CLASSES, device=index.device), index[:, None], 0)
    last = F.pad(own.cummax(dim=1).values[:, :-1], (0, 0, 1, 0))
    cells = index.new_zeros(len(path.cell), bar + int(path.cell.max()) + 1)
    ago = cells.scatter_add(1, path.cell + bar, index * path.real).gather(1, path.cell)[..., None]
    previous = (index - 1)[:, None].expand_as(ago)
    return 2 * torch.cat([previous, previous, last, last, ago, ago], dim=-1) + index.new_tensor(IS_VELOCITY)


def _offset_bin(offset: Tensor) -> Tensor:
    return torch.round((offset.clamp(-1, 1) + 1) * ((OFFSET_BINS - 1) / 2)).long()


def _velocity_bin(velocity: Tensor) -> Tensor:
    return (velocity * VELOCITY_BINS).long().clamp(0, VELOCITY_BINS - 1)
