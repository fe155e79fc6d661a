"""The two steps of a drummer on a GPU: what _Subset and _Hit do, in pattern.py and performer.py, in torch alone."""

import torch
from torch import Tensor

from engine.model.captured.runner import ROWS, STEPS
from engine.model.lstm import Lstm, has_bf16
from engine.model.subsets import drums_of_subsets


class _Buffers:
    """The state of an LSTM of one layer and what was chosen so far, and its products: in bf16 where that is fast.

    past (row, place, n); of each step `now` tells where it is: (STEPS, row, 1).
    """

    def __init__(self, lstm: Lstm, fed: int, places: int, depth: int, inputs: tuple[int, ...]):
        device = lstm.weight_hh_l0.device
        self._dtype = torch.bfloat16 if device.type == "cuda" and has_bf16(device) else torch.float32
        self._weights = lstm.in_blocks(fed)[2].whole().to(device, self._dtype)
        self.c, self.h = (torch.zeros(ROWS, lstm.hidden_size, device=device) for _ in range(2))
        self.past = torch.zeros(ROWS, places, depth, device=device)
        self.gates = torch.zeros(STEPS, ROWS, 4 * lstm.hidden_size, device=device)
        self.others = tuple(torch.zeros(STEPS, ROWS, each, device=device) for each in inputs)
        self.now = torch.zeros(STEPS, ROWS, 1, dtype=torch.long, device=device)

    def ready(self, weights: Tensor) -> Tensor:
        """Weights (n, m), as `product` takes them."""
        return weights.to(self._dtype)

    def product(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """inputs (row, n)·weights (n, m): (row, m)."""
        return (inputs.to(self._dtype) @ weights).float()

    def advance(self, fed: Tensor, gates: Tensor) -> Tensor:
        """The top h (row, hidden) after a step of the LSTM; see lstm._reordered for the order of the gates."""
        values = torch.tanh(self.product(torch.cat([fed, self.h], dim=1), self._weights) + gates)
        i, f, o, g = values.chunk(4, dim=1)
        i, f, o = (each * 0.5 + 0.5 for each in (i, f, o))
        self.c.copy_(self.c * f + g * i)
        self.h.copy_(torch.tanh(self.c) * o)
        return self.h

    def remember(self, choice: Tensor, now: Tensor) -> None:
        """The choice (row, n) goes to its place, now (row, 1)."""
        self.past.scatter_(1, now[..., None].expand(-1, 1, choice.shape[1]), choice[:, None])


class SubsetSteps:
    """The hits of all drums.

    inputs: the gates, what is added to the logits of the subsets, and the number of the step. state: c, h, the hits
    so far behind a bar of rests, and what is fed of them.
    """

    def __init__(self, lstm: Lstm, head: Tensor, places: int, steps_per_bar: int):
        drums = drums_of_subsets(lstm.weight_hh_l0.device)
        subsets, count = drums.shape
        self._of = _Buffers(lstm, 2 * count, places, count, (subsets,))
        self._head, self._drums, self._bar = self._of.ready(head), drums, steps_per_bar
        self._fed = self._of.past.new_zeros(ROWS, 2 * count)
        self.choices = self._of.past.new_zeros(STEPS, ROWS, count)
        self.inputs = self._of.gates, *self._of.others, self._of.now
        self.state: tuple[Tensor, ...] = self._of.c, self._of.h, self._of.past, self._fed

    def step(self, index: int) -> None:
        """See _Subset."""
        gates, bias, now = (each[index] for each in self.inputs)
        logits = self._of.product(self._of.advance(self._fed, gates), self._head) + bias
        hits = self._drums[logits.argmax(dim=1)]
        self._of.remember(hits, now + self._bar)
        a_bar_ago = (now + 1)[..., None].expand(-1, 1, hits.shape[1])
        self._fed.copy_(torch.cat([hits, self._of.past.gather(1, a_bar_ago)[:, 0]], dim=1))
        self.choices[index] = hits


class HitSteps:
    """The bins of a hit's offset and velocity.

    inputs: the gates, the error of each bin, what is added to the logits of offset bins and the hidden layer, and
    to those of velocity bins, which errors are fed, and the place of the hit's own. state: c, h, and the errors so
    far behind a zero. heads, last: see _Hit; drawn (offset bin, hidden).
    """

    def __init__(self, lstm: Lstm, heads: Tensor, last: Tensor, drawn: Tensor, places: int, past: int):
        offsets, velocities = len(drawn), last.shape[1]
        self._of = _Buffers(lstm, past, places, 2, (offsets + velocities, heads.shape[1], velocities))
        self._heads, self._last, self._drawn = self._of.ready(heads), self._of.ready(last), drawn
        self._before = self._of.now.new_zeros(STEPS, ROWS, past)
        self._first_bins = self._of.now.new_tensor([0, offsets])
        self.choices = self._of.now.new_zeros(STEPS, ROWS, 2)
        self.inputs = self._of.gates, *self._of.others, self._before, self._of.now
        self.state: tuple[Tensor, ...] = self._of.c, self._of.h, self._of.past

    def step(self, index: int) -> None:
        """See _Hit."""
        gates, errors, offset_chance, velocity_chance, before, now = (each[index] for each in self.inputs)
        top = self._of.advance(self._of.past.flatten(1).gather(1, before), gates)
        offset_logits, hidden = torch.tensor_split(
            self._of.product(top, self._heads) + offset_chance, [len(self._drawn)], dim=1
        )
        offset = offset_logits.argmax(dim=1)
        mixed = torch.tanh(self._drawn[offset] + hidden)
        velocity = (self._of.product(mixed, self._last) + velocity_chance).argmax(dim=1)
        bins = torch.stack([offset, velocity], dim=1)
        self._of.remember(errors.gather(1, bins + self._first_bins), now)
        self.choices[index] = bins
