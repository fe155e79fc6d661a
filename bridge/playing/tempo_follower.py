"""The tempo and phase of a MIDI clock, estimated from the arrival times of its ticks. Knows no messages or songs.

Input: the arrival time of each tick, in seconds. A driver delivers once a period (5 ms under JACK), so a tick is
late by anything from 0 to a period and never early: single intervals tell nothing, and the true phase is the
lower edge of the arrivals, not their middle.

Method: a least-squares fit, all ticks with equal weight, of arrival time over tick index through the last 192
arrivals (8 beats), in orthonormal polynomials. The slope at the last tick is the tick interval; the phase is the
fit, moved down to the 3 % quantile of the residuals. It is a line, whose slope is averaged with the interval known
before, each weighted by the inverse of its variance; or a parabola where the quadratic term is significant: the
tempo is changing. While the cubic term is significant or the residuals spread over more than a period, the oldest
quarter of the arrivals is dropped, down to 20.

A tick far from its predicted time is set aside, and the prediction stands in for it, until several of
them show what has happened: ticks were lost or doubled (the index is corrected), or the tempo changed (the ticks
before the change are dropped).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.playing.clock import FASTEST_BPM, SLOWEST_BPM, TempoLine
from bridge.polynomials import Array, Basis, orthonormal

TICKS_PER_BEAT = 24
WINDOW_TICKS = 192
FEWEST_TICKS = 20
"""The window of a fit is not shortened below this."""

NOISE_SECONDS = 0.0015
"""The standard deviation of arrivals that are uniformly late by 0 to a period."""

PERIOD_SECONDS = 0.006
"""The longest period of a driver. Until the residuals have spread so far, the lower edge may still fall: a tick may
be early by what is missing."""

EARLY_SECONDS, LATE_SECONDS = 0.003, 0.008
"""A tick that is earlier or later than predicted by more is set aside."""

STRIP_SECONDS, STRIP_NOISE_SECONDS = 0.0058, 0.009
"""The residuals of n arrivals from a parabola may spread over the first, a period, plus the second / √n for the
parabola's own error."""

SAGITTA_SECONDS, CUBIC_SECONDS = 0.003, 0.0015
"""The fit is a parabola if the quadratic term moves its middle by more; its window is shortened if the cubic term
moves its end by more."""

SIGNIFICANT = 4.0
"""Both terms must exceed so many standard deviations of noise as well."""

JITTER_GROWTH, JITTER_DECAY, MOST_JITTER = 1.04, 1 / 512, 4.0
"""Jitter estimate of the sender, a factor on the allowed spread: grows by the first factor with a tick at which the
window had to shrink, else decays towards 1 by the second share; at most the third."""

BENT_KNOWN = 0.003
"""A parabola is fitted only if its tempo has at most this relative standard deviation."""

GUESSED, KEPT = 0.1, 0.0005
"""Relative standard deviation of the tempo known before: of the initial one; the least after a break."""

KNOWN = 0.02
"""Ticks are set aside only while the interval has a smaller relative standard deviation than this."""

EDGE_SHARE = 0.03
"""The quantile of the residuals taken as the lower edge: the sender's own jitter makes some ticks earlier."""

SHOWN_TICKS, SHOWN_SECONDS, SLOWED_TICKS = 6, 0.1, 4
"""So many ticks set aside, over so long, decide what has happened; or the third number, if each is later than
the one before: the tempo has dropped."""

BURST_TICKS = 48
"""Fewer ticks than this, faster than the fastest tempo, are late ones delivered together and no tempo."""

SLACK = 0.01
"""A tempo outside the range by no more than this share counts as its limit."""


def tick_seconds(tempo_bpm: float) -> float:
    """From one tick to the next."""
    return 60 / TICKS_PER_BEAT / tempo_bpm


SHORTEST_TICK = tick_seconds(FASTEST_BPM) * (1 - SLACK)
LONGEST_TICK = tick_seconds(SLOWEST_BPM) * (1 + SLACK)


@dataclass(frozen=True, slots=True)
class _Fit:
    """The fit at the last tick, in seconds.

    edge: its time on the lower edge. interval: to the next tick, with growth, its change from tick to tick, and
    uncertain, its standard deviation. lift: how much later than the edge arrivals are on average.
    """

    edge: float
    interval: float
    growth: float
    lift: float
    uncertain: float

    @property
    def expected(self) -> float:
        """The time of the next tick on the lower edge."""
        return self.edge + self.interval + self.growth / 2


