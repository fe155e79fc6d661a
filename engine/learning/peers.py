"""Several processes that train one model together, as torchrun starts them; alone where it has not.

Each draws its share of every batch, with random numbers of its own; PyTorch's DistributedDataParallel averages the
gradients, so that all have the same weights after each step. The first validates, and writes what is written.
"""

import atexit
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from engine.learning.curriculum import BatchLosses
from engine.registry import Recipe

LONGEST_WAIT = timedelta(hours=2)
"""For another process: one that validates or writes takes its time, one that is dead is ended by torchrun."""


@dataclass(frozen=True, slots=True)
class Peers:
    """How many processes train, and which of them this is, from 0 on."""

    count: int = 1
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that validates, tells and writes."""
        return self.rank == 0

    def share(self, recipe: Recipe) -> Recipe:
        """The recipe of one process: of each batch its part, one sequence at least."""
        return recipe if self.count == 1 else replace(recipe, batch=max(1, round(recipe.batch / self.count)))

    def random(self, *seed: int) -> np.random.Generator:
        """The source of an epoch's batches. Of several processes each has its own, for what torch draws as well."""
        if self.count == 1:
            return np.random.default_rng(seed)
        rng = np.random.default_rng((*seed, self.count, self.rank))
        torch.manual_seed(int(rng.integers(2**31)))
        return rng

    def joined(self, model: nn.Module) -> nn.Module:
        """A module that takes (batch losses, step) and gives the losses; in its gradients are those of all."""
        alone = _Losses(model)
        return alone if self.count == 1 else DistributedDataParallel(alone, find_unused_parameters=True)

    def agree(self, value: float) -> float:
        """What the first process says."""
        if self.count > 1:
            told = torch.tensor([value], dtype=torch.float64, device=_device())
            distributed.broadcast(told, 0)
            value = float(told)
        return value


@contextmanager
def peers(device: torch.device) -> Iterator[Peers]:
    """Those that torchrun has started along with this process, until the block ends."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Peers()
        return
    # what averages gradients is in a cycle, and would abort a process in which it is left until the very end
    atexit.register(gc.collect)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Peers(distributed.get_world_size(), distributed.get_rank())
    finally:
        distributed.destroy_process_group()


def own_device(name: str) -> torch.device:
    """The device of that name; of several processes with GPUs each has the one that torchrun gives it."""
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(name)
    return torch.device(name)


class _Losses(nn.Module):
    """A model's losses as a module, for those who watch over modules."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, batch_losses: BatchLosses, step: int) -> dict[str, Tensor]:
        return batch_losses(step)


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
