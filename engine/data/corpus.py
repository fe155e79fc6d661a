"""Drum performances in a zip or folder of MIDI files, with the official splits where there is an info.csv.

Knows the Groove MIDI Dataset's columns (Gillick et al. 2019) and takes any other folder of drum MIDI.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import mido
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.files import regular

SPLITS = ("train", "validation", "test")
NEEDED = "a zip or folder of .mid files is needed"


@dataclass(frozen=True, slots=True)
class Performance:
    """One performance: what was hit when, and how hard, in the order of time.

    start_beats, pitches 0..127 and velocities 1..127, each [hit].
    """

    name: str
    split: str
    style: str
    drummer: str
    tempo_bpm: float
    beats_per_bar: float
    start_beats: NDArray[np.float64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a corpus before it is read; tempo, style, drummer, meter and licence as listed, if they are."""

    name: str
    read: Callable[[], bytes]
    split: str
    style: str
    drummer: str
    tempo_bpm: float | None
    beats_per_bar: float | None
    licence: str = ""


def find_corpus(path: Path) -> Path:
    """The path itself, or the Groove MIDI Dataset's zip in that folder."""
    if path.is_dir() and not (path / "info.csv").exists():
        zips = sorted(path.glob("groove*.zip"))
        return zips[0] if zips else path
    return path


def read_corpus(path: Path) -> list[Performance]:
    """Every performance of a zip or folder that holds drums; DataError if there is none."""
    path = find_corpus(path)
    read = (_read_performance(source) for source in list_sources(path))
    performances = [performance for performance in read if performance is not None]
    if not performances:
        raise DataError(f"{path} holds no drum performance: {NEEDED}")
    return performances


def list_sources(path: Path) -> Iterator[Source]:
    """The MIDI files of a zip or folder: those that its info.csv lists, else all."""
    if not path.exists():
        raise DataError(f"there is no data at {path}: {NEEDED}")
    try:
        files = _zip_files(path) if path.is_file() else _folder_files(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no zip file: {NEEDED}") from error
    tables = [name for name in files if PurePosixPath(name).name == "info.csv"]
    if tables:
        yield from _listed(files, tables[0])
    else:
        yield from _unlisted(files)


def _zip_files(path: Path) -> dict[str, Callable[[], bytes]]:
    archive = zipfile.ZipFile(path)
    return {name: (lambda name=name: archive.read(name)) for name in sorted(archive.namelist())}  # type: ignore[misc]


def _folder_files(path: Path) -> dict[str, Callable[[], bytes]]:
    paths = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in (".mid", ".midi", ".csv"))
    return {file.relative_to(path).as_posix(): partial(_read_regular, file) for file in paths}


def _read_regular(path: Path) -> bytes:
    return regular(path).read_bytes()


def _listed(files: dict[str, Callable[[], bytes]], table: str) -> Iterator[Source]:
    """The rows of an info.csv; the file's names are relative to its folder."""
    folder = PurePosixPath(table).parent
    try:
        text = files[table]().decode("utf-8")
    except (OSError, UnicodeError) as error:
        raise DataError(f"{table} cannot be read: {error}") from error
    for row in csv.DictReader(io.StringIO(text)):
        name = (folder / row["midi_filename"]).as_posix()
        if name in files:
            beats, unit = (row.get("time_signature") or "4-4").split("-")
            yield Source(
                name,
                files[name],
                row["split"],
                row.get("style", "").split("/")[0],
                row.get("drummer", ""),
                float(row["bpm"]) if row.get("bpm") else None,
                int(beats) * 4 / int(unit),
                row.get("licence") or "",
            )


def _unlisted(files: dict[str, Callable[[], bytes]]) -> Iterator[Source]:
    """Any MIDI files: a tenth each for validation and test, by a hash of the name."""
    for name, read in files.items():
        if name.lower().endswith((".mid", ".midi")):
            tenth = hashlib.sha256(name.encode()).digest()[0] % 10
            split = {0: "validation", 1: "test"}.get(tenth, "train")
            yield Source(name, read, split, "", "", None, None)


def _read_performance(source: Source) -> Performance | None:
    """The hits on channel 10 (of a file that uses one channel alone: on that), or None if there are none."""
    try:
        midi = mido.MidiFile(file=io.BytesIO(source.read()), clip=True)
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{source.name} is no readable MIDI file: {error}") from error
    tempo_bpm, beats_per_bar, hits = source.tempo_bpm, source.beats_per_bar, []
    for track in midi.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0:
                hits.append((tick / midi.ticks_per_beat, message.note, message.velocity, message.channel))
            elif message.type == "set_tempo" and tempo_bpm is None:
                tempo_bpm = mido.tempo2bpm(message.tempo)
            elif message.type == "time_signature" and beats_per_bar is None:
                beats_per_bar = message.numerator * 4 / message.denominator
    if len({channel for *_, channel in hits}) > 1:
        hits = [hit for hit in hits if hit[3] == 9]
    if not hits:
        return None
    start_beats, pitches, velocities, _ = (np.array(column) for column in zip(*sorted(hits), strict=True))
    return Performance(
        source.name,
        source.split,
        source.style,
        source.drummer,
        tempo_bpm or 120.0,
        beats_per_bar or 4.0,
        start_beats.astype(np.float64),
        pitches.astype(np.int64),
        velocities.astype(np.float64),
    )
