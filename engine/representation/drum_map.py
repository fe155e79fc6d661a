"""The nine drum classes, and which pitch belongs to which; kits.py has the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ClipError
from engine.files import read_toml
from engine.representation.instruments import INSTRUMENTS as INSTRUMENTS
from engine.representation.kits import GENERAL_MIDI_PITCHES, KIT_NAMES, TD11_PITCHES, kit

CLASSES = len(INSTRUMENTS)


@dataclass(frozen=True, slots=True)
class DrumMap:
    """The class of every pitch.

    class_of [128] holds 0..8, for a pitch outside the map the class of the nearest pitch inside it; inside [128]
    says which pitches are in the map; pitch_of [9] is the pitch that each class is written with.
    """

    class_of: NDArray[np.int64]
    inside: NDArray[np.bool_]
    pitch_of: NDArray[np.int64]

    def outside(self, pitches: NDArray[np.int64]) -> NDArray[np.int64]:
        """The distinct pitches that are not in the map."""
        return np.unique(pitches[~self.inside[pitches]])

    def written_as(self, pitches: NDArray[np.int64]) -> "DrumMap":
        """The map that writes each drum with the pitch that is most frequent among these for it."""
        pitch_of = self.pitch_of.copy()
        for drum in range(CLASSES):
            own = pitches[self.class_of[pitches] == drum]
            if len(own):
                pitch_of[drum] = np.bincount(own).argmax()
        return replace(self, pitch_of=pitch_of)

    def is_drums(self, pitches: NDArray[np.int64]) -> bool:
        """Whether at least half of the notes are in the map."""
        return bool(2 * self.inside[pitches].sum() >= len(pitches))


def drum_map(pitches: Sequence[Sequence[int]]) -> DrumMap:
    """The map of nine tuples of pitches, the first of each being the one that is written."""
    mapped = np.array([pitch for group in pitches for pitch in group], dtype=np.int64)
    classes = np.array([index for index, group in enumerate(pitches) for _ in group], dtype=np.int64)
    distance = np.abs(np.arange(128)[:, None] - mapped[None, :])
    inside = distance.min(axis=1) == 0
    return DrumMap(classes[distance.argmin(axis=1)], inside, np.array([group[0] for group in pitches]))


TD11 = drum_map(TD11_PITCHES)
GENERAL_MIDI = drum_map(GENERAL_MIDI_PITCHES)


def read_drum_map(path: Path) -> DrumMap:
    """The map of a kit by its name, or one from a .toml of `instrument = [pitches]`.

    An instrument that is left out keeps General MIDI's pitches.
    """
    try:
        content = kit(str(path)) or read_toml(path)
    except OSError as error:
        raise ClipError(f"{path} is no readable drum map: {error.strerror}; by name: {KIT_NAMES}") from error
    except ValueError as error:
        raise ClipError(f"{path} is no readable drum map: {error}") from error
    return drum_map_of(content)


def drum_map_of(content: Mapping[str, Sequence[int]]) -> DrumMap:
    """A map from instrument names to pitches; a pitch may belong to one instrument only."""
    if unknown := sorted(set(content) - set(INSTRUMENTS)):
        raise ClipError(f"a drum map has no instrument {unknown[0]!r}; it has {', '.join(INSTRUMENTS)}")
    for name, pitches in content.items():
        if not (isinstance(pitches, list) and pitches and all(type(p) is int and 0 <= p <= 127 for p in pitches)):
            raise ClipError(f"{name} in a drum map must be a list of pitches in 0..127, not {pitches!r}")
    given = [pitch for pitches in content.values() for pitch in pitches]
    if len(given) != len(set(given)):
        twice = next(pitch for pitch in given if given.count(pitch) > 1)
        raise ClipError(f"pitch {twice} stands twice in the drum map")
    groups = []
    for name, general in zip(INSTRUMENTS, GENERAL_MIDI_PITCHES, strict=True):
        kept = [pitch for pitch in general if pitch not in given] or [general[0]]
        groups.append(content.get(name, kept))
    return drum_map(groups)
