"""Phrases of drums, drawn step by step; see decoder.py for the network."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.model.noise import Noise
from engine.model.phrases.decoder import (
    AFTER,
    BEFORE,
    PAST_BARS,
    Condition,
    PhraseDecoder,
    at_positions,
    known_before,
    looks_after,
    signs,
)
from engine.model.stepping import Head, State, Stepper, by_step, run
from engine.model.subsets import SUBSETS, drums_of_subsets, subset_of
from engine.pausing import look
from engine.representation.drum_map import CLASSES

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

Choose = Callable[[int, Array], Integers]
"""When a bar of a window is done: its number, and the hits of all rows (batch, step, 9) up to its end, the past's
before them -> the row from which each goes on (batch,)."""

LOOKS = len(BEFORE) + len(AFTER)


@dataclass(frozen=True, slots=True)
class Known:
    """What is given of a step.

    plan: the conductor's gates, see Stepper.project, at the first step of a bar.
    after (batch, 3, 9): 1 a hit, -1 none, 0 unknown, of the bars 1, 2, 4 after, and after_subset (batch, 3). known
    (batch, 7): which looks are.
    """

    plan: Array | None
    after: Array
    after_subset: Integers
    known: Array


LOOKED = (len(BEFORE) + 1) * CLASSES
FLAGS = range(CLASSES + LOOKED, CLASSES + LOOKED + 2 * len(BEFORE))
STEPPED = (*range(CLASSES), *FLAGS[::2])
"""Of what a decoder is fed, the columns that change within a bar: the hits of the step before, and whether the bar
so far is as others. The rest is known as a bar begins, and multiplied by its weights for all of its steps."""


class PhraseStep:
    """A stepping.Step: chance (batch, 512 + copy) is added to the output layer, a choice is a subset a row.

    State.past holds the hits of the past bars, then those drawn; subsets (batch, step) are of both, as they
    are at first. reads_after: whether any bar after one is given.
    """

    def __init__(
        self,
        decoder: PhraseDecoder,
        lstm: Stepper,
        conductor: Stepper,
        gates: Array,
        subsets: Integers,
        steps_per_bar: int,
        *,
        reads_after: bool,
        lean: Array | None = None,
    ):
        self._decoder, self._conductor, self._bar, rows = decoder, conductor, steps_per_bar, len(subsets)
        self._reads_after, self._lean = reads_after, lean
        self._head = Head(torch.cat([decoder.output.weight, decoder.copy.weight]).t().cpu().contiguous(), rows)
        cpu = torch.device("cpu")
        self._signs, self._bits = signs(cpu).contiguous().numpy(), drums_of_subsets(cpu).numpy()
        self._at_position = at_positions(steps_per_bar).t().contiguous().numpy()
        self._past_subset, self._back_bars = subsets, np.array([k * steps_per_bar for k in BEFORE])
        back = np.concatenate([[steps_per_bar - 1], self._back_bars])
        self._places = np.arange(steps_per_bar)[:, None] - back
        of_bar = len(BEFORE) + decoder.fed - FLAGS.stop
        self._looked_weights, self._bar_weights = lstm.weights_of(0, LOOKED), lstm.weights_of(LOOKED, of_bar)
        self._of_steps = gates
        self._looked = np.empty((rows, steps_per_bar, len(back), CLASSES), np.float32)
        self._signed = np.zeros((rows, LOOKS, CLASSES), np.float32)
        self._subset = np.zeros((rows, LOOKS), np.int64)
        self._logits = np.empty((rows, SUBSETS), np.float32)
        self._first, self._flat = np.arange(rows)[:, None] * SUBSETS, self._logits.reshape(-1)
        self._same, self._same_before = np.zeros((2, rows, len(BEFORE)), np.float32)

    def __call__(self, state: State, known: Known, chance: Array) -> Integers:
        """See stepping.Step."""
        step = (state.now - PAST_BARS * self._bar) % self._bar
        if known.plan is not None:
            self._open(state, known, known.plan)
        fed = state.lstm.fed
        fed[:, :CLASSES], fed[:, CLASSES:] = state.before(1), self._same
        gates = self._gates[step]
        if step == self._bar - 1:  # what follows a bar before is the first step of this
            gates += state.before(self._bar - 1) @ self._looked_weights[:CLASSES]
        back = self._looked[:, step, 1:]
        output = self._head(state.lstm.step(gates), chance)
        choice = self._with_copies(output, back, known, state).argmax(axis=1)
        self._same *= self._subset[:, : len(BEFORE)] == choice[:, None]
        self._past_subset[:, state.now] = choice
        state.remember(self._bits[choice])
        return choice  # type: ignore[no-any-return]

    def take(self, state: State, rows: Integers) -> None:
        """Go on in each row from where another is, or the same (batch,)."""
        state.past[:, : state.now] = state.past[rows, : state.now]
        self._past_subset[:, : state.now] = self._past_subset[rows, : state.now]
        self._same[...] = self._same[rows]
        for each in (state.lstm, self._conductor):
            each.take(rows)

    def _open(self, state: State, known: Known, plan: Array) -> None:
        """Begin a bar: what is known of all of its steps, as their gates (step, batch, 4·hidden)."""
        planned = self._plan(state, known, plan)
        self._looked = state.past.take(state.now + self._places, axis=1)
        self._looked[:, -1, 0] = 0
        gates = self._looked.reshape(len(planned), self._bar, -1) @ self._looked_weights
        self._gates = gates.swapaxes(0, 1)
        self._gates += np.concatenate([self._same_before, planned], axis=1) @ self._bar_weights
        first = state.now - PAST_BARS * self._bar
        self._gates += self._of_steps[first : first + self._bar]

    def _plan(self, state: State, known: Known, gates: Array) -> Array:
        """The conductor's plan of the bar that begins, (batch, plan), when it has read the one before."""
        self._same_before[...], self._same[...] = self._same, known.known[:, : len(BEFORE)]
        before = np.minimum(self._at_position @ state.past[:, state.now - self._bar : state.now], 1)
        conductor = self._decoder.conductor
        read = conductor.read(torch.from_numpy(before.reshape(len(before), -1))).numpy()
        np.multiply(read, known.known[:, :1], out=self._conductor.fed)
        return conductor.plan(self._conductor.step(gates)).numpy()  # type: ignore[no-any-return]

    def _leaning(self, lean: Array, state: State, back: Array, known: Array) -> Array:
        """For or against each drum at a step, as draw_hits says of lean: (batch, 9). back: of the bar before."""
        every, alone, returning = (lean[:, k, None] for k in range(3))
        position = (state.now - PAST_BARS * self._bar) % self._bar
        is_alone = position % 2 * (1 - state.before(1).max(axis=1, keepdims=True))
        return every + alone * is_alone + returning * known * back  # type: ignore[no-any-return]

    def _with_copies(self, output: Array, back: Array, known: Known, state: State) -> Array:
        """The logits, with what is added for subsets like those of other bars: (batch, 512)."""
        count, signed, subset = len(BEFORE), self._signed, self._subset
        np.multiply(2 * back - 1, known.known[:, :count, None], out=signed[:, :count])
        if self._reads_after:
            signed[:, count:], subset[:, count:] = known.after, known.after_subset
        subset[:, :count] = self._past_subset.take(state.now - self._back_bars, axis=1)
        whole, of_drum = output[:, SUBSETS : SUBSETS + LOOKS], output[:, SUBSETS + LOOKS :]
        pull = (of_drum.reshape(signed.shape) * signed).sum(axis=1)
        if self._lean is not None:
            pull += self._leaning(self._lean, state, back[:, 0], known.known[:, :1])
        np.matmul(pull, self._signs, out=self._logits)
        self._logits += output[:, :SUBSETS]
        np.add.at(self._flat, subset + self._first, whole * known.known)
        return self._logits


