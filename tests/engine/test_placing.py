"""Where models run, and what a GPU that fails changes. `cpu:0` stands for the GPU: torch takes it for the CPU."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.devices import RUNS, Devices
from engine.errors import GpuFailedError
from engine.placing import gpu_failures
from engine.requests import Sample
from engine.verbs.generator import Generator
from engine.verbs.groove_verbs import Player
from engine.weights import Library, shipped_folder

GPU, CPU = torch.device("cpu:0"), torch.device("cpu")
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
BROKEN = getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: an illegal memory access\n...")


@pytest.fixture
def generator() -> Generator:
    """Two models on the pretended GPU."""
    generator = Generator(Library([shipped_folder()]), device=str(GPU))
    generator.load("melody_2bar")
    generator.load("drummer")
    return generator


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What the drummer raises the next times that it plays, the last first."""
    asking, failures = Player.asking, list[Exception]()

    def fail_or_ask(self: Player, request: Any) -> Any:
        if failures:
            raise failures.pop()
        return asking(self, request)

    monkeypatch.setattr(Player, "asking", fail_or_ask)
    return failures


def devices_of(generator: Generator) -> dict[str, torch.device]:
    return {name: generator.resident(name).device for name in generator.loaded}


def ticks(slow: slice) -> Iterator[float]:
    """A clock: the runs in the slice take a second, the others a millisecond."""
    seconds = (1.0 if run in range(2 * RUNS)[slow] else 0.001 for run in itertools.count())
    return itertools.chain.from_iterable((now, now + took) for now, took in zip(itertools.count(0, 10), seconds))


@pytest.mark.parametrize(("slow", "chosen"), [(slice(RUNS), GPU), (slice(RUNS, None), CPU)])
def test_auto_is_where_the_models_own_verbs_are_fastest(tmp_path: Path, slow: slice, chosen: torch.device) -> None:
    clock = ticks(slow)
    devices = Devices([str(GPU)], "here", tmp_path / "devices.toml", clock=lambda: next(clock))
    generator = Generator(Library([shipped_folder()]), devices=devices)
    assert generator.device == GPU
    generator.load("drummer")
    assert generator.device == generator.resident("drummer").device == chosen
    assert devices.measured()[0].model == "drummer"


def test_a_full_gpu_is_tried_once_more(generator: Generator, fails: list[Exception]) -> None:
    fails[:] = [FULL]
    assert not generator.run(Sample(seed=3)).remarks
    assert not generator.problems
    assert generator.device == GPU


def test_where_the_gpu_stays_full_the_model_goes_to_the_cpu_alone(
    generator: Generator, fails: list[Exception]
) -> None:
    fails[:] = [FULL, FULL]
    results = generator.run(Sample(seed=3))
    assert results.clips
    assert (
        results.remarks
        == tuple(generator.problems)
        == ("the GPU is out of memory: drummer on the CPU from now on",)
    )
    assert devices_of(generator) == {"drummer": CPU, "melody_2bar": GPU}


def test_a_gpu_that_breaks_is_left_and_the_request_is_answered(
    generator: Generator, fails: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    before = generator.run(Sample(seed=3))
    fails[:] = [BROKEN]
    results = generator.run(Sample(seed=3))
    told = "the GPU has failed (CUDA error: an illegal memory access): drummer, melody_2bar on the CPU from now on"
    assert [clip.notes for clip in results.clips] == [clip.notes for clip in before.clips]
    assert results.remarks == tuple(generator.problems) == (told,)
    assert told in caplog.text
    assert devices_of(generator) == {"drummer": CPU, "melody_2bar": CPU}
    assert generator.loaded == ("drummer", "melody_2bar")
    generator.load("drums_2bar")
    assert generator.device == CPU
    assert not generator.run(Sample(seed=3, model="drummer")).remarks


def test_what_fails_again_and_again_is_given_up(generator: Generator, fails: list[Exception]) -> None:
    fails[:] = [BROKEN] * 5
    with pytest.raises(GpuFailedError):
        generator.run(Sample(seed=3))


@pytest.mark.parametrize("error", [FULL, BROKEN, RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling x")])
def test_what_torch_says_of_a_gpu_that_fails_is_one_error(error: Exception) -> None:
    with pytest.raises(GpuFailedError) as caught, gpu_failures():
        raise error
    assert caught.value.out_of_memory == (error is FULL)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("CUDA error")])
def test_any_other_error_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, gpu_failures():
        raise error
    assert caught.value is error
