"""How the hits are played: offset and velocity of one hit after the other, each knowing those before it.

Drawn independently the marginals of timing and velocity are right and the joint is wrong: a listener hears it.
So an LSTM walks the hits in the order of step and class, and draws the offset from 33 bins over -1..1, then the
velocity from 32 bins over 0..1 given the offset. Temperature 0 plays what a network of its own expects: means fed
back into the walk are not the mean of what it draws.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import POSITIONS
from engine.model.expectation import Expectation
from engine.model.lstm import InitialState, Lstm, Stepper, once
from engine.model.noise import Noise
from engine.model.plan import Plan
from engine.model.tasks import Given
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, OFFSETS, VELOCITIES

OFFSET_BINS, VELOCITY_BINS = 33, 32
OFFSETS_OF_BINS = torch.linspace(-1, 1, OFFSET_BINS)
VELOCITIES_OF_BINS = (torch.arange(VELOCITY_BINS) + 0.5) / VELOCITY_BINS
VELOCITIES_OF_BINS[-1] = 1 + 0.5 / VELOCITY_BINS
"""A pad hit as hard as it can tell says 127: what falls into the last bin is 1, not around it."""

CONTEXT_DEPTH = 4 * CLASSES + 6 + 16 + 1
MEAN_WEIGHTS = (4.0, 8.0)
"""About 1 / (2·variance) of offsets and velocities: the squared errors of the mean weigh as much as nats."""

FORGIVEN = 0.7
"""The share that training does not count of what the errors of a window have in common: all its offsets, and the
velocities of each of its drums.

How late a player sits and how loud is soon learnt by heart from so few; what he does from hit to hit is not.
Generalised least squares with random effects, Laird and Ware 1982, Random-effects models for longitudinal data.
"""

HIDDEN_WINDOWS = 0.5
"""The share of windows in training in which some of the hits, any share, are hidden from those after them."""

IS_VELOCITY = (0, 1, *CLASSES * (0,), *CLASSES * (1,), 0, 1)
PAST = len(IS_VELOCITY)
"""How what came before was played, as far as it differs from the mean: the last hit's offset and velocity; each
drum's last offset, each drum's last velocity; the offset and velocity of the same drum a bar ago.
"""

TEMPLATE = 2 * CLASSES
"""What z alone says of each drum at a place of the bar: 9 offsets, 9 velocities."""

Static = tuple[Tensor, Tensor, Tensor]
"""What a hit's input has besides the past: drum (batch, hit, 9), z, template and context (batch, hit, 274)."""

Pair = tuple[Tensor, Tensor]
"""Of offset and of velocity."""

AHEAD = 4
"""The mean offset and velocity; the beats since the hit before, and whether the same drum was hit a bar ago."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The hits of a batch in order: cell = step·9 + drum (batch, hit), 0 where real (batch, hit) is False."""

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
        """Each row so many times, side by side."""
        return Walk(self.cell.repeat_interleave(draws, dim=0), self.real.repeat_interleave(draws, dim=0))

    def at(self, grid: Tensor) -> Tensor:
        """(batch, step, 9) -> (batch, hit)."""
        return grid.flatten(1).gather(1, self.cell)

    def from_steps(self, table: Tensor) -> Tensor:
        """(batch, step, n) -> (batch, hit, n)."""
        return table.gather(1, self.step[..., None].expand(-1, -1, table.shape[-1]))

    def rows_at(self, table: Tensor) -> Tensor:
        """(batch, step·9, n) -> (batch, hit, n)."""
        return table.gather(1, self.cell[..., None].expand(-1, -1, table.shape[-1]))


def walk(hits: Tensor) -> Walk:
    """The hits (batch, step, 9) in the order of step and drum."""
    flat = hits.flatten(1) > 0
    counts = flat.sum(dim=1)
    longest = max(1, int(counts.max()))  # a batch of rests still has one place, which is not real
    order = torch.argsort((~flat).to(torch.uint8), dim=1, stable=True)[:, :longest]
    real = torch.arange(longest, device=hits.device) < counts[:, None]
    return Walk(torch.where(real, order, 0), real)