class TempoFollower:
    """Follows the ticks of one clock: line is beat = index / 24 over time; index is 0 at the first tick.

    A lost tick is counted as soon as it is certain, so index may skip. in_range: whether the ticks come at a tempo
    in SLOWEST_BPM..FASTEST_BPM; where they do not, line keeps its last value.
    """

    def __init__(self, tempo_bpm: float = 120.0):
        self.line = TempoLine(0.0, 0.0, tempo_bpm)
        self.index, self.in_range = -1, True
        interval = tick_seconds(tempo_bpm)
        self._fit = _Fit(0.0, interval, 0.0, 0.0, GUESSED * interval)
        self._prior = (interval, self._fit.uncertain)
        self._arrivals: Array = np.empty(0)
        self._odd: list[tuple[float, float]] = []  # ticks set aside: time, and how late
        self._jitter = 1.0
        for ticks in range(1, WINDOW_TICKS + 1):  # cached now: too slow while ticks come
            orthonormal(ticks)

    @property
    def interval(self) -> float:
        """Seconds from one tick to the next, also outside the range of tempi."""
        return self._fit.interval

    def reset(self) -> None:
        """Start again with the next tick as index 0; the tempo is kept as the one known before."""
        self.index = -1
        self._arrivals, self._odd = np.empty(0), []
        self._keep_tempo()

    def expects(self, at_seconds: float) -> bool:
        """Whether a tick at this moment would be as predicted, so the next one."""
        return bool(self._arrivals.size) and not self._odd and not self._is_odd(at_seconds - self._fit.expected)

    def tick(self, at_seconds: float) -> None:
        """Take the arrival time of one tick; times do not decrease."""
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
        self._fit_arrivals()

    def _append(self, at_seconds: float) -> None:
        self._arrivals = np.append(self._arrivals[1 - WINDOW_TICKS :], at_seconds)

    def _is_odd(self, late: float) -> bool:
        lift = self._fit.lift
        early = max(EARLY_SECONDS, PERIOD_SECONDS - 2 * lift, lift)
        return not -early <= late <= max(LATE_SECONDS, 3 * lift)

    # Ticks that were set aside: lost, doubled, or of another tempo

    def _is_shown(self) -> bool:
        """Whether enough ticks were set aside to decide; not while late ones are delivered together."""
        count, interval, grown = len(self._odd), self._fit.interval, self._odd[-1][1] - self._odd[0][1]
        if (count - 1) * interval + grown < (count - 1) * SHORTEST_TICK:
            return count >= BURST_TICKS
        if count >= SLOWED_TICKS and grown > (SLOWED_TICKS + 1) / SLOWED_TICKS * interval:
            return True
        return count >= max(SHOWN_TICKS, math.ceil(SHOWN_SECONDS / interval))

    def _decide(self) -> None:
        """Correct the index by the ticks that were lost or doubled, or drop those before a change of tempo."""
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
            ticks_after = np.arange(count) + lost + (whole - whole[-1]).astype(int)
            self._arrivals = _at_ticks(before, arrivals, ticks_after, interval)[-WINDOW_TICKS:]
        else:
            self._arrivals = arrivals
            self._keep_tempo()

    def _keep_tempo(self) -> None:
        self._prior = (self._fit.interval, max(self._fit.uncertain, KEPT * self._fit.interval))

    # The fit

    def _fit_arrivals(self) -> None:
        """Fit a line or parabola to the latest arrivals, as many as it fits, and take its tangent at the last."""
        self._shorten()
        last, ticks = self._arrivals[-1], len(self._arrivals)
        basis, offsets = orthonormal(ticks), self._arrivals - last
        parts = basis.rows @ offsets
        if self._is_bent(basis, parts):
            fitted = parts[:3] @ basis.rows[:3]
            interval, growth = float(parts[:3] @ basis.slopes[:3]), float(parts[2] * basis.bend)
            uncertain = NOISE_SECONDS * basis.steepness
        else:
            interval, uncertain = self._blended(float(parts[1] * basis.slopes[1]) if ticks > 1 else 0.0, ticks)
            fitted, growth = offsets.mean() + interval * basis.centred, 0.0
        above = offsets - fitted
        rank = int(EDGE_SHARE * ticks)
        edge = float(np.partition(above, rank)[rank])
        interval = min(max(interval, SHORTEST_TICK / 2), LONGEST_TICK * 2)
        self._fit = _Fit(float(last + fitted[-1] + edge), interval, growth, float(above.mean()) - edge, uncertain)
        self._update_line()

    def _shorten(self) -> None:
        """Drop the oldest arrivals until a parabola fits the others, up to the jitter estimate; update that."""
        before = len(self._arrivals)
        while (ticks := len(self._arrivals)) > FEWEST_TICKS:
            basis, offsets = orthonormal(ticks), self._arrivals - self._arrivals[-1]
            parts = basis.rows @ offsets
            bent = parts[3] * basis.ends[3] / self._jitter
            if _is_small(bent, CUBIC_SECONDS, 7 / ticks) and _is_strip(offsets, parts, basis, self._jitter):
                break
            self._arrivals = self._arrivals[-max(FEWEST_TICKS, ticks * 3 // 4) :]
        if len(self._arrivals) < before:
            self._jitter = min(self._jitter * JITTER_GROWTH, MOST_JITTER)
        else:
            self._jitter += (1 - self._jitter) * JITTER_DECAY

    def _is_bent(self, basis: Basis, parts: Array) -> bool:
        ticks = len(basis.centred)
        return NOISE_SECONDS * basis.steepness < BENT_KNOWN * self._fit.interval and not _is_small(
            1.5 * parts[2] * basis.ends[2] / self._jitter, SAGITTA_SECONDS, 11.25 / ticks
        )

    def _blended(self, interval: float, ticks: int) -> tuple[float, float]:
        """The mean of fitted interval and the one known before, weighted by inverse variance, and its deviation.

        Where the two differ significantly, the fitted one alone.
        """
        prior, uncertain = self._prior
        if ticks < 2:
            return prior, uncertain
        noise = NOISE_SECONDS * math.sqrt(12 / (ticks * (ticks * ticks - 1)))
        if abs(interval - prior) > SIGNIFICANT * math.hypot(noise, uncertain):
            return interval, noise
        share = noise**2 / (noise**2 + uncertain**2)
        return interval + share * (prior - interval), noise * math.sqrt(1 - share)

    def _update_line(self) -> None:
        fit = self._fit
        self.in_range = SHORTEST_TICK <= fit.interval <= LONGEST_TICK
        if self.in_range:
            tempo_bpm = min(max(60 / TICKS_PER_BEAT / fit.interval, SLOWEST_BPM), FASTEST_BPM)
            self.line = TempoLine(fit.edge, self.index / TICKS_PER_BEAT, tempo_bpm)


def _is_small(seconds: float, floor: float, variance: float) -> bool:
    """Whether a term of the fit is insignificant; variance is its own, for noise of variance 1."""
    return abs(seconds) <= max(floor, SIGNIFICANT * NOISE_SECONDS * math.sqrt(variance))


def _is_strip(offsets: Array, parts: Array, basis: Basis, jitter: float = 1.0) -> bool:
    """Whether the residuals from a parabola spread no further than a driver's period explains."""
    spread = float(np.ptp(offsets - parts[:3] @ basis.rows[:3]))
    return spread <= jitter * (STRIP_SECONDS + STRIP_NOISE_SECONDS / math.sqrt(len(offsets)))


def _are_shifted(whole: Array, beside_whole: float, beside_line: float) -> bool:
    """Whether lateness is better explained by whole ticks than by a line, that is, another tempo.

    whole (tick,) is the lateness in whole ticks; the others are the deviations that each explanation leaves. The
    lateness may change in at most half of the ticks, or once where it falls: doubled ticks are rare.
    """
    steps = np.diff(whole)
    count = np.count_nonzero(steps)
    if not count:
        return beside_whole <= beside_line
    seldom = 2 * count <= len(whole) if steps.min() >= 0 else count == 1
    return bool(seldom and beside_whole <= beside_line / 2)


def _line_through(late: Array, lift: float) -> tuple[float, float]:
    """A line through the lateness of ticks and of the last normal one: its slope, and the residuals' deviation."""
    basis = orthonormal(len(late) + 1)
    late = np.insert(late, 0, lift)
    parts = basis.rows[:2] @ late
    return float(parts[1] * basis.slopes[1]), float((late - parts @ basis.rows[:2]).std())


def _latest_along_parabola(arrivals: Array, count: int) -> Array:
    """The latest arrivals, at least count, as far back as a line fits, or with enough of them a parabola."""
    while (more := max(count + 1, count * 4 // 3)) <= len(arrivals):
        basis, offsets = orthonormal(more), arrivals[-more:] - arrivals[-1]
        parts = basis.rows @ offsets
        if more < 2 * FEWEST_TICKS:
            parts[2] = 0.0
        if not _is_strip(offsets, parts, basis):
            break
        count = more
    return arrivals[-count:]


def _at_ticks(before: Array, arrivals: Array, ticks_after: NDArray[np.int_], interval: float) -> Array:
    """Arrivals put at their ticks after those before, gaps filled by the interval; a doubled tick overwrites."""
    more = int(ticks_after[-1]) + 1
    if more > 0:
        filled = np.append(before, before[-1] + interval * np.arange(1, more + 1))
    else:
        filled = before[: len(before) + more].copy()
    ticks_after = ticks_after + len(before)
    inside = (ticks_after >= 0) & (ticks_after < len(filled))
    filled[ticks_after[inside]] = arrivals[inside]
    return filled if len(filled) else arrivals[-1:]
