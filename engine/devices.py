"""Which device a model runs on where `auto` is asked for: the fastest, by a measurement that is made once and kept.

On another device the same seed gives other notes; so what was chosen is kept, and a seed stays a seed.
"""

import logging
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_state_path

from engine.errors import GpuFailedError, KeptError
from engine.kept import KeptFile

if TYPE_CHECKING:
    from engine.weights import Card

logger = logging.getLogger(__name__)

CPU = "cpu"
RUNS = 5
"""How often a verb is timed on each device, after it has been run once; the median counts."""

Verb = Callable[[], object]
"""A verb of a model that is on a device, ready to be run."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's verb on each device where it runs, in milliseconds. where: machine, GPU and torch."""

    model: str
    where: str
    ms: dict[str, float]

    @property
    def fastest(self) -> str:
        """The device; the CPU where several are alike."""
        return min(self.ms, key=lambda device: (self.ms[device], device != CPU))


class Devices:
    """The devices of this machine, and what was measured on them.

    gpus: by torch's names; where there are none all run on the CPU, and nothing is measured. machine: what tells
    it, its GPU and its torch from others. kept: the file. The clock tells seconds.
    """

    def __init__(
        self, gpus: Sequence[str], machine: str, kept: Path, *, clock: Callable[[], float] = time.perf_counter
    ):
        self.gpus, self._machine, self._file, self._clock = tuple(gpus), machine, KeptFile(kept), clock

    @property
    def first(self) -> str:
        """The device to begin with."""
        return next(iter(self.gpus), CPU)

    @property
    def kept(self) -> Path:
        """The file."""
        return self._file.path

    def measured(self) -> list[Measured]:
        """What is kept of this machine."""
        return [each for each in _read(self._file).values() if each.where == self._machine]

    def choose(self, card: "Card", verb_on: Callable[[str], Verb]) -> str:
        """The device of a model, measured if that has never been done.

        verb_on loads the model onto a device; it and the verb may raise GpuFailedError: then it runs elsewhere.
        """
        if not self.gpus:
            return CPU
        if (known := self._known(card)) is None:
            measured = self._measure(card, verb_on)
            known = self._known(card) or self._keep(card, measured)  # another process may have been first
        return known.fastest if known.fastest in (CPU, *self.gpus) else CPU

    def _measure(self, card: "Card", verb_on: Callable[[str], Verb]) -> Measured:
        ms = {}
        for device in (CPU, *self.gpus):
            try:
                verb = verb_on(device)
                verb()
                ms[device] = 1000 * statistics.median(self._seconds(verb) for _ in range(RUNS))
            except GpuFailedError as error:  # noqa: PERF203 - one that fails must not keep out the others
                logger.warning("%s cannot run on %s: %s", card.name, device, error)
        measured = Measured(card.name, self._machine, ms)
        logger.info("%s runs on %s: %s", card.name, measured.fastest, shown(measured))
        return measured

    def _seconds(self, verb: Verb) -> float:
        began = self._clock()
        verb()
        return self._clock() - began

    def _known(self, card: "Card") -> Measured | None:
        return _read(self._file).get(f"{self._machine}, {card.sha256}")

    def _keep(self, card: "Card", measured: Measured) -> Measured:
        """Keep what was measured; where that cannot be it counts until the end."""
        everything = {**_read(self._file), f"{self._machine}, {card.sha256}": measured}
        content = {
            key: {"model": each.model, "where": each.where, "ms": each.ms} for key, each in everything.items()
        }
        try:
            self._file.write({MEASURED: content})
        except OSError as error:
            logger.warning("the device of %s cannot be kept: %s", card.name, error)
        return measured


MEASURED = "measured"


def devices_here() -> Devices:
    """Those that torch finds."""
    import torch

    gpus = ("cuda",) if torch.cuda.is_available() else ()
    names = [platform.node(), *(torch.cuda.get_device_name(each) for each in gpus), f"torch {torch.__version__}"]
    return Devices(gpus, ", ".join(names), devices_file())


def devices_file() -> Path:
    """Where each user's measurements are kept."""
    return user_state_path("vaebridge", appauthor=False) / "devices.toml"


def shown(measured: Measured) -> str:
    """The milliseconds in words."""
    return ", ".join(f"{device} {ms:.1f} ms" for device, ms in measured.ms.items())


def _read(file: KeptFile) -> dict[str, Measured]:
    """By machine and weights; nothing, with a line in the log, where the file cannot be read."""
    try:
        return {
            key: Measured(each["model"], each["where"], dict(each["ms"]))
            for key, each in file.read().get(MEASURED, {}).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, KeptError) as error:
        logger.warning("%s cannot be read, devices are measured anew: %s", file.path, error)
        return {}
