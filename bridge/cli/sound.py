"""continue on a file of sound: what comes after it, by a model of sound, without a daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.cli.desk import Desk
from engine.errors import ClipError
from engine.requests import Continue, ContinueSound, request_with, settings_of

OF_NOTES = ("track", "channel", "drum_map", "wav", "soundfont")
"""Flags of a desk that say something of notes."""

KNOWN = tuple(each.name for each in settings_of(ContinueSound))


def continue_sound(desk: Desk, source: Path, settings: Mapping[str, Any]) -> None:
    """Write what comes after a file of sound; ClipError where a flag is given that only MIDI has."""
    from bridge.cli.show import show_results
    from engine.verbs.score_verbs import continue_sound as run
    from engine.weights import Library

    usual = {each.name: each.default for each in settings_of(Continue)}
    told = {**settings, **{name: getattr(desk, name) for name in OF_NOTES}}
    given = {name: value for name, value in told.items() if value not in (None, usual.get(name))}
    if strange := [name.replace("_", "-") for name in given if name not in KNOWN]:
        known = ", ".join(f"--{name}" for name in KNOWN if name != "count")
        raise ClipError(f"of a file of sound continue takes {known}, not --{strange[0]}")
    desk.sources.append(source)
    (target,) = desk.targets(source.with_name(f"{source.stem}.continue.wav"), 1)
    request = request_with(ContinueSound, given, path=source, to=target)
    show_results([run(Library(desk.config.weight_folders), request)], [target])