def draw_hits(
    decoder: PhraseDecoder,
    z: Tensor,
    condition: Condition,
    *,
    temperature: float,
    opening: float = 1.0,
    noise: Noise,
    choose: Choose | None = None,
    lean: Array | None = None,
) -> Tensor:
    """z (batch, z) -> hits (batch, step, 9), those that are given as they are.

    choose: from which row each goes on at the end of a bar, so that of several draws of one the rest are left.
    lean (batch, 3): added to the logits of hits, of all, of those on an odd sixteenth with nothing before, of those
    that the bar before has.
    opening: by how much the temperature is multiplied in a bar that has none before it. What is strewn there is
    taken over by the bars after it: a phrase that begins plainly may be varied freely.
    """
    rows, bar, steps = len(z), condition.steps_per_bar, condition.hits.shape[1]
    idea = decoder.idea(z, condition)
    lstm = Stepper(decoder.lstm, STEPPED, decoder.initial_state(idea))
    conductor = decoder.conductor.stepper(idea)
    after, after_known = looks_after(condition)
    before_known = known_before(condition)
    known = torch.cat([before_known, after_known], dim=2)
    plans = conductor.project(idea[:, None], decoder.of_bar(condition))
    gates = lstm.project(*decoder.static(idea, condition, known))
    arrays = (by_step((2 * after - 1) * after_known[..., None]), by_step(subset_of(after)), by_step(known))
    each = zip(*arrays, strict=True)
    knowns = (Known(None if k % bar else plans[k // bar], *rest) for k, rest in enumerate(each))
    colder = torch.where(before_known[..., :1] > 0, temperature, temperature * opening)
    gumbel, bias = noise.gumbel(rows, steps, SUBSETS), torch.cat([decoder.output.bias, decoder.copy.bias])
    chance = bias.expand(rows, steps, -1).contiguous()
    for row, numbers in enumerate(torch.split(gumbel, 1)):
        look()
        chance[row, :, :SUBSETS] += (colder[row] * numbers + decoder.of_subsets(condition.row(row)))[0]
    past = condition.past * condition.past_given.repeat_interleave(bar, dim=1)[..., None]
    heard = torch.cat([past, condition.given_hits], dim=1).cpu()
    memory, subsets = heard.numpy().copy(), subset_of(heard).numpy()
    step = PhraseStep(decoder, lstm, conductor, gates, subsets, bar, reads_after=bool(after_known.any()), lean=lean)
    state, chances = State(lstm, memory, past.shape[1]), by_step(chance)
    for number in range(steps // bar):
        run(step, state, islice(knowns, bar), chances[number * bar : (number + 1) * bar])
        if choose:
            step.take(state, choose(number, memory[:, : state.now]))
    return torch.from_numpy(memory[:, past.shape[1] :]).to(z.device)
