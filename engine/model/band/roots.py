"""On which pitch classes a bass begins half bars beneath a lead: a hidden Markov model, counted and not trained.

A network that draws a bass from left to right hears the lead, but does not weigh whole progressions; this does.
Source: Viterbi 1967, Error bounds for convolutional codes.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.model.band.decoder import BAR
from engine.representation.band import BASS, LEAD, PITCHES
from engine.representation.melody import FIRST_NOTE_ON, LOWEST
from engine.representation.tokens import Tokens

HALF = BAR // 2
WITHIN = 2
"""A bass that begins so many steps after the half bar begins with it."""

HEARD = 0.4
"""How much a lead's tone tells, as a share of what it would if each step told something new."""

SELDOM = 2.0
"""What is added to each count."""


class Roots(nn.Module):
    """Logarithms of how likely a root is (12,), which follows which in each half bar, and what sounds over it."""

    first: Tensor
    moves: Tensor
    tones: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, shape in (("first", (12,)), ("moves", (2, 12, 12)), ("tones", (12, 12))):
            self.register_buffer(name, torch.zeros(shape))

    def fit(self, songs: Iterable[Tokens]) -> None:
        """Count in songs, states (bar, 16, 3) in C or A minor."""
        first, moves, tones = (np.full(each.shape, SELDOM) for each in (self.first, self.moves, self.tones))
        for states in songs:
            sounding, roots = heard_tones(states[..., LEAD]), _begun(states[..., BASS])
            known = np.flatnonzero(roots >= 0)
            np.add.at(first, roots[known], 1)
            np.add.at(tones, roots[known], sounding[known])
            after = known[np.isin(known - 1, known)]
            np.add.at(moves, (after % 2, roots[after - 1], roots[after]), 1)
        for name, counts in (("first", first), ("moves", moves), ("tones", tones)):
            getattr(self, name)[...] = torch.from_numpy(np.log(counts / counts.sum(axis=-1, keepdims=True)))

    def likeliest(self, lead: Tokens) -> NDArray[np.int64]:
        """States of a lead (bar, 16) in C or A minor -> the likeliest roots (half bar,)."""
        first, moves, tones = (each.double().cpu().numpy() for each in (self.first, self.moves, self.tones))
        told = HEARD * heard_tones(lead) @ tones.T
        score, came_from = first + told[0], []
        for place in range(1, len(told)):
            each = score[:, None] + moves[place % 2]
            came_from.append(each.argmax(axis=0))
            score = each.max(axis=0) + told[place]
        path = [int(score.argmax())]
        for before in reversed(came_from):
            path.append(int(before[path[-1]]))
        return np.array(path[::-1], np.int64)


def heard_tones(lead: Tokens) -> NDArray[np.float64]:
    """For how many steps each pitch class sounds in each half bar of (bar, 16): (half bar, 12)."""
    halves = lead.reshape(-1, HALF)
    classes = np.where(halves >= FIRST_NOTE_ON, (LOWEST + (halves - FIRST_NOTE_ON) % PITCHES) % 12, -1)
    return np.asarray((classes[..., None] == np.arange(12)).sum(axis=1), np.float64)


def _begun(bass: Tokens) -> NDArray[np.int64]:
    """The pitch class that each half bar of (bar, 16) begins on, -1 where a bass rests: (half bar,)."""
    opening = bass.reshape(-1, HALF)[:, :WITHIN].astype(np.int64)
    sounds = opening >= FIRST_NOTE_ON
    at = np.where(sounds.any(axis=1), sounds.argmax(axis=1), 0)
    state = opening[np.arange(len(opening)), at]
    return np.where(sounds.any(axis=1), (LOWEST + (state - FIRST_NOTE_ON) % PITCHES) % 12, -1)
