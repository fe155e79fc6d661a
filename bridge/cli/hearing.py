"""What every verb on files takes besides: a drum map, and a WAV file to hear the result; and `play`.

The sound comes from engine.audio, which is imported when it is asked for.
"""

import inspect
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.options import Command
from engine.errors import MidiFileError
from engine.representation.kits import KIT_NAMES

if TYPE_CHECKING:
    from bridge.config import Config
    from engine.representation.drum_map import DrumMap

DrumMapFlag = Annotated[
    Path | None,
    typer.Option(
        "--drum-map",
        help=rf"a .toml of instrument = \[pitches], or a kit: {KIT_NAMES}",
        show_default=False,
    ),
]
Soundfont = Annotated[
    Path | None,
    typer.Option(help="the SoundFont (.sf2) that sounds; else one of the system's", show_default=False),
]
WavFlag = Annotated[
    Path | None, typer.Option(help="write the result as sound as well, to this file", show_default=False)
]

HEARING = {"drum_map": DrumMapFlag, "wav": WavFlag, "soundfont": Soundfont}
"""The flags that every verb on files has."""

_given: ContextVar[Mapping[str, Path | None]] = ContextVar("given", default={})  # noqa: B039  (never changed)


def with_hearing(command: Command) -> Command:
    """The command with the flags of HEARING, which the functions below read from its context."""

    @wraps(command)
    def hearing(*args: Any, **settings: Any) -> None:
        before = _given.set({name: settings.pop(name, None) for name in HEARING})
        try:
            command(*args, **settings)
        finally:
            _given.reset(before)

    keyword = inspect.Parameter.KEYWORD_ONLY
    flags = [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in HEARING.items()]
    parameters = [*inspect.signature(command, eval_str=True).parameters.values(), *flags]
    hearing.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    hearing.__annotations__ = {each.name: each.annotation for each in parameters}
    return hearing


def config_here() -> "Config":
    """The configuration, with the drum map that the command was given."""
    from bridge.config import Config

    drum_map = _given.get().get("drum_map")
    return Config(drum_map=drum_map) if drum_map else Config()


def drum_map_here() -> "DrumMap":
    """The drum map of the configuration, else General MIDI's."""
    from engine.representation.drum_map import GENERAL_MIDI, read_drum_map

    drum_map = config_here().drum_map
    return read_drum_map(drum_map) if drum_map else GENERAL_MIDI


def let_hear(targets: Sequence[Path]) -> None:
    """Write the files that were written as sound too, where that was asked for: of several out.1.wav and so on."""
    from bridge.cli.show import console

    wav = _given.get().get("wav")
    if wav is None:
        return
    for number, target in enumerate(targets, start=1):
        place = wav if len(targets) == 1 else wav.with_name(f"{wav.stem}.{number}{wav.suffix}")
        _write_sound(target, place, _given.get().get("soundfont"))
        console().print(str(place), style="bold")


def _write_sound(source: Path, place: Path, soundfont: Path | None) -> None:
    from engine.audio.render import render, write_wav
    from engine.midi.files import read_midi

    write_wav(render(read_midi(source), soundfont=soundfont, drum_map=drum_map_here()), place)


def play(
    source: Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)],
) -> None:
    """Let a MIDI file be heard on the default sound card, or, with --wav, write it as sound."""
    given = _given.get()
    wav, soundfont = given.get("wav"), given.get("soundfont")
    if wav is not None:
        _write_sound(source, wav, soundfont)
        return
    from engine.audio.render import RATE, render
    from engine.midi.files import read_midi

    samples = render(read_midi(source), soundfont=soundfont, drum_map=drum_map_here())
    try:
        import sounddevice

        sounddevice.play(samples, RATE, blocking=True)
    except (ImportError, OSError) as error:
        needed = "play needs sounddevice and PortAudio: pip install 'vaebridge[audio]', Debian's libportaudio2"
        raise MidiFileError(f"{needed}; --wav FILE needs neither") from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # which importing may raise already: there is no name for it
            raise
        raise MidiFileError(f"the sound card does not play: {error}; --wav FILE needs none") from error
