"""What each process of test_learning_peers.py does: it trains along, and prints a line of JSON of what came."""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from engine.learning import band_tasks, drawing
from engine.learning.curriculum import Course
from engine.learning.peers import Peers, peers
from engine.learning.training import Progress, Run, open_course, train
from engine.registry import Config, find_config
from tests.engine import test_band as bands
from tests.engine.learning import test_phrase_tasks as phrases

CPU = torch.device("cpu")


def gradient(together: Peers) -> Iterator[object]:
    """That of a mean over rows, of which each process has some."""
    torch.manual_seed(together.rank)
    model = torch.nn.Linear(3, 1)
    rows = torch.arange(24.0).reshape(8, 3).sin()
    own = rows[together.rank :: together.count]
    joined = together.joined(model)
    torch.autograd.backward(joined(lambda _: {"total": (model(own) ** 2).mean()}, 0)["total"])
    assert model.weight.grad is not None
    yield model.weight.tolist(), model.weight.grad.tolist()


def every_kind(together: Peers, corpus: str, out: str) -> Iterator[object]:
    """The weights after an epoch of each stage of a model of each kind."""
    drawing.FIRST_DRAWS, drawing.FIRST_STEPS, band_tasks.STEPS_PER_EPOCH = 2, 5, 20
    for config, open_small in _kinds(Path(corpus)):
        torch.manual_seed(1)
        config = replace(config, recipe=replace(config.recipe, batch=16))
        course = open_small(config)
        run = Run(config, course, Path(out), 1, 1, CPU, together)
        for stage in range(len(run.recipes)):
            run.stage = stage
            run._train_epoch(math.nan, lambda _: None)
        content = b"".join(value.numpy().tobytes() for value in run.model.state_dict().values())
        finite = all(bool(torch.isfinite(value).all()) for value in run.model.state_dict().values())
        yield config.name, finite, hashlib.sha256(content).hexdigest()


def _kinds(corpus: Path) -> Iterator[tuple[Config, Callable[[Config], Course]]]:
    """A configuration of each kind, and what opens it."""
    phrase_songs = [phrases.song(12), phrases.song(8, "validation")]
    verbs = replace(phrases.RECIPE, bars=(4,), tasks={"sample": 0.5, "drumify": 0.5}, epochs=1)
    third = replace(phrases.CONFIG, recipe=replace(phrases.RECIPE, second=phrases.RECIPE, third=verbs))
    yield third, lambda config: phrases.PhraseCourse(config, phrase_songs, CPU)
    verbs = replace(verbs, bars=(8,), tasks={"sample": 0.5, "accompany": 0.5}, batch=64)
    with_verbs = replace(bands.CONFIG, recipe=replace(bands.RECIPE, third=verbs))
    yield with_verbs, lambda config: bands.BandCourse(config, [bands.song(), bands.song("validation")], CPU)
    for name in ("drummer", "groovae_2bar_humanize", "drums_2bar"):
        yield find_config(name), lambda config: open_course(config, [corpus], CPU, 8)


def a_run(corpus: str, out: str, stops: str) -> Iterator[object]:
    """The card of a run of two epochs; stops: it ends with an error in the second."""

    def follow(now: Progress) -> None:
        if stops == "stops" and now.epoch > 1:
            raise SystemExit("the plug is pulled")

    card = train("drummer", data=[Path(corpus)], out=Path(out), epochs=2, max_windows=48, on_progress=follow)
    yield card.sha256, card.training["validation"], card.training.get("processes")


RUNS: dict[str, Callable[..., Iterator[object]]] = {"gradient": gradient, "every_kind": every_kind}

if __name__ == "__main__":
    torch.set_num_threads(1)
    name, *arguments = sys.argv[1:]
    if name == "a_run":
        lines = list(a_run(*arguments))
    else:
        with peers(CPU) as together:
            lines = list(RUNS[name](together, *arguments))
    sys.stdout.write("".join(f"{json.dumps(line)}\n" for line in lines))
