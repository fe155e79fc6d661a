"""Sound on disk: read as one side at the rate of models, written as samples of 16 bits.

soundfile and soxr, the extra `audio`, are imported when a file is opened, not before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import AudioError
from engine.files import regular, replacing

RATE = 24_000
"""Samples a second that models of sound hear and make."""

Samples = NDArray[np.float32]
"""One side, -1..1 at RATE, [sample]."""

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
"""Names of files of sound; what libsndfile reads besides is read as well."""

ACCEPTED = "a WAV, FLAC, AIFF, Ogg or MP3 file of any rate and any number of sides"
NEEDED = "files of sound need soundfile and soxr: pip install 'vaebridge[audio]'"
BLOCK_SECONDS = 10
HIGHEST_RATE = 768_000
UNKNOWN_BYTES = 0x7FFF_0000
"""What comes through a pipe says that it has so many, or more."""

LIMIT = 0.999
"""What is as loud has met a limit."""


def is_sound(path: Path) -> bool:
    """Whether a file is sound, by its first bytes, else by its name; a file that is not there is by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        head = b""
    if head[:4] == b"MThd" or head[8:12] == b"RMID":
        return False
    return head[8:12] in (b"WAVE", b"AIFF") or head[:4] in (b"fLaC", b"OggS") or path.suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True)
class Sound:
    """A file, or its end, as one side. rate: its samples a second; clipped: the share that are at the limit.

    truncated: whether the file is shorter than its first bytes say, which WAV and AIFF do.
    """

    samples: Samples
    rate: int
    clipped: float
    truncated: bool


def read_sound(path: Path, *, last_seconds: float | None = None) -> Sound:
    """All of a file, or its end; AudioError where it cannot be read, or is empty."""
    soundfile, soxr = libraries()
    with _opened(soundfile, path) as file:
        if last_seconds is not None:
            file.seek(max(0, file.frames - int(last_seconds * file.samplerate)))
        sides = file.read(dtype="float32", always_2d=True)
        rate = file.samplerate
    if not len(sides):
        raise AudioError(f"{path} holds no sound: it has no samples")
    _check_finite(sides, path)
    samples = soxr.resample(sides.mean(axis=1), rate, RATE)
    return Sound(samples, rate, float((np.abs(sides) >= LIMIT).mean()), _is_truncated(path))


def _is_truncated(path: Path) -> bool:
    with path.open("rb") as file:
        kind, size = file.read(4), file.read(4)
    if kind not in (b"RIFF", b"FORM"):
        return False
    told = int.from_bytes(size, "little" if kind == b"RIFF" else "big")
    return told < UNKNOWN_BYTES and path.stat().st_size + 1 < told + 8  # + 1: the padding is often left out


def blocks_of(path: Path) -> Iterator[Samples]:
    """All of a file block by block, so that an hour takes no more memory than a second."""
    soundfile, soxr = libraries()
    with _opened(soundfile, path) as file:
        stream = soxr.ResampleStream(file.samplerate, RATE, 1, dtype="float32")
        while len(sides := file.read(BLOCK_SECONDS * file.samplerate, dtype="float32", always_2d=True)):
            _check_finite(sides, path)
            yield stream.resample_chunk(sides.mean(axis=1))
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _check_finite(sides: NDArray[np.float32], path: Path) -> None:
    if not np.isfinite(sides).all():
        raise AudioError(f"{path} holds samples that are no finite numbers")


@contextmanager
def _opened(soundfile: Any, path: Path) -> Iterator[Any]:
    try:
        with soundfile.SoundFile(regular(path)) as file:
            if file.samplerate > HIGHEST_RATE:
                raise AudioError(f"{path} has {file.samplerate} samples a second; up to {HIGHEST_RATE} can be read")
            yield file
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} is no sound that can be read ({error.error_string}): it takes {ACCEPTED}"
        ) from error


def write_sound(blocks: Iterator[Samples], path: Path) -> None:
    """Write blocks as a file of the kind that its name says, whole or not at all; AudioError where that fails."""
    soundfile, _ = libraries()
    kind = path.suffix.lower().removeprefix(".").upper()
    if kind not in soundfile.available_formats():
        raise AudioError(f"{path} names no kind of sound that can be written: take .wav, .flac or .ogg")
    try:
        if path.exists():
            regular(path)  # a pipe waits for a reader without end
        with replacing(path) as beside:
            beside.touch()  # says why where it cannot be: soundfile does not
            with soundfile.SoundFile(beside, "w", RATE, 1, format=kind) as file:
                for block in blocks:
                    file.write(np.clip(block, -1, 1))
    except OSError as error:
        raise AudioError(f"{path} cannot be written: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} cannot be written: {error.error_string}") from error


def libraries() -> tuple[Any, Any]:
    """soundfile and soxr; AudioError, with what to install, where they are not there."""
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as error:  # OSError: libsndfile is not there
        raise AudioError(NEEDED) from error
    return soundfile, soxr
