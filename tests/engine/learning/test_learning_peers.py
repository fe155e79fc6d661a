"""Several processes that train one model, as torchrun starts them: one model, with the loss of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.learning.peers import Peers
from engine.registry import find_config
from engine.weights import Library

SCRIPT = "tests.engine.learning.together"


def torchrun(processes: int, *arguments: object, fails: bool = False) -> list[Any]:
    """What processes that train together print, a value a line."""
    starter = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [sys.executable, *(starter if processes > 1 else ["-m"]), SCRIPT, *map(str, arguments)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode != 0) == fails, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_gradient_is_that_of_all_rows_at_once() -> None:
    (weights, gradient), (other_weights, other_gradient) = torchrun(2, "gradient")
    assert (weights, gradient) == (other_weights, other_gradient)
    model, rows = torch.nn.Linear(3, 1), torch.arange(24.0).reshape(8, 3).sin()
    torch.manual_seed(0)  # the weights are those of the first
    model = torch.nn.Linear(3, 1)
    torch.autograd.backward((model(rows) ** 2).mean())
    assert model.weight.tolist() == weights
    assert model.weight.grad is not None
    torch.testing.assert_close(torch.tensor(gradient), model.weight.grad)


def test_models_of_every_kind_are_the_same_in_all_processes_after_every_stage(corpus: Path, tmp_path: Path) -> None:
    told = torchrun(2, "every_kind", corpus, tmp_path)
    names = [name for name, *_ in told]
    assert len(names) == 2 * len(set(names)) == 10
    for name in set(names):
        first, second = (each for each in told if each[0] == name)
        assert first == second
        assert first[1]


@pytest.fixture(scope="module")
def alone(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    (told,) = torchrun(1, "a_run", corpus, tmp_path_factory.mktemp("alone"), "")
    return told


def test_two_processes_reach_the_loss_of_one(corpus: Path, tmp_path: Path, alone: Any) -> None:
    first, second = torchrun(2, "a_run", corpus, tmp_path, "")
    assert first == second
    assert first[1][0] == pytest.approx(alone[1][0], rel=0.05)  # the second is of a few steps
    assert (alone[2], first[2]) == (None, 2)
    library = Library([tmp_path])
    library.verify("drummer")
    assert library.card("drummer").sha256 == first[0]


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_goes_on_with_another_number_of_processes(
    corpus: Path, tmp_path: Path, alone: Any, before: int, after: int
) -> None:
    torchrun(before, "a_run", corpus, tmp_path, "stops", fails=True)
    assert (tmp_path / "checkpoint.pt").is_file()
    assert not (tmp_path / "drummer.toml").exists()
    told = torchrun(after, "a_run", corpus, tmp_path, "")
    assert len(told) == after
    assert told[0][1][0] == pytest.approx(alone[1][0], rel=0.05)


def test_a_process_alone_takes_all_of_a_batch_and_of_several_each_its_part() -> None:
    recipe = find_config("drummer").recipe
    assert Peers().share(recipe) is recipe
    assert Peers(4, 1).share(recipe).batch == recipe.batch // 4
    assert Peers(10 * recipe.batch, 3).share(recipe).batch == 1


def test_several_processes_draw_each_their_own() -> None:
    draws = [Peers(count, rank).random(1, 0, 2).random() for count, rank in ((1, 0), (2, 0), (2, 1), (2, 1))]
    assert len(set(draws)) == 3
    assert draws[2] == draws[3]
