"""Attributes of tokens, as attributes.py defines them: what models of tokens can be asked for. numpy alone.

Of a trio density, register and interval are those of each part; syncopation and repetition of all parts together.
"""

import numpy as np
from numpy.typing import NDArray

from engine.representation.instruments import PARTS
from engine.representation.measures import Values, rhythm
from engine.representation.melody import FIRST_NOTE_ON, LOWEST, MELODY_SIZE
from engine.representation.tokens import STEPS_PER_BAR, Representation, Tokens

AT_ONCE = 512
"""Rows that are measured together: a step of a trio has 185 onsets that can be."""


def token_attributes(tokens: Tokens, representation: Representation) -> dict[str, Values]:
    """Each attribute of the bars of rows (row, step, part), in its unit: (row, bar), nan where a bar has none.

    Empty for tokens that are no steps: several tracks.
    """
    if representation.steps_per_bar != STEPS_PER_BAR:
        return {}
    parts = [_bars_of(tokens[first : first + AT_ONCE], representation) for first in range(0, len(tokens), AT_ONCE)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _bars_of(tokens: Tokens, representation: Representation) -> dict[str, Values]:
    hits, values = list[NDArray[np.bool_]](), dict[str, Values]()
    for part, size in enumerate(representation.sizes):
        own = tokens[..., part].reshape(len(tokens), -1, STEPS_PER_BAR)
        name = f".{PARTS[part]}" if len(representation.sizes) > 1 else ""
        if size == MELODY_SIZE:
            hits.append(own[..., None] == np.arange(FIRST_NOTE_ON, MELODY_SIZE))
            values[f"register{name}"], values[f"interval{name}"] = _pitches(own)
        else:
            hits.append((own[..., None] >> np.arange((size - 1).bit_length()) & 1) > 0)
        values[f"density{name}"] = hits[-1].sum(axis=(2, 3)).astype(np.float64)
    _, values["syncopation"], values["repetition"] = rhythm(np.concatenate(hits, axis=-1))
    if values["repetition"].shape[1] == 1:
        values["repetition"][:] = np.nan
    return values


def _pitches(own: Tokens) -> tuple[Values, Values]:
    """The mean pitch of the notes of each bar, and the mean distance from them to the next: (row, bar) each."""
    flat = own.reshape(len(own), -1)
    begins = flat >= FIRST_NOTE_ON
    row, step = np.nonzero(begins)
    pitch = flat[row, step] - FIRST_NOTE_ON + LOWEST
    distance = np.zeros(flat.shape)
    last = np.append(row[1:] != row[:-1], True)[: len(row)]
    distance[row[~last], step[~last]] = np.abs(np.diff(pitch))[~last[:-1]] if len(row) else 0
    followed = begins.copy()
    followed[row[last], step[last]] = False
    pitches = np.where(begins, flat - FIRST_NOTE_ON + LOWEST, 0)
    return _mean(pitches, begins, own.shape), _mean(distance, followed, own.shape)


def _mean(values: NDArray[np.floating | np.integer], known: NDArray[np.bool_], shape: tuple[int, ...]) -> Values:
    """The mean of the known ones of each bar (row, step) -> (row, bar), nan where there are none."""
    count, total = (each.reshape(shape).sum(axis=-1) for each in (known, np.where(known, values, 0)))
    mean: Values = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean
