"""play: a MIDI file on the sound card."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.desk import Desk
from engine.errors import MidiFileError

NEEDED = "play needs sounddevice and PortAudio: pip install 'vaebridge[audio]', Debian's libportaudio2"


def play(desk: Desk, source: Annotated[Path, typer.Argument(help="the MIDI file", show_default=False)]) -> None:
    """Let a MIDI file be heard on the default sound card, or, with --wav, write it as sound."""
    from bridge.cli.show import warn
    from engine.audio.render import RATE
    from engine.midi.files import read_midi

    midi = read_midi(source)
    warn(f"{source}: {fault}" for fault in midi.faults)
    if desk.wav is not None:
        desk.write_sound(midi, desk.wav)
        return
    samples = desk.sound(midi)
    try:
        import sounddevice

        sounddevice.play(samples, RATE, blocking=True)
    except (ImportError, OSError) as error:
        raise MidiFileError(f"{NEEDED}; --wav FILE needs neither") from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # which importing may raise already: there is no name for it
            raise
        raise MidiFileError(f"the sound card does not play: {error}; --wav FILE needs none") from error
