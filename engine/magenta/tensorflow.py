"""TensorFlow checkpoints (PREFIX.index, PREFIX.data-…, or a .tar of them), read without TensorFlow.

Format: TensorFlow's core/util/tensor_bundle/tensor_bundle.h: the index is a sorted table of the tensors' names and
BundleEntryProto (core/protobuf/tensor_bundle.proto), whose bytes lie in the shards, little end first. Nothing in
it is run or unpickled.
"""

import gzip
import math
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError
from engine.magenta.checkpoint import Checkpoint
from engine.magenta.sorted_table import check_crc32c, fields, read_table

# core/framework/types.proto: DT_FLOAT, DT_DOUBLE, DT_BFLOAT16, DT_HALF; DT_STRING; DT_INT32, DT_INT64.
TYPES = {1: "<f4", 2: "<f8", 14: "<u2", 19: "<f2"}
BFLOAT16, STRING, WHOLE_NUMBERS = 14, 7, (3, 9)

# What training keeps beside the weights: its step, Adam's moments and powers, averages of weights.
NO_WEIGHT = re.compile(r"(^|/)(global_step|beta[12]_power(_\d+)?|Adam(_\d+)?|ExponentialMovingAverage)$")

PART = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
MOST_DIMENSIONS, MOST_ROWS = 8, 1 << 31
MOST_INDEX_BYTES = 1 << 24
MOST_TAR_BYTES, MOST_TAR_FILES = 1 << 33, 1_000
SIP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor lies: BundleEntryProto. offset and size count bytes of its shard; crc is masked."""

    name: str
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def read_tensorflow(path: Path) -> Checkpoint:
    """The weights of a checkpoint; path is its prefix, one of its files, its folder or a .tar, .tar.gz or .tgz.

    Of several in a folder it is the one that the file named checkpoint names, else the one of the highest step.
    """
    try:
        if path.is_dir():
            prefix = _prefix_in(path, path)
            return _read_bundle(prefix, prefix)
        if path.is_file() and not PART.search(path.name):
            with _unpacked(path) as folder:
                prefix = _prefix_in(folder, path)
                return _read_bundle(prefix, path / prefix.name)
        prefix = path.with_name(PART.sub("", path.name))
        return _read_bundle(prefix, prefix)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error


def _prefix_in(folder: Path, shown: Path) -> Path:
    prefixes = [index.with_suffix("") for index in folder.glob("*.index")]
    if not prefixes:
        raise WeightsError(f"{shown} holds no TensorFlow checkpoint: no .index file is in it")
    newest = folder / _newest(folder / "checkpoint")
    return newest if newest in prefixes else max(prefixes, key=_step)


def _newest(state: Path) -> str:
    """The name in the text file that TensorFlow keeps, without the folder, which was the trainer's."""
    if not state.is_file():
        return ""
    with state.open("rb") as file:
        text = file.read(SIP_BYTES).decode("utf-8", "replace")
    found = re.search(r'^model_checkpoint_path: "(.*)"', text, re.MULTILINE)
    return PurePosixPath(found[1]).name if found else ""


def _step(prefix: Path) -> tuple[int, str]:
    found = re.search(r"-(\d{1,18})$", prefix.name)
    return int(found[1]) if found else -1, prefix.name


def _read_bundle(prefix: Path, shown: Path) -> Checkpoint:
    """The tensors of one checkpoint; shown is where the user finds it."""
    index, name = prefix.with_name(f"{prefix.name}.index"), f"{shown}.index"
    if not index.is_file():
        raise WeightsError(
            f"{shown} is no TensorFlow checkpoint: give its prefix, its .index, its folder or a .tar of it"
        )
    with index.open("rb") as file:
        content = file.read(MOST_INDEX_BYTES + 1)
    if len(content) > MOST_INDEX_BYTES:
        raise WeightsError(f"{name} is larger than the index of any checkpoint")
    table = read_table(content, name)
    count = _count_shards(table.pop(b"", b""), name)
    shards: dict[int, list[Entry]] = {}
    for key, value in table.items():
        if entry := _entry(key, value, name):
            shards.setdefault(entry.shard, []).append(entry)
    tensors: dict[str, NDArray[np.float32]] = {}
    for number, entries in sorted(shards.items()):
        suffix = f".data-{number:05d}-of-{count:05d}"
        tensors |= _read_shard(prefix.with_name(prefix.name + suffix), entries, f"{shown}{suffix}")
    return Checkpoint(tensors)


def _count_shards(header: bytes, name: str) -> int:
    """How many files of data there are; BundleHeaderProto."""
    values = dict(fields(header, name))
    count = _whole(values, 1, name)
    if not 0 < count < 100_000:
        raise WeightsError(f"{name} is no index of a TensorFlow checkpoint: it names {count} files of data")
    if _whole(values, 2, name):
        raise WeightsError(f"{name} is of a machine that writes the big end first, which is not read here")
    return count


