"""The attributes of music that can be asked for, and that done tells: what each is, in what unit, of what it is.

The one list: requests, the protocol and the command line read it. They are asked for in standard deviations from
the mean of a model's training data, which its card holds; measures.py computes them. Imports nothing heavy.
"""

from collections.abc import Collection
from dataclasses import dataclass

LOWEST, HIGHEST = -3, 3
"""What can be asked, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """text: the formula. is_feel: of how hits are played, so by drum as well; else of which notes there are."""

    unit: str
    text: str
    is_feel: bool = False
    by_part: bool = False


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
    "density": Attribute("notes", "notes that begin in a bar", by_part=True),
    "syncopation": Attribute("share", "onsets on an odd sixteenth with nothing on the sixteenth before"),
    "repetition": Attribute("share", "hits in common with the bar before, of those in either (Jaccard)"),
    "register": Attribute("semitones", "the mean pitch of a part", by_part=True),
    "interval": Attribute("semitones", "the mean distance from a note to the next", by_part=True),
}

FEEL = tuple(name for name, each in ATTRIBUTES.items() if each.is_feel)


def has_attribute(known: Collection[str], name: str) -> bool:
    """Whether a name can be asked, such as late.snare, density or density.bass, of what has the known attributes.

    What has the feel of all has it of each drum; what has something of parts has it in common for them.
    """
    bare, _, of = name.partition(".")
    if of and bare not in FEEL:
        return name in known
    return any(each.partition(".")[0] == bare for each in known)
