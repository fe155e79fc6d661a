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
from engine.representation.attributes import ATTRIBUTES
from engine.representation.instruments import INSTRUMENTS, PARTS
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
    dotted = [_dotted_flag(each, one) for each in settings_of(kind) for one in _of_which(each)]
    return _with_flags([*map(_file, other_files(kind)), *flags, *dotted])


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
        dotted, hint = name.replace(OF_ONE, "."), hints[name.partition(OF_ONE)[0]]
        if OF_ONE not in name or value is not None:
            values[dotted] = SPLIT[hint](dotted, value or ()) if hint in SPLIT else value
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


def _numbers(name: str, texts: Sequence[str]) -> tuple[float, ...]:
    """The numbers in lists such as 0,0,1,2."""
    text = ",".join(texts)
    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise ClipError(f"{name} takes a number, or one a bar as 0,0,1,2, not {text!r}") from None


def _names(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """The names in lists such as lead,bass."""
    return tuple(each.strip() for each in ",".join(texts).split(",") if each.strip())


SPLIT = {tuple[int, ...]: _pitches, tuple[str, ...]: _names, tuple[float, ...]: _numbers}
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
    panel = KNOBS if name in ATTRIBUTES else None
    if panel:
        help_text = f"{ATTRIBUTES[name].text} ({ATTRIBUTES[name].unit})"
    elif metadata.get("by_drum"):
        help_text += f"; --{name}.DRUM of one drum: {', '.join(INSTRUMENTS)}"
    shows = default not in (None, (), {})
    option = typer.Option(help=help_text, metavar=shown, show_default=shows, rich_help_panel=panel)
    annotation = Annotated[(plain if written else kind) | None, option]  # type: ignore[valid-type]
    default = None if written else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _of_which(each: Field[Any]) -> tuple[str, ...]:
    """The drums or parts of which each may have a value of its own."""
    return INSTRUMENTS if each.metadata.get("by_drum") else PARTS if each.metadata.get("by_part") else ()


def _dotted_flag(each: Field[Any], one: str) -> inspect.Parameter:
    """The flag for what one drum or part has of a setting, which the help tells of."""
    kind = list[str] if each.name in ATTRIBUTES else float
    annotation = Annotated[kind | None, typer.Option(f"--{each.name}.{one}", hidden=True)]  # type: ignore[valid-type]
    parameter = f"{each.name}{OF_ONE}{one}"
    return inspect.Parameter(parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _file(each: Field[Any]) -> inspect.Parameter:
    """The argument for a file beside the first, or the flag where there need not be one."""
    if each.default is MISSING:
        argument = typer.Argument(
            help=f"the MIDI file whose {each.name} it gets, or the name of one that is kept", show_default=False
        )
        return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Path, argument])
    flag = Annotated[Path | None, typer.Option(help=OPTIONAL_FILES[each.name], show_default=False)]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=flag)


OPTIONAL_FILES = {"keep_clip": "notes that this MIDI file has as well stay too"}

KNOBS = "Attributes, -3..3 deviations of the model's data; 0,0,1 is one a bar; --late.snare, --density.bass of one"
"""What the help says above them."""

OF_ONE = "__"
"""What stands for the point of timing.snare in the name of a parameter."""


WRITTEN = {tuple: "A,B,…", dict: "A:B,…"}
"""How a value of several is written."""


def _shown(description: str | None, default: Any) -> str:
    """A field's help with the default that the configuration has."""
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{description or ''} (default: {shown})" if shown not in (None, "", {}) else description or ""
