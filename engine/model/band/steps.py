"""Parts of bands, drawn step by step; see decoder.py for the network."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.model.band.decoder import BAR, PartDecoder, Score, known_looks
from engine.model.noise import Noise
from engine.model.phrases.decoder import AFTER, BEFORE
from engine.model.stepping import Head, State, Stepper, by_step, run
from engine.representation.band import DRUMS, PITCHES, SIZES, VOICE_STATES, token_of
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE

Array = NDArray[np.float32]
Integers = NDArray[np.int64]

Choose = Callable[[int, Integers], Integers]
"""When a bar of a window is done: its number, and its states (batch, 16) -> the row from which each goes on."""

LOOKS = len(BEFORE) + len(AFTER)
PAST = max(BEFORE) * BAR


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a step.

    gates (batch, 4·hidden): see Stepper.project. opens: whether a bar begins. after (batch, 3): the tokens 1, 2, 4
    bars after; known (batch, 7): which looks are. own, given (batch,): the state that is given, and whether it is;
    all_given: whether all are. against (row or 1, token): added to the logits of notes, or None.
    """

    gates: Tensor
    opens: bool
    after: Integers
    known: Array
    own: Integers
    given: NDArray[np.bool_]
    all_given: bool
    against: Array | None


def some_looks(decoder: PartDecoder, of_copies: Tensor, looks: int) -> Tensor:
    """Of what is said of copies, a tensor whose first axis is theirs, what is said of the first so many looks."""
    aspects = decoder.alphabets.signs(decoder.part).shape[1]
    return torch.cat([of_copies[:looks], of_copies[LOOKS : LOOKS + looks * aspects]])


class PartStep:
    """A stepping.Step: chance (batch, token + copy) is added to the output layer, a choice is a state a row.

    State.past holds the features of what was drawn, after eight bars of nothing.
    """

    def __init__(self, decoder: PartDecoder, rows: int, steps: int, looks: int):
        self._part, self._flags, self._size = decoder.part, decoder.flags, SIZES[decoder.part]
        self._looks = looks
        weights = torch.cat([decoder.output.weight, some_looks(decoder, decoder.copy.weight, looks)])
        self._head = Head(weights.t().cpu().contiguous(), rows)
        self._table = decoder.alphabets.features(decoder.part).cpu().numpy()
        self._signs = decoder.alphabets.signs(decoder.part).cpu().numpy()
        self._from_signs = np.ascontiguousarray(self._signs.T)
        self._back = np.array([1, BAR - 1, *(k * BAR for k in BEFORE)])
        self._states = np.zeros((rows, PAST + steps), np.int64)
        self._drawn = np.zeros_like(self._states)
        self._tokens = np.zeros((rows, looks), np.int64)
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
        places = state.now - self._back[2:]
        back = self._states[:, places]
        self._tokens[:, :count] = self._drawn[:, places]
        hidden = state.lstm.step(known.gates)
        choice = known.own if known.all_given else self._drawn_by(hidden, chance, state, known)
        token = choice if self._part == DRUMS else token_of(choice)
        self._same *= back == choice[:, None]
        self._states[:, state.now], self._drawn[:, state.now] = choice, token
        state.remember(self._table[choice])
        return choice

    def states(self, first: int, count: int) -> Integers:
        """The states of some steps, as they were drawn: (batch, step)."""
        return self._states[:, PAST + first : PAST + first + count]

    def take(self, state: State, rows: Integers) -> None:
        """Go on in each row from where another is, or the same (batch,)."""
        for each in (state.past, self._states, self._drawn):
            each[:, : state.now] = each[rows, : state.now]
        self._same[...] = self._same[rows]
        state.lstm.take(rows)

    def _drawn_by(self, hidden: Tensor, chance: Tensor, state: State, known: Known) -> Integers:
        """The states (batch,) that are drawn, or given in some rows."""
        logits = self._with_copies(self._head(hidden, chance), known)
        if known.against is not None:
            _turn_against(logits[:, FIRST_NOTE_ON:], known.against[:, FIRST_NOTE_ON:])
        token: Integers = logits.argmax(axis=1)
        drawn = token if self._part == DRUMS else NEXT_STATES[self._states[:, state.now - 1], token]
        return np.where(known.given, known.own, drawn)

    def _with_copies(self, output: Array, known: Known) -> Array:
        """The logits, with what is added for tokens like those of other bars: (batch, token)."""
        size, tokens, looks = self._size, self._tokens, self._looks
        if looks > len(BEFORE):
            tokens[:, len(BEFORE) :] = known.after
        whole, aspects = output[:, size : size + looks], output[:, size + looks :]
        signed = self._signs[tokens] * known.known[..., None]
        pull = (aspects.reshape(signed.shape) * signed).sum(axis=1)
        np.matmul(pull, self._from_signs, out=self._logits)
        self._logits += output[:, :size]
        np.add.at(self._flat, tokens + self._first, whole * known.known)
        return self._logits