class Performer(nn.Module):
    """p(offset, velocity | hits, z, what is given of them), a hit at a time.

    A bidirectional LSTM reads all hits, what is known of how they are played, the taps, the position in the bar
    and the tempo. A head says a mean, of all that and of z; what z says of each drum at each place of the bar, a
    groove template, goes straight into it. Hit input = [past, mean, place, drum, z, template, context]. The past is
    what the mean did not expect, and in training some of it is hidden: else the first hits would tell the walk of
    the feel, and z would not be needed.
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
        """z (batch, z), target (batch, step, 27) -> nats of the offsets and velocities not given, each (batch,)."""
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
        unknown = path.real * (1 - path.at(given.played_known))
        offset_bin = _offset_bin(offset)
        logits = self._logits(hidden, offset_bin)
        offset_nats, velocity_nats = (
            F.cross_entropy(each.transpose(1, 2), drawn, reduction="none")
            for each, drawn in zip(logits, (offset_bin, _velocity_bin(velocity)), strict=True)
        )
        wrong = (error**2 * torch.tensor(MEAN_WEIGHTS).to(error)).sum(dim=-1)
        nats = {"offset": offset_nats, "velocity": velocity_nats, "mean": wrong}
        return {name: (value * unknown).sum(dim=1) for name, value in nats.items()}

    def decode(
        self, z: Tensor, hits: Tensor, given: Given, *, temperature: float, noise: Noise, draws: int = 1
    ) -> Tensor:
        """z (batch, step, z), hits (batch, step, 9) -> (batch·draws, step, 27). Temperature 0 is the mean."""
        path = walk(hits)
        drawn = path.times(draws)
        if temperature == 0:
            expected = self.expectation(known_of(hits, given), once(z))
            played = torch.stack([path.at(expected[..., 0, :]), path.at(expected[..., 1, :])], dim=-1)
            played = torch.where(path.at(given.played_known)[..., None] > 0, _told(path, given), played)
            played = played.repeat_interleave(draws, dim=0)
        else:
            static = self._static(path, once(z), hits, given)
            mean = self._mean(static, _whole(static, path))
            played = self._draw(path, z[:, 0], static, mean, given, _chance(drawn, given, temperature, noise))
        offset, velocity = played[..., 0].clamp(-1, 1), played[..., 1].clamp(0, 1)
        values = torch.stack([torch.ones_like(offset), velocity, offset], dim=-1) * drawn.real[..., None]
        groove = torch.zeros(len(values), hits[0].numel(), 3, device=z.device)
        groove.scatter_add_(1, drawn.cell[..., None].expand(-1, -1, 3), values)
        return groove.view(-1, *hits.shape[1:], 3).transpose(2, 3).flatten(2)

    def expectation_loss(self, z: Tensor, target: Tensor, given: Given) -> Tensor:
        """z (batch, z), target (batch, step, 27) -> how wrong it is about the hits not given: (batch,)."""
        hits = target[..., HITS]
        opinions = self.expectation.opinions(known_of(hits, given), z[:, None])
        truth = torch.stack([target[..., OFFSETS], target[..., VELOCITIES]], dim=2)
        own = (hits * (1 - given.played_known))[:, :, None]
        errors = (opinions - truth) * own
        squares, of_drum, hits_of_drum = (errors**2).sum(dim=(2, 4)), errors.sum(dim=2), own.sum(dim=1).clamp(min=1)
        of_window = of_drum[:, :, 0].sum(dim=2) ** 2 / own.sum(dim=(1, 2, 3)).clamp(min=1)
        in_common = torch.stack([of_window, (of_drum**2 / hits_of_drum)[:, :, 1].sum(dim=2)], dim=2)
        forgiven = FORGIVEN if self.training else 0.0
        wrong = (squares - forgiven * in_common) * torch.tensor(MEAN_WEIGHTS).to(truth)
        return wrong.mean(dim=0).sum(dim=1)

    def _logits(self, hidden: Tensor, offset_bin: Tensor) -> tuple[Tensor, Tensor]:
        """Of the bins of offset, and of velocity given the offset: (batch, hit, 33), (batch, hit, 32)."""
        mixed = torch.tanh(self.velocity_hidden(hidden) + self.offset_drawn(offset_bin))
        return self.offset(hidden), self.velocity(mixed)

    def _draw(self, path: Walk, z: Tensor, static: Static, mean: Tensor, given: Given, chance: Tensor) -> Tensor:
        """z (batch, z), mean (batch, hit, 2), chance (batch·draws, hit, 67) -> offset and velocity of each hit.

        (batch·draws, hit, 2). The hits told before the first that is not need not be walked one by one.
        """
        draws = len(chance) // len(z)

        def many(row: Tensor) -> Tensor:
            return row if draws == 1 else row.repeat_interleave(draws, dim=0)

        told = torch.where(path.at(given.played_known)[..., None] > 0, _told(path, given), torch.nan)
        before = _before(path, given.steps_per_bar)
        ahead: tuple[Tensor, ...] = (mean, _place(path, before), *static)
        state, errors = self.initial_state(z), F.pad(torch.nan_to_num(told - mean), (0, 0, 1, 0))
        first = _told_at_first(told)
        if first:
            past = errors.flatten(1).gather(1, before[:, :first].flatten(1)).view(len(z), first, PAST)
            parts = (past, *(part[:, :first].expand(-1, first, -1) for part in ahead))
            _, state = self.lstm.run(torch.cat(parts, dim=-1), state)
            ahead = tuple(part if part.shape[1] == 1 else part[:, first:] for part in ahead)
        cell = Stepper(self.lstm, PAST, [(many(c), many(h)) for c, h in state])
        gates = map(many, cell.project(*ahead))
        before, mean, rest = (many(each[:, first:]) for each in (before, mean, told))
        gumbel, values = _choices(rest, chance[:, first:])
        off_mean = (values[0] - mean[..., :1], values[1] - mean[..., 1:])
        bins = self._walk(cell, gates, many(errors), before, gumbel, off_mean).to(z.device)
        played = torch.cat([each.gather(2, bins[..., k, None]) for k, each in enumerate(values)], dim=2)
        return torch.cat([many(told[:, :first]), played], dim=1)

    def _walk(
        self, cell: Stepper, gates: Iterable[Tensor], errors: Tensor, before: Tensor, gumbel: Pair, off_mean: Pair
    ) -> Tensor:
        """One hit after the other: the bins of its offset and velocity, (batch, hit, 2).

        gates are what is known of the inputs before the walk; errors (batch, 1 + …, 2) how far the hits that were
        walked before are off the mean, with room for these. gumbel, added to the logits of the bins, and off_mean,
        how far off each of them is, are (batch, hit, bin).
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
        places = row[:, None, None] * memory[0].size + before.cpu().numpy()
        walked = memory[:, -hits:]
        by_turn = [each.swapaxes(0, 1) for each in (places, walked[..., 0], walked[..., 1])]
        by_turn += [each.transpose(0, 1).flatten(1).cpu().numpy() for each in off_mean]
        offset_bins, velocity_bins = [], []
        turns = zip(gates, bias.cpu().unbind(1), velocity_bias, *by_turn, strict=True)
        for gate, offset_bias, loudness_bias, place, late, loud, offsets, velocities in turns:
            memory.take(place, out=cell.fed, mode="clip")
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
        """Which hits those after them know how they were played: (batch, hit)."""
        chance = torch.rand(2, len(path.cell), 1, device=path.cell.device)
        if hidden_share is not None:
            rate = torch.full_like(chance[0], hidden_share)
        elif self.training:
            rate = torch.where(chance[0] < HIDDEN_WINDOWS, chance[1], 0.0)
        else:
            return torch.ones_like(path.real)
        return torch.rand(path.cell.shape, device=rate.device) >= rate

    def _static(self, path: Walk, z: Tensor, hits: Tensor, given: Given) -> Static:
        """What a hit's input has besides the past; the rest is (batch, hit, 18 + 2·context).

        z (batch, step, z) becomes (batch, hit, z); one that stays the same stays (batch, 1, z).
        """
        context, _ = self.context(known_of(hits, given))
        template = self.template(z.expand(-1, hits.shape[1], -1), given.position[0])
        rest = torch.cat([template, context], dim=-1)
        at_hit = [part if part.shape[1] == 1 < hits.shape[1] else path.from_steps(part) for part in (z, rest)]
        return F.one_hot(path.drum, CLASSES).to(hits), at_hit[0], at_hit[1]

    def _mean(self, parts: Static, static: Tensor) -> Tensor:
        """The mean offset and velocity of each hit (batch, hit, 2), of the parts of its input and these in one."""
        drum, _, rest = parts
        template = torch.unflatten(rest[..., :TEMPLATE], -1, (2, CLASSES))
        return self.mean(static) + (template * drum[..., None, :]).sum(dim=-1)  # type: ignore[no-any-return]


