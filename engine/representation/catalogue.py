"""The token representations by their names."""

from engine.errors import ModelError
from engine.representation.drums import Drums, Kit
from engine.representation.melody import Melody
from engine.representation.multitrack import Multitrack
from engine.representation.tokens import Representation
from engine.representation.trio import Trio

REPRESENTATIONS: tuple[Representation, ...] = (Melody(), Drums(), Kit(), Trio(), Multitrack())


def find_representation(name: str) -> Representation:
    """The representation of that name."""
    for representation in REPRESENTATIONS:
        if representation.name == name:
            return representation
    names = ", ".join(each.name for each in REPRESENTATIONS)
    raise ModelError(f"there is no representation {name!r}; there are {names}")