def _turn_against(notes: Array, against: Array) -> None:
    """Add to the logits of notes (batch, note), chance among them, so that another may be the highest.

    That one gets the height of the one before: whether a note begins is left as it was drawn.
    """
    highest = notes.max(axis=1, keepdims=True)
    notes += against
    notes += highest - notes.max(axis=1, keepdims=True)


def _next_states() -> Integers:
    """The state of a voice that a token makes after another state: (state before, token)."""
    before, token = np.arange(VOICE_STATES)[:, None], np.arange(MELODY_SIZE)
    begun = np.where(before < MELODY_SIZE, before + PITCHES, before)
    held = np.where(before >= FIRST_NOTE_ON, begun, 0)
    return np.where(token > 0, token, held)


NEXT_STATES = _next_states()


def draw_part(
    decoder: PartDecoder,
    z: Tensor,
    score: Score,
    *,
    temperature: float,
    opening: float = 1.0,
    noise: Noise,
    against: Tensor | None = None,
    choose: Choose | None = None,
) -> Tensor:
    """z (batch, z) -> states (batch, step) of the decoder's part, those that are given as they are.

    opening: see engine.model.phrases.steps.draw_hits. against (row or 1, step, token): what is
    added to the logits of notes. choose: from which row each goes on at the end of a bar.
    """
    rows, steps, part = len(z), score.states.shape[1], decoder.part
    idea = decoder.idea(z, score)
    lstm = Stepper(decoder.lstm, decoder.fed, decoder.initial_state(idea))
    looked = known_looks(score, part)
    looks = LOOKS if bool(looked[..., len(BEFORE) :].any()) else len(BEFORE)
    own, given = score.states[..., part].cpu().numpy(), score.given[..., part].cpu().numpy() > 0
    padded = np.pad(np.where(given, own, 0), ((0, 0), (0, max(AFTER) * BAR)))
    tokens = padded if part == DRUMS else token_of(padded)
    after = np.stack([tokens[:, k * BAR :][:, :steps] for k in AFTER], axis=2)
    gates, known, everything = (
        lstm.project(decoder.static(idea, score)),
        by_step(looked[..., :looks]),
        np.asarray(given.all(axis=0)),
    )
    aside = [None] * steps if against is None else list(against.transpose(0, 1).cpu().numpy())
    knowns = (
        Known(gates[k], k % BAR == 0, after[:, k], known[k], own[:, k], given[:, k], bool(everything[k]), aside[k])
        for k in range(steps)
    )
    colder = torch.where(looked[..., :1] > 0, temperature, temperature * opening)
    fixed = decoder.of_tokens(score) + decoder.output.bias + colder * noise.gumbel(rows, steps, SIZES[part])
    copies = some_looks(decoder, decoder.copy.bias, looks).expand(rows, steps, -1)
    chance = torch.cat([fixed, copies], dim=2)
    memory = np.zeros((rows, PAST + steps, decoder.alphabets.features(part).shape[1]), np.float32)
    free = np.flatnonzero(~given.all(axis=0))
    until = int(free[-1]) + 1 if len(free) else 0
    step, chances = PartStep(decoder, rows, steps, looks), chance[:, :until].cpu().unbind(1)
    state = State(lstm, memory, PAST)
    for first in range(0, until, BAR):
        count = min(BAR, until - first)
        run(step, state, islice(knowns, count), chances[first : first + count])
        if choose and count == BAR:
            step.take(state, choose(first // BAR, step.states(first, BAR)))
    drawn = padded[:, :steps].copy()
    drawn[:, :until] = step.states(0, until)
    return torch.from_numpy(drawn).to(z.device)
