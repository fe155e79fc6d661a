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

    own, given (batch,): the state that is given, and whether it is; all_given, any_given: whether all are, or any.
    against (row or 1, token): added to the logits of notes, or None.
    """

    own: Integers
    given: NDArray[np.bool_]
    all_given: bool
    any_given: bool
    against: Array | None


def some_looks(decoder: PartDecoder, of_copies: Tensor, looks: int) -> Tensor:
    """Of what is said of copies, a tensor whose first axis is theirs, what is said of the first so many looks."""
    aspects = decoder.alphabets.signs(decoder.part).shape[1]
    return torch.cat([of_copies[:looks], of_copies[LOOKS : LOOKS + looks * aspects]])


def stepped(decoder: PartDecoder) -> tuple[int, ...]:
    """Of what a decoder is fed, the columns that change within a bar.

    The features of the step before, and whether the bar so far is as others. The rest is known as a bar begins, and
    multiplied by its weights for all of its steps.
    """
    return *range(decoder.flags // (len(BEFORE) + 2)), *range(decoder.flags, decoder.fed, 2)


class PartStep:
    """A stepping.Step: chance (batch, token + copy) is added to the output layer, a choice is a state a row.

    State.past holds the features of what was drawn, after eight bars of nothing. gates: see Stepper.project. known
    (batch, step, look): which looks are; after (batch, step, 3): the tokens 1, 2, 4 bars after.
    """

    def __init__(self, decoder: PartDecoder, lstm: Stepper, gates: Array, known: Array, after: Integers):
        self._part, self._size, (rows, steps, looks) = decoder.part, SIZES[decoder.part], known.shape
        self._looks, self._of_steps, self._known, self._after = looks, gates, known, after
        weights = torch.cat([decoder.output.weight, some_looks(decoder, decoder.copy.weight, looks)])
        self._head = Head(weights.t().cpu().contiguous(), rows)
        self._table = decoder.alphabets.features(decoder.part).cpu().numpy()
        self._signs = decoder.alphabets.signs(decoder.part).cpu().numpy()
        self._from_signs = np.ascontiguousarray(self._signs.T)
        self._depth = self._table.shape[1]
        looked = decoder.flags - self._depth
        self._looked_weights, self._same_weights = lstm.weights_of(0, looked), lstm.weights_of(looked, len(BEFORE))
        self._back = np.array([BAR - 1, *(k * BAR for k in BEFORE)])
        self._states = np.zeros((rows, PAST + steps), np.int64)
        self._drawn = np.zeros_like(self._states)
        self._logits = np.empty((rows, self._size), np.float32)
        self._first, self._flat = np.arange(rows)[:, None, None] * self._size, self._logits.reshape(-1)
        self._same, self._same_before = np.zeros((2, rows, len(BEFORE)), np.float32)

    def __call__(self, state: State, known: Known, chance: Array) -> Integers:
        """See stepping.Step."""
        step = (state.now - PAST) % BAR
        if step == 0:
            self._open(state)
        fed = state.lstm.fed
        fed[:, : self._depth], fed[:, self._depth :] = state.before(1), self._same
        gates = self._gates[step]
        if step == BAR - 1:  # what follows a bar before is the first step of this
            gates += state.before(BAR - 1) @ self._looked_weights[: self._depth]
        hidden = state.lstm.step(gates)
        choice = known.own if known.all_given else self._drawn_by(hidden, chance, state, known)
        token = choice if self._part == DRUMS else TOKENS[choice]
        self._same *= self._before[:, step] == choice[:, None]
        self._states[:, state.now], self._drawn[:, state.now] = choice, token
        state.remember(self._table[choice])
        return choice

    def _open(self, state: State) -> None:
        """Begin a bar: what is known of all of its steps."""
        first, count = state.now - PAST, len(BEFORE)
        bar = slice(first, min(first + BAR, self._known.shape[1]))
        known, places = self._known[:, bar], state.now + np.arange(bar.stop - first)[:, None] - self._back
        self._same_before[...], self._same[...] = self._same, known[:, 0, :count]
        looked = state.past.take(places, axis=1)
        looked[:, BAR - 1 :, 0] = 0
        self._gates = (looked.reshape(*known.shape[:2], -1) @ self._looked_weights).swapaxes(0, 1)
        self._gates += self._same_before @ self._same_weights
        self._gates += self._of_steps[bar]
        self._before = self._states.take(places[:, 1:], axis=1)
        tokens = np.concatenate([self._drawn.take(places[:, 1:], axis=1), self._after[:, bar]], axis=2)
        tokens = tokens[..., : self._looks]
        self._signed, self._cells = self._signs[tokens] * known[..., None], tokens + self._first

    def states(self, first: int, count: int) -> Integers:
        """The states of some steps, as they were drawn: (batch, step)."""
        return self._states[:, PAST + first : PAST + first + count]

    def take(self, state: State, rows: Integers) -> None:
        """Go on in each row from where another is, or the same (batch,)."""
        for each in (state.past, self._states, self._drawn):
            each[:, : state.now] = each[rows, : state.now]
        self._same[...] = self._same[rows]
        state.lstm.take(rows)

    def _drawn_by(self, hidden: Tensor, chance: Array, state: State, known: Known) -> Integers:
        """The states (batch,) that are drawn, or given in some rows."""
        logits = self._with_copies(self._head(hidden, chance), state)
        if known.against is not None:
            _turn_against(logits[:, FIRST_NOTE_ON:], known.against[:, FIRST_NOTE_ON:])
        token: Integers = logits.argmax(axis=1)
        drawn: Integers = token if self._part == DRUMS else NEXT_STATES[self._states[:, state.now - 1], token]
        return np.where(known.given, known.own, drawn) if known.any_given else drawn

    def _with_copies(self, output: Array, state: State) -> Array:
        """The logits, with what is added for tokens like those of other bars: (batch, token)."""
        size, looks, now = self._size, self._looks, state.now - PAST
        whole, aspects = output[:, size : size + looks], output[:, size + looks :]
        signed = self._signed[:, now % BAR]
        pull = (aspects.reshape(signed.shape) * signed).sum(axis=1)
        np.matmul(pull, self._from_signs, out=self._logits)
        self._logits += output[:, :size]
        np.add.at(self._flat, self._cells[:, now % BAR], whole * self._known[:, now])
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
TOKENS = token_of(np.arange(VOICE_STATES))
"""The token of each state of a voice."""


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
    lstm = Stepper(decoder.lstm, stepped(decoder), decoder.initial_state(idea))
    looked = known_looks(score, part)
    looks = LOOKS if bool(looked[..., len(BEFORE) :].any()) else len(BEFORE)
    own, given = score.states[..., part].cpu().numpy(), score.given[..., part].cpu().numpy() > 0
    padded = np.pad(np.where(given, own, 0), ((0, 0), (0, max(AFTER) * BAR)))
    tokens = padded if part == DRUMS else token_of(padded)
    after = np.stack([tokens[:, k * BAR :][:, :steps] for k in AFTER], axis=2)
    all_given, any_given = (np.asarray(each(given, axis=0)) for each in (np.all, np.any))
    aside = [None] * steps if against is None else list(against.transpose(0, 1).cpu().numpy())
    knowns = (Known(own[:, k], given[:, k], bool(all_given[k]), bool(any_given[k]), aside[k]) for k in range(steps))
    colder = torch.where(looked[..., :1] > 0, temperature, temperature * opening)
    fixed = decoder.of_tokens(score) + decoder.output.bias + colder * noise.gumbel(rows, steps, SIZES[part])
    copies = some_looks(decoder, decoder.copy.bias, looks).expand(rows, steps, -1)
    chance = torch.cat([fixed, copies], dim=2)
    memory = np.zeros((rows, PAST + steps, decoder.alphabets.features(part).shape[1]), np.float32)
    free = np.flatnonzero(~all_given)
    until = int(free[-1]) + 1 if len(free) else 0
    gates = lstm.project(decoder.static(idea, score))
    step = PartStep(decoder, lstm, gates, looked[..., :looks].cpu().numpy(), after)
    chances = by_step(chance[:, :until])
    state = State(lstm, memory, PAST)
    for first in range(0, until, BAR):
        count = min(BAR, until - first)
        run(step, state, islice(knowns, count), chances[first : first + count])
        if choose and count == BAR:
            step.take(state, choose(first // BAR, step.states(first, BAR)))
    drawn = padded[:, :steps].copy()
    drawn[:, :until] = step.states(0, until)
    return torch.from_numpy(drawn).to(z.device)
