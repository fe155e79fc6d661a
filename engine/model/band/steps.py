"""Parts of bands, drawn step by step; see decoder.py for the network."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.model.band.decoder import BAR, PartDecoder, Score, known_looks
from engine.model.noise import Noise
from engine.model.phrases.decoder import AFTER, BEFORE
from engine.model.stepping import Head, State, Stepper, by_step, run
from engine.representation.band import DRUMS, PITCHES, SIZES, token_of
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

LOOKS = len(BEFORE) + len(AFTER)
PAST = max(BEFORE) * BAR


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a step.

    gates (batch, 4·hidden): see Stepper.project. opens: whether a bar begins. after (batch, 3): the tokens 1, 2, 4
    bars after; known (batch, 7): which looks are. own, given (batch,): the state that is given, and whether it is.
    """

    gates: Tensor
    opens: bool
    after: Integers
    known: Array
    own: Integers
    given: NDArray[np.bool_]


class PartStep:
    """A stepping.Step: chance (batch, token + copy) is added to the output layer, a choice is a state a row.

    State.past holds the features of what was drawn, after eight bars of nothing.
    """

    def __init__(self, decoder: PartDecoder, rows: int, steps: int):
        self._part, self._flags, self._size = decoder.part, decoder.flags, SIZES[decoder.part]
        self._head = Head(torch.cat([decoder.output.weight, decoder.copy.weight]).t().cpu().contiguous(), rows)
        self._table = decoder.alphabets.features(decoder.part).cpu().numpy()
        self._signs = decoder.alphabets.signs(decoder.part).cpu().numpy()
        self._from_signs = np.ascontiguousarray(self._signs.T)
        self._back = np.array([1, BAR - 1, *(k * BAR for k in BEFORE)])
        self._states = np.zeros((rows, PAST + steps), np.int64)
        self._tokens = np.zeros((rows, LOOKS), np.int64)
        self._logits = np.empty((rows, self._size), np.float32)
        self._first, self._flat = np.arange(rows)[:, None] * self._size, self._logits.reshape(-1)
        self._same, self._same_before = np.zeros((2, rows, len(BEFORE)), np.float32)

    def __call__(self, state: State, known: Known, chance: Tensor) -> Integers:
        """See stepping.Step."""
        fed, count = state.lstm.fed, len(BEFORE)
        if known.opens:
            self._same_before[...], self._same[...] = self._same, known.known[:, :count]
            fed[:, self._flags + 1 :: 2] = self._same_before
        fed[:, : self._flags] = state.past[:, state.now - self._back].reshape(len(fed), -1)
        fed[:, self._flags :: 2] = self._same
        back = self._states[:, state.now - self._back[2:]]
        logits = self._with_copies(self._head(state.lstm.step(known.gates), chance), back, known)
        drawn = self._state_of(logits.argmax(axis=1), self._states[:, state.now - 1])
        choice: Integers = np.where(known.given, known.own, drawn)
        self._same *= back == choice[:, None]
        self._states[:, state.now] = choice
        state.remember(self._table[choice])
        return choice

    def _with_copies(self, output: Array, back: Integers, known: Known) -> Array:
        """The logits, with what is added for tokens like those of other bars: (batch, token)."""
        size, tokens = self._size, self._tokens
        tokens[:, : len(BEFORE)] = back if self._part == DRUMS else token_of(back)
        tokens[:, len(BEFORE) :] = known.after
        whole, aspects = output[:, size : size + LOOKS], output[:, size + LOOKS :]
        signed = self._signs[tokens] * known.known[..., None]
        pull = np.einsum("rka,rka->ra", aspects.reshape(signed.shape), signed)
        np.matmul(pull, self._from_signs, out=self._logits)
        self._logits += output[:, :size]
        np.add.at(self._flat, tokens + self._first, whole * known.known)
        return self._logits

    def _state_of(self, token: Integers, before: Integers) -> Integers:
        """The state that a token makes after another state."""
        if self._part == DRUMS:
            return token
        begun = np.where(before < MELODY_SIZE, before + PITCHES, before)
        held = np.where(before >= FIRST_NOTE_ON, begun, 0)
        return np.where(token > 0, token, held)


def draw_part(
    decoder: PartDecoder,
    z: Tensor,
    score: Score,
    *,
    temperature: float,
    opening: float = 1.0,
    noise: Noise,
    against: Tensor | None = None,
) -> Tensor:
    """z (batch, z) -> states (batch, step) of the decoder's part, those that are given as they are.

    opening: see engine.model.phrases.steps.draw_hits. against (token,): added to all logits.
    """
    rows, steps, part = len(z), score.states.shape[1], decoder.part
    idea = decoder.idea(z, score)
    lstm = Stepper(decoder.lstm, decoder.fed, decoder.initial_state(idea))
    looked = known_looks(score, part)
    own, given = score.states[..., part].cpu().numpy(), score.given[..., part].cpu().numpy() > 0
    padded = np.pad(np.where(given, own, 0), ((0, 0), (0, max(AFTER) * BAR)))
    tokens = padded if part == DRUMS else token_of(padded)
    after = np.stack([tokens[:, k * BAR :][:, :steps] for k in AFTER], axis=2)
    gates, known = lstm.project(decoder.static(idea, score)), by_step(looked)
    knowns = (Known(gates[k], k % BAR == 0, after[:, k], known[k], own[:, k], given[:, k]) for k in range(steps))
    colder = torch.where(looked[..., :1] > 0, temperature, temperature * opening)
    fixed = decoder.of_tokens(score) + decoder.output.bias + colder * noise.gumbel(rows, steps, SIZES[part])
    if against is not None:
        fixed = fixed + against
    chance = torch.cat([fixed, decoder.copy.bias.expand(rows, steps, -1)], dim=2)
    memory = np.zeros((rows, PAST + steps, decoder.alphabets.features(part).shape[1]), np.float32)
    choices = run(PartStep(decoder, rows, steps), State(lstm, memory, PAST), knowns, chance.cpu().unbind(1))
    return torch.from_numpy(np.stack(choices, axis=1)).to(z.device)
