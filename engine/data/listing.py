"""The MIDI files of a zip or folder, with the official splits where there is an info.csv.

Knows the Groove MIDI Dataset's columns (Gillick et al. 2019) and takes any other folder of MIDI.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from engine.errors import DataError
from engine.files import regular

SPLITS = ("train", "validation", "test")
NEEDED = "a zip or folder of .mid files is needed"


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
            yield Source(name, read, split_of(name), "", "", None, None)


def split_of(name: str) -> str:
    """The split of a file that no list names."""
    tenth = hashlib.sha256(name.encode()).digest()[0] % 10
    return {0: "validation", 1: "test"}.get(tenth, "train")
