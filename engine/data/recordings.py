"""Sound to learn from: the files of folders, and what free MIDI sounds like when it is rendered.

A folder that holds files of sound is read as that; any other corpus is MIDI, which listing.py lists.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from engine.audio.files import RATE, SUFFIXES, Samples, libraries, read_sound
from engine.audio.render import render
from engine.audio.spectrogram import LOUDNESS, loudness_of
from engine.data.listing import Source, find_corpus, list_sources, split_of
from engine.data.songs import UNREADABLE
from engine.errors import DataError
from engine.midi.events import parse_midi

_log = logging.getLogger(__name__)

RENDERED_SECONDS, RENDERED_PIECES = 32.0, 128
"""Of each piece so many seconds are rendered, and of each split of a corpus so many pieces, evenly spread."""

LONGEST_SECONDS = 300.0
"""Of each file of sound so much is read, its end."""

NEEDED = "a folder of sound (WAV, FLAC, Ogg, MP3), or a zip or folder of .mid files, is needed"


@dataclass(frozen=True, slots=True)
class Recording:
    """One piece, brought to LOUDNESS."""

    name: str
    samples: Samples


def read_recordings(data: Sequence[Path], split: str, *, without_licence: str = "") -> Iterator[Recording]:
    """The pieces of corpora that are of a split; what cannot be read, or is silent, is left out and named.

    without_licence: MIDI that is listed with a licence of this beginning is left out. AudioError where there is
    sound and nothing to read it with.
    """
    for path in map(find_corpus, data):
        for name, read in _pieces(path, split, without_licence):
            try:
                samples = read()
            except UNREADABLE as error:
                _log.warning("left out: %s: %s", name, error or type(error).__name__)
                continue
            if loudness := loudness_of(samples):
                yield Recording(name, samples * np.float32(LOUDNESS / loudness))
            else:
                _log.warning("left out: %s: it is silent", name)


def _pieces(path: Path, split: str, without_licence: str) -> list[tuple[str, Callable[[], Samples]]]:
    """The name of each piece, and what reads it."""
    if not path.exists():
        raise DataError(f"there is no data at {path}: {NEEDED}")
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is one file of sound: {NEEDED}")
    sounds = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES) if path.is_dir() else []
    if sounds:
        libraries()  # where they are not there that is told once, not of each file
        named = ((each.relative_to(path).as_posix(), each) for each in sounds)
        return [(name, partial(_end_of, each)) for name, each in named if split_of(name) == split]
    listed = [
        each
        for each in list_sources(path)
        if each.split == split and not (without_licence and each.licence.startswith(without_licence))
    ]
    return [(each.name, partial(_rendered, each)) for each in listed[:: -(-len(listed) // RENDERED_PIECES) or 1]]


def _end_of(path: Path) -> Samples:
    return read_sound(path, last_seconds=LONGEST_SECONDS).samples


def _rendered(source: Source) -> Samples:
    heard = render(parse_midi(source.read()), rate=RATE, first_seconds=RENDERED_SECONDS)
    return np.asarray(heard.mean(axis=1), np.float32)
