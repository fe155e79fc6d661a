"""A style of one's own, learnt from clips of drums: where they lie in z, how they are played, what their notes are.

The distribution of the clips' windows is shrunk towards the nearest style of the model: few bars say little of how
wide it is.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import torch
from torch import Tensor

from engine.clip import Clip
from engine.errors import ClipError
from engine.midi.song import drums_of
from engine.model import tasks
from engine.representation.attributes import FEEL
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import HITS, Array, clip_to_groove, steps_per_bar
from engine.representation.measures import BAR_ATTRIBUTES, Values, bar_attributes, feel_of, playing_of
from engine.styles import OwnStyle
from engine.verbs.pitches import pitches_of
from engine.verbs.resident import GrooveResident

NEAR_WINDOWS, NEAR_SPREAD = 2.0, 32.0
"""The nearest style counts as so many windows of the clips for the mean, and as so many for the spread."""

AT_ONCE = 128
FEEL_BARS = 2
MOST_BARS = 64 * 500


def learn(
    name: str, clips: Sequence[Clip], sources: Sequence[str], resident: GrooveResident, drum_map: DrumMap
) -> tuple[OwnStyle, Tensor, Tensor]:
    """The card, the mean and the scale of z; ClipError where no clip has drums that sound, or they are too many."""
    grooves = [(clip_to_groove(drums_of(clip), drum_map), clip) for clip in clips]
    drums = [drum_map.is_drums(pitches_of(clip)) for clip in clips]
    grooves = [each for each, own in zip(grooves, drums, strict=True) if own and each[0][:, HITS].any()]
    bars = sum(clip.bars for _, clip in grooves)
    if not grooves:
        raise ClipError("a style is learnt from clips of drums with at least one note that sounds")
    if bars > MOST_BARS:
        raise ClipError(f"a style is learnt from {MOST_BARS} bars at most, not {bars}")
    posteriors = [_posterior(groove, clip, resident) for groove, clip in grooves]
    mu, sigma = (torch.cat(each) for each in zip(*posteriors, strict=True))
    near, distance = _nearest(mu.mean(dim=0), resident)
    mean, scale = _shrunk(mu, sigma, near, resident)
    style = OwnStyle(
        name=name,
        model=resident.card.name,
        sha256=resident.card.sha256,
        near=resident.prior.names[near] if resident.prior.names else "",
        distance=round(distance, 3),
        bars=bars,
        clips=len(grooves),
        sources=tuple(sources),
        date=date.today().isoformat(),
        feel=_feel(grooves, resident),
        notes=_notes([(groove, steps_per_bar(clip.beats_per_bar)) for groove, clip in grooves]),
    )
    return style, mean, scale


def _posterior(groove: Array, clip: Clip, resident: GrooveResident) -> tuple[Tensor, Tensor]:
    """mu and sigma of the windows of a clip that sound, half a window apart: (window, z) each."""
    bar = steps_per_bar(clip.beats_per_bar)
    steps = max(1, resident.window_steps // bar) * bar
    groove = groove[: max(bar, len(groove))]
    starts = range(0, max(1, len(groove) - steps + bar), max(bar, steps // 2 // bar * bar))
    windows = [groove[first : first + steps] for first in starts]
    windows = [window for window in windows if window[:, HITS].any()]
    rows = []
    for length in sorted({len(window) for window in windows}):
        own = torch.from_numpy(np.stack([window for window in windows if len(window) == length]))
        for part in torch.split(own.to(resident.device), AT_ONCE):
            given = tasks.nothing_given(part, part.new_full((len(part),), clip.tempo_bpm), bar)
            example = tasks.autoencode(part, given)
            rows.append(resident.model.encode(example.encoder_input, given.position[0]))
    return torch.cat([each.mu for each in rows]), torch.cat([each.sigma for each in rows])


def _nearest(mean: Tensor, resident: GrooveResident) -> tuple[int, float]:
    """The nearest style of the data, and how far it is from there, in its own deviations."""
    prior, distances = resident.prior, dict[int, float]()
    for index in range(len(prior.mean)):
        if float(prior.share[index]) > 0:
            away = torch.linalg.solve_triangular(
                prior.scale[index], (mean - prior.mean[index])[:, None], upper=False
            )
            distances[index] = float(away.pow(2).mean().sqrt())
    near = min(distances, key=lambda index: distances[index])
    return near, distances[near]


def _shrunk(mu: Tensor, sigma: Tensor, near: int, resident: GrooveResident) -> tuple[Tensor, Tensor]:
    """The normal distribution of windows with posteriors mu and sigma (window, z): its mean and scale."""
    prior, count = resident.prior, len(mu)
    mean = (count * mu.mean(dim=0) + NEAR_WINDOWS * prior.mean[near]) / (count + NEAR_WINDOWS)
    usual = prior.scale[near] @ prior.scale[near].T
    own = torch.cov(mu.T) if count > 1 else torch.zeros_like(usual)
    covariance = (count * own + NEAR_SPREAD * usual) / (count + NEAR_SPREAD)
    return mean, torch.linalg.cholesky(covariance + 1e-6 * torch.eye(len(mean), device=mean.device))


def _feel(grooves: Sequence[tuple[Array, Clip]], resident: GrooveResident) -> dict[str, float]:
    """The mean of each attribute over stretches of two bars, in deviations; those that none has are left out."""
    rows = list[Values]()
    for groove, clip in grooves:
        bar = steps_per_bar(clip.beats_per_bar)
        steps = FEEL_BARS * bar
        for first in range(0, max(1, len(groove) - bar), steps):
            rows.append(feel_of(playing_of(groove[None, first : first + steps], clip.tempo_bpm, bar))[0])
    table, feel = np.array(rows), dict[str, float]()
    for index, name in enumerate(FEEL):
        known = table[:, index][~np.isnan(table[:, index])]
        if len(known) and name in resident.scales:
            feel[name] = round(float(resident.scales[name].asked(known.mean())), 4)
    return feel


def _notes(grooves: Sequence[tuple[Array, int]]) -> dict[str, float]:
    """The mean of what models of phrases are told of bars, in its unit."""
    rows = [
        bar_attributes(groove[: len(groove) // bar * bar, HITS].reshape(-1, bar, CLASSES) > 0)
        for groove, bar in grooves
        if len(groove) >= bar
    ]
    means = np.concatenate(rows).mean(axis=0) if rows else np.zeros(len(BAR_ATTRIBUTES))
    return {name: round(float(means[k]), 4) for k, name in enumerate(BAR_ATTRIBUTES) if name != "fill"}