def known_of(hits: Tensor, given: Given) -> Tensor:
    """What is known of each step: hits, what is told of them, taps, position, tempo: (batch, step, 59)."""
    position = F.one_hot(given.position, 16).to(hits)
    tempo = torch.log2(given.tempo_bpm / 120)[:, None, None].expand(-1, position.shape[1], 1)
    known = given.played_known * hits
    told = [given.groove[..., VELOCITIES] * known, given.groove[..., OFFSETS] * known]
    return torch.cat([hits, known, *told, given.taps, position, tempo], dim=-1)


def _told(path: Walk, given: Given) -> Tensor:
    """The offset and velocity of each hit that is told: (batch, hit, 2)."""
    return torch.stack([path.at(given.groove[..., block]) for block in (OFFSETS, VELOCITIES)], dim=-1)


def _told_at_first(told: Tensor) -> int:
    """How many hits of (batch, hit, 2) are told in each row before the first that is not, of which there is one."""
    unknown = told.isnan().any(dim=2).any(dim=0)
    unknown[-1] = True
    return int(unknown.to(torch.uint8).argmax())


def _chance(path: Walk, given: Given, temperature: float, noise: Noise) -> Tensor:
    """The chance of each hit, which belongs to its cell, not to its turn: (batch, hit, 67).

    Two numbers -.5...5 place offset and velocity in their bins, 33 and 32 choose the bins.
    """
    batch, cells = len(path.cell), given.groove.shape[1] * CLASSES
    jitter = path.rows_at(noise.uniform(batch, cells, 2)) - 0.5
    gumbel = noise.gumbel(batch, cells, OFFSET_BINS + VELOCITY_BINS, wanted=path.rows_at)
    return torch.cat([jitter, temperature * gumbel], -1)


