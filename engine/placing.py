"""Models on devices: on the fastest where nobody says which, and on the CPU once a GPU has failed in the middle."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

import torch

from engine.asking import Asking, Made
from engine.devices import CPU, Devices, Verb, devices_here
from engine.errors import GpuFailedError, ModelError
from engine.weights import Card

logger = logging.getLogger(__name__)

AUTO = "auto"
MOST_TRIES = 2
"""Failures in one request after which it is given up: once more, or on the CPU, it should have worked."""

SAID = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error", "HIP error")
"""What stands in those errors of torch that have no class of their own."""


class Placed(Protocol):
    """A model on a device."""

    @property
    def card(self) -> Card:
        """What it is."""

    @property
    def device(self) -> torch.device:
        """Where it is."""


P = TypeVar("P", bound=Placed)


class Placing(Generic[P]):
    """Says where models are, and loads them there.

    device: auto, cpu, cuda or cuda:N; ModelError where it is none. load: a model by its name onto a device. run:
    its verbs, to be timed. devices: those that auto chooses from, else this machine's. problems: a sentence for
    each time that a GPU has failed.
    """

    def __init__(
        self,
        device: str,
        load: Callable[[str, torch.device], P],
        run: Callable[[P], object],
        devices: Devices | None = None,
    ):
        self._load, self._run = load, run
        self._devices = (devices or devices_here()) if device == AUTO else None
        self.device = _checked(self._devices.first if self._devices else device)
        self.problems: list[str] = []

    def place(self, card: Card) -> P:
        """A model where it is to run."""
        if self._devices is None:
            return self._load(card.name, self.device)
        device = self._devices.choose(card, partial(self._verb_on, card.name))
        return self._load(card.name, torch.device(device))

    def asking(
        self, ask: Callable[[P], Asking[Made]], model: P, go_on: Callable[[GpuFailedError, P, int], P]
    ) -> Asking[tuple[P, Made]]:
        """What comes of asking a model, with another for each time that a GPU fails: the last one, and that.

        go_on: what has failed, which model, and how often by now -> the model that is asked next; see move.
        """
        for tries in itertools.count(1):
            try:
                with gpu_failures():
                    return model, (yield from ask(model))
            except GpuFailedError as error:  # noqa: PERF203 - it fails twice at most
                model = go_on(error, model, tries)
        raise AssertionError

    def move(self, error: GpuFailedError, model: P, tries: int, others: Iterable[P]) -> Iterator[P]:
        """The models that go on elsewhere after a GPU has failed while one ran: none where it is to be tried again.

        A GPU that is out of memory is tried once more, then without this model; after any other failure it is left.
        tries: how often this request has failed; where that is too often the error is raised.
        """
        if tries > MOST_TRIES:
            raise error
        models = {each.card.name: each for each in others}
        if models.get(model.card.name, model).device != model.device:  # another request has met it first
            return
        if error.out_of_memory and tries == 1:
            torch.cuda.empty_cache()
            return
        names = {model.card.name}
        if not error.out_of_memory:
            self._devices, self.device = None, torch.device(CPU)
            names |= {name for name, each in models.items() if each.device != self.device}
        self.problems.append(f"{error}: {', '.join(sorted(names))} on the CPU from now on")
        logger.warning("%s", self.problems[-1])
        yield from (self._load(name, torch.device(CPU)) for name in sorted(names))

    def _verb_on(self, name: str, device: str) -> Verb:
        def run() -> None:
            with gpu_failures():
                self._run(model)

        with gpu_failures():
            model = self._load(name, torch.device(device))
        return run


@contextmanager
def gpu_failures() -> Iterator[None]:
    """GpuFailedError where torch raises what only a device that fails makes it raise; all else passes."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise GpuFailedError("the GPU is out of memory", out_of_memory=True) from error
    except RuntimeError as error:
        told = str(error).partition("\n")[0]
        if not (type(error).__name__ == "AcceleratorError" or any(each in told for each in SAID)):
            raise
        raise GpuFailedError(f"the GPU has failed ({told})") from error


def _checked(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device must be auto, cpu, cuda or cuda:N and present, not {name!r}") from error
    return device
