"""Measures of z: whether a clip's z holds its feel, and whether the verbs that move z do what they promise.

Four attributes stand for the feel of a window. The verbs are run through Player, as for a user.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.clip import Clip
from engine.data.windows import STEPS_PER_BAR, Windows
from engine.evaluation.bootstrap import Bootstrap, Interval, Values
from engine.evaluation.contenders import answer, quantised
from engine.evaluation.hits import hits_of
from engine.model import tasks
from engine.model.noise import Noise
from engine.representation import attributes, measures
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.groove import HITS, Array, clip_to_groove, groove_to_clip
from engine.requests import Groove, Interpolate, Request, Vary
from engine.verbs.groove_verbs import Player
from engine.verbs.resident import GrooveResident

FEEL = ("late", "loudness", "swing", "accent")
POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
STIFF_VELOCITY = 100 / 127

FEWEST_WINDOWS = 30
"""A style with fewer windows in the data is not measured."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What z does with the windows of a split.

    explained: the share of the variance of offsets and of velocities that the answer at temperature 0 explains, by
    what z was made of. groove and style: the correlation of each number of FEEL, over windows between the result
    and the clip whose feel it was given (beside it that of plain humanizing), over styles between the results and
    the train split. interpolate and vary: at each of POINTS the share of hits that differ from the clip, and how
    far the feel has gone from it (0) to the other clip (1), or away from it.
    """

    explained: dict[str, tuple[Interval, Interval]]
    groove: dict[str, tuple[Interval, Interval]]
    style: dict[str, float]
    interpolate: tuple[tuple[float, ...], tuple[float, ...]]
    vary: tuple[tuple[float, ...], tuple[float, ...]]


def steering_of(resident: GrooveResident, train: Windows, windows: Windows, *, clips: int = 150) -> Steering:
    """All of it; `clips` is how many pairs go through interpolate and vary."""
    some = _spread(windows, clips)
    pairs = some, some[::-1].copy()
    return Steering(
        explained=explained_by(resident, windows),
        groove=_grooved(resident, windows[_spread(windows, 4 * clips)]),
        style=_styled(resident, train, windows[_spread(windows, 2 * clips)]),
        interpolate=_interpolated(resident, *(windows[each] for each in pairs)),
        vary=_varied(resident, windows[some]),
    )


def feel_of(windows: Windows) -> Values:
    """[window, 4], in the order of FEEL, in the units of attributes; nan where a window has no off-beats, say."""
    whole = measures.feel_of(measures.playing_of(windows.grooves, windows.tempo_bpm))
    return whole[:, [attributes.FEEL.index(name) for name in FEEL]]


def explained_by(resident: GrooveResident, windows: Windows) -> dict[str, tuple[Interval, Interval]]:
    """The share of the variance of offset and velocity that the mean explains, by what z was made of."""
    other = windows.companions(np.arange(len(windows)), np.random.default_rng(0))
    sources: dict[str, Array | None] = {
        "the hits alone": None,
        "another window of the performance": windows.grooves[other],
        "the window itself": windows.grooves,
    }
    true, bootstrap, answers = hits_of(windows), Bootstrap(windows.performance), {}
    for name, source in sources.items():
        mean = hits_of(
            windows.played_by(answer(resident, windows, tasks.humanize, temperature=0.0, encoder_input=source))
        )
        pair = (true.offset, mean.offset), (true.velocity, mean.velocity)
        answers[name] = tuple(_explained(bootstrap, true.window, len(windows), *each) for each in pair)
    return answers  # type: ignore[return-value]


def _explained(
    bootstrap: Bootstrap, window: NDArray[np.int64], count: int, true: Values, guess: Values
) -> Interval:
    parts = np.ones_like(true), true, true**2, (true - guess) ** 2
    sums = [np.bincount(window, part, count)[:, None].astype(np.float64) for part in parts]

    def share(total: Values) -> Values:
        variance = total[:, 2] - total[:, 1] ** 2 / total[:, 0]
        ratio: Values = 1 - total[:, 3] / variance
        return ratio

    return bootstrap.of_sums(share, *sums)


def _grooved(resident: GrooveResident, windows: Windows) -> dict[str, tuple[Interval, Interval]]:
    """The feel of another window, most likely of another performance, on each; beside plain humanizing."""
    source = windows[np.random.default_rng(0).permutation(len(windows))]
    wanted = feel_of(source)
    humanized = answer(resident, windows, tasks.humanize, temperature=1.0, seed=1)
    grooves = _groove(resident, windows, source), humanized
    given, plain = (feel_of(windows.played_by(each)) for each in grooves)
    bootstrap = Bootstrap(windows.performance)
    return {
        name: (
            bootstrap.of_weights(correlation(given[:, i], wanted[:, i])),
            bootstrap.of_weights(correlation(plain[:, i], wanted[:, i])),
        )
        for i, name in enumerate(FEEL)
    }


def in_the_feel_of_others(resident: GrooveResident, windows: Windows, seed: int) -> Array:
    """The hits of windows as `groove` plays them with the feel of another window of the same performance."""
    others = windows.companions(np.arange(len(windows)), np.random.default_rng(seed))
    return _groove(resident, windows, windows[others], seed)


def _groove(resident: GrooveResident, windows: Windows, source: Windows, seed: int = 0) -> Array:
    """On quantised clips: in a played one a late hit may be read as a triplet, and stay where it is."""
    stiff = windows.played_by(quantised(windows, STIFF_VELOCITY))
    requests = [
        Groove(clip=clip, feel=feel)
        for clip, feel in zip(clips_of_windows(stiff), clips_of_windows(source), strict=True)
    ]
    return np.concatenate([_asked(resident, each, seed * 100_003 + i) for i, each in enumerate(requests)])


def correlation(a: Values, b: Values) -> Callable[[Values], float]:
    """Weights [window] -> Pearson's r, without the windows in which one is nan."""
    known = ~(np.isnan(a) | np.isnan(b))

    def weighted(weight: Values) -> float:
        if np.count_nonzero(weight[known]) < 2:
            return float("nan")
        table = np.cov(a[known], b[known], aweights=weight[known])
        return float(table[0, 1] / max(np.sqrt(table[0, 0] * table[1, 1]), 1e-12))

    return weighted