def _choices(told: Tensor, chance: Tensor) -> tuple[Pair, Pair]:
    """What is added to the logits of the bins of offset and velocity, and the values that they are.

    told (batch, hit, 2), nan where a hit is to be drawn, chance (batch, hit, 67) -> (batch, hit, bin) each. A hit
    that is told has no choice: all of its bins are as it was played, and its own is taken.
    """
    jitter, gumbel, velocity_gumbel = torch.split(chance, [2, OFFSET_BINS, VELOCITY_BINS], dim=-1)
    offset = (OFFSETS_OF_BINS.to(chance) + jitter[..., :1] * (2 / (OFFSET_BINS - 1))).clamp(-1, 1)
    velocity = (VELOCITIES_OF_BINS.to(chance) + jitter[..., 1:] / VELOCITY_BINS).clamp(0, 1)
    drawn = told.isnan()
    if not drawn.all():
        offset, velocity = (
            torch.where(drawn[..., :1], offset, told[..., :1]),
            torch.where(drawn[..., 1:], velocity, told[..., 1:]),
        )
        own_bin = F.one_hot(_offset_bin(torch.nan_to_num(told[..., 0])), OFFSET_BINS)
        gumbel = torch.where(drawn[..., :1], gumbel, own_bin.log())
    return (gumbel, velocity_gumbel), (offset, velocity)


def _whole(static: Static, path: Walk) -> Tensor:
    """The parts of a hit's input side by side: (batch, hit, n)."""
    return torch.cat([part.expand(-1, path.cell.shape[1], -1) for part in static], dim=-1)


def _inputs(path: Walk, error: Tensor, mean: Tensor, static: Tensor, steps_per_bar: int) -> Tensor:
    """The inputs of the walk, from how far each hit (batch, hit, 2) was off the mean: (batch, hit, n)."""
    before, errors = _before(path, steps_per_bar), F.pad(error * path.real[..., None], (0, 0, 1, 0)).flatten(1)
    past = errors.gather(1, before.flatten(1)).view(before.shape)
    return torch.cat([past, mean, _place(path, before), static], dim=-1)


def _place(path: Walk, before: Tensor) -> Tensor:
    """The beats since the hit before, at most 2, and whether the drum was hit a bar ago: (batch, hit, 2)."""
    gap = F.pad(path.step[:, 1:] - path.step[:, :-1], (1, 0))[..., None]
    return torch.cat([(gap / 4).clamp(0, 2), (before[..., -2:-1] > 0).float()], dim=-1)


def _before(path: Walk, steps_per_bar: int) -> Tensor:
    """Where each hit finds its past among the errors of all hits, a row of (1 + hit)·2: (batch, hit, 22).

    The first two of a row are those of no hit.
    """
    turn, bar = torch.arange(1, path.cell.shape[1] + 1, device=path.cell.device), steps_per_bar * CLASSES
    own = torch.where(path.drum[..., None] == torch.arange(CLASSES, device=turn.device), turn[:, None], 0)
    last = F.pad(own.cummax(dim=1).values[:, :-1], (0, 0, 1, 0))
    cells = turn.new_zeros(len(path.cell), bar + int(path.cell.max()) + 1)
    ago = cells.scatter_add(1, path.cell + bar, turn * path.real).gather(1, path.cell)[..., None]
    previous = (turn - 1)[:, None].expand_as(ago)
    return 2 * torch.cat([previous, previous, last, last, ago, ago], dim=-1) + turn.new_tensor(IS_VELOCITY)


def _offset_bin(offset: Tensor) -> Tensor:
    return torch.round((offset.clamp(-1, 1) + 1) * ((OFFSET_BINS - 1) / 2)).long()


def _velocity_bin(velocity: Tensor) -> Tensor:
    return (velocity * VELOCITY_BINS).long().clamp(0, VELOCITY_BINS - 1)
