"""Writes checkpoints of random weights in the JavaScript format, small ones, for the original to read."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tensors = dict[str, Array]

MULTITRACK_ARGS = {
    "numSteps": 512,
    "numSegments": 8,
    "stepsPerQuarter": 24,
    "totalSteps": 96,
    "numVelocityBins": 8,
}
MELODY_ARGS = {"minPitch": 21, "maxPitch": 108}
LEVELS = ("encoder/hierarchical_level_0/cell_0/", "encoder/hierarchical_level_1/cell_0/")
DIRECTION = "bidirectional_rnn/{}/multi_rnn_cell/cell_0/lstm_cell/"


@dataclass(frozen=True)
class Shape:
    """A published network. outputs: what each of its decoders writes a step; read: what its encoder reads."""

    read: int
    outputs: tuple[int, ...]
    converter: str
    args: dict[str, Any]
    control: int = 0
    nade: int = 0
    encoder: tuple[int, ...] = (20,)
    decoder: tuple[int, ...] = (24, 24)
    conductor: tuple[int, ...] = ()
    z: int = 12
    spread: float = 0.7

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        spec = {"type": "MusicVAE", "dataConverter": {"type": self.converter, "args": self.args}}
        return spec | ({"chordEncoder": "TriadChordEncoder"} if self.control else {})


def _levels(**sizes: Any) -> dict[str, Any]:
    return {"encoder": (20, 16), "decoder": (24, 24), "conductor": (18, 18)} | sizes


def _trio(steps: int, **segments: int) -> dict[str, Any]:
    drums: dict[str, Any] = {}
    return {"numSteps": steps, "melArgs": MELODY_ARGS, "bassArgs": MELODY_ARGS, "drumsArgs": drums} | segments


SHAPES = {
    "melody": Shape(90, (90,), "MelodyConverter", {"numSteps": 32, **MELODY_ARGS}),
    "chords": Shape(90, (90,), "MelodyConverter", {"numSteps": 32, **MELODY_ARGS}, control=49),
    "drums": Shape(10, (512,), "DrumsConverter", {"numSteps": 32}),
    "one-hot drums": Shape(512, (512,), "DrumsOneHotConverter", {"numSteps": 32}),
    "nade": Shape(10, (9,), "DrumRollConverter", {"numSteps": 32}, nade=14),
    "groove": Shape(27, (27,), "GrooveConverter", {"numSteps": 32}),
    "melody of 16 bars": Shape(
        90, (90,), "MelodyConverter", {"numSteps": 256, "numSegments": 16, **MELODY_ARGS}, **_levels()
    ),
    "trio": Shape(692, (90, 90, 512), "TrioConverter", _trio(64, numSegments=4), **_levels()),
    "flat trio": Shape(692, (90, 90, 512), "TrioConverter", _trio(32)),
    "multitrack": Shape(490, (490,), "MultitrackConverter", MULTITRACK_ARGS, **_levels()),
    "multitrack chords": Shape(490, (490,), "MultitrackConverter", MULTITRACK_ARGS, control=49, **_levels()),
}


def random_tensors(shape: Shape, seed: int = 1) -> Tensors:
    """Weights so large that what is likeliest changes from step to step."""
    random = np.random.default_rng(seed)
    return {
        name: (random.standard_normal(size) * shape.spread).astype(np.float32)
        for name, size in sizes(shape).items()
    }


def sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by name, as Magenta names them."""
    return dict([*_encoder(shape), *_decoder(shape)])


Named = Iterator[tuple[str, tuple[int, ...]]]


def _encoder(shape: Shape) -> Named:
    reads = shape.read + shape.control
    prefixes: Iterable[str] = LEVELS if shape.conductor else ["encoder/cell_0/"]
    for prefix, hidden in zip(prefixes, shape.encoder, strict=True):
        for direction in ("fw", "bw"):
            yield from _lstm(prefix + DIRECTION.format(direction), reads, hidden)
        reads = 2 * hidden
    yield from _dense("encoder/mu/", reads, shape.z)


