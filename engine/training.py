"""MIDI performances → weights: one resumable run of one configuration.

A run is a folder: checkpoint.pt after each epoch (the whole state), and at the end NAME.safetensors with its card.
On a CPU the same seed gives the same run, interrupted or not.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.data.corpus import read_corpus
from engine.data.windows import Windows, cut_windows
from engine.errors import TrainingError
from engine.model.tasks import TRAINING_TASKS, autoencode, nothing_given
from engine.model.vae import Vae
from engine.prior import Prior, fit_prior
from engine.registry import Config, Recipe, find_config
from engine.weights import Card, write_weights


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. loss and validation in nats a sequence; validation is nan before an epoch has ended."""

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    validation: float
    seconds: float


def train(
    config_name: str,
    *,
    data: Path,
    out: Path,
    name: str | None = None,
    seed: int = 1,
    epochs: int | None = None,
    max_windows: int | None = None,
    device: str = "cpu",
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Card:
    """Train a configuration on a corpus, going on where the run in `out` stopped, and write its weights there.

    max_windows cuts the data, to try a run. TrainingError if `out` holds a run with other settings.
    """
    config = find_config(config_name)
    out.mkdir(parents=True, exist_ok=True)
    run = Run(config, load_datasets(config, data, max_windows), out, seed, epochs or config.recipe.epochs, device)
    run.resume()
    run.train(on_progress)
    return run.write(name or config.name)


@dataclass(frozen=True, slots=True)
class Datasets:
    """The windows to train on, by their length in bars, and those that choose the epoch."""

    train: dict[int, Windows]
    validation: Windows


def load_datasets(config: Config, data: Path, max_windows: int | None = None) -> Datasets:
    """The official train and validation windows of a corpus."""
    performances = read_corpus(data)
    windows = {
        bars: _first(
            cut_windows(performances, split="train", bars=bars, pad=bars == min(config.recipe.bars)), max_windows
        )
        for bars in config.recipe.bars
    }
    longest = max(config.recipe.bars)
    return Datasets(windows, _first(cut_windows(performances, split="validation", bars=longest), max_windows))


def _first(windows: Windows, count: int | None) -> Windows:
    return Windows(windows.grooves[:count], windows.tempo_bpm[:count], windows.style[:count], windows.style_names)


class Run:
    """One training run: the network, its optimizer, and where it stands."""

    def __init__(self, config: Config, datasets: Datasets, out: Path, seed: int, epochs: int, device: str):
        self.config, self.datasets, self.out, self.seed, self.epochs = config, datasets, out, seed, epochs
        self.device = torch.device(device)
        torch.manual_seed(seed)
        self.model = Vae(config.shape).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.recipe.rate_peak)
        self.epoch, self.seconds, self.best = 0, 0.0, math.inf
        self.best_state: dict[str, Tensor] = {}
        smallest = min(datasets.train)
        self.steps_per_epoch = math.ceil(len(datasets.train[smallest]) / config.recipe.batch)

    @property
    def settings(self) -> dict[str, Any]:
        """What must be equal for a run to go on."""
        return {"config": self.config.name, "seed": self.seed, "epochs": self.epochs, "steps": self.steps_per_epoch}

    def resume(self) -> None:
        """Take up the checkpoint in the run's folder, if there is one."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["settings"] != self.settings:
            raise TrainingError(
                f"{self.out} holds a run with other settings ({state['settings']}, not {self.settings}); "
                "choose another folder, or delete it"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"].cpu())
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.best, self.best_state = state["best"], state["best_state"]

    def save(self) -> None:
        """Write the checkpoint; a run that is killed while it writes keeps the one before."""
        path = self.out / "checkpoint.pt"
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "best": self.best,
            "best_state": self.best_state,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def train(self, on_progress: Callable[[Progress], None]) -> None:
        """All epochs that are left."""
        validation = math.nan
        while self.epoch < self.epochs:
            for index, batch in enumerate(self._batches()):
                began = time.perf_counter()
                loss = self._step(*batch, step=self.epoch * self.steps_per_epoch + index)
                self.seconds += time.perf_counter() - began
                done = self.epoch * self.steps_per_epoch + index + 1
                total = self.epochs * self.steps_per_epoch
                on_progress(Progress(done, total, self.epoch + 1, self.epochs, loss, validation, self.seconds))
            self.epoch += 1
            validation = self.validate()
            if validation <= self.best:
                self.best = validation
                self.best_state = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
            self.save()

    def _batches(self) -> "list[tuple[str, Tensor, Tensor, torch.Generator]]":
        """An epoch's batches (task, grooves, tempos, chance), the same for the same seed and epoch."""
        recipe, chance = self.config.recipe, np.random.default_rng((self.seed, self.epoch))
        orders = {bars: chance.permutation(len(windows)) for bars, windows in self.datasets.train.items()}
        taken = dict.fromkeys(orders, 0)
        tasks, shares = list(recipe.tasks), np.array(list(recipe.tasks.values()))
        batches = []
        for _ in range(self.steps_per_epoch):
            bars = int(chance.choice(list(orders)))
            windows = self.datasets.train[bars]
            chosen = np.take(orders[bars], range(taken[bars], taken[bars] + recipe.batch), mode="wrap")
            taken[bars] += recipe.batch
            generator = torch.Generator().manual_seed(int(chance.integers(2**31)))
            task = str(chance.choice(tasks, p=shares / shares.sum()))
            grooves = torch.from_numpy(windows.grooves[chosen])
            batches.append((task, grooves, torch.from_numpy(windows.tempo_bpm[chosen]), generator))
        return batches

    def _step(
        self, task: str, grooves: Tensor, tempo_bpm: Tensor, generator: torch.Generator, *, step: int
    ) -> float:
        recipe = self.config.recipe
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, self.epochs * self.steps_per_epoch)
        grooves, tempo_bpm = grooves.to(self.device), tempo_bpm.to(self.device)
        example = TRAINING_TASKS[task](grooves, nothing_given(grooves, tempo_bpm), generator)
        noise = torch.randn(len(grooves), self.config.shape.z, generator=generator).to(self.device)
        losses = self.model.loss(example, grooves, beta=recipe.beta, free_bits=recipe.free_bits, noise=noise)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["total"])
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self.optimizer.step()
        return float(losses["total"].detach())

    @torch.no_grad()
    def validate(self) -> float:
        """The mean total loss on the validation windows over the recipe's tasks, with fixed chance."""
        self.model.eval()
        recipe, total = self.config.recipe, 0.0
        for task, share in recipe.tasks.items():
            generator = torch.Generator().manual_seed(0)
            losses = [
                float(self._loss(task, first, generator)) for first in range(0, len(self.datasets.validation), 256)
            ]
            total += share * sum(losses) / len(self.datasets.validation)
        return total / sum(recipe.tasks.values())

    def _loss(self, task: str, first: int, generator: torch.Generator) -> Tensor:
        """The summed loss of 256 validation windows."""
        windows, recipe = self.datasets.validation, self.config.recipe
        grooves = torch.from_numpy(windows.grooves[first : first + 256]).to(self.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 256]).to(self.device)
        example = TRAINING_TASKS[task](grooves, nothing_given(grooves, tempo_bpm), generator)
        noise = torch.randn(len(grooves), self.config.shape.z, generator=generator).to(self.device)
        losses = self.model.loss(example, grooves, beta=recipe.beta, free_bits=recipe.free_bits, noise=noise)
        return losses["total"] * len(grooves)

    def write(self, name: str) -> Card:
        """The best epoch's weights in bf16, the prior of their z, and the card."""
        self.model.load_state_dict(self.best_state)
        self.model.eval()
        prior = self.prior()
        tensors = {key: value.to(torch.bfloat16).contiguous() for key, value in self.best_state.items()}
        tensors |= {key: value.to(torch.bfloat16).contiguous() for key, value in prior.tensors().items()}
        config = self.config
        card = Card(
            name=name,
            config=config.name,
            family=config.family,
            bars=max(config.recipe.bars),
            steps_per_bar=16,
            verbs=config.verbs,
            styles=prior.names,
            sha256="",
            license="Apache-2.0",
            data="Groove MIDI Dataset, Gillick et al. 2019, CC BY 4.0; official train split, 4/4",
            command=f"vaebridge train {config.name} --data DATA --seed {self.seed} --epochs {self.epochs}",
            training={
                "date": date.today().isoformat(),
                "epochs": self.epochs,
                "steps": self.epochs * self.steps_per_epoch,
                "minutes": round(self.seconds / 60, 1),
                "device": self.device.type,
                "validation_nats": round(self.best, 3),
                "windows": {str(bars): len(windows) for bars, windows in self.datasets.train.items()},
                "recipe": {
                    key: value for key, value in asdict(config.recipe).items() if not isinstance(value, tuple)
                },
            },
        )
        return write_weights(self.out, tensors, card)

    @torch.no_grad()
    def prior(self) -> Prior:
        """Where the train windows of each style lie."""
        posteriors, styles = [], []
        names = sorted({name for windows in self.datasets.train.values() for name in windows.style_names})
        for windows in self.datasets.train.values():
            for first in range(0, len(windows), 512):
                grooves = torch.from_numpy(windows.grooves[first : first + 512]).to(self.device)
                tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 512]).to(self.device)
                heard = autoencode(grooves, nothing_given(grooves, tempo_bpm)).heard
                posteriors.append(self.model.encode(heard))
            places = [names.index(name) for name in windows.style_names] + [-1]
            styles.append(torch.tensor(places)[torch.from_numpy(windows.style)])
        mu, sigma = (torch.cat([getattr(each, name).cpu() for each in posteriors]) for name in ("mu", "sigma"))
        return fit_prior(mu, sigma, torch.cat(styles), tuple(names))


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The published exponential decay, or a cosine over the run with a warm-up of its first 2 %."""
    if recipe.decay:
        return (recipe.rate_peak - recipe.rate_floor) * recipe.decay**step + recipe.rate_floor
    warm_up = max(1, steps // 50)
    if step < warm_up:
        return recipe.rate_peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return recipe.rate_floor + (recipe.rate_peak - recipe.rate_floor) * (1 + math.cos(math.pi * progress)) / 2
