"""How the hits are played: offset and velocity of one hit after the other, each knowing those before it.

Drawn independently the marginals of timing and velocity are right and the joint is wrong: a listener hears it.
So an LSTM walks the hits in the order of step and class, and draws the offset from 33 bins over -1..1, then the
velocity from 32 bins over 0..1 given the offset. A head of its own says the mean, which temperature 0 plays: means
fed back into the walk are not the mean of what it draws.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.lstm import Array, InitialState, Lstm, State, Stepper, once
from engine.model.noise import Noise
from engine.model.plan import PLAN_DEPTH, Plan, keep_some, later
from engine.model.tasks import Given
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS, OFFSETS, VELOCITIES

OFFSET_BINS, VELOCITY_BINS = 33, 32
OFFSETS_OF_BINS = np.linspace(-1, 1, OFFSET_BINS, dtype=np.float32)
VELOCITIES_OF_BINS = ((np.arange(VELOCITY_BINS) + 0.5) / VELOCITY_BINS).astype(np.float32)
CONTEXT_DEPTH = 4 * CLASSES + 6 + 16 + 1
MEAN_WEIGHTS = (4.0, 8.0)
"""About 1 / (2·variance) of offsets and velocities: the squared errors of the mean weigh as much as nats."""

HIDDEN_SHARE = 0.25
"""The share of hits whose past is hidden in training."""

OWN, AGO = 2, 2 + 2 * CLASSES
PAST = AGO + 2
"""How what came before was played: the last hit's offset and velocity; each drum's last offset, each drum's last
velocity; the offset and velocity of the same drum a bar ago.
"""

PLACE = 2
"""The beats since the hit before, and whether the same drum was hit a bar ago."""


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
    and the tempo. Hit input = [past, place, drum, z, plan, context at the step]; the mean is of all from drum on.
    In training a quarter of the pasts are hidden: so z holds the feel.
    """

    def __init__(self, z: int, hidden: int, context: int, *, dropout: float):
        super().__init__()
        self.context = nn.LSTM(CONTEXT_DEPTH, context, 2, batch_first=True, bidirectional=True, dropout=dropout)
        self.plan = Plan(z)
        static = CLASSES + z + PLAN_DEPTH + 2 * context
        self.mean = nn.Sequential(nn.Linear(static, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.initial_state = InitialState(z, hidden)
        self.lstm = Lstm(PAST + PLACE + static, hidden)
        self.offset = nn.Linear(hidden, OFFSET_BINS)
        self.velocity_hidden = nn.Linear(hidden, hidden // 2)
        self.offset_drawn = nn.Embedding(OFFSET_BINS, hidden // 2)
        self.velocity = nn.Linear(hidden // 2, VELOCITY_BINS)
        self.dropout = nn.Dropout(dropout)

    def loss(self, z: Tensor, target: Tensor, given: Given) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> nats of the offsets and velocities not given, each (batch,)."""
        hits = target[..., HITS]
        path = walk(hits)
        z_steps = z[:, None].expand(-1, hits.shape[1], -1)
        static = self.dropout(torch.cat(self._static(path, z_steps, hits, given), dim=-1))
        past = torch.cat(
            [_past(path, target, given.steps_per_bar), _place(path, hits, given.steps_per_bar)], dim=-1
        )
        inputs = torch.cat([keep_some(past, HIDDEN_SHARE, self.training), static], dim=-1)
        hidden = self.dropout(self.lstm.run(inputs, self.initial_state(z)))
        offset, velocity = path.at(target[..., OFFSETS]), path.at(target[..., VELOCITIES])
        unknown = path.real * (1 - path.at(given.played_known))
        offset_bin = _offset_bin(offset)
        offset_nats = F.cross_entropy(self.offset(hidden).transpose(1, 2), offset_bin, reduction="none")
        mixed = torch.tanh(self.velocity_hidden(hidden) + self.offset_drawn(offset_bin))
        velocity_nats = F.cross_entropy(
            self.velocity(mixed).transpose(1, 2), _velocity_bin(velocity), reduction="none"
        )
        wrong = (self.mean(static) - torch.stack([offset, velocity], dim=-1)) ** 2
        wrong = (wrong * torch.tensor(MEAN_WEIGHTS).to(wrong)).sum(dim=-1)
        nats = {"offset": offset_nats, "velocity": velocity_nats, "mean": wrong}
        return {name: (value * unknown).sum(dim=1) for name, value in nats.items()}

    def decode(self, z: Tensor, hits: Tensor, given: Given, *, temperature: float, noise: Noise) -> Tensor:
        """z (batch, step, z), hits (batch, step, 9) -> the groove (batch, step, 27). temperature 0 is the mean."""
        batch, steps, _ = hits.shape
        path = walk(hits)
        known = path.at(given.played_known)
        told = torch.stack([path.at(given.groove[..., OFFSETS]), path.at(given.groove[..., VELOCITIES])], dim=-1)
        static = self._static(path, once(z), hits, given)
        if temperature == 0:
            drum, z, rest = static
            mean = self.mean(torch.cat([drum, z.expand(-1, drum.shape[1], -1), rest], dim=-1))
            played = torch.where(known[..., None] > 0, told, mean)
        else:
            jitter = path.rows_at(noise.uniform(batch, steps * CLASSES, 2)) - 0.5
            gumbel = temperature * path.rows_at(noise.gumbel(batch, steps * CLASSES, OFFSET_BINS + VELOCITY_BINS))
            told = torch.where(known[..., None] > 0, told, torch.nan)
            known_ahead = (_place(path, hits, given.steps_per_bar), *static)
            state = self.initial_state(z[:, 0])
            played = self._walk(path, known_ahead, state, told, jitter, gumbel, given.steps_per_bar * CLASSES)
        offset, velocity = played[..., 0].clamp(-1, 1), played[..., 1].clamp(0, 1)
        values = torch.stack([torch.ones_like(offset), velocity, offset], dim=-1) * path.real[..., None]
        groove = torch.zeros(batch, steps * CLASSES, 3, device=z.device)
        groove.scatter_add_(1, path.cell[..., None].expand(-1, -1, 3), values)
        return groove.view(batch, steps, CLASSES, 3).transpose(2, 3).flatten(2)

    def _walk(
        self,
        path: Walk,
        known_ahead: tuple[Tensor, ...],
        state: State,
        told: Tensor,
        jitter: Tensor,
        gumbel: Tensor,
        bar_cells: int,
    ) -> Tensor:
        """One hit after the other: offset and velocity (batch, hit, 2); told is nan where they are to be drawn.

        Chance (batch, hit, n) belongs to a cell, not to its turn: jitter -.5...5 places a value in its bin.
        """
        cell, batch = Stepper(self.lstm, PAST, state), len(path.cell)
        heads = torch.cat([self.offset.weight, self.velocity_hidden.weight]).t().cpu().contiguous()
        bias = torch.cat([self.offset.bias, self.velocity_hidden.bias])
        bias = bias + F.pad(gumbel[..., :OFFSET_BINS], (0, self.velocity_hidden.out_features))
        velocity_bias = (gumbel[..., OFFSET_BINS:] + self.velocity.bias).cpu().unbind(1)
        velocity_weights, drawn = (
            self.velocity.weight.t().cpu().contiguous(),
            self.offset_drawn.weight.cpu().numpy(),
        )
        both, velocity_logits = torch.empty(batch, bias.shape[2]), torch.empty(batch, VELOCITY_BINS)
        offset_options, hidden = both.numpy()[:, :OFFSET_BINS], both.numpy()[:, OFFSET_BINS:]
        mixed, loudness = torch.empty(batch, hidden.shape[1]), velocity_logits.numpy()
        mix = mixed.numpy()
        played = (jitter * torch.tensor([2 / (OFFSET_BINS - 1), 1 / VELOCITY_BINS]).to(jitter)).cpu().numpy()
        memory = _Memory(path, cell.fed, bar_cells)
        fixed = None if bool(told.isnan().all()) else told.cpu().numpy()
        turns = zip(cell.project(*known_ahead), bias.cpu().unbind(1), velocity_bias, strict=True)
        for i, (gates, offset_bias, loudness_bias) in enumerate(turns):
            memory.recall(i)
            torch.addmm(offset_bias, cell.step(gates), heads, out=both)
            offset_bin = offset_options.argmax(axis=1)
            pair = played[:, i]
            pair[:, 0] += OFFSETS_OF_BINS.take(offset_bin)
            if fixed is not None:
                np.copyto(pair[:, 0], fixed[:, i, 0], where=~np.isnan(fixed[:, i, 0]))
                offset_bin = _offset_bin(torch.from_numpy(pair[:, 0])).numpy()
            np.add(drawn.take(offset_bin, axis=0), hidden, out=mix)
            np.tanh(mix, out=mix)
            torch.addmm(loudness_bias, mixed, velocity_weights, out=velocity_logits)
            pair[:, 1] += VELOCITIES_OF_BINS.take(loudness.argmax(axis=1))
            if fixed is not None:
                np.copyto(pair[:, 1], fixed[:, i, 1], where=~np.isnan(fixed[:, i, 1]))
            memory.keep(i, pair)
        return torch.from_numpy(played).to(jitter.device)

    def _static(self, path: Walk, z: Tensor, hits: Tensor, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """What a hit's input has besides the past: drum (batch, hit, 9), z, the rest (batch, hit, 24 + 2·context).

        z (batch, step, z) becomes (batch, hit, z); one that stays the same stays (batch, 1, z).
        """
        position = F.one_hot(given.position, 16).to(hits)
        tempo = torch.log2(given.tempo_bpm / 120)[:, None, None].expand(-1, position.shape[1], 1)
        known = given.played_known * hits
        told = [given.groove[..., VELOCITIES] * known, given.groove[..., OFFSETS] * known]
        context, _ = self.context(torch.cat([hits, known, *told, given.taps, position, tempo], dim=-1))
        rest = torch.cat([self.plan(z.expand(-1, hits.shape[1], -1)), context], dim=-1)
        at_hit = [part if part.shape[1] == 1 < hits.shape[1] else path.from_steps(part) for part in (z, rest)]
        return F.one_hot(path.drum, CLASSES).to(hits), at_hit[0], at_hit[1]


def _past(path: Walk, target: Tensor, bar: int) -> Tensor:
    """What each hit knows of those before it, from how they were played: (batch, hit, 22)."""
    values = torch.stack([path.at(target[..., OFFSETS]), path.at(target[..., VELOCITIES])], dim=-1)
    previous = F.pad(values[:, :-1], (0, 0, 1, 0))
    slots = []
    order = torch.arange(path.cell.shape[1], device=target.device)
    for drum in range(CLASSES):
        last = torch.where(path.drum == drum, order, -1).cummax(dim=1).values
        last = F.pad(last[:, :-1], (1, 0), value=-1)
        slots.append(values.gather(1, last.clamp(min=0)[..., None].expand(-1, -1, 2)) * (last >= 0)[..., None])
    own = torch.stack(slots, dim=2)
    ago = [path.at(later(target[..., block], bar))[..., None] for block in (OFFSETS, VELOCITIES)]
    return torch.cat([previous, own[..., 0], own[..., 1], *ago], dim=-1)


def _place(path: Walk, hits: Tensor, bar: int) -> Tensor:
    """The beats since the hit before, at most 2, and whether the drum was hit a bar ago: (batch, hit, 2)."""
    gap = F.pad(path.step[:, 1:] - path.step[:, :-1], (1, 0))
    return torch.stack([(gap / 4).clamp(0, 2), path.at(later(hits, bar))], dim=-1)


def _offset_bin(offset: Tensor) -> Tensor:
    return torch.round((offset.clamp(-1, 1) + 1) * ((OFFSET_BINS - 1) / 2)).long()


def _velocity_bin(velocity: Tensor) -> Tensor:
    return (velocity * VELOCITY_BINS).long().clamp(0, VELOCITY_BINS - 1)


class _Memory:
    """What the walk remembers of how hits were played, in the fed columns of the LSTM and by cell."""

    def __init__(self, path: Walk, fed: Array, bar_cells: int):
        cell, drum = path.cell.cpu().numpy(), path.drum.cpu().numpy()
        row = np.arange(len(cell))
        self._fed, self._row, self._offset_at, self._velocity_at = fed, row, drum + OWN, drum + OWN + CLASSES
        self._history = np.zeros((len(cell), bar_cells + int(cell.max()) + 1, 2), np.float32)
        self._ago, self._now = cell, cell + bar_cells

    def recall(self, i: int) -> None:
        """Before hit i: how the same drum was played a bar ago; rests come before the first bar."""
        self._fed[:, AGO:] = self._history[self._row, self._ago[:, i]]

    def keep(self, i: int, pair: Array) -> None:
        """After hit i: its offset and velocity (batch, 2)."""
        fed, row = self._fed, self._row
        offset, velocity = pair[:, 0], pair[:, 1]
        fed[:, 0], fed[:, 1] = offset, velocity
        fed[row, self._offset_at[:, i]], fed[row, self._velocity_at[:, i]] = offset, velocity
        self._history[row, self._now[:, i]] = pair
