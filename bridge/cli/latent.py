"""encode and decode: a MIDI file's place in the latent space as a file of numbers, and back."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.desk import Desk
from bridge.cli.options import request_of, with_settings
from engine.errors import ClipError
from engine.files import read_at_most, replacing
from engine.requests import Decode, Encode

MOST_BYTES = 2**20
"""More than any point has."""

Point = Annotated[Path, typer.Argument(help="a file that encode has written", show_default=False)]
Onto = Annotated[
    Path | None, typer.Option(help="play the notes of this MIDI file, where the model can", show_default=False)
]


@with_settings(Encode)
def encode(
    desk: Desk,
    source: Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)],
    **settings: Any,
) -> None:
    """Write where a file's clip lies in the latent space, as JSON: the model's name and z."""
    from bridge.cli.show import show_results

    clip = desk.clip(source, settings["model"])
    (target,) = desk.targets(source.with_name(f"{source.stem}.z.json"), 1)
    (results,) = desk.run(request_of(Encode, settings, clip=clip))
    try:
        with replacing(target) as beside:
            beside.write_text(json.dumps({"model": results.model, "z": results.latent}), encoding="utf-8")
    except OSError as error:
        raise ClipError(f"{target} cannot be written: {error.strerror}") from error
    show_results([results], [target])


@with_settings(Decode)
def decode(desk: Desk, source: Point, onto: Onto = None, **settings: Any) -> None:
    """Make the clip at a point of the latent space, with the model that the file names."""
    model, z = read_point(source)
    desk.sources.append(source)
    settings["model"] = settings["model"] or model
    clip = desk.clip(onto, settings["model"]) if onto else None
    otherwise = source.with_name(f"{source.stem}.decode.mid")
    (results,) = desk.run(request_of(Decode, settings, z=z, clip=clip), otherwise=otherwise)
    desk.write_clips(results, otherwise)


def read_point(path: Path) -> tuple[str, tuple[float, ...]]:
    """The model and the z in a file; ClipError if it is no such file."""
    try:
        content = json.loads(read_at_most(path, MOST_BYTES))
        return str(content["model"]), tuple(map(float, content["z"]))
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ClipError(f'{path} must hold {{"model": NAME, "z": [number, …]}}, as encode writes it') from error
