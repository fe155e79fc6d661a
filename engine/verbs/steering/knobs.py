"""The attributes that one request asks for: what a model is told of them, what is steered, and what came.

numpy alone, no model.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.representation.attributes import ATTRIBUTES, FEEL, Scale, Scales, has_attribute
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.groove import Array
from engine.representation.measures import BAR_ATTRIBUTES, Alike, Values, bar_attributes, feel_of, playing_of
from engine.verbs.steering.moves import Wanted, distance, steered

Asked = Mapping[str, tuple[float, ...]]
"""What is asked, late.snare and the like as well: a number for the whole, or one a bar, repeated to the end."""

OF_TIMING = ("late", "tightness", "swing")

AT_ODDS = 0.35
"""In deviations: what came that is further from what was asked is told."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where notes are made: free (step, 9) is 1 for hits that are; in bars of some steps; at a tempo, or (row,).

    first_bar: that with which the results begin.
    """

    free: Array
    bar: int
    tempo_bpm: float | Array
    first_bar: int = 0


class Knobs:
    """Of one request. came: of each attribute that was asked for what came, in deviations: (row, value).

    against: of attributes what else was asked that may keep them from it.
    """

    def __init__(self, asked: Asked):
        self.asked, self.came = dict(asked), dict[str, Values]()
        self.against = dict[str, str]()
        self._usual, self._said = set[str](), list[str]()

    def usually(self, values: Mapping[str, float], remarks: Sequence[str] = ()) -> None:
        """Have these as well where nothing else is asked for; remarks: what is to be said of it."""
        told = self.asked.keys() - self._usual
        for name, value in values.items():
            if not {name, name.partition(".")[0]} & told:
                self.asked[name] = (value,)
                self._usual.add(name)
        self._said += [remark for remark in remarks if remark not in self._said]

    def steer(self, grooves: Array, scales: Scales, place: Place, draws: int = 1) -> Array:
        """Grooves (row·draw, step, 27) with the feel that is asked for, of the hits that are free alone.

        Of the draws of each row the one is moved that has to be moved least: (row, step, 27).
        """
        on_grid = self._on_grid()
        wanted = [
            Wanted(name, scales[name].value(value), where, self._alike(name), on_grid)
            for name, of in self._feels()
            for value, where in self._groups(of, place)
        ]
        if not wanted:
            return grooves[::draws]
        if draws > 1:
            apart = distance(grooves, wanted, scales, tempo_bpm=place.tempo_bpm, bar=place.bar).reshape(-1, draws)
            grooves = grooves[apart.argmin(axis=1) + draws * np.arange(len(apart))]
        return steered(grooves, wanted, tempo_bpm=place.tempo_bpm, bar=place.bar)

    def hear(self, grooves: Array, scales: Scales, place: Place) -> None:
        """Measure the feel of the free hits of grooves that are done."""
        playing = playing_of(grooves, place.tempo_bpm, place.bar)
        for name, of in self._feels():
            masks = [where for _, where in self._groups(of, place)]
            alike = self._alike(name)
            values = [feel_of(playing.among(where), alike)[:, FEEL.index(name)] for where in masks]
            came = scales[name].asked(np.stack(values, axis=1))
            self.came[of] = came if len(self.asked[of]) > 1 else known_mean(came.T)[:, None]

    @property
    def of_feel(self) -> bool:
        """Whether any of them is of how hits are played."""
        return any(self._feels())

    def of_bars(self, name: str, bars: int, first: int = 0) -> Values:
        """What is asked of an attribute of so many bars, of which the results begin with the first: (bar,)."""
        values = np.array(self.asked[name], np.float64)
        return np.asarray(values[(np.arange(bars) - first) % len(values)], np.float64)

    def hear_bars(self, name: str, *parts: tuple[Values, Scale]) -> None:
        """What came of one, (row, bar) in its unit, of each part; the mean of bars where one number was asked.

        The first bar is that with which the results begin; nan: it is not made, or has not the attribute.
        """
        by_bar = len(self.asked[name]) > 1
        each = [scale.asked(values if by_bar else known_mean(values.T)[:, None]) for values, scale in parts]
        self.came[name] = known_mean(np.stack(each).reshape(len(each), -1)).reshape(each[0].shape)

    def hear_drums(
        self, hits: Array, scales: Scales, bar: int, made: NDArray[np.bool_], first_bar: int = 0
    ) -> None:
        """Measure the bars of drums (row, step, 9) that are made (bar,); the results begin with the first."""
        names = [name for name in BAR_ATTRIBUTES if name in self.asked]
        if names and made.any():
            rows = np.stack([bar_attributes(row.reshape(-1, bar, CLASSES) > 0) for row in hits]).astype(np.float64)
            rows[:, ~made] = np.nan
            for name in names:
                self.hear_bars(name, (rows[:, first_bar:, BAR_ATTRIBUTES.index(name)], scales[name]))

    def facts(self) -> Iterator[tuple[str, float | str]]:
        """What came of each under its name, on average over the results; one a bar as a text.

        What nothing can tell is left out; of a bar it is -.
        """
        for name, values in self._told():
            means = known_mean(values)
            if not np.isnan(means).all():
                rounded = [round(float(value), 3) + 0.0 for value in means]  # -0 is 0
                by_bar = ",".join("-" if np.isnan(value) else f"{value:g}" for value in rounded)
                yield name, by_bar if len(rounded) > 1 else rounded[0]

    def remarks(self) -> Iterator[str]:
        """What could not be had: which attribute, and which others were asked for beside it that can be at odds."""
        yield from self._said
        yield from _none(sorted(self.asked.keys() - self.came.keys() - self._usual), "nothing was made that has")
        told = [(name, known_mean(values)) for name, values in self._told()]
        yield from _none([name for name, came in told if np.isnan(came).all()], "nothing that came can tell")
        for name, came in told:
            if len(self.asked[name]) > len(came):
                bars = f"{len(self.asked[name])} bars, and there {'are' if len(came) > 1 else 'is'} {len(came)}"
                yield f"{name} was asked of {bars}"
            known = ~np.isnan(came)
            came, asked = came[known], np.resize(np.array(self.asked[name]), len(came))[known]
            beyond = came - asked
            if len(came) and np.abs(beyond).mean() > AT_ODDS:
                others = [each for each in self.asked if each not in self._usual and _at_odds(name, each)]
                others += [what for of, what in self.against.items() if name.partition(".")[0] == of]
                is_short = (beyond * np.sign(asked)).mean() < 0
                why = f": it is at odds with {' and '.join(others)}" if others else ""
                why = why or (": that is as far as it goes here" if is_short else "")
                yield f"{name} came to {_listed(came)}, not to {_listed(asked)}{why}"

    def _told(self) -> list[tuple[str, Values]]:
        """What came of each that the request itself asks for."""
        return [(name, values) for name, values in self.came.items() if name not in self._usual]

    def _groups(self, of: str, place: Place) -> Iterator[tuple[float, NDArray[np.bool_]]]:
        """Each value that is asked of an attribute, and of which hits (step, 9).

        Where there are several, or several of the mean that it is about, one a bar: what that is asked to be is no
        spread or swing. Of one drum, or of all of which nothing else is asked, the hits that are free; of a style's
        lateness those on even sixteenths, where these stay.
        """
        name, _, drum = of.partition(".")
        drums = np.array([each == drum if drum else f"{name}.{each}" not in self.asked for each in INSTRUMENTS])
        here, values = (place.free > 0) & drums, self.asked[of]
        if name == "late" and of in self._usual and self._on_grid() is not None:
            here = here & (np.arange(len(here)) % place.bar % 2 == 0)[:, None]
        if len(values) == 1 and len(self.asked.get(_mean_of(name), values)) == 1:
            yield values[0], here
            return
        bar_of_step = np.arange(len(here)) // place.bar
        of_bar = self.of_bars(of, int(bar_of_step[-1]) + 1, place.first_bar)
        for bar in range(place.first_bar, len(of_bar)):
            yield float(of_bar[bar]), here & (bar_of_step == bar)[:, None]

    def _alike(self, name: str) -> Alike | None:
        """Which drums have the means of places in common: those of which no mean of their own is asked."""
        mean = _mean_of(name)
        apart = [each if f"{mean}.{each}" in self.asked else "" for each in INSTRUMENTS]
        return np.equal.outer(np.array(apart), np.array(apart)) if any(apart) else None

    def _on_grid(self) -> NDArray[np.bool_] | None:
        """Of which drums the even sixteenths stay: where the request itself asks for swing and not how late."""
        told = self.asked.keys() - self._usual
        if "late" in told or not any(of.partition(".")[0] == "swing" for of in told):
            return None
        return np.array([f"late.{each}" not in told for each in INSTRUMENTS])

    def _feels(self) -> Iterator[tuple[str, str]]:
        """The attributes of the feel that are asked for, each by its own name and by that with a drum."""
        yield from ((name, of) for of in self.asked if (name := of.partition(".")[0]) in FEEL)


def _listed(values: Iterable[float]) -> str:
    return ",".join(f"{value:.1f}".removesuffix(".0") for value in values)


def _none(names: Sequence[str], told: str) -> Iterator[str]:
    """That these were asked in vain, in one sentence, if there are any."""
    if names:
        *others, last = names
        were, them = ("were", "them") if others else ("was", "it")
        yield f"{' and '.join(filter(None, (', '.join(others), last)))} {were} asked, and {told} {them}"


def _mean_of(name: str) -> str:
    """The attribute that is the mean of what another attribute of the feel is about."""
    return "late" if name in OF_TIMING else "loudness"


def _at_odds(name: str, other: str) -> bool:
    """Whether two of what is asked can keep each other off: both of timing, velocity or notes, of the same drum."""
    (bare, _, of), (other_bare, _, other_of) = name.partition("."), other.partition(".")
    same_family = _family(bare) == _family(other_bare)
    return name != other and same_family and (of == other_of or bool(of) != bool(other_of))


def _family(bare: str) -> int:
    return 0 if bare in OF_TIMING else 1 if bare in FEEL else 2


def known_mean(values: Values) -> Values:
    """The mean over the rows in which it is known: (value,)."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    sums = np.where(known, values, 0).sum(axis=0)
    mean: Values = np.divide(sums, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean


def lacking(asked: Asked, known: Collection[str]) -> list[str]:
    """The attributes that are asked for and not known."""
    return [name for name in asked if not has_attribute(known, name)]


assert set(BAR_ATTRIBUTES) - {"fill"} <= set(ATTRIBUTES)
