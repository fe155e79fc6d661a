"""The hits of a batch as a sequence, in the order of step and drum, and where in it each hit's past lies.

A step is a sixteenth counted from the start of the clip, its position 0..15 is where it is in the bar, a cell is
one drum in one step (step·9 + drum), and the index of a hit is its number in the order above.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.representation.drum_map import CLASSES
from engine.representation.groove import OFFSETS, VELOCITIES

IS_VELOCITY = (0, 1, *CLASSES * (0,), *CLASSES * (1,), 0, 1)
PAST = len(IS_VELOCITY)
"""Which of the 22 inputs that depend on earlier hits are velocities (1) and which are offsets (0): offset and
velocity of the hit before; the last offset of each drum, the last velocity of each drum; offset and velocity of the
same drum a bar ago. All are differences from the predicted mean, 0 where there is no such hit.
"""


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

    def played(self, groove: Tensor) -> Tensor:
        """Offset and velocity of each hit in a groove: (batch, step, 27) -> (batch, hit, 2)."""
        return torch.stack([self.at(groove[..., block]) for block in (OFFSETS, VELOCITIES)], dim=-1)

    def groove(self, played: Tensor, steps: int) -> Tensor:
        """The inverse of played, clamped to what a groove holds: (batch, hit, 2) -> (batch, step, 27)."""
        offset, velocity = played[..., 0].clamp(-1, 1), played[..., 1].clamp(0, 1)
        values = torch.stack([torch.ones_like(offset), velocity, offset], dim=-1) * self.real[..., None]
        cells = torch.zeros(len(values), steps * CLASSES, 3, device=played.device)
        cells.scatter_add_(1, self.cell[..., None].expand(-1, -1, 3), values)
        return cells.view(-1, steps, CLASSES, 3).transpose(2, 3).flatten(2)

    def from_steps(self, table: Tensor) -> Tensor:
        """The rows of a table at the steps of the hits: (batch, step, n) -> (batch, hit, n)."""
        return table.gather(1, self.step[..., None].expand(-1, -1, table.shape[-1]))

    def rows_at(self, table: Tensor) -> Tensor:
        """The rows of a table at the cells of the hits: (batch, step·9, n) -> (batch, hit, n)."""
        return table.gather(1, self.cell[..., None].expand(-1, -1, table.shape[-1]))

    def before(self, steps_per_bar: int) -> Tensor:
        """Indices of each hit's 22 past inputs (see PAST) into the errors that `past` takes: (batch, hit, 22).

        They count through (1 + hit)·2 numbers; the first two are zeros, for a past hit that does not exist.
        """
        index, bar = torch.arange(1, self.cell.shape[1] + 1, device=self.cell.device), steps_per_bar * CLASSES
        own = torch.where(self.drum[..., None] == torch.arange(CLASSES, device=index.device), index[:, None], 0)
        last = F.pad(own.cummax(dim=1).values[:, :-1], (0, 0, 1, 0))
        cells = index.new_zeros(len(self.cell), bar + int(self.cell.max()) + 1)
        ago = cells.scatter_add(1, self.cell + bar, index * self.real).gather(1, self.cell)[..., None]
        previous = (index - 1)[:, None].expand_as(ago)
        return 2 * torch.cat([previous, previous, last, last, ago, ago], dim=-1) + index.new_tensor(IS_VELOCITY)

    def gap(self, before: Tensor) -> Tensor:
        """The beats since the hit before, at most 2; 1 where the same drum was hit a bar ago: (batch, hit, 2)."""
        gap = F.pad(self.step[:, 1:] - self.step[:, :-1], (1, 0))[..., None]
        return torch.cat([(gap / 4).clamp(0, 2), (before[..., -2:-1] > 0).float()], dim=-1)


def walk(hits: Tensor) -> Walk:
    """The hits (batch, step, 9) in the order of step and drum."""
    flat = hits.flatten(1) > 0
    counts = flat.sum(dim=1)
    longest = max(1, int(counts.max()))  # a batch without hits still has one hit of padding
    order = torch.argsort((~flat).to(torch.uint8), dim=1, stable=True)[:, :longest]
    real = torch.arange(longest, device=hits.device) < counts[:, None]
    return Walk(torch.where(real, order, 0), real)


def past(errors: Tensor, before: Tensor) -> Tensor:
    """The past inputs: errors (batch, 1 + hit, 2), with zeros in front, before (batch, hit, 22) -> as before."""
    return errors.flatten(1).gather(1, before.flatten(1)).view(before.shape)


def given_prefix(played: Tensor) -> int:
    """How many hits of (batch, hit, 2) come before the first that is nan in any row, leaving one hit at least."""
    to_sample = played.isnan().any(dim=2).any(dim=0)
    to_sample[-1] = True
    return int(to_sample.to(torch.uint8).argmax())
