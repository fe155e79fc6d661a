"""Weights on disk: NAME.safetensors and its card NAME.toml, verified before use.

Importing this module imports no torch: a process that only lists models reads cards.
"""

import hashlib
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import tomlkit

from engine.errors import ModelError, WeightsError
from engine.files import read_toml, regular, replacing

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a weights file is: the part of the card that the program reads, and the rest for people.

    config names a registry entry; sha256 is the safetensors file's; bars and steps_per_bar say what the model
    was trained on, of sound the frames of a window and the columns of a frame; verbs what it can do; styles the
    names whose means the file holds. sizes are those of the network that differ from its configuration's; chained
    says how a hierarchy's bars begin, see engine.model.
    step_temperature and opening_temperature: by how much the temperature is multiplied in the steps of a phrase,
    and once more in the bar that opens it. attributes: those that can be asked for, each with the mean and the
    deviation of the training data, in its unit (engine.representation.attributes); of a part as density.bass. told:
    what the model is told of one where less would come: a factor, and what is added in deviations, as measured.
    feels: of styles and players the mean of each attribute of the feel, in deviations, in the order of FEEL.
    steering: of a model of tokens how its z is moved to the attributes, see Steering.
    """

    name: str
    config: str
    family: str
    bars: int
    steps_per_bar: int
    verbs: tuple[str, ...]
    styles: tuple[str, ...] = ()
    sizes: Mapping[str, Any] = field(default_factory=dict)
    chained: bool = False
    step_temperature: float = 1.0
    opening_temperature: float = 1.0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    feels: Mapping[str, Any] = field(default_factory=dict)
    steering: Mapping[str, Any] = field(default_factory=dict)
    sha256: str
    license: str = ""
    data: str = ""
    command: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


PLAYED_BY_A_DRUMMER = ("phrase", "band")
"""The families of models that make hits for a drummer to play."""


def attributes_of(card: Card, loaded: Iterable[Card]) -> dict[str, Any]:
    """What can be asked of a model: its attributes, and the feel of the drummer in memory who plays its hits."""
    drummers = [each for each in loaded if each.family == "groovae" and each.attributes]
    return {
        **card.attributes,
        **(drummers[0].attributes if drummers and card.family in PLAYED_BY_A_DRUMMER else {}),
    }


def shipped_folder() -> Path:
    """The folder of the shipped weights: in a wheel inside the package, in a checkout beside it."""
    package = Path(__file__).parent
    wheel = package / "shipped_weights"
    return wheel if wheel.is_dir() else package.parent / "weights"


class Library:
    """The cards in some folders, by name; a folder given earlier wins.

    A card that cannot be read is left out, and its sentence is in problems. It keeps the name of its file: no other
    folder's model stands in for it without a word. The sentence of a folder without cards is in empty.
    """

    def __init__(self, folders: Iterable[Path]):
        self.cards: dict[str, Card] = {}
        self.paths: dict[str, Path] = {}
        self.problems: list[str] = []
        self.empty: list[str] = []
        self._broken: dict[str, str] = {}
        for folder in folders:
            cards = sorted(folder.glob("*.toml"))
            for path in cards:
                self._add(path)
            if not cards:
                self.empty.append(f"{folder} holds no weights: a card, NAME.toml, is beside NAME.safetensors")

    def _add(self, path: Path) -> None:
        try:
            card = read_card(path)
        except WeightsError as error:
            self.problems.append(str(error))
            if path.stem not in self.cards:
                self._broken.setdefault(path.stem, str(error))
            return
        if card.name not in self.cards and card.name not in self._broken:
            self.cards[card.name] = card
            self.paths[card.name] = path.with_suffix(".safetensors")

    def card(self, name: str) -> Card:
        """The card of that name; WeightsError if it is damaged, ModelError, with the names, if there is none."""
        if name in self._broken:
            raise WeightsError(self._broken[name])
        if name not in self.cards:
            known = ", ".join(sorted(self.cards)) or "none"
            raise ModelError(f"there is no model {name!r}; the models are: {known}")
        return self.cards[name]

    def verify(self, name: str) -> Path:
        """The path of the weights, once their checksum is the card's."""
        card, path = self.card(name), self.paths[name]
        try:
            with regular(path).open("rb") as file:
                digest = sha256_of(file)
        except OSError as error:
            raise WeightsError(f"the weights of {name} cannot be read: {path}: {error.strerror}") from error
        if digest != card.sha256:
            raise WeightsError(
                f"{path} is damaged or not the file its card describes: its sha256 is {digest[:12]}…"
            )
        return path

    def verify_steering(self, name: str) -> Path | None:
        """The path of what moves a model's z, verified; None where its card has none."""
        card, path = self.card(name), steering_path(self.paths[name])
        if not card.steering:
            return None
        again = learns_again(name)
        if card.steering.get("version") != STEERING_VERSION:
            version = card.steering.get("version")
            raise WeightsError(f"the steering of {name} is of version {version}, not {STEERING_VERSION}; {again}")
        try:
            with regular(path).open("rb") as file:
                digest = sha256_of(file)
        except OSError as error:
            raise WeightsError(f"{path}, the steering of {name}, cannot be read; {again}") from error
        if digest != card.steering.get("sha256"):
            raise WeightsError(f"{path} is damaged or not the file that the card of {name} names; {again}")
        return path

    def tensors(self, name: str) -> "dict[str, Tensor]":
        """The verified tensors by name, as they are stored."""
        return _tensors(self.verify(name))

    def steering(self, name: str) -> "dict[str, Tensor]":
        """Those of what moves a model's z, none where its card has none."""
        path = self.verify_steering(name)
        return {} if path is None else _tensors(path)


