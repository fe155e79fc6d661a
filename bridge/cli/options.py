"""Flags of the command line, read from the fields of requests and of the configuration: nothing is written twice.

Knows neither verbs nor files.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin, get_type_hints

import typer

from engine.errors import ClipError
from engine.representation.instruments import INSTRUMENTS
from engine.requests import Request, clip_fields, request_with, settings_of

if TYPE_CHECKING:
    from bridge.config import Config

Command = Callable[..., None]


def with_settings(kind: type[Request]) -> Callable[[Command], Command]:
    """Give a command a flag for each setting of a request, in place of its **settings, and its other_files.

    Ranges are shown here and checked by the request itself.
    """
    hints = get_type_hints(kind)
    flags = [_flag(each.name, hints[each.name], each.default, each.metadata) for each in settings_of(kind)]
    of_drums = [_drum_flag(each.name, drum) for each in settings_of(kind) if _by_drum(each) for drum in INSTRUMENTS]
    return _with_flags([*map(_file, other_files(kind)), *flags, *of_drums])


def other_files(kind: type[Request]) -> list[Field[Any]]:
    """The clips of a request that are not the one, or the several, that it is about."""
    return [each for each in clip_fields(kind) if each.name not in ("clip", "clips")]


def with_config(config: "type[Config]") -> Callable[[Command], Command]:
    """Give a command a flag for each field of the configuration, in place of its **settings.

    A flag that is not given leaves the environment and vaebridge.toml their say, so no flag has a default here.
    """
    return _with_flags(
        _flag(name, field.annotation, None, {"text": _shown(field.description, field.get_default())})
        for name, field in config.model_fields.items()
    )


def request_of(kind: type[Request], settings: dict[str, Any], **given: Any) -> Any:
    """The request that flags and clips make up."""
    hints, values = get_type_hints(kind), dict[str, Any]()
    for name, value in settings.items():
        if OF_DRUM in name:
            values |= {} if value is None else {name.replace(OF_DRUM, "."): value}
        else:
            values[name] = SPLIT[hints[name]](name, value or ()) if hints[name] in SPLIT else value
    return request_with(kind, values, **given)


def config_of(config: "type[Config]", settings: dict[str, Any]) -> "Config":
    """The configuration with the flags that were given."""
    given = {name: value for name, value in settings.items() if value not in (None, [])}
    return config(**{name: ",".join(each) if isinstance(each, list) else each for name, each in given.items()})


def _pitches(name: str, texts: Sequence[str]) -> tuple[int, ...]:
    """The pitches in lists such as 36,38."""
    text = ",".join(texts)
    try:
        pitches = tuple(int(pitch) for pitch in text.split(",")) if text else ()
    except ValueError:
        pitches = (-1,)
    if not all(0 <= pitch <= 127 for pitch in pitches):
        raise ClipError(f"{name} takes pitches in 0..127 such as 36,38, not {text!r}")
    return pitches


def _names(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """The names in lists such as lead,bass."""
    return tuple(each.strip() for each in ",".join(texts).split(",") if each.strip())


SPLIT = {tuple[int, ...]: _pitches, tuple[str, ...]: _names}
"""How what is written with commas is read, by what it is."""


def _with_flags(flags: Iterable[inspect.Parameter]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [*(each for each in own if each.kind is not each.VAR_KEYWORD), *flags]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _flag(name: str, kind: Any, default: Any, metadata: Any) -> inspect.Parameter:
    """One flag; a tuple is written with commas or as several flags, the pairs of a dictionary with commas."""
    written, plain = WRITTEN.get(get_origin(kind)), list[str] if get_origin(kind) is tuple else str
    shown = f"{metadata['low']}..{metadata['high']}" if "low" in metadata else written
    help_text = metadata["text"].replace("[", r"\[")  # brackets are markup to rich
    if metadata.get("by_drum"):
        help_text += f"; --{name}.DRUM of one drum: {', '.join(INSTRUMENTS)}"
    option = typer.Option(help=help_text, metavar=shown, show_default=default not in (None, (), {}))
    annotation = Annotated[(plain if written else kind) | None, option]  # type: ignore[valid-type]
    default = None if written else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _by_drum(each: Field[Any]) -> bool:
    return bool(each.metadata.get("by_drum"))


def _drum_flag(name: str, drum: str) -> inspect.Parameter:
    """The flag for what one drum has of a setting, which the help of the setting tells of."""
    annotation = Annotated[float | None, typer.Option(f"--{name}.{drum}", hidden=True)]
    parameter = f"{name}{OF_DRUM}{drum}"
    return inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _file(each: Field[Any]) -> inspect.Parameter:
    """The argument for a file beside the first, or the flag where there need not be one."""
    if each.default is MISSING:
        argument = typer.Argument(help=f"the MIDI file whose {each.name} it gets", show_default=False)
        return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Path, argument])
    flag = Annotated[Path | None, typer.Option(help=OPTIONAL_FILES[each.name], show_default=False)]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=flag)


OPTIONAL_FILES = {"keep_clip": "notes that this MIDI file has as well stay too"}

OF_DRUM = "__"
"""What stands for the point of timing.snare in the name of a parameter."""


WRITTEN = {tuple: "A,B,…", dict: "A:B,…"}
"""How a value of several is written."""


def _shown(description: str | None, default: Any) -> str:
    """A field's help with the default that the configuration has."""
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{description or ''} (default: {shown})" if shown not in (None, "", {}) else description or ""
