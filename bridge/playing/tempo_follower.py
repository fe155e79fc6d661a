"""The tempo and phase of a MIDI clock, from ticks that arrive late. Pure: knows no messages, ports or songs.

A driver hands over what it has heard once in a period of its own (5 ms under JACK), so that a tick is never early
and up to a period late: intervals tell nothing, and the phase is the lower edge of the arrivals, not their middle.
A line is laid through the last 8 beats, a parabola where the tempo changes, and through less than 8 beats where
neither fits. Ticks that are far off are set aside until they show what has happened: some were lost or came twice,
or the tempo is another.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, TempoLine

Array = NDArray[np.float64]

TICKS_PER_BEAT = 24
WINDOW_TICKS = 192
FEWEST_TICKS = 20
"""A fit is not shortened below this."""

NOISE_SECONDS = 0.0015
"""The standard deviation of arrivals that are late by anything up to a driver's period."""

PERIOD_SECONDS = 0.006
"""The longest period of a driver: until they have been spread so far, arrivals may be earlier than those before."""

EARLY_SECONDS, LATE_SECONDS = 0.003, 0.008
"""A tick that misses the lower edge by more is set aside."""

STRIP_SECONDS, STRIP_NOISE_SECONDS = 0.0058, 0.009
"""Arrivals along a parabola lie in a strip as wide as the first; the second, over the root of their number, is for
the parabola's own error."""

SAGITTA_SECONDS, CUBIC_SECONDS = 0.003, 0.0015
"""A fit is bent if that moves its middle by more; it is shortened if a cubic would move its end by more."""

SIGNIFICANT = 4.0
"""Standard deviations, at least, of whatever bends or shortens a fit."""

UNSTEADIER, STEADIER, MOST_UNSTEADY = 1.04, 1 / 512, 4.0
"""How unsteady a sender is taken to be: more with each fit that is shortened, less with each that is not."""

BENT_KNOWN = 0.003
"""A parabola is laid only if it tells the tempo as well as this: standard deviation, relative."""

GUESSED, KEPT = 0.1, 0.0005
"""How far off a tempo may be that was never heard, and one from before a break: standard deviations, relative."""

KNOWN = 0.02
"""A tempo known as well as this can tell that a tick is far off."""

EDGE_SHARE = 0.03
"""The share of arrivals below the lower edge, for a sender that is itself unsteady."""

SHOWN_TICKS, SHOWN_SECONDS, SLOWED_TICKS = 6, 0.1, 4
"""So many ticks, over so long, show what has happened; fewer if each is later than the one before."""

BURST_TICKS = 48
"""So many ticks that come faster than any tempo are a tempo, fewer were held up."""

SLACK = 0.01
"""A tempo beside the range by no more than this is taken for its limit."""


def tick_seconds(tempo_bpm: float) -> float:
    """From one tick to the next."""
    return 60 / TICKS_PER_BEAT / tempo_bpm


SHORTEST_TICK = tick_seconds(FASTEST_BPM) * (1 - SLACK)
LONGEST_TICK = tick_seconds(SLOWEST_BPM) * (1 + SLACK)


@dataclass(frozen=True, slots=True)
class _Fit:
    """What is known at the last tick, in seconds.

    edge is its earliest arrival; interval lasts from it to the next, growth more each time, uncertain by a standard
    deviation; lift is how much later than the edge arrivals are in the mean.
    """

    edge: float
    interval: float
    growth: float
    lift: float
    uncertain: float

    @property
    def expected(self) -> float:
        """The earliest arrival of the next tick."""
        return self.edge + self.interval + self.growth / 2