def _tensors(path: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error


def sha256_of(file: BinaryIO) -> str:
    """The hex digest of what is left of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def read_card(path: Path) -> Card:
    """The card in a .toml file, or a WeightsError that names what is wrong with it."""
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is no readable card: {error}") from error
    for key, value in content.items():
        kind = KINDS.get(key, object)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise WeightsError(f"{path} is no card of weights: {key} must be {KIND_NAMES[kind]}, not {value!r:.80}")
        if isinstance(value, int) and kind is int and not 1 <= value <= MOST_STEPS:
            raise WeightsError(f"{path} is no card of weights: {key} must be in 1..{MOST_STEPS}, not {value}")
    for table, meaning, positive in (("attributes", "mean, deviation > 0", 1), ("told", "factor > 0, summand", 0)):
        for key, pair in content.get(table, {}).items():
            if not _are_two(pair) or pair[positive] <= 0:
                raise WeightsError(
                    f"{path} is no card of weights: {table}.{key} must be {meaning}, not {pair!r:.80}"
                )
    for key in ("verbs", "styles"):
        content[key] = tuple(map(str, content.get(key, ())))
    try:
        return Card(**content)
    except TypeError as error:
        raise WeightsError(f"{path} is no card of weights: {error}") from error


def _are_two(pair: object) -> bool:
    """Whether it is two finite numbers."""
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(each, int | float) and math.isfinite(each) for each in pair)
    )


MOST_STEPS = 1024
"""Of a bar, and bars of a model: more than any has."""

KIND_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
KINDS = {
    **dict.fromkeys(("name", "config", "family", "sha256", "license", "data", "command"), str),
    **dict.fromkeys(("bars", "steps_per_bar"), int),
    **dict.fromkeys(("verbs", "styles"), list),
    **dict.fromkeys(("sizes", "attributes", "told", "feels", "steering", "training", "figures"), dict),
    "chained": bool,
}
"""The kind of each value on a card."""


def write_weights(folder: Path, tensors: "Mapping[str, Tensor]", card: Card) -> Card:
    """Write both files, the card with the checksum of what was written; WeightsError if that cannot be."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = folder / f"{card.name}.safetensors"
    try:
        with replacing(path) as weights, replacing(path.with_suffix(".toml")) as text:
            save_file(dict(tensors), weights)
            with weights.open("rb") as file:
                card = replace(card, sha256=sha256_of(file))
            text.write_text(tomlkit.dumps(_document(card)), encoding="utf-8")
            shutil.copymode(text, weights)  # safetensors lets no one but the owner read it
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return card


STEERING_VERSION = 1
"""Of what moves z; what is of another is learnt again."""


def learns_again(name: str) -> str:
    """What mends the steering of a model."""
    return f"`vaebridge weights attributes {name} --data CORPUS` learns it again"


def steering_path(weights: Path) -> Path:
    """Beside NAME.safetensors, what moves z: NAME.steering.safetensors."""
    return weights.with_suffix(".steering.safetensors")


def write_steering(
    weights: Path,
    tensors: "Mapping[str, Tensor]",
    attributes: Mapping[str, tuple[float, float]],
    about: Mapping[str, Any],
) -> Path:
    """Write what moves the z of weights that are there, and name it on their card, of which the rest stays: where.

    attributes: mean and deviation of each, in the order of the tensors. WeightsError if it cannot be.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path, card = steering_path(weights), weights.with_suffix(".toml")
    try:
        document = tomlkit.parse(card.read_text(encoding="utf-8"))
        with replacing(path) as file, replacing(card) as text:
            save_file(dict(tensors), file)
            with file.open("rb") as written:
                facts = {"version": STEERING_VERSION, "sha256": sha256_of(written), **about}
            document["attributes"] = {name: list(scale) for name, scale in attributes.items()}
            document["steering"] = facts
            text.write_text(tomlkit.dumps(document), encoding="utf-8")
            shutil.copymode(text, file)
        return path
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _document(card: Card) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(card).items()}
