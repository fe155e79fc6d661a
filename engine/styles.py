"""Styles beside those of a model's card: of music that nobody in the data plays, and a user's own, on disk.

A style of one's own is a card, NAME.toml, beside NAME.safetensors with the normal distribution of its z. Importing
this module imports no torch.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ClipError, KeptError
from engine.files import replacing
from engine.kept import KeptFile
from engine.weights import PLAYED_BY_A_DRUMMER, Card

if TYPE_CHECKING:
    from torch import Tensor

NONE = "none"
"""In place of a style: none is chosen by what the clip is."""

NAME = re.compile(r"\w[\w-]{0,39}")
RESERVED = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)
"""Names that no file on Windows can have."""


@dataclass(frozen=True, slots=True)
class Programmed:
    """A style of music that is programmed: how a tight player would play it.

    told: by what it is recognised. feel: attributes in their units, of one drum as tightness.kick. like: the styles
    of the data that its notes are nearest to.
    """

    told: str
    feel: Mapping[str, float]
    like: tuple[str, ...]


TIGHT_PLAYER = "drummer8"
"""Of the Groove MIDI Dataset's players the one with the least spread among those who play much."""

PROGRAMMED = {
    "house": Programmed(
        "the kick on each beat",
        {"late": 0, "tightness": -5, "swing": 0.08, "tightness.kick": -2.5},
        ("dance", "pop", "rock"),
    ),
    "techno": Programmed(
        "the kick on each beat, faster",
        {"late": 0, "tightness": -4, "swing": 0, "tightness.kick": -2},
        ("dance", "rock"),
    ),
    "trap": Programmed(
        "half-time: the snare on 3, many hats",
        {"late": 0, "tightness": -5, "swing": 0, "tightness.kick": -3},
        ("hiphop", "funk"),
    ),
    "drumandbass": Programmed(
        "fast, the snare on 2 and 4, the kick before 3's off-beat",
        {"late": 0, "tightness": -6, "swing": 0.05, "tightness.kick": -4},
        ("funk", "dance", "rock"),
    ),
    "boombap": Programmed(
        "slow, the snare on 2 and 4, the kick off 3",
        {"late": 6, "tightness": -9, "swing": 0.3, "late.snare": 12, "tightness.kick": -6},
        ("hiphop", "funk"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStyle:
    """The card of a style of one's own.

    model and sha256: in whose z it lies. near: the known style that is nearest, at a distance in its deviations.
    bars and clips: of how many it was learnt. feel: in deviations, the mean of each attribute. notes: the same of
    density and the like, in their units.
    """

    name: str
    model: str
    sha256: str
    near: str
    distance: float
    bars: int
    clips: int
    sources: tuple[str, ...] = ()
    date: str = ""
    feel: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)


def checked_name(name: str, taken: Iterable[str] = ()) -> str:
    """The name of what is to be kept, as a file on any system; ClipError where it cannot be one, or is taken."""
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise ClipError(f"a name has 1 to 40 letters, digits, - and _, first a letter or digit, not {name!r}")
    if name.casefold() in map(str.casefold, taken):
        raise ClipError(f"{name} is a style that is there already: take another name")
    return name


def own_styles(folder: Path | None) -> dict[str, OwnStyle]:
    """Those in a folder, by name; what is no card of one, or of a newer vaebridge, is left out."""
    found = {}
    for path in sorted(folder.glob("*.toml")) if folder else ():
        with suppress(KeptError):
            found[path.stem] = _own_style(path)
    return found


def _own_style(path: Path) -> OwnStyle:
    """A card; KeptError where it is none."""
    try:
        content = KeptFile(path).read()
        numbers = {name: dict(_numbers(content.get(name, {}))) for name in ("feel", "notes")}
        content |= _numbers({"distance": content["distance"]})
        return OwnStyle(**{**content, **numbers, "sources": tuple(content.get("sources", ()))})
    except (OSError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise KeptError(f"{path} is no style: {error}; learn it again") from error


def no_style(name: str, known: Iterable[str], folder: Path | None) -> ClipError | KeptError:
    """Why there is no style of a name: with those there are, or what is wrong with its card."""
    path = folder / f"{name}.toml" if folder and NAME.fullmatch(name) else None
    if path and path.exists():
        try:
            style = _own_style(path)
        except KeptError as error:
            return error
        return ClipError(f"the style {name} was learnt with other weights, of {style.model}: learn it again")
    return ClipError(f"there is no style {name!r}; there are: {', '.join(known) or 'none'}")


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Each name and its number; AttributeError, TypeError or ValueError where they are something else."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
        yield name, float(value)


def styles_of(card: Card, loaded: Iterable[Card], own: Mapping[str, OwnStyle]) -> tuple[str, ...]:
    """What can be named as a model's style: its own, and those of the drummer in memory who plays, or would.

    loaded: the models in memory, the default first.
    """
    plays = (card,) if card.family == "groovae" else tuple(loaded) if card.family in PLAYED_BY_A_DRUMMER else ()
    drummer = next((each for each in plays if each.family == "groovae" and each.feels), None)
    if drummer is None:
        return card.styles
    mine = [name for name, style in own.items() if style.model == drummer.name]
    return tuple(dict.fromkeys((*card.styles, *drummer.styles, *PROGRAMMED, *mine)))


def write_style(folder: Path, style: OwnStyle, mean: "Tensor", scale: "Tensor") -> None:
    """Keep a style, in place of the one of that name; KeptError where it cannot be."""
    from safetensors.torch import save_file

    path = folder / f"{style.name}.toml"
    content: dict[str, Any] = asdict(style) | {"sources": list(style.sources)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path.with_suffix(".safetensors")) as weights:
            save_file({"mean": mean.contiguous(), "scale": scale.contiguous()}, weights)
        KeptFile(path).write(content)
    except OSError as error:
        raise KeptError(f"{path} cannot be written: {error.strerror or error}") from error


def read_z(folder: Path, name: str) -> "tuple[Tensor, Tensor]":
    """The mean and the scale of a style's z; KeptError where they cannot be had."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / f"{name}.safetensors"
    try:
        tensors = load_file(path)
        return tensors["mean"], tensors["scale"]
    except (OSError, SafetensorError, KeyError) as error:
        raise KeptError(f"{path} is damaged or gone: learn the style {name} again") from error


def forget_style(folder: Path | None, name: str) -> None:
    """Remove a style of one's own, also one whose card cannot be read.

    ClipError, with those there are, where there is none of that name; KeptError where it cannot be removed.
    """
    files = [folder / f"{name}{suffix}" for suffix in (".toml", ".safetensors")] if folder else []
    if not NAME.fullmatch(name) or not any(path.exists() for path in files):
        known = ", ".join(own_styles(folder)) or "none"
        raise ClipError(f"there is no style of your own {name!r}; there are: {known}")
    try:
        for path in files:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise KeptError(f"{path} cannot be removed: {error.strerror or error}") from error


def mixture(text: str) -> dict[str, float]:
    """The shares, which sum to 1, of the styles in a text: funk, or funk:.7,mine:.3; ClipError if it is none."""
    shares = dict[str, float]()
    for each in text.split(","):
        name, colon, share = each.strip().partition(":")
        try:
            shares[name] = shares.get(name, 0) + (float(share) if colon else 1.0)
        except ValueError:
            shares[name] = -1.0
    whole = sum(shares.values())
    if not (0 < whole < math.inf and all(name and share / whole > 0 for name, share in shares.items())):
        raise ClipError(f"style takes a name, or several with shares as funk:.7,mine:.3, not {text!r}")
    return {name: share / whole for name, share in shares.items()}