def _styled(resident: GrooveResident, train: Windows, windows: Windows) -> dict[str, float]:
    """Over the styles: the mean feel of all windows in that style, against that of the style in the data."""
    played, drawn = [], []
    feel = feel_of(train)
    for index, name in enumerate(train.style_names):
        own = train.style == index
        if name in resident.prior.names and own.sum() >= FEWEST_WINDOWS:
            played.append(np.nanmean(feel[own], axis=0))
            styled = windows.played_by(
                answer(resident, windows, tasks.humanize, temperature=1.0, seed=1, prior=True, style=name)
            )
            drawn.append(np.nanmean(feel_of(styled), axis=0))
    if len(played) < 3:
        return {}
    table = np.array(played), np.array(drawn)
    return {name: float(np.corrcoef(table[0][:, i], table[1][:, i])[0, 1]) for i, name in enumerate(FEEL)}


def _interpolated(
    resident: GrooveResident, first: Windows, last: Windows
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ways = [
        _asked(resident, Interpolate(clips=pair, steps=len(POINTS)), seed)
        for seed, pair in enumerate(zip(clips_of_windows(first), clips_of_windows(last), strict=True))
    ]
    return _hits_moved(ways), _feel_moved(ways, first)


def _varied(resident: GrooveResident, windows: Windows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """POINTS are 1 − similarity."""
    ways = []
    for seed, clip in enumerate(clips_of_windows(windows)):
        ways.append(
            np.concatenate([_asked(resident, Vary(clip=clip, similarity=1 - point), seed) for point in POINTS])
        )
    return _hits_moved(ways), _feel_moved(ways, windows)


def _hits_moved(ways: list[Array]) -> tuple[float, ...]:
    """ways: a groove a point, [point, step, 27] each. The share of hits that are not those of the first point."""
    changed = np.array([np.abs(way[..., HITS] - way[:1, :, HITS]).sum(axis=(1, 2)) for way in ways])
    both = np.array([(way[..., HITS] + way[:1, :, HITS]).sum(axis=(1, 2)) for way in ways])
    return tuple(float(share) for share in changed.sum(axis=0) / both.sum(axis=0))


def _feel_moved(ways: list[Array], windows: Windows) -> tuple[float, ...]:
    """How far along the straight line from the first point's feel to the last point's each point lies."""
    count = len(ways[0])
    rows = np.repeat(np.arange(len(ways)), count)
    feel = feel_of(windows[rows].played_by(np.concatenate(ways))).reshape(len(ways), count, len(FEEL))
    feel = feel / np.maximum(np.nanstd(feel, axis=(0, 1)), 1e-9)
    line = feel[:, -1:] - feel[:, :1]
    along = np.nansum((feel - feel[:, :1]) * line, axis=(0, 2))
    return tuple(float(share) for share in along / max(along[-1], 1e-9))


def clips_of_windows(windows: Windows) -> list[Clip]:
    """Each window as a clip."""
    return [
        groove_to_clip(groove, GENERAL_MIDI, beats_per_bar=STEPS_PER_BAR / 4, tempo_bpm=float(tempo))
        for groove, tempo in zip(windows.grooves, windows.tempo_bpm, strict=True)
    ]


@torch.inference_mode()
def _asked(resident: GrooveResident, request: Request, seed: int) -> Array:
    """The results of a request as grooves: [result, step, 27]."""
    clips = Player(resident, GENERAL_MIDI, Noise(seed, shared=isinstance(request, Interpolate))).play(request).clips
    return np.stack([clip_to_groove(clip, GENERAL_MIDI) for clip in clips])


def _spread(windows: Windows, count: int) -> NDArray[np.int64]:
    """The numbers of windows all over the split."""
    return np.random.default_rng(1).permutation(len(windows))[:count]
