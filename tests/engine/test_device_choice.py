import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.devices import RUNS, Devices, devices_here
from engine.errors import GpuFailedError
from engine.weights import Card


def card(name: str = "drummer", sha256: str = "a" * 64) -> Card:
    return Card(name=name, config="x", family="groovae", bars=2, steps_per_bar=16, verbs=(), sha256=sha256)


@dataclass
class Machine:
    """A pretended machine: on each device a verb takes so many seconds of a clock that stands otherwise."""

    seconds: dict[str, float]
    kept: Path
    now: float = 0.0
    runs: int = 0

    def devices(self, name: str = "here") -> Devices:
        return Devices([each for each in self.seconds if each != "cpu"], name, self.kept, clock=lambda: self.now)

    def verb_on(self, device: str) -> Callable[[], None]:
        def run() -> None:
            self.now += self.seconds[device]
            self.runs += 1

        return run


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine({"cpu": 0.005, "cuda": 0.002}, tmp_path / "state" / "devices.toml")


def test_a_model_runs_where_its_verb_is_faster(machine: Machine) -> None:
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"
    machine.seconds["cuda"] = 0.02
    assert machine.devices().choose(card("melody", "b" * 64), machine.verb_on) == "cpu"


def test_it_is_measured_once_so_that_a_seed_stays_a_seed(machine: Machine) -> None:
    machine.devices().choose(card(), machine.verb_on)
    assert machine.runs == 2 * (RUNS + 1)
    machine.seconds["cuda"] = 9.0
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"
    assert machine.runs == 2 * (RUNS + 1)


def test_other_weights_another_machine_or_torch_are_measured_anew(machine: Machine) -> None:
    machine.devices().choose(card(), machine.verb_on)
    for name, sha256 in (("here", "b" * 64), ("another GPU", "a" * 64)):
        before = machine.runs
        machine.devices(name).choose(card(sha256=sha256), machine.verb_on)
        assert machine.runs > before


def test_one_slow_run_decides_nothing(machine: Machine) -> None:
    slow: Iterator[float] = itertools.chain([1.0, 1.0, 3.0], itertools.repeat(0.001))

    def verb_on(device: str) -> Callable[[], None]:
        run = machine.verb_on(device)

        def stumble() -> None:
            run()
            if device == "cuda":
                machine.now += next(slow)

        return stumble

    assert machine.devices().choose(card(), verb_on) == "cuda"


def test_without_a_gpu_nothing_is_measured(machine: Machine) -> None:
    machine.seconds = {"cpu": 1.0}
    assert machine.devices().choose(card(), machine.verb_on) == "cpu"
    assert machine.runs == 0
    assert not machine.kept.exists()


def test_a_gpu_on_which_the_model_cannot_run_is_not_chosen(machine: Machine) -> None:
    def verb_on(device: str) -> Callable[[], None]:
        if device == "cuda":
            raise GpuFailedError("it has no kernel for this")
        return machine.verb_on(device)

    assert machine.devices().choose(card(), verb_on) == "cpu"


def test_a_gpu_that_is_gone_is_not_chosen_and_found_again(machine: Machine) -> None:
    machine.devices().choose(card(), machine.verb_on)
    gone = Machine({"cpu": 0.005}, machine.kept)
    assert gone.devices().choose(card(), gone.verb_on) == "cpu"
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"


@pytest.mark.parametrize("content", ["", "no toml", "measured = 3", "version = 99", '[measured."here"]\nms = 3'])
def test_a_file_that_cannot_be_read_is_measured_anew(machine: Machine, content: str) -> None:
    machine.kept.parent.mkdir()
    machine.kept.write_text(content)
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"


def test_where_nothing_can_be_kept_it_is_measured_all_the_same(machine: Machine) -> None:
    machine.kept.parent.write_text("a file where a folder should be")
    assert machine.devices().choose(card(), machine.verb_on) == "cuda"


def test_what_was_measured_is_told(machine: Machine) -> None:
    machine.devices().choose(card(), machine.verb_on)
    machine.devices("another").choose(card("melody", "b" * 64), machine.verb_on)
    (measured,) = machine.devices().measured()
    assert (measured.model, measured.fastest) == ("drummer", "cuda")
    assert measured.ms == {"cpu": pytest.approx(5.0), "cuda": pytest.approx(2.0)}


def test_this_machines_devices_begin_with_the_gpu_if_it_has_one() -> None:
    devices = devices_here()
    assert devices.first == (devices.gpus[0] if devices.gpus else "cpu")
