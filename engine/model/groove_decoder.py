"""GrooVAE's decoder: an LSTM that writes 27 numbers a step. Gillick et al. 2019, arXiv 1905.06118, section 3."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.blocks import Array
from engine.model.lstm import InitialState, Lstm
from engine.model.noise import Noise
from engine.model.stepping import State, Stepper, run
from engine.model.tasks import Given
from engine.representation.groove import DEPTH, HITS, OFFSETS, VELOCITIES


class GrooveDecoder(nn.Module):
    """Step input = [previous 27, z, with hits_control the given hits] -> 9 hits, 9 velocities, 9 offsets.

    Hits are Bernoulli(logit / temperature); velocity = sigmoid and offset = tanh, deterministic. dropout: the share
    of each layer's input that is zeroed in training.
    """

    def __init__(self, z: int, hidden: int, layers: int, *, hits_control: bool = False, dropout: float = 0.0):
        super().__init__()
        self.hits_control = hits_control
        self.dropout = nn.Dropout(dropout)
        self.initial_state = InitialState(z, hidden, layers)
        self.lstm = Lstm(DEPTH + z + (9 if hits_control else 0), hidden, layers, dropout=dropout)
        self.output = nn.Linear(hidden, DEPTH)

    def loss(self, z: Tensor, target: Tensor, given: Given) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> the published loss in its parts, each (batch,).

        Log loss on hits, squared error on velocities and on offsets.
        """
        previous = F.pad(target[:, :-1], (0, 0, 1, 0))
        static = torch.cat(self._static(z[:, None].expand(-1, target.shape[1], -1), target), dim=-1)
        inputs = self.dropout(torch.cat([previous, static], dim=-1))
        logits = self.output(self.lstm.run(inputs, self.initial_state(z))[0])
        hits = F.binary_cross_entropy_with_logits(logits[..., HITS], target[..., HITS], reduction="none")
        return {
            "hits": hits.sum(dim=(1, 2)),
            "velocity": ((torch.sigmoid(logits[..., VELOCITIES]) - target[..., VELOCITIES]) ** 2).sum(dim=(1, 2)),
            "offset": ((torch.tanh(logits[..., OFFSETS]) - target[..., OFFSETS]) ** 2).sum(dim=(1, 2)),
        }

    def decode(
        self, z: Tensor, given: Given, *, temperature: float | Tensor, noise: Noise, draws: int = 1
    ) -> Tensor:
        """See Vae.decode; only hits are sampled, so where they are given all draws are the same."""
        assert not isinstance(temperature, Tensor)
        batch, steps, _ = z.shape
        lstm = Stepper(self.lstm, DEPTH, self.initial_state(z[:, 0]))
        threshold = noise.uniform(batch, steps, 9).cpu() if temperature else torch.full((batch, steps, 9), 0.5)
        masks = given.hits_given.cpu() > 0, given.timing_given.cpu()[:, :, None] > 0
        known = zip(
            lstm.project(*self._static(z, given.groove)),
            *(each.unbind(1) for each in (given.groove.cpu(), *masks)),
            strict=True,
        )
        rows = run(_Played(self, temperature), State(lstm), known, threshold.unbind(1))
        return torch.stack(rows, dim=1).to(z.device).repeat_interleave(draws, dim=0)

    def _static(self, z: Tensor, groove: Tensor) -> tuple[Tensor, ...]:
        """The inputs of a step that do not depend on the step before."""
        return (z, groove[..., HITS]) if self.hits_control else (z,)


class _Played:
    """A Step that writes a row of the groove: (batch, 27).

    known: the gates; the groove's row (batch, 27), which of its hits (batch, 9) and of its velocities and offsets
    (batch, 1, 9) are given. chance: what a hit's probability must exceed (batch, 9).
    """

    def __init__(self, decoder: GrooveDecoder, temperature: float):
        self._weights, self._bias = decoder.output.weight.t().cpu(), decoder.output.bias.cpu()
        self._temperature = temperature or 1

    def __call__(self, state: State, known: tuple[Array, Tensor, Tensor, Tensor], threshold: Tensor) -> Tensor:
        gates, groove, hits_given, timing_given = known
        logits = torch.addmm(self._bias, state.lstm.step(gates), self._weights)
        hits = (torch.sigmoid(logits[:, HITS] / self._temperature) > threshold).float()
        hits = torch.where(hits_given, groove[:, HITS], hits)
        played = torch.stack([torch.sigmoid(logits[:, VELOCITIES]), torch.tanh(logits[:, OFFSETS])], dim=1)
        played = torch.where(timing_given, groove[:, 9:].view(-1, 2, 9), played)
        state.lstm.fed[...] = torch.cat(
            [hits, played.flatten(1)], dim=1
        )  # also where there is no hit, as published
        return torch.cat([hits, (played * hits[:, None]).flatten(1)], dim=1)
