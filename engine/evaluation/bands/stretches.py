"""Stretches of 16 bars of bands in one key, and what of them a model is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.band_songs import BandSong
from engine.model.band.decoder import BAR, Score, blank
from engine.model.phrases.decoder import BAR_NUMBERS
from engine.representation.band import PARTS, moved, to_c
from engine.representation.tokens import Tokens
from engine.verbs.resident import BandResident

BARS, HOP = 16, 8
PLAYS_SHARE = 0.5
"""A part plays in a stretch if it does in so many of its bars."""

AT_ONCE = 32

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stretches:
    """states (stretch, bar, 16, 3), in C or A minor; whose, and which, each (stretch,). plays (stretch, 3)."""

    states: Tokens
    plays: NDArray[np.bool_]
    piece: Integers
    style: NDArray[np.str_]
    tempo_bpm: NDArray[np.float64]
    first: Integers

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: Integers | NDArray[np.bool_] | slice) -> "Stretches":
        """Some of them."""
        return Stretches(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def parts(self) -> Iterator["Stretches"]:
        """A few at a time."""
        for first in range(0, len(self), AT_ONCE):
            yield self[slice(first, first + AT_ONCE)]


def cut(songs: Sequence[BandSong], roles: Sequence[int], most: int) -> Stretches:
    """At most so many stretches of each piece, spread evenly, in which some parts play."""
    names = sorted({song.name for song in songs})
    found: dict[str, list[tuple[BandSong, int]]] = {}
    for song in songs:
        for first in range(0, len(song.states) - BARS + 1, HOP):
            if (song.plays[first : first + BARS, list(roles)].mean(axis=0) >= PLAYS_SHARE).all():
                found.setdefault(song.name, []).append((song, first))
    chosen = [
        each[k]
        for each in (found[name] for name in sorted(found))
        for k in np.unique(np.linspace(0, len(each) - 1, most).round().astype(int)).tolist()
    ]
    states = [_in_c(song.states[first : first + BARS].astype(np.int64)) for song, first in chosen]
    shape = (0, BARS, BAR, len(PARTS))
    return Stretches(
        np.stack(states) if states else np.zeros(shape, np.int64),
        np.array([song.plays[first : first + BARS].any(axis=0) for song, first in chosen], bool).reshape(-1, 3),
        np.array([names.index(song.name) for song, _ in chosen], np.int64),
        np.array([song.style for song, _ in chosen]),
        np.array([song.tempo_bpm for song, _ in chosen]),
        np.array([first for _, first in chosen], np.int64),
    )


def _in_c(states: Tokens) -> Tokens:
    flat = states.reshape(-1, len(PARTS))
    return moved(flat, to_c(flat)).reshape(states.shape)


def score_of(resident: BandResident, stretches: Stretches, given: Sequence[int]) -> Score:
    """Stretches with all of their states, of which some parts, where they play, are given throughout.

    A style that the model does not know is not told.
    """
    styles = {style: number for number, style in enumerate(resident.card.styles)}
    shape, rows = resident.model.shape, len(stretches)
    score = blank(rows, BARS, styles=shape.styles, bar_z=shape.bar_z, device=resident.device)
    mask = torch.from_numpy(stretches.plays & np.isin(range(len(PARTS)), given))
    tempo = np.stack([np.log2(stretches.tempo_bpm / 120), np.ones(rows)], axis=1)
    number = (stretches.first[:, None] + np.arange(BARS)) % BAR_NUMBERS
    return replace(
        score,
        states=torch.from_numpy(stretches.states.reshape(rows, -1, len(PARTS))),
        given=mask.float()[:, None].expand(-1, BARS * BAR, -1).contiguous(),
        style=torch.tensor([styles.get(style, shape.styles) for style in stretches.style.tolist()]),
        tempo=torch.from_numpy(tempo).float(),
        bar_number=torch.from_numpy(number),
    )


def heard_of(stretches: Stretches, roles: Sequence[int]) -> Tensor:
    """Those of some parts that play, as a VAE hears them: (stretch, 3)."""
    return torch.from_numpy((stretches.plays & np.isin(range(len(PARTS)), roles)).astype(np.float32))