def _decoder(shape: Shape) -> Named:
    core, z = "", shape.z
    if shape.conductor:
        yield from _stack("decoder/hierarchical_level_0/", 1, shape.conductor)
        yield from _dense("decoder/hierarchical_level_0/initial_state/", z, 2 * sum(shape.conductor))
        core, z = "core_decoder/", shape.conductor[-1]
    many = len(shape.outputs) > 1
    for number, outputs in enumerate(shape.outputs):
        prefix = f"{core}core_decoder_{number}/decoder/" if many else f"{core}decoder/"
        yield from _stack(f"{prefix}multi_rnn_cell/", outputs + z + shape.control, shape.decoder)
        yield from _dense(f"{prefix}z_to_initial_state/", z, 2 * sum(shape.decoder))
        yield from _dense(f"{prefix}output_projection/", shape.decoder[-1], outputs + shape.nade)
        if shape.nade:
            yield f"{prefix}nade/w_enc", (outputs, 1, shape.nade)
            yield f"{prefix}nade/w_dec_t", (outputs, shape.nade, 1)


def _stack(prefix: str, reads: int, layers: tuple[int, ...]) -> Named:
    for number, hidden in enumerate(layers):
        yield from _lstm(f"{prefix}cell_{number}/lstm_cell/", reads, hidden)
        reads = hidden


def _lstm(prefix: str, reads: int, hidden: int) -> Named:
    yield f"{prefix}kernel", (reads + hidden, 4 * hidden)
    yield f"{prefix}bias", (4 * hidden,)


def _dense(prefix: str, reads: int, writes: int) -> Named:
    yield f"{prefix}kernel", (reads, writes)
    yield f"{prefix}bias", (writes,)


@dataclass
class Folder:
    """A checkpoint that is to be written: groups of tensors, and how each is stored."""

    tensors: Tensors
    config: dict[str, Any] | None
    quantised: str = ""
    shard_bytes: int = 1 << 22
    groups: int = 1
    manifest: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        """Write manifest, shards and config.json into a folder that is made."""
        path.mkdir(parents=True, exist_ok=True)
        names = sorted(self.tensors)
        for number in range(self.groups):
            self.manifest.append(self._write_group(path, number + 1, names[number :: self.groups]))
        (path / "weights_manifest.json").write_text(json.dumps(self.manifest))
        if self.config is not None:
            (path / "config.json").write_text(json.dumps(self.config))
        return path

    def _write_group(self, path: Path, number: int, names: Sequence[str]) -> dict[str, Any]:
        weights, content = [], b""
        for name in names:
            entry, stored = quantise(self.tensors[name], self.quantised)
            weights.append({"name": name, "shape": list(self.tensors[name].shape), "dtype": "float32"} | entry)
            content += stored.tobytes()
        count = math.ceil(len(content) / self.shard_bytes)
        paths = [f"group{number}-shard{shard + 1}of{count}" for shard in range(count)]
        for shard, file in enumerate(paths):
            (path / file).write_bytes(content[shard * self.shard_bytes : (shard + 1) * self.shard_bytes])
        return {"paths": paths, "weights": weights}


def quantise(tensor: Array, how: str) -> tuple[dict[str, Any], NDArray[Any]]:
    """What the manifest says of a tensor, and the numbers that are stored."""
    if not how:
        return {}, tensor.astype("<f4")
    if how == "float16":
        return {"quantization": {"dtype": how}}, tensor.astype("<f2")
    smallest, most = float(tensor.min()), {"uint8": 255, "uint16": 65535}[how]
    scale = (float(tensor.max()) - smallest) / most or 1.0
    stored = np.rint((tensor.astype(np.float64) - smallest) / scale).astype({"uint8": "u1", "uint16": "<u2"}[how])
    return {"quantization": {"dtype": how, "scale": scale, "min": smallest}}, stored


def write_published(path: Path, kind: str, *, seed: int = 1, quantised: str = "", **other: Any) -> Path:
    """A checkpoint of a kind in SHAPES; other sizes replace those of its shape."""
    shape = replace(SHAPES[kind], **other)
    return Folder(random_tensors(shape, seed), shape.config, quantised).write(path)
