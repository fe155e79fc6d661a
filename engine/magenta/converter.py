"""The data converter in a config.json: the model's representation of music, and whether we have the same.

Source: the data converters of @magenta/music 1.23.1. Knows no tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import WeightsError
from engine.representation.drums import KIT_PITCHES
from engine.representation.kits import GENERAL_MIDI_PITCHES

CHORDS = 49
"""Classes of chords: none, and the four triads of each root."""

MOST_BARS = 64

_MELODY = {"minPitch": 21, "maxPitch": 108}
_MULTITRACK = {
    "stepsPerQuarter": 24,
    "totalSteps": 96,
    "numVelocityBins": 8,
    "minPitch": 0,
    "maxPitch": 127,
    "numSteps": 512,
    "numSegments": 8,
}
_GROOVE = {"stepsPerQuarter": 4, "splitInstruments": False}
_KIT = [[pitch] for pitch in KIT_PITCHES]
_DRUMS = ("DrumsConverter", "DrumRollConverter", "DrumsOneHotConverter")
_CONVERTERS = ("MelodyConverter", *_DRUMS, "TrioConverter", "MultitrackConverter", "GrooveConverter")
_FOREIGN = {
    "conditionOnKey": "a key as its control",
    "extraControls": "controls of its own",
    "useBooleanDecoder": "a decoder of independent bits",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverterFacts:
    """What config.json states about a model's representation, to be checked against its tensors.

    segments: of a hierarchical model, 0 for a flat one. configs: the names of the configurations it can be, where
    the converter distinguishes more than the tensors do.
    """

    representation: str
    steps: int
    segments: int
    control: int
    configs: tuple[str, ...] = ()


def read_converter(facts: Mapping[str, Any]) -> ConverterFacts | None:
    """The converter of a config.json, None without one; WeightsError where we have no such representation."""
    if not facts:
        return None
    if facts.get("type", "MusicVAE") != "MusicVAE":
        raise WeightsError(f"config.json describes a {facts['type']}; a MusicVAE can be imported")
    for key, words in _FOREIGN.items():
        if facts.get(key):
            raise WeightsError(f"config.json: {key} asks for {words}, which our models do not have")
    if facts.get("chordEncoder") not in (None, "TriadChordEncoder"):
        raise WeightsError(f"config.json: chordEncoder must be TriadChordEncoder, not {facts['chordEncoder']!r}")
    match facts.get("dataConverter"):
        case {"type": str(kind), "args": dict(args)} if kind in _CONVERTERS:
            return _converter_facts(kind, args, CHORDS if facts.get("chordEncoder") else 0)
    raise WeightsError(
        f"config.json: dataConverter must be one of {', '.join(_CONVERTERS)} with its args, "
        f"not {str(facts.get('dataConverter'))[:80]}"
    )


def _converter_facts(kind: str, args: Mapping[str, Any], control: int) -> ConverterFacts:
    steps, segments = args.get("numSteps"), args.get("numSegments") or 0
    if type(steps) is not int or not 0 < steps <= 16 * MOST_BARS or steps % 16:
        raise WeightsError(f"config.json: numSteps must be 1..{MOST_BARS} bars of 16 steps, not {steps!r}")
    if type(segments) is not int or segments < 0 or (segments and steps % segments):
        raise WeightsError(f"config.json: numSegments must divide the {steps} steps, not {segments!r}")
    return ConverterFacts(
        representation=_representation(kind, args),
        steps=steps,
        segments=segments,
        control=control,
        configs=_groove_configs(args) if kind == "GrooveConverter" else (),
    )


def _representation(kind: str, args: Mapping[str, Any]) -> str:
    """The name of our representation that equals a converter's."""
    match kind:
        case "MelodyConverter":
            _check(kind, args, _MELODY)
            return "melody"
        case "TrioConverter":
            for part in ("melArgs", "bassArgs"):
                _check(f"{kind}'s {part}", args.get(part), _MELODY)
            _check_classes(args.get("drumsArgs"), (GENERAL_MIDI_PITCHES,))
            return "trio"
        case "MultitrackConverter":
            _check(kind, {"minPitch": 0, **args, "maxPitch": args.get("maxPitch") or 127}, _MULTITRACK)
            return "multitrack"
        case "GrooveConverter":
            _check(kind, {**_GROOVE, **{key: value for key, value in args.items() if value}}, _GROOVE)
            _check_classes(args, (GENERAL_MIDI_PITCHES,))
            return "groove"
    return ("drums", "kit")[_check_classes(args, (GENERAL_MIDI_PITCHES, _KIT))]


def _check(what: str, args: Any, needed: Mapping[str, Any]) -> None:
    """WeightsError names the first argument that is not what a representation of ours needs."""
    for key, value in needed.items():
        if not isinstance(args, Mapping) or args.get(key) != value:
            listed = args.get(key) if isinstance(args, Mapping) else None
            raise WeightsError(f"config.json: {key} of the {what} must be {value}, not {listed!r}")


def _check_classes(args: Any, known: Sequence[Sequence[Sequence[int]]]) -> int:
    """The index of the known list of drum classes that has the first pitch of each of the converter's classes."""
    if not isinstance(args, Mapping):
        raise WeightsError("config.json: a converter of drums needs args")
    listed = args.get("pitchClasses") or known[0]
    for index, classes in enumerate(known):
        if isinstance(listed, Sequence) and len(listed) == len(classes) and all(map(_leads, listed, classes)):
            return index
    numbers = " or ".join(str(len(classes)) for classes in known)
    raise WeightsError(f"config.json: pitchClasses must be the {numbers} published classes of drums")


def _leads(listed: Any, pitches: Sequence[int]) -> bool:
    return isinstance(listed, Sequence) and len(listed) > 0 and listed[0] in pitches


def _groove_configs(args: Mapping[str, Any]) -> tuple[str, ...]:
    """What a groove model was trained for, as far as its data converter tells."""
    if args.get("humanize"):
        return ("groovae_2bar_humanize",)
    if args.get("tapify"):
        return ("groovae_2bar_tap_fixed_velocity", "groovae_2bar_tap_fixed_velocity_note_dropout")
    return ("groovae_4bar", "groovae_2bar_add_closed_hh")
