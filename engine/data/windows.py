"""Performances → windows of whole bars: the arrays that training and evaluation run on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.data.corpus import Performance
from engine.errors import DataError
from engine.representation.drum_map import TD11, DrumMap
from engine.representation.groove import DEPTH, Array, hits_to_groove

STEPS_PER_BAR = 16


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one length.

    grooves [window, step, 27]; tempo_bpm [window]; style [window] indexes style_names and drummer [window]
    drummer_names, -1 where unnamed; performance [window]: the number of the performance it was cut from; windows
    of a performance are adjacent.
    """

    grooves: Array
    tempo_bpm: NDArray[np.float32]
    style: NDArray[np.int64]
    style_names: tuple[str, ...]
    performance: NDArray[np.int64]
    drummer: NDArray[np.int64]
    drummer_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.grooves)

    def __getitem__(self, chosen: NDArray[np.int64] | slice) -> "Windows":
        """Some of the windows."""
        return Windows(
            self.grooves[chosen],
            self.tempo_bpm[chosen],
            self.style[chosen],
            self.style_names,
            self.performance[chosen],
            self.drummer[chosen],
            self.drummer_names,
        )

    def played_by(self, grooves: Array) -> "Windows":
        """The same windows with other grooves on them."""
        return replace(self, grooves=grooves)

    def companions(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """For each of the chosen windows [window] a random one of the same performance, possibly itself."""
        order = np.argsort(self.performance, kind="stable")
        first, last = (
            np.searchsorted(self.performance, self.performance[chosen], side, order) for side in ("left", "right")
        )
        companions: NDArray[np.int64] = order[rng.integers(first, last)]
        return companions


def cut_windows(
    performances: Iterable[Performance], *, split: str, bars: int, pad: bool = True, drum_map: DrumMap = TD11
) -> Windows:
    """All windows of the 4/4 performances of a split.

    The bars of a performance are those in which a hit starts; the hop is one bar; a performance
    that is shorter than a window is padded to one, or left out without pad. On the
    Groove MIDI Dataset's test split, 2 bars, the quantised timing error over these is 22.63 ms and 0.0415.
    """
    chosen = [each for each in performances if each.split == split and each.beats_per_bar == 4]
    if not chosen:
        raise DataError(f"the data holds no 4/4 performance in the split {split!r}")
    names = tuple(sorted({each.style for each in chosen if each.style}))
    drummer_names = tuple(sorted({each.drummer for each in chosen if each.drummer}))
    grooves, tempos, styles, drummers, performance = [], [], [], [], []
    for index, each in enumerate(chosen):
        for window in _windows_of(each, drum_map, bars, pad):
            grooves.append(window)
            tempos.append(each.tempo_bpm)
            styles.append(names.index(each.style) if each.style else -1)
            drummers.append(drummer_names.index(each.drummer) if each.drummer else -1)
            performance.append(index)
    stacked = np.array(grooves, np.float32).reshape(-1, bars * STEPS_PER_BAR, DEPTH)
    return Windows(
        stacked,
        np.array(tempos, np.float32),
        np.array(styles, np.int64),
        names,
        np.array(performance, np.int64),
        np.array(drummers, np.int64),
        drummer_names,
    )


def _windows_of(performance: Performance, drum_map: DrumMap, bars: int, pad: bool) -> Sequence[Array]:
    """The windows that hold any hit, each [step, 27]."""
    start_beats = performance.start_beats
    whole_bars = int(start_beats.max() // performance.beats_per_bar) + 1
    if whole_bars < bars and not pad:
        return []
    steps = max(bars, whole_bars) * STEPS_PER_BAR
    groove = hits_to_groove(steps, drum_map.class_of[performance.pitches], start_beats, performance.velocities)
    length = bars * STEPS_PER_BAR
    windows = [groove[first : first + length] for first in range(0, steps - length + 1, STEPS_PER_BAR)]
    return [window for window in windows if window.any()]