class TempoFollower:
    """The line along which ticks come: its beats are index / 24, and index counts from 0 at the first tick.

    A tick that was lost is counted as soon as that is certain, so index may skip. in_range tells whether ticks come
    at a tempo that a song can have: where they do not, line stays as it was.
    """

    def __init__(self, tempo_bpm: float = 120.0):
        self.line = TempoLine(0.0, 0.0, tempo_bpm)
        self.index, self.in_range = -1, True
        interval = tick_seconds(tempo_bpm)
        self._fit = _Fit(0.0, interval, 0.0, 0.0, GUESSED * interval)
        self._prior = (interval, self._fit.uncertain)
        self._arrivals: Array = np.empty(0)
        self._odd: list[tuple[float, float]] = []  # the moments of ticks set aside, and how late each was
        self._unsteady = 1.0
        for ticks in range(1, WINDOW_TICKS + 1):  # now, for while ticks come there is no time
            _basis(ticks)

    @property
    def interval(self) -> float:
        """Seconds from one tick to the next, whether a song can have that tempo or not."""
        return self._fit.interval

    def reset(self) -> None:
        """Begin anew with the next tick, its index 0; the tempo is kept until that is seen to be wrong."""
        self.index = -1
        self._arrivals, self._odd = np.empty(0), []
        self._keep_tempo()

    def expects(self, at_seconds: float) -> bool:
        """Whether a tick at this moment would be just the next one."""
        return bool(self._arrivals.size) and not self._odd and not self._is_odd(at_seconds - self._fit.expected)

    def tick(self, at_seconds: float) -> None:
        """Take one tick; moments do not decrease."""
        self.index += 1
        late = at_seconds - self._fit.expected
        known = self._arrivals.size and self._fit.uncertain < KNOWN * self._fit.interval
        if known and self._is_odd(late):
            self._odd.append((at_seconds, late))
            self._append(self._fit.expected + (2 * self._fit.lift if late > 0 else 0.0))
            if self._is_shown():
                self._decide()
        else:
            self._odd = []
            self._append(at_seconds)
        self._lay()

    def _append(self, at_seconds: float) -> None:
        self._arrivals = np.append(self._arrivals[1 - WINDOW_TICKS :], at_seconds)

    def _is_odd(self, late: float) -> bool:
        lift = self._fit.lift
        early = max(EARLY_SECONDS, PERIOD_SECONDS - 2 * lift, lift)
        return not -early <= late <= max(LATE_SECONDS, 3 * lift)

    # What has happened where ticks are far off

    def _is_shown(self) -> bool:
        """Whether enough ticks are far off; not while those that were held up come all at once."""
        count, interval, grown = len(self._odd), self._fit.interval, self._odd[-1][1] - self._odd[0][1]
        if (count - 1) * interval + grown < (count - 1) * SHORTEST_TICK:
            return count >= BURST_TICKS
        if count >= SLOWED_TICKS and grown > (SLOWED_TICKS + 1) / SLOWED_TICKS * interval:
            return True
        return count >= max(SHOWN_TICKS, math.ceil(SHOWN_SECONDS / interval))

    def _decide(self) -> None:
        """Count the ticks that were lost or came twice, or forget those before the change of tempo."""
        arrivals, late = np.array(self._odd).T
        count, interval, lift = len(late), self._fit.interval, self._fit.lift
        before = self._arrivals[:-count]
        whole = np.rint((late - np.sort(late)[count // 2]) / interval)
        apart = late - whole * interval
        change, beside = _line_through(late, lift)
        shift = float(np.median(apart) + whole[-1] * interval) - lift
        lost = round(shift / interval) if _are_shifted(whole, float(apart.std()), beside) else 0
        self.index += lost
        self._odd = []
        if not lost:
            self._arrivals = _latest_along_parabola(np.append(before, arrivals), count)
            self._prior = (interval, min(GUESSED * interval, max(KEPT * interval, 2 * abs(change))))
        elif abs(shift - lost * interval) <= EARLY_SECONDS and abs(lost) < WINDOW_TICKS and len(before):
            places = np.arange(count) + lost + (whole - whole[-1]).astype(int)
            self._arrivals = _placed(before, arrivals, places, interval)[-WINDOW_TICKS:]
        else:
            self._arrivals = arrivals
            self._keep_tempo()

    def _keep_tempo(self) -> None:
        self._prior = (self._fit.interval, max(self._fit.uncertain, KEPT * self._fit.interval))

    # The fit

    def _lay(self) -> None:
        """Lay a line or parabola through the arrivals, as many of them as it fits, and take its tangent."""
        self._shorten()
        last, ticks = self._arrivals[-1], len(self._arrivals)
        basis, offsets = _basis(ticks), self._arrivals - last
        parts = basis.rows @ offsets
        if self._is_bent(basis, parts):
            laid = parts[:3] @ basis.rows[:3]
            interval, growth = float(parts[:3] @ basis.slopes[:3]), float(parts[2] * basis.bend)
            uncertain = NOISE_SECONDS * basis.steepness
        else:
            interval, uncertain = self._blended(float(parts[1] * basis.slopes[1]) if ticks > 1 else 0.0, ticks)
            laid, growth = offsets.mean() + interval * basis.centred, 0.0
        above = offsets - laid
        place = int(EDGE_SHARE * ticks)
        edge = float(np.partition(above, place)[place])
        interval = min(max(interval, SHORTEST_TICK / 2), LONGEST_TICK * 2)
        self._fit = _Fit(float(last + laid[-1] + edge), interval, growth, float(above.mean()) - edge, uncertain)
        self._draw()

    def _shorten(self) -> None:
        """Forget the oldest arrivals until a parabola fits the others, as well as with this sender it ever does."""
        before = len(self._arrivals)
        while (ticks := len(self._arrivals)) > FEWEST_TICKS:
            basis, offsets = _basis(ticks), self._arrivals - self._arrivals[-1]
            parts = basis.rows @ offsets
            bent = parts[3] * basis.ends[3] / self._unsteady
            if _is_small(bent, CUBIC_SECONDS, 7 / ticks) and _is_strip(offsets, parts, basis, self._unsteady):
                break
            self._arrivals = self._arrivals[-max(FEWEST_TICKS, ticks * 3 // 4) :]
        if len(self._arrivals) < before:
            self._unsteady = min(self._unsteady * UNSTEADIER, MOST_UNSTEADY)
        else:
            self._unsteady += (1 - self._unsteady) * STEADIER

    def _is_bent(self, basis: "_Basis", parts: Array) -> bool:
        ticks = len(basis.centred)
        return NOISE_SECONDS * basis.steepness < BENT_KNOWN * self._fit.interval and not _is_small(
            1.5 * parts[2] * basis.ends[2] / self._unsteady, SAGITTA_SECONDS, 11.25 / ticks
        )

    def _blended(self, interval: float, ticks: int) -> tuple[float, float]:
        """The interval that was measured and the one that was known before, each as far as it is certain."""
        prior, uncertain = self._prior
        if ticks < 2:
            return prior, uncertain
        noise = NOISE_SECONDS * math.sqrt(12 / (ticks * (ticks * ticks - 1)))
        if abs(interval - prior) > SIGNIFICANT * math.hypot(noise, uncertain):
            return interval, noise
        share = noise**2 / (noise**2 + uncertain**2)
        return interval + share * (prior - interval), noise * math.sqrt(1 - share)

    def _draw(self) -> None:
        fit = self._fit
        self.in_range = SHORTEST_TICK <= fit.interval <= LONGEST_TICK
        if self.in_range:
            tempo_bpm = min(max(60 / TICKS_PER_BEAT / fit.interval, SLOWEST_BPM), FASTEST_BPM)
            self.line = TempoLine(fit.edge, self.index / TICKS_PER_BEAT, tempo_bpm)


def _is_small(seconds: float, floor: float, variance: float) -> bool:
    """Whether what would bend a fit is no more than noise may; variance is that of its part of the noise."""
    return abs(seconds) <= max(floor, SIGNIFICANT * NOISE_SECONDS * math.sqrt(variance))


def _is_strip(offsets: Array, parts: Array, basis: "_Basis", unsteady: float = 1.0) -> bool:
    """Whether arrivals are no further apart, across their parabola, than a driver's period explains."""
    spread = float(np.ptp(offsets - parts[:3] @ basis.rows[:3]))
    return spread <= unsteady * (STRIP_SECONDS + STRIP_NOISE_SECONDS / math.sqrt(len(offsets)))


def _are_shifted(whole: Array, beside_whole: float, beside_line: float) -> bool:
    """Whether late ticks are whole ticks off rather than along a line; ticks that come twice do not do so often."""
    steps = np.diff(whole)
    count = np.count_nonzero(steps)
    if not count:
        return beside_whole <= beside_line
    seldom = 2 * count <= len(whole) if steps.min() >= 0 else count == 1
    return bool(seldom and beside_whole <= beside_line / 2)


def _line_through(late: Array, lift: float) -> tuple[float, float]:
    """The slope of a line through late ticks and the last that was not late, and how far they are from it."""
    basis = _basis(len(late) + 1)
    late = np.insert(late, 0, lift)
    parts = basis.rows[:2] @ late
    return float(parts[1] * basis.slopes[1]), float((late - parts @ basis.rows[:2]).std())


def _latest_along_parabola(arrivals: Array, count: int) -> Array:
    """As many of the latest arrivals, count at least, as lie along a line or, if they are many, a parabola."""
    while (more := max(count + 1, count * 4 // 3)) <= len(arrivals):
        basis, offsets = _basis(more), arrivals[-more:] - arrivals[-1]
        parts = basis.rows @ offsets
        if more < 2 * FEWEST_TICKS:
            parts[2] = 0.0
        if not _is_strip(offsets, parts, basis):
            break
        count = more
    return arrivals[-count:]


def _placed(before: Array, arrivals: Array, places: NDArray[np.int_], interval: float) -> Array:
    """Arrivals at their places after those before, the gaps filled; what came twice has a place that is taken."""
    more = int(places[-1]) + 1
    if more > 0:
        placed = np.append(before, before[-1] + interval * np.arange(1, more + 1))
    else:
        placed = before[: len(before) + more].copy()
    places = places + len(before)
    inside = (places >= 0) & (places < len(placed))
    placed[places[inside]] = arrivals[inside]
    return placed if len(placed) else arrivals[-1:]


@dataclass(frozen=True, slots=True)
class _Basis:
    """Orthonormal polynomials of degree 0..3 over so many ticks: rows (degree, tick).

    ends and slopes (degree,) are their values and slopes at the last tick, bend the second derivative of the one of
    degree 2, steepness the norm of the first three slopes, centred the ticks counted from their middle.
    """

    rows: Array
    ends: Array
    slopes: Array
    bend: float
    steepness: float
    centred: Array


@cache
def _basis(ticks: int) -> _Basis:
    centred: Array = np.arange(ticks, dtype=np.float64) - (ticks - 1) / 2
    degrees = np.arange(min(4, ticks))
    powers = centred[:, None] ** degrees
    factors = np.linalg.inv(np.linalg.qr(powers, mode="r"))
    slopes = np.where(degrees > 0, degrees * centred[-1] ** np.maximum(degrees - 1, 0), 0.0) @ factors
    rows = np.ascontiguousarray((powers @ factors).T)
    bent = ticks > 2
    bend = 2 * float(factors[2, 2]) if bent else 0.0
    steepness = float(np.linalg.norm(slopes[:3])) if bent else math.inf
    return _Basis(rows, rows[:, -1].copy(), slopes, bend, steepness, centred)
