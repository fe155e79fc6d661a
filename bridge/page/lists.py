"""The one table of verbs as the browser reads it: what each takes, and within which range. Pure."""

from dataclasses import MISSING, Field
from typing import Any

from bridge.osc.table import TABLE, Argument, Verb
from bridge.page.clips import clip_as_json
from bridge.playing.live_settings import KNOBS, MODES
from bridge.welcome import stiff_beat
from engine.representation.attributes import ATTRIBUTES
from engine.representation.instruments import INSTRUMENTS
from engine.representation.kits import GENERAL_MIDI_PITCHES
from engine.requests import settings_of


def page_table() -> dict[str, Any]:
    """The verbs by name, the live modes, the drums of General MIDI, and the first clip."""
    return {
        "verbs": {verb.name: _verb(verb) for verb in TABLE.values()},
        "modes": {name: {"text": mode.text, "verbs": mode.verbs} for name, mode in MODES.items()},
        "drums": dict(zip(INSTRUMENTS, GENERAL_MIDI_PITCHES, strict=True)),
        "first": clip_as_json(stiff_beat()),
    }


def _verb(verb: Verb) -> dict[str, Any]:
    return {
        "text": verb.text,
        "makesMusic": verb.request is not None and verb.request.makes_clips,
        "slots": verb.slots,
        "keys": [_key(verb, each) for each in verb.keys if each.name not in verb.slots],
    }


def _key(verb: Verb, key: Argument) -> dict[str, Any]:
    """A key: its kind on the wire, what it says, whether models say if they have it; range and default if any."""
    found = _setting(verb, key)
    told = {"name": key.name, "kind": key.kind, "text": key.text, "required": key.required}
    told["isAttribute"] = key.name in ATTRIBUTES
    if found is not None and "low" in found.metadata:
        told |= {"low": found.metadata["low"], "high": found.metadata["high"]}
    elif key.within:
        told |= {"low": key.within[0], "high": key.within[1]}
    if found is not None and found.default not in (None, MISSING, ()):
        told["default"] = found.default
    return told


def _setting(verb: Verb, key: Argument) -> Field[Any] | None:
    """The field that a value becomes, of the verb's request or of a live mode."""
    if verb.request is not None:
        return next((each for each in settings_of(verb.request) if each.name == key.name), None)
    return KNOBS.get(key.name) if verb.name in ("live", "steer") else None
