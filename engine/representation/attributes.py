"""The attributes of music that can be asked for, and that done tells: what each is, in what unit, of what it is.

The one list: requests, the protocol and the command line read it. They are asked for in standard deviations from
the mean of a model's training data, which its card holds; measures.py computes them. Imports nothing heavy.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

LOWEST, HIGHEST = -3, 3
"""What can be asked, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """text: the formula. is_feel: of how hits are played, so by drum as well; else of which notes there are.

    lowest and highest: what it can be at all, in its unit.
    """

    unit: str
    text: str
    is_feel: bool = False
    by_part: bool = False
    lowest: float = -math.inf
    highest: float = math.inf


ATTRIBUTES = {
    "late": Attribute("ms", "the mean of how late hits are: ahead −, behind +", True),
    "tightness": Attribute(
        "ms",
        "less spread: −1 × the root of the mean square by which hits are off the mean of their place, which is the "
        "even sixteenths or the odd ones",
        True,
    ),
    "loudness": Attribute("velocity", "the mean velocity", True),
    "dynamics": Attribute(
        "velocity",
        "range: the root of the mean square by which velocities are off the mean of their place, which is the "
        "beats or what lies between",
        True,
    ),
    "swing": Attribute("sixteenths", "how much later the odd sixteenths are than the even ones", True),
    "accent": Attribute("velocity", "how much louder hits on the beat are than the others", True),
    "density": Attribute("notes", "notes that begin in a bar", by_part=True, lowest=0),
    "syncopation": Attribute(
        "share", "onsets on an odd sixteenth with nothing on the sixteenth before", lowest=0, highest=1
    ),
    "repetition": Attribute(
        "share", "hits in common with the bar before, of those in either (Jaccard)", lowest=0, highest=1
    ),
    "register": Attribute("semitones", "the mean pitch of a part", by_part=True),
    "interval": Attribute("semitones", "the mean distance from a note to the next", by_part=True),
}

FEEL = tuple(name for name, each in ATTRIBUTES.items() if each.is_feel)


ENDS = 2
"""Where what there can be ends before so many deviations, so many are its end: syncopation -2 is none at all."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How an attribute is counted from its mean in a model's data: one below, or above, is so much in its unit.

    Both are the standard deviation, or less, see ENDS.
    """

    mean: float
    below: float
    above: float

    def value(self, asked: Any) -> Any:
        """A number of deviations, or an array of them, in the attribute's unit."""
        return self.mean + self.above * (asked + abs(asked)) / 2 + self.below * (asked - abs(asked)) / 2

    def asked(self, value: Any) -> Any:
        """A value in the attribute's unit, or an array of them, in deviations."""
        off = value - self.mean
        return (off + abs(off)) / 2 / self.above + (off - abs(off)) / 2 / self.below


Scales = Mapping[str, Scale]
"""Of each attribute of a model."""


def scale_of(name: str, mean: float, deviation: float) -> Scale:
    """The scale of an attribute, density.bass and the like as well, of the mean and the deviation on a card."""
    about = ATTRIBUTES[name.partition(".")[0]]
    below, above = (
        (room / ENDS if room > 0 else deviation) for room in (mean - about.lowest, about.highest - mean)
    )
    return Scale(mean, min(deviation, below), min(deviation, above))


def has_attribute(known: Collection[str], name: str) -> bool:
    """Whether a name can be asked, such as late.snare, density or density.bass, of what has the known attributes.

    What has the feel of all has it of each drum; what has something of parts has it in common for them.
    """
    bare, _, of = name.partition(".")
    if of and bare not in FEEL:
        return name in known
    return any(each.partition(".")[0] == bare for each in known)
