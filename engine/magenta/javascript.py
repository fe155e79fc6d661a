"""The JavaScript format of published checkpoints: weights_manifest.json, its shards, and config.json beside them.

A manifest is a list of groups; the bytes of a group's files, one after the other, are those of its weights, in
little endian, some quantised. Source: TensorFlow.js 2.8, tfjs-core's io_utils and weights_loader. Nothing that a
checkpoint says is trusted: no file outside its folder is read, and none before its size is what the manifest says.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import WeightsError
from engine.files import regular
from engine.magenta.checkpoint import Checkpoint

MANIFEST = "weights_manifest.json"
CONFIG = "config.json"

MOST_WEIGHTS = 1 << 29
"""How many numbers a checkpoint may hold; the largest published one, a trio of 1.7 GB, has 4.3e8."""
MOST_AXES = 8
MOST_JSON_BYTES = 1 << 24
LARGEST = float(np.finfo(np.float32).max)

_STORED = {"float32": "<f4", "int32": "<i4", "float16": "<f2", "uint8": "u1", "uint16": "<u2"}
_DTYPES = ("float32", "int32")
_QUANTISED = ("uint8", "uint16", "float16")


@dataclass(frozen=True, slots=True)
class _Weight:
    """One tensor as the manifest describes it: number = stored · scale + smallest."""

    name: str
    shape: tuple[int, ...]
    stored: str
    scale: float = 1.0
    smallest: float = 0.0
    whole: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def length(self) -> int:
        return self.size * np.dtype(_STORED[self.stored]).itemsize

    def read(self, content: bytes, first: int) -> NDArray[np.float32]:
        """The numbers from byte `first` on; what is quantised is scaled in double precision, as JavaScript does."""
        stored = np.frombuffer(content, _STORED[self.stored], self.size, first).reshape(self.shape)
        if self.stored in ("uint8", "uint16"):
            scaled = stored * np.float64(self.scale) + self.smallest
            stored = np.floor(scaled + 0.5) if self.whole else scaled
        with np.errstate(over="ignore"):  # what becomes infinite is refused with its name
            return stored.astype(np.float32)


def read_javascript(folder: Path) -> Checkpoint:
    """The tensors of the folder's manifest by name, and what its config.json says, or a WeightsError."""
    groups = _read_json(folder / MANIFEST)
    if not isinstance(groups, list) or not groups:
        raise WeightsError(f"{folder / MANIFEST} is no list of groups of weights")
    parsed = [_parse_group(folder, group) for group in groups]
    names = Counter(weight.name for weights, _ in parsed for weight in weights)
    for name in (name for name, times in names.items() if times > 1):
        raise WeightsError(f"{folder / MANIFEST} holds the tensor {name} twice")
    if sum(weight.size for weights, _ in parsed for weight in weights) > MOST_WEIGHTS:
        raise WeightsError(f"{folder / MANIFEST} describes more than {MOST_WEIGHTS} weights")
    tensors = {name: tensor for weights, paths in parsed for name, tensor in _read_group(weights, paths)}
    return Checkpoint(tensors, _read_facts(folder / CONFIG))


def _read_facts(path: Path) -> dict[str, Any]:
    """What config.json says; nothing if there is none."""
    if not path.exists():
        return {}
    facts = _read_json(path)
    if not isinstance(facts, dict):
        raise WeightsError(f"{path} is no configuration: an object is needed")
    return facts


def _read_json(path: Path) -> Any:
    _check_inside(path.parent, path)
    try:
        with regular(path).open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
        if len(content) > MOST_JSON_BYTES:
            raise WeightsError(f"{path} is longer than {MOST_JSON_BYTES} bytes")
        return json.loads(content)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is no JSON: {error}") from error


def _parse_group(folder: Path, group: Any) -> tuple[list[_Weight], list[Path]]:
    """The weights of a group and its files, checked before any of them is read."""
    manifest = folder / MANIFEST
    match group:
        case {"weights": [*weights], "paths": [*paths]}:
            return [_parse_weight(manifest, each) for each in weights], [
                _parse_path(folder, each) for each in paths
            ]
    raise WeightsError(f"{manifest}: a group needs a list of weights and a list of paths")


def _parse_path(folder: Path, path: Any) -> Path:
    if not isinstance(path, str) or not path or "\\" in path or ":" in path or "\0" in path:
        raise WeightsError(f"{folder / MANIFEST}: a path must name a file of the folder, not {_brief(path)}")
    _check_inside(folder, folder / path)
    return folder / path


def _check_inside(folder: Path, path: Path) -> None:
    """No path leaves the checkpoint's folder, not through a link either, and each leads to a file."""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not resolved.is_relative_to(folder.resolve()):
        raise WeightsError(f"{path} leads out of the checkpoint's folder")
    if not resolved.is_file():
        raise WeightsError(f"{path} is no file, and the checkpoint needs it")


def _parse_weight(manifest: Path, weight: Any) -> _Weight:
    if not isinstance(weight, dict) or not isinstance(name := weight.get("name"), str):
        raise WeightsError(f"{manifest}: a weight needs a name")
    shape, dtype, quantised = weight.get("shape"), weight.get("dtype"), weight.get("quantization")
    if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_is_size, shape)):
        raise WeightsError(f"the tensor {name} must have a shape of positive whole numbers, not {_brief(shape)}")
    if dtype not in _DTYPES:
        raise WeightsError(f"the tensor {name} must be float32 or int32, not {_brief(dtype)}")
    if quantised is None:
        return _Weight(name, tuple(shape), dtype)
    match quantised:
        case {"dtype": "float16"} if dtype == "float32":
            return _Weight(name, tuple(shape), "float16")
        case {"dtype": "uint8" | "uint16" as stored, "scale": scale, "min": smallest}:
            _check_finite(name, scale, smallest)
            return _Weight(name, tuple(shape), stored, float(scale), float(smallest), dtype == "int32")
    raise WeightsError(
        f"the tensor {name} must be quantised as one of {', '.join(_QUANTISED)}, the first two with a scale and a "
        f"min, not {_brief(quantised)}"
    )


def _brief(value: Any) -> str:
    """A value of a manifest, shortened for an error message."""
    return repr(value)[:80] if not isinstance(value, int) or abs(value) < 1 << 64 else "a huge number"


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 < size <= MOST_WEIGHTS


def _check_finite(name: str, *numbers: Any) -> None:
    for number in numbers:
        if type(number) not in (int, float) or not abs(number) <= LARGEST:
            raise WeightsError(f"the tensor {name} must be quantised with finite numbers, not {_brief(number)}")


def _read_group(weights: list[_Weight], paths: list[Path]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The tensors of a group by name, once its files are as long as the weights need."""
    try:
        _check_length(weights, paths)
        content = b"".join(path.read_bytes() for path in paths)
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read: {error.strerror}") from error
    first = 0
    for weight in weights:
        yield weight.name, weight.read(content, first)
        first += weight.length


def _check_length(weights: list[_Weight], paths: list[Path]) -> None:
    files, there = ", ".join(path.name for path in paths), sum(path.stat().st_size for path in paths)
    ends = list(accumulate(weight.length for weight in weights))
    cut = next((weight for weight, end in zip(weights, ends, strict=True) if end > there), None)
    if cut:
        raise WeightsError(
            f"the tensor {cut.name} is cut off: {files or 'no file'} of {there} bytes for tensors of {ends[-1]}"
        )
    if there > sum(ends[-1:]):
        raise WeightsError(f"{files}: there are {there} bytes where the manifest's tensors need {sum(ends[-1:])}")