def _entry(key: bytes, value: bytes, index: str) -> Entry | None:
    """The entry of a weight, or None for what is none: a string, a lone whole number, what only training needs."""
    name = key.decode("utf-8", "replace")
    if NO_WEIGHT.search(name):
        return None
    where = f"the tensor {name} of {index}"
    values = dict(fields(value, where))
    if 7 in values:
        raise WeightsError(f"{where} was saved in slices, which are not read here")
    kind, shard, offset, size, crc = (_whole(values, number, where) for number in (1, 3, 4, 5, 6))
    shape = _shape(values.get(2, b""), where)
    if kind == STRING or (kind in WHOLE_NUMBERS and not shape):
        return None
    if kind not in TYPES:
        raise WeightsError(f"{where} is of TensorFlow's type {kind}; weights are floating point numbers")
    if size != math.prod(shape) * np.dtype(TYPES[kind]).itemsize:
        raise WeightsError(f"{where} is damaged: {size} bytes are no {shape}")
    return Entry(name, kind, shape, shard, offset, size, crc)


def _shape(content: int | bytes, where: str) -> tuple[int, ...]:
    """TensorShapeProto (core/framework/tensor_shape.proto)."""
    dimensions = [each for number, each in _inner(content, where) if number == 2]
    shape = tuple(_whole(dict(_inner(each, where)), 1, where) for each in dimensions)
    if len(shape) > MOST_DIMENSIONS or not all(0 < rows <= MOST_ROWS for rows in shape):
        raise WeightsError(f"{where} has no shape that weights have: {shape[:MOST_DIMENSIONS]}")
    return shape


def _inner(content: int | bytes, where: str) -> Iterator[tuple[int, int | bytes]]:
    if isinstance(content, int):
        raise WeightsError(f"{where} is damaged: a number stands for its shape")
    return fields(content, where)


def _whole(values: dict[int, int | bytes], number: int, where: str) -> int:
    """A field that is an int32, int64 or fixed32; 0 if it is not there."""
    value = values.get(number, 0)
    if isinstance(value, bytes):
        raise WeightsError(f"{where} is damaged: text stands for a number")
    return value - (1 << 64) if value >> 63 else value


def _read_shard(shard: Path, entries: list[Entry], shown: str) -> dict[str, NDArray[np.float32]]:
    """The tensors that a file of data holds, none of them over another, so that they take no more than it."""
    if not shard.is_file():
        raise WeightsError(f"the tensor {entries[0].name} lies in {shown}, which is missing")
    tensors, end, held = {}, 0, shard.stat().st_size
    with shard.open("rb") as file:
        for entry in sorted(entries, key=lambda entry: entry.offset):
            where = f"the tensor {entry.name} of {shown}"
            if not end <= entry.offset <= held - entry.size:
                raise WeightsError(
                    f"{where} is cut short or damaged: bytes of it lie outside the file or in another"
                )
            end = entry.offset + entry.size
            file.seek(entry.offset)
            content = file.read(entry.size)
            check_crc32c(content, entry.crc, where)
            tensors[entry.name] = _floats(content, entry, where)
    return tensors


def _floats(content: bytes, entry: Entry, where: str) -> NDArray[np.float32]:
    stored = np.frombuffer(content, TYPES[entry.kind])
    if entry.kind == BFLOAT16:
        stored = (stored.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        tensor = stored.astype(np.float32).reshape(entry.shape)
    if not np.isfinite(tensor).all():
        raise WeightsError(f"{where} holds a number that is not finite")
    return tensor


@contextmanager
def _unpacked(archive: Path) -> Iterator[Path]:
    """A folder for a while, with the checkpoints of a .tar."""
    with TemporaryDirectory() as folder:
        try:
            with _opened(archive) as file, tarfile.open(fileobj=cast(BinaryIO, _Sips(file)), mode="r:") as tar:
                _unpack(tar, archive, Path(folder))
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise WeightsError(
                f"{archive} is no TensorFlow checkpoint: neither an .index nor a .tar of one"
            ) from error
        yield Path(folder)


def _opened(archive: Path) -> BinaryIO:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(archive) if packed else archive.open("rb"))


class _Sips:
    """A file whose reads return at most a mebibyte: tarfile reads extended headers whole, of whatever size."""

    def __init__(self, file: BinaryIO):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, count: int) -> bytes:
        if not 0 <= count <= SIP_BYTES:
            raise tarfile.ReadError("a header that is larger than any")
        return self.file.read(count)


def _unpack(tar: tarfile.TarFile, archive: Path, folder: Path) -> None:
    total = 0
    for number, member in enumerate(tar):
        path = PureWindowsPath(member.name)  # knows every system's separators and drives
        if path.anchor or ".." in path.parts or not member.name.isprintable():
            raise WeightsError(f"{archive} holds the path {member.name!r}, which may lead out of it")
        total += member.size
        if number >= MOST_TAR_FILES or member.size < 0 or total > MOST_TAR_BYTES:
            raise WeightsError(
                f"{archive} is larger than any checkpoint: {MOST_TAR_FILES} files, {MOST_TAR_BYTES >> 30} GiB"
            )
        if not member.isdir():
            _unpack_file(tar, member, archive, folder / path.name)


def _unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, target: Path) -> None:
    """Write a file, if it is a part of a checkpoint; in which folder it was does not matter."""
    source = tar.extractfile(member) if member.isfile() and not member.issparse() else None
    if source is None:
        raise WeightsError(f"{archive} holds {member.name!r}, which is no plain file")
    if target.exists():
        raise WeightsError(f"{archive} holds {target.name} twice")
    if PART.search(target.name) or target.name == "checkpoint":
        with source, target.open("xb") as file:
            copyfileobj(source, file, SIP_BYTES)
