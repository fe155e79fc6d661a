"""MIDI files on disk: read whole, written whole or not at all."""

from pathlib import Path

from engine.errors import MidiFileError
from engine.files import replacing
from engine.midi.events import HEADER, RIFF, MidiBytes, format_midi, parse_midi

MOST_BYTES = 2**30
"""More than any song has; a pipe may have no end."""


def read_midi(path: Path) -> MidiBytes:
    """The events of a file; MidiFileError where it cannot be read."""
    try:
        return parse_midi(_read(path))
    except OSError as error:
        raise MidiFileError(f"{path} cannot be read: {error.strerror}") from error
    except MidiFileError as error:
        raise MidiFileError(f"{path} cannot be played: {error}") from error


def save_midi(midi: MidiBytes, path: Path) -> None:
    """Write a file whole or not at all: beside its place first, then into it."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise MidiFileError(f"{path} is no file that could be written over")
    try:
        with replacing(path) as beside:
            beside.write_bytes(format_midi(midi))
    except OSError as error:
        raise MidiFileError(f"{path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> bytes:
    """The bytes of a file or a pipe; what does not begin as MIDI does is not read on: it might have no end."""
    with path.open("rb") as file:
        content = file.read(len(HEADER))
        if content in (HEADER, RIFF):
            content += file.read(MOST_BYTES)
        if len(content) > MOST_BYTES:
            raise MidiFileError(f"it has more than {MOST_BYTES >> 20} MiB")
    return content
