"""Published tensors → ours: which configuration they are, and each one's place in it.

The names are those of Magenta 2.1.4 and of @magenta/music 1.23.1, which agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import WeightsError
from engine.magenta.checkpoint import Checkpoint
from engine.magenta.converter import ConverterFacts, read_converter
from engine.magenta.layout import DECODER_CELL, Network, read_network, take_tensors
from engine.magenta.published import Array, Published
from engine.registry import CONFIGS, Config
from engine.representation.catalogue import find_representation

STEPS_PER_BAR = 16

OURS = ("drummer", "melody_2bar", "drums_2bar")
"""Our own configurations, which no published checkpoint has."""

NO_SIGMA = "it has no sigma, so that what it encodes is mu and all are as sure"


@dataclass(frozen=True, slots=True)
class Translation:
    """A checkpoint translated: what its card needs, and its tensors in our names.

    sizes are those that differ from the configuration's; remarks are sentences on what is not as usual.
    """

    config: Config
    sizes: Mapping[str, Any]
    chained: bool
    bars: int
    steps_per_bar: int
    verbs: tuple[str, ...]
    tensors: dict[str, Array]
    remarks: tuple[str, ...]


def translate(checkpoint: Checkpoint, *, named: str = "") -> Translation:
    """What a checkpoint is; named, what it is called, chooses among configurations that fit equally well.

    WeightsError names a tensor that is missing, superfluous, misshapen or not finite, or says what cannot be held.
    """
    facts, published = read_converter(checkpoint.facts), Published(checkpoint.tensors)
    network = read_network(published)
    _check_converter(network, facts)
    levels = _levels(network, facts)
    config = _choose(network.representation, network.shape | levels, facts.configs if facts else (), named)
    if not facts:
        levels = {key: getattr(config.shape, key) for key in levels}
    if () in levels.values():
        raise WeightsError(f"a config.json must say into how many segments a {network.representation} is cut")
    has_sigma = published.has("encoder/sigma/")
    tensors = take_tensors(network, published)
    published.check_empty()
    steps_per_bar = _steps_per_bar(network.representation)
    return Translation(
        config=config,
        sizes=_sizes(config, network.shape | levels),
        chained=bool(levels.get("levels")),
        bars=facts.steps // steps_per_bar if facts else config.recipe.bars[0],
        steps_per_bar=steps_per_bar,
        verbs=tuple(verb for verb in config.verbs if network.encoder or verb != "encode"),
        tensors=tensors,
        remarks=() if has_sigma or not network.encoder else (NO_SIGMA,),
    )


def _check_converter(network: Network, facts: ConverterFacts | None) -> None:
    """WeightsError unless the tensors fit the representation that config.json states."""
    if facts and facts.representation != network.representation:
        raise WeightsError(
            f"config.json speaks of {facts.representation}, but the tensor "
            f"{network.parts[0]}output_projection/bias writes {network.representation}"
        )
    if facts and facts.control != network.control:
        raise WeightsError(
            f"config.json speaks of a control of {facts.control} numbers, but the tensor "
            f"{network.parts[0]}{DECODER_CELL.format(0)}kernel is for {network.control}"
        )


def _levels(network: Network, facts: ConverterFacts | None) -> dict[str, tuple[int, ...]]:
    """The levels of encoder and decoder, where they are hierarchical; zeros where they are not known yet."""
    steps, segments = (facts.steps, facts.segments) if facts else (0, 0)
    hierarchical = network.conductor or network.hierarchical
    if facts and bool(segments) != bool(hierarchical):
        sentence = "is hierarchical and needs" if hierarchical else "is flat and has no"
        raise WeightsError(f"config.json: the network {sentence} numSegments, which is {segments}")
    of_segment = steps // segments if segments else 0
    levels: dict[str, tuple[int, ...]] = {}
    if network.conductor:
        levels["levels"] = (segments, of_segment)
    if network.hierarchical:
        levels["encoder_levels"] = (of_segment, segments)
    return levels


def _choose(representation: str, shape: Mapping[str, Any], allowed: tuple[str, ...], named: str) -> Config:
    """The configuration of the same kind of whose sizes the fewest differ."""

    def distance(config: Config) -> tuple[int, int, int]:
        other_kind = sum(bool(size) != bool(getattr(config.shape, key)) for key, size in shape.items())
        return other_kind, len(_sizes(config, shape)), -len(config.name) if config.name in named else 0

    return min(
        (config for config in _published(representation) if config.name in (allowed or CONFIGS)), key=distance
    )


def _published(representation: str) -> list[Config]:
    """The published configurations of a representation."""
    return [
        config for config in CONFIGS.values() if config.representation == representation and config.name not in OURS
    ]


def _sizes(config: Config, shape: Mapping[str, Any]) -> dict[str, Any]:
    return {key: size for key, size in shape.items() if getattr(config.shape, key) != size}


def _steps_per_bar(representation: str) -> int:
    return STEPS_PER_BAR if representation == "groove" else find_representation(representation).steps_per_bar
