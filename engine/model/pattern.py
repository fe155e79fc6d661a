"""Which drums are hit on each step: a categorical over the 512 subsets of the nine drums."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.blocks import ROWS, Array, Laid, in_blocks, whole
from engine.model.captured.drummer import SubsetSteps
from engine.model.captured.runner import Kept, bucket, is_captured
from engine.model.lstm import InitialState, Lstm, LstmState, heard, unexpanded
from engine.model.noise import Noise
from engine.model.plan import Plan, keep_some, later
from engine.model.stepping import BlockHead, State, Stepper, by_step, projected, run
from engine.model.subsets import SUBSETS, drums_of_subsets, impossible, subset_of
from engine.model.tasks import Given
from engine.pausing import look
from engine.representation.drum_map import CLASSES
from engine.representation.groove import HITS

GIVEN_DEPTH = 2 * CLASSES + 6 + 16 + 1
PLAN_STEPS = 64
"""Four bars: the longest window in training; a longer clip has a z for every four bars."""

PLAN_DEPTH = 24

HIDDEN_SHARE = 0.5
"""In training, the share of steps whose inputs from earlier steps are zeroed."""


class PatternDecoder(nn.Module):
    """p(hits | z, given hits and taps): subsets that contradict a given hit, or a tap, have probability 0.

    A bidirectional LSTM reads what is given, the context; another LSTM generates the steps. Step input = [hits of
    the step before, hits a bar before, z, plan, context]. The categorical over subsets is MusicVAE's (arXiv
    1803.05428). So that the decoder cannot ignore z, half of the earlier hits are hidden in training, and the plan,
    linear in z, is trained to predict the hits by itself as well.
    """

    def __init__(self, z: int, hidden: int, context: int, *, dropout: float):
        super().__init__()
        self.context = nn.LSTM(GIVEN_DEPTH, context, batch_first=True, bidirectional=True)
        self.initial_state = InitialState(z, hidden)
        self.plan = Plan(z, PLAN_STEPS, PLAN_DEPTH)
        self.planned_hits = nn.Linear(PLAN_DEPTH, CLASSES)
        self.lstm = Lstm(2 * CLASSES + z + PLAN_DEPTH + 2 * context, hidden)
        self.output = nn.Linear(hidden, SUBSETS)
        self.dropout = nn.Dropout(dropout)
        self.laid, self._captured = Laid(self.output), Kept()
        self._empty_context: tuple[object, Tensor] | None = None

    def loss(self, z: Tensor, target: Tensor, given: Given) -> Tensor:
        """z (batch, z), target (batch, step, 27) -> nats of the hits that are not given: (batch,)."""
        hits = target[..., HITS]
        static = torch.cat(self.static(z[:, None].expand(-1, hits.shape[1], -1), given), dim=-1)
        hidden_share = HIDDEN_SHARE if self.training else 0.0
        past = [keep_some(later(hits, by), hidden_share) for by in (1, given.steps_per_bar)]
        inputs = torch.cat([*past, self.dropout(static)], dim=-1)
        hidden = self.dropout(self.lstm.run(inputs, self.initial_state(z))[0])
        logits = self.output(hidden) + self._impossible(given)
        return F.cross_entropy(logits.transpose(1, 2), subset_of(hits), reduction="none").sum(dim=1)

    def planned_loss(self, z: Tensor, target: Tensor, given: Given) -> Tensor:
        """The log loss of the hits that are not given, predicted from the plan alone, nats: (batch,)."""
        hits = target[..., HITS]
        logits = self.planned_hits(self._planned(z[:, None].expand(-1, hits.shape[1], -1)))
        nats = F.binary_cross_entropy_with_logits(logits, hits, reduction="none")
        return (nats * (1 - given.hits_given)).sum(dim=(1, 2))

    def decode(self, z: Tensor, given: Given, *, temperature: float | Tensor, noise: Noise) -> Tensor:
        """z (batch, step, z), temperature one for all or (batch, 1, 1) -> hits (batch, step, 9)."""
        batch, steps, _ = z.shape
        bar = given.steps_per_bar
        biases = self._biases(given, temperature, noise.gumbel(batch, steps, SUBSETS))
        one_z = unexpanded(z)
        planned = in_blocks(lambda part: self._planned(part.expand(-1, steps, -1)), one_z)
        rest = torch.cat([planned, self._context_in_blocks(given)], dim=-1)
        state, gates = self.initial_state(z[:, 0], blocks=True), projected(self.lstm, 2 * CLASSES, one_z, rest)
        if is_captured(z.device):
            return self._decode_captured(state, gates, biases.transpose(0, 1), bar)
        lstm = Stepper(self.lstm, 2 * CLASSES, state, blocks=True)
        past = np.zeros((batch, bar + steps, CLASSES), np.float32)  # a bar of rests comes before the first
        hits = run(_Subset(self, lstm, bar), State(lstm, past, bar), gates.cpu().numpy(), by_step(biases))
        return torch.from_numpy(np.stack(hits, axis=1)).to(given.groove.device)

    def _decode_captured(self, state: LstmState, gates: Tensor, biases: Tensor, bar: int) -> Tensor:
        """The hits (batch, step, 9), on the device; gates (step, batch, n), biases (step, batch, 512)."""
        steps, batch = gates.shape[:2]
        size = bucket(bar + steps), bar
        captured = self._captured.get(
            self.lstm, size, lambda: SubsetSteps(self.lstm, self.laid()[0].whole(), *size)
        )
        now = torch.arange(steps, device=gates.device)[:, None, None].expand(-1, batch, 1)
        return captured.run(state[0], (gates, biases, now)).transpose(0, 1)

    def static(self, z: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """The inputs that do not depend on earlier steps: z, and plan and context (batch, step, 24 + 2·context)."""
        return z, torch.cat([self._planned(z), self.context(_said(given))[0]], dim=-1)

    def _planned(self, z: Tensor) -> Tensor:
        """The plan of each step: (batch, step, z) -> (batch, step, 24)."""
        return self.plan(z, torch.arange(z.shape[1], device=z.device) % PLAN_STEPS)  # type: ignore[no-any-return]

    def _context_in_blocks(self, given: Given) -> Tensor:
        """What is given, as the bidirectional LSTM encodes it; kept where that is nothing, at one tempo."""
        tempo_bpm, said = given.tempo_bpm[:1], _said(given)
        if bool(given.hits_given.any() | given.taps.any() | (given.tempo_bpm != tempo_bpm).any()):
            return in_blocks(partial(heard, self.context), said)
        key = (given.position.shape[1], given.steps_per_bar, float(tempo_bpm), self.output.weight._version)
        if self._empty_context is None or self._empty_context[0] != key:
            with whole(False):
                self._empty_context = key, in_blocks(partial(heard, self.context), said[:1])
        return self._empty_context[1].expand(len(said), -1, -1)

    def _biases(self, given: Given, temperature: float | Tensor, gumbel: Tensor) -> Tensor:
        """What is added to the logits of the subsets, in the place of the noise: (batch, step, 512)."""
        free = not bool(given.hits_given.any() | given.taps[..., 0].any())
        for first in range(0, len(gumbel), ROWS):
            rows = slice(first, first + ROWS)
            part = gumbel[rows]
            part *= temperature[rows] if isinstance(temperature, Tensor) else temperature
            part += self.output.bias
            if not free:
                part += self._impossible(given.rows(rows))
            look()
        return gumbel

    def _impossible(self, given: Given) -> Tensor:
        return impossible(given.groove[..., HITS], given.hits_given, given.taps[..., 0])


def _said(given: Given) -> Tensor:
    """What the context is made of: (batch, step, 41)."""
    position = F.one_hot(given.position, 16).to(given.groove)
    tempo = torch.log2(given.tempo_bpm / 120)[:, None, None].expand(-1, position.shape[1], 1)
    given_hits = given.groove[..., HITS] * given.hits_given
    return torch.cat([given_hits, given.hits_given, given.taps, position, tempo], dim=-1)


class _Subset:
    """A Step that chooses the hits of all drums: (batch, 9).

    known: the gates (batch, 4·hidden). chance: Gumbel noise and the biases of the subsets, together (batch, 512).
    """

    def __init__(self, decoder: PatternDecoder, lstm: Stepper, steps_per_bar: int):
        self._logits, self._bar = (
            BlockHead(decoder.laid()[0], lstm.top_in_blocks(), len(lstm.fed)),
            steps_per_bar,
        )
        self._bits = drums_of_subsets(torch.device("cpu")).numpy()

    def __call__(self, state: State, gates: Array, bias: Array) -> Array:
        state.lstm.step(gates)
        subset = self._logits(bias).argmax(axis=1)
        hits: Array = self._bits.take(subset, axis=0)
        state.remember(hits)
        state.lstm.fed[:, :CLASSES], state.lstm.fed[:, CLASSES:] = hits, state.before(self._bar)
        return hits
