"""How a groove is brought to the feel that is asked for: what was drawn is moved, stretched and turned by as much.

A draw has the right place and loudness of each hit beside the others. An attribute of all of them is exact where
the whole is moved, and what is between the hits stays. numpy alone, no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.representation.attributes import FEEL, Scales
from engine.representation.groove import OFFSETS, VELOCITIES, Array
from engine.representation.measures import (
    Alike,
    Playing,
    Values,
    between_places,
    feel_of,
    mean_of,
    off_places,
    playing_of,
    spread_of,
)

ROUNDS, CLOSE = 8, 0.02
"""What is cut off at the ends of ranges, and what one attribute moves of another, is made up for in rounds, until
nothing moves by more than this, in ms and velocity."""

STEEPEST, HALVINGS = 8.0, 14
"""The exponents by which velocities are bent lie between this and its inverse, and are found by halving."""

IN_ORDER = ("tightness", "dynamics", "swing", "accent", "late", "loudness")

LOUD_TOGETHER = ("loudness", "dynamics")
GOES_ALONG = {"dynamics": 0.114, "loudness": 0.64}
"""By how much each moves for one of the other: louder playing has the wider range (r .27 over the windows of the
train split), though what is loud has little room above."""

assert set(IN_ORDER) == set(FEEL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An attribute that some hits, where (step, 9), are to have, in its unit.

    alike: the drums that have the means of places in common, None for all; what is asked of one drum's mean is then
    not taken for spread. on_grid (9,): of these drums swing moves the odd sixteenths alone; of others it keeps the
    mean.
    """

    name: str
    value: float | Values
    where: NDArray[np.bool_]
    alike: Alike | None = None
    on_grid: NDArray[np.bool_] | None = None


def steered(grooves: Array, wanted: Sequence[Wanted], *, tempo_bpm: float | Array, bar: int) -> Array:
    """Grooves (row, step, 27) as they are wanted; what is not wanted stays, and so does who is hit when."""
    playing = playing_of(grooves, tempo_bpm, bar)
    ordered = sorted(_with_company(playing, wanted), key=lambda each: IN_ORDER.index(each.name))
    for _ in range(ROUNDS):
        before = playing
        for each in ordered:
            playing = _with(playing, each)
        late = np.clip(playing.late, -playing.sixteenth_ms / 2, playing.sixteenth_ms / 2)
        playing = replace(playing, late=late, velocity=np.clip(playing.velocity, 1, 127))
        moved = np.maximum(np.abs(playing.late - before.late), np.abs(playing.velocity - before.velocity))
        if (moved * playing.hits).max(initial=0) < CLOSE:
            break
    result, hits = grooves.copy(), playing.hits > 0
    result[..., OFFSETS] = np.where(hits, -2 * playing.late / playing.sixteenth_ms, grooves[..., OFFSETS])
    result[..., VELOCITIES] = np.where(hits, playing.velocity / 127, grooves[..., VELOCITIES])
    return result


def distance(
    grooves: Array,
    wanted: Sequence[Wanted],
    scales: Scales,
    *,
    tempo_bpm: float | Array,
    bar: int,
) -> Values:
    """How far grooves (row, step, 27) are from what is wanted, in squared deviations: (row,)."""
    playing, apart = playing_of(grooves, tempo_bpm, bar), np.zeros(len(grooves))
    for each in wanted:
        off = _now(playing.among(each.where), each.name, each.alike) - each.value
        apart += np.nan_to_num(off / scales[each.name].above)[:, 0, 0] ** 2
    return apart


def _with_company(playing: Playing, wanted: Sequence[Wanted]) -> Iterator[Wanted]:
    """What is wanted, and what goes along with it where that is not itself wanted of any hit."""
    named = {each.name for each in wanted}
    for each in wanted:
        yield each
        other = LOUD_TOGETHER[each.name != "dynamics"] if each.name in LOUD_TOGETHER else each.name
        if other not in named:
            own = playing.among(each.where)
            change = each.value - _now(own, each.name, each.alike)
            value = _now(own, other, each.alike) + GOES_ALONG[other] * change
            yield Wanted(other, value, each.where, each.alike)


def _now(playing: Playing, name: str, alike: Alike | None) -> Values:
    """An attribute as it is: (row, 1, 1)."""
    return feel_of(playing, alike)[:, FEEL.index(name), None, None]


def _with(playing: Playing, wanted: Wanted) -> Playing:
    """The same with one attribute of some hits."""
    hits, value, alike = playing.hits * wanted.where, wanted.value, wanted.alike
    of_timing = wanted.name in ("late", "tightness", "swing")
    values, second = (playing.late, playing.odd) if of_timing else (playing.velocity, playing.between)
    if wanted.name == "late":
        change = value - mean_of(values, hits)
    elif wanted.name == "loudness":
        change = _louder(values, hits, value) - values
    elif wanted.name in ("swing", "accent"):
        apart = value * playing.sixteenth_ms if of_timing else -value
        share = mean_of(np.broadcast_to(second, hits.shape), hits, alike)
        if of_timing and wanted.on_grid is not None:
            share = np.where(wanted.on_grid, 0.0, share)
        change = (apart - between_places(values, hits, second, alike)) * (second - share)
    else:
        spread = spread_of(values, hits, second, alike)
        target = np.maximum(0.0, -value if of_timing else value)
        factor = np.divide(target, spread, out=np.ones_like(spread), where=spread > 1e-6)
        change = off_places(values, hits, second, alike) * (factor - 1)
    changed = np.where(hits > 0, values + np.nan_to_num(change), values)
    return replace(playing, late=changed) if of_timing else replace(playing, velocity=changed)


def _louder(velocity: Values, hits: Values, wanted: float | Values) -> Values:
    """Velocities bent to a mean: those at the ends stay there, as ghost notes do where all else is hit harder."""
    share = np.clip(velocity, 1, 127) / 128
    low, high = (np.full((len(hits), 1, 1), end) for end in (1 / STEEPEST, STEEPEST))
    for _ in range(HALVINGS):
        middle = np.sqrt(low * high)
        too_loud = mean_of(share**middle * 128, hits) > wanted
        low, high = np.where(too_loud, middle, low), np.where(too_loud, high, middle)
    return np.asarray(share ** np.sqrt(low * high) * 128, np.float64)
