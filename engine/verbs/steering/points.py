"""Points z of a model of tokens, moved to what is asked, and of the draws of each window the nearest to it."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from engine.representation.catalogue import find_representation
from engine.representation.measures import Values
from engine.representation.token_measures import token_attributes
from engine.representation.tokens import Tokens
from engine.verbs.resident import TokenResident
from engine.verbs.steering.choosing import DRAWS, TOLD_APART, NearestBar
from engine.verbs.steering.knobs import Knobs, known_mean

Decode = Callable[[Tensor], Tokens]
"""z (row, window, z) -> tokens (row, step, part)."""


def decode_as_asked(resident: TokenResident, knobs: Knobs, z: Tensor, bars: int, decode: Decode) -> Tokens:
    """What is decoded near z (row, window or 1, z) and has what the knobs ask for: (row, step, part).

    A window has one z: what is asked of its bars is asked of it as their mean.
    """
    keys = keys_of(knobs, resident)
    if resident.mover is None or not any(keys.values()):
        return decode(z)
    windows, rows, in_window = math.ceil(bars / resident.card.bars), len(z), resident.card.bars
    by_window = Knobs({key: _of_windows(knobs, key, bars, in_window) for key in keys.values() if key})
    made = np.ones(windows, np.bool_)
    nearest = NearestBar(by_window, keys, resident.scales, made, 0, rows)
    asked = [by_window.of_bars(key, windows) if key else np.zeros(windows) for key in keys.values()]
    told = np.stack(asked, axis=1) + TOLD_APART * nearest.apart[:, None]
    many = z.expand(-1, windows, -1).repeat_interleave(DRAWS, dim=0)
    told_of = torch.from_numpy(told).to(many).flatten(0, 1)
    mask = torch.tensor([float(bool(key)) for key in keys.values()]).to(many).expand(len(told_of), -1)
    drawn = decode(resident.mover(many.flatten(0, 1), told_of, mask).view_as(many))
    chosen = _nearest(resident, nearest, drawn, windows)
    _hear(resident, knobs, keys, chosen)
    return chosen


def keys_of(knobs: Knobs, resident: TokenResident) -> dict[str, str]:
    """Under which key each attribute of a model is asked: its own, else that of all parts; empty where not."""
    asked = knobs.asked
    return {
        name: next((key for key in (name, name.partition(".")[0]) if key in asked), "") for name in resident.scales
    }


def _of_windows(knobs: Knobs, key: str, bars: int, in_window: int) -> tuple[float, ...]:
    """What is asked of each window, one number where one is asked of all."""
    if len(knobs.asked[key]) == 1:
        return knobs.asked[key]
    by_bar = knobs.of_bars(key, bars)
    return tuple(float(by_bar[first : first + in_window].mean()) for first in range(0, bars, in_window))


def _nearest(resident: TokenResident, nearest: NearestBar, drawn: Tokens, windows: int) -> Tokens:
    """Of the draws of each row (row·draw, step, part) the nearest, window by window: (row, step, part)."""
    representation = find_representation(resident.config.representation)
    bar, chosen = representation.steps_per_bar, list[Tokens]()
    for window in range(windows):
        first = window * resident.card.bars * bar
        own = drawn[:, first : first + resident.card.bars * bar]
        before = [chosen[-1][:, -bar:].repeat(DRAWS, axis=0)] if chosen else []
        values = token_attributes(np.concatenate([*before, own], axis=1), representation)
        means = {name: known_mean(values[name][:, len(before) :].T) for name in resident.scales}
        chosen.append(own[nearest.choose(window, means)[::DRAWS]])
    return np.concatenate(chosen, axis=1)


def _hear(resident: TokenResident, knobs: Knobs, keys: Mapping[str, str], tokens: Tokens) -> None:
    """Measure what came in rows (row, step, part): one number of all parts, or of each its own."""
    values: dict[str, Values] = token_attributes(tokens, find_representation(resident.config.representation))
    for key in {key for key in keys.values() if key}:
        own = [(values[name], resident.scales[name]) for name, each in keys.items() if each == key]
        knobs.hear_bars(key, *own)
