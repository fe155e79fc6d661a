"""Decoding beside @magenta/music in plain Node.js, from the same random checkpoints, in the same run.

`python -m tests.benchmarks.magenta_js FOLDER [--seconds S]`; FOLDER is one where npm has installed what
tests/magenta/package.json names.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.magenta.importing import import_checkpoint
from engine.requests import Decode
from engine.verbs.generator import Generator
from engine.weights import Library, write_weights
from tests.magenta.published import SHAPES, write_published

SIZES = {
    "cat-mel_2bar_small": replace(SHAPES["melody"], encoder=(512,), decoder=(256,) * 2, z=256),
    "cat-mel_2bar_big": replace(SHAPES["melody"], encoder=(8,), decoder=(2048,) * 3, z=512),
    "hier-mel_16bar": replace(
        SHAPES["melody of 16 bars"], encoder=(8, 8), decoder=(1024,) * 2, conductor=(1024,) * 2, z=512
    ),
}
"""The decoders of the published configurations; the large ones' encoders, which are not measured, are small."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """The median seconds of one decoding at no temperature; chained is how published hierarchies run."""

    name: str
    javascript: float
    chained: float
    parallel: float = float("nan")


def measure(installed: Path, seconds: float = 10.0) -> list[Decoding]:
    """A row for each configuration."""
    with tempfile.TemporaryDirectory() as folder:
        return [_measure(name, Path(folder) / name, installed, seconds) for name in SIZES]


def _measure(name: str, folder: Path, installed: Path, seconds: float) -> Decoding:
    shape = SIZES[name]
    write_published(folder, "melody of 16 bars" if shape.conductor else "melody", **_sizes(name))
    card = import_checkpoint(folder, name="chained", out=folder)
    z = torch.randn(1, shape.z)
    ours = {"chained": _ours(folder, "chained", z, seconds)}
    if shape.conductor:
        tensors = Library([folder]).tensors("chained")
        write_weights(folder, tensors, replace(card, name="parallel", chained=False))
        ours["parallel"] = _ours(folder, "parallel", z, seconds)
    return Decoding(name, javascript=_theirs(installed, folder, z, seconds), **ours)


def _sizes(name: str) -> dict[str, object]:
    shape = SIZES[name]
    sizes: dict[str, object] = {"encoder": shape.encoder, "decoder": shape.decoder, "z": shape.z, "spread": 0.1}
    return sizes | ({"conductor": shape.conductor} if shape.conductor else {})


def _ours(folder: Path, name: str, z: torch.Tensor, seconds: float) -> float:
    """After a first decoding."""
    generator, taken = Generator(Library([folder]), device="cpu"), list[float]()
    request = Decode(z=tuple(z[0].tolist()), temperature=0.0, model=name)
    generator.run(request)
    until = time.perf_counter() + seconds
    while not taken or time.perf_counter() < until:
        taken.append(generator.run(request).ms / 1000)
    return statistics.median(taken)


def _theirs(installed: Path, folder: Path, z: torch.Tensor, seconds: float) -> float:
    script = Path(__file__).parents[1] / "magenta" / "magenta.js"
    question = json.dumps({"folder": str(folder), "z": z.tolist(), "seconds": seconds})
    command = ["node", str(script), str(installed.resolve())]
    told = subprocess.run(command, input=question, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(told.stdout)["seconds"])


def table(rows: list[Decoding]) -> str:
    """Rows as text, with how often ours fits into theirs."""
    lines = [f"{'ms':22}{'javascript':>12}{'chained':>10}{'':>8}{'parallel':>10}{'':>8}"]
    for row in rows:
        each = ((1000 * seconds, row.javascript / seconds) for seconds in (row.chained, row.parallel))
        cells = "".join(f"{ms:10.1f}{ratio:7.1f}×" if ms == ms else "" for ms, ratio in each)
        lines.append(f"{row.name:22}{1000 * row.javascript:12.1f}{cells}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("installed", type=Path, help="the folder that holds node_modules")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is run")
    asked = parser.parse_args()
    sys.stdout.write(table(measure(asked.installed, asked.seconds)))


if __name__ == "__main__":
    main()
