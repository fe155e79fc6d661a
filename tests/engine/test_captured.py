"""Steps as they are captured for a GPU, here one by one on the CPU: the choices are those of the plain path."""

from typing import Any

import pytest
import torch

from engine.clip import Clip, Note
from engine.model import pattern, performer
from engine.model.captured import runner
from engine.requests import Drumify, Fill, Groove, Humanize, Request, Sample, Vary
from engine.verbs.generator import Generator
from engine.weights import Library, shipped_folder


@pytest.fixture(scope="module")
def generator() -> Generator:
    generator = Generator(Library([shipped_folder()]), device="cpu")
    generator.load("drummer")
    return generator


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Lets the drummer choose by captured steps; the sizes of its runs."""
    run, sizes = runner.Captured.run, list[tuple[Any, ...]]()

    def counted(self: runner.Captured, state: Any, inputs: Any) -> torch.Tensor:
        sizes.append((id(self), *inputs[0].shape[:2]))
        return run(self, state, inputs)

    monkeypatch.setattr(runner.Captured, "run", counted)
    for module in (pattern, performer):
        monkeypatch.setattr(module, "is_captured", lambda device: True)
    return sizes


def clip(bars: int) -> Clip:
    notes = (
        Note((36, 38, 42)[step % 3], step / 4 + 0.01 * (step % 4), 0.25, 60 + step % 50)
        for step in range(16 * bars)
    )
    return Clip(tuple(notes), 4.0 * bars)


REQUESTS: tuple[Request, ...] = (
    Sample(bars=2, seed=1),
    Sample(bars=9, seed=2, count=16, style="funk"),
    Humanize(clip=clip(2), seed=3, count=3),
    Humanize(clip=clip(12), seed=4, temperature=0.7),
    Humanize(clip=clip(4), seed=5, keep=(36, 38)),
    Drumify(clip=clip(2), seed=6),
    Fill(clip=clip(2), seed=7),
    Groove(clip=clip(2), feel=clip(4), seed=8),
    Vary(clip=clip(2), seed=9, count=2),
    Humanize(clip=clip(1), seed=10, count=16),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_captured_steps_choose_what_plain_ones_choose(
    generator: Generator, request_: Request, captured: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_graph = generator.run(request_)
    assert captured
    for module in (pattern, performer):
        monkeypatch.setattr(module, "is_captured", lambda device: False)
    assert [each.notes for each in by_graph.clips] == [each.notes for each in generator.run(request_).clips]


def test_what_is_nearly_as_large_uses_the_same_capture(
    generator: Generator, captured: list[tuple[Any, ...]]
) -> None:
    for bars, count in ((1, 1), (2, 3), (3, 16)):
        generator.run(Humanize(clip=clip(bars), seed=1, count=count))
    assert len({which for which, *_ in captured}) == 1
    generator.run(Humanize(clip=clip(4), seed=1))
    assert len({which for which, *_ in captured}) == 2


def test_captures_are_few(generator: Generator, captured: list[tuple[Any, ...]]) -> None:
    kept = runner.Kept()
    network, made = torch.nn.LSTM(2, 2), list[int]()

    class Nothing:
        inputs = state = ()
        choices = torch.zeros(runner.STEPS, 1, 1)

        def step(self, index: int) -> None:
            pass

    def steps_of(size: int) -> Nothing:
        made.append(size)
        return Nothing()

    for size in (*range(runner.MOST_KEPT), 0, runner.MOST_KEPT, 0, 1):
        kept.get(network, size, lambda size=size: steps_of(size))
    assert made == [*range(runner.MOST_KEPT + 1), 1]
    with torch.no_grad():
        network.weight_ih_l0.zero_()
    kept.get(network, 0, lambda: steps_of(0))
    assert made[-1] == 0


@pytest.mark.parametrize(("count", "size"), [(1, 64), (64, 64), (65, 128), (129, 256)])
def test_sizes_are_powers_of_two(count: int, size: int) -> None:
    assert runner.bucket(count) == size


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_chooses_what_its_steps_choose(generator: Generator) -> None:
    on_gpu = Generator(Library([shipped_folder()]), device="cuda")
    on_gpu.load("drummer")
    for request in REQUESTS:
        assert on_gpu.run(request).clips == on_gpu.run(request).clips
