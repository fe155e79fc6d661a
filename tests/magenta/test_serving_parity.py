"""The whole way: a published checkpoint is imported by the command, served by a daemon, and asked over OSC."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.osc.remote import Remote
from engine.clip import Clip
from engine.requests import Decode, Encode, Interpolate, Sample
from tests.bridge.conftest import Daemon, launch
from tests.magenta.conftest import Original
from tests.magenta.music import clip_of
from tests.magenta.published import SHAPES, write_published
from tests.magenta.test_parity import DRUM_MAP, find_representation, placed, placed_there, points, rows

pytestmark = pytest.mark.node

KINDS = {"melody": "melody", "trio": "trio", "nade": "drums"}
"""What is published, and what its clips are."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write_published(tmp_path_factory.mktemp("published"), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def daemon(published: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("weights")
    for kind, path in published.items():
        command = ["-c", "from bridge.cli.main import main; main()", "weights", "import", path, "--name", kind]
        subprocess.run([sys.executable, *command, "--to", folder], check=True, timeout=120)
    daemon = launch(tmp_path_factory.mktemp("daemon"), weights=folder)
    daemon.wait_until_ready()
    yield daemon
    daemon.stop()


def heard_by(kind: str, clip: Clip) -> list[object]:
    """A clip as the original's encoder reads it."""
    tokens = find_representation(KINDS[kind]).clip_to_tokens(clip, DRUM_MAP).tokens
    return [rows(SHAPES[kind], tokens).tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_over_osc_an_imported_model_is_the_original(
    kind: str, published: dict[str, Path], daemon: Daemon, original: Original
) -> None:
    bars, z = SHAPES[kind].args["numSteps"] // 16, points(SHAPES[kind])
    clip, other = (clip_of(KINDS[kind], bars, seed) for seed in (5, 6))
    first, second = (original(folder=published[kind], heard=heard_by(kind, each)) for each in (clip, other))
    theirs = original(folder=published[kind], z=[*z.tolist(), *first["mu"], *second["mu"]], steps=4)["sequences"]
    with Remote("127.0.0.1", daemon.port, timeout_seconds=60) as remote:
        mu = remote.run(Encode(clip=clip, model=kind)).latent
        decoded = [remote.run(Decode(z=tuple(row), model=kind, temperature=0)).clips[0] for row in z.tolist()]
        way = remote.run(Interpolate(clips=(clip, other), steps=3, model=kind, temperature=0)).clips
        sampled = remote.run(Sample(model=kind, seed=1)).clips[0]
    assert np.allclose([mu], first["mu"], rtol=0, atol=1e-4)
    for ours, expected in zip([*decoded, way[0], way[-1]], theirs, strict=True):
        assert sorted(placed(ours)) == sorted(placed_there(expected, 4))
    assert sampled.bars == bars
    assert sampled.notes
