"""MIDI performances → weights: one resumable run of one configuration.

A run is a folder: checkpoint.pt after each epoch (the whole state), and at the end NAME.safetensors with its card.
On a CPU the same seed gives the same run, interrupted or not.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.augmentation import a_little_faster, without_some_drums
from engine.data.corpus import read_corpus
from engine.data.windows import Windows, cut_windows
from engine.errors import TrainingError
from engine.model.drummer_decoder import DrummerDecoder
from engine.model.performer import known_of
from engine.model.tasks import TRAINING_TASKS, autoencode, nothing_given
from engine.model.vae import Vae
from engine.prior import Prior, fit_prior
from engine.registry import Config, Recipe, find_config
from engine.representation.groove import HITS, OFFSETS, VELOCITIES
from engine.weights import Card, write_weights

FEWEST_HITS = 1000
"""With fewer validation hits a drummer trusts its expectations as they are."""

BUCKET = 16
"""How many batches are sorted by their hits at once."""


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
    shortest, longest = min(config.recipe.bars), max(config.recipe.bars)
    windows = {
        bars: cut_windows(performances, split="train", bars=bars, pad=bars == shortest)[:max_windows]
        for bars in config.recipe.bars
    }
    validation = cut_windows(performances, split="validation", bars=longest)[::longest]  # the others overlap these
    return Datasets(windows, validation[:max_windows])


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows, for each another one of the same performance, and what is done with them."""

    task: str
    windows: Windows
    chosen: NDArray[np.int64]
    companions: NDArray[np.int64]
    generator: torch.Generator


class Run:
    """One training run: the network, its optimizer, and where it stands."""

    def __init__(self, config: Config, datasets: Datasets, out: Path, seed: int, epochs: int, device: str):
        self.config, self.datasets, self.out, self.seed = config, datasets, out, seed
        self.recipes, self.stage = [config.recipe], 0
        if config.recipe.expectation:
            self.recipes.append(config.recipe.expectation)
        self.epochs = [epochs, *(min(epochs, recipe.epochs) for recipe in self.recipes[1:])]
        self.device = torch.device(device)
        torch.manual_seed(seed)
        self.model = Vae(config.shape).to(self.device)
        self.validation: dict[str, float] = {}
        self.half = _has_bf16(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.recipe.rate_peak)
        self.epoch, self.seconds, self.best = 0, 0.0, [math.inf] * len(self.recipes)
        self.best_state: dict[str, Tensor] = {}
        windows = len(datasets.train[min(datasets.train)])
        self.steps_per_epoch = [math.ceil(windows / recipe.batch) for recipe in self.recipes]

    @property
    def recipe(self) -> Recipe:
        """That of the stage: first everything is trained, then, where there are any, the expectations alone."""
        return self.recipes[self.stage]

    @property
    def steps(self) -> int:
        """Of all stages."""
        return int(np.dot(self.epochs, self.steps_per_epoch))

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
        self.stage, self.epoch, self.seconds = state["stage"], state["epoch"], state["seconds"]
        self.best, self.best_state = state["best"], state["best_state"]

    def save(self) -> None:
        """Write the checkpoint; a run that is killed while it writes keeps the one before."""
        path = self.out / "checkpoint.pt"
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "stage": self.stage,
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
        while True:
            if self.epoch == self.epochs[self.stage]:
                if self.stage + 1 == len(self.recipes):
                    return
                self.model.load_state_dict(self.best_state)
                self.stage, self.epoch = self.stage + 1, 0
            self._train_epoch(validation, on_progress)
            self.epoch += 1
            validation = self.validate()
            if validation <= self.best[self.stage]:
                self.best[self.stage] = validation
                self.best_state = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
            self.save()

    def _train_epoch(self, validation: float, on_progress: Callable[[Progress], None]) -> None:
        per_epoch = self.steps_per_epoch[self.stage]
        before = int(np.dot(self.epochs[: self.stage], self.steps_per_epoch[: self.stage]))
        for index, batch in enumerate(self._batches()):
            began, step = time.perf_counter(), self.epoch * per_epoch + index
            loss = self._step(batch, step=step)
            self.seconds += time.perf_counter() - began
            epoch = sum(self.epochs[: self.stage]) + self.epoch + 1
            done = before + step + 1
            on_progress(Progress(done, self.steps, epoch, sum(self.epochs), loss, validation, self.seconds))

    def _batches(self) -> list[Batch]:
        """An epoch's batches, the same for the same seed and epoch."""
        recipe, chance = self.recipe, np.random.default_rng((self.seed, self.stage, self.epoch))
        orders = {bars: self._order(self.datasets.train[bars], chance) for bars in recipe.bars}
        tasks, shares = list(recipe.tasks), np.array(list(recipe.tasks.values()))
        batches = []
        for _ in range(self.steps_per_epoch[self.stage]):
            bars = int(chance.choice(list(orders)))
            task = str(chance.choice(tasks, p=shares / shares.sum()))
            chosen = next(orders[bars])
            generator = torch.Generator().manual_seed(int(chance.integers(2**31)))
            companions = self.datasets.train[bars].companions(chosen, chance)
            batches.append(Batch(task, self.datasets.train[bars], chosen, companions, generator))
        return batches

    def _order(self, windows: Windows, chance: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """The windows of each batch in turn, all with about as many hits, so that few wait for many."""
        batch = self.recipe.batch
        hits = windows.grooves[..., HITS].sum(axis=(1, 2))
        while True:
            shuffled = np.resize(chance.permutation(len(windows)), -(-len(windows) // batch) * batch)
            rows = []
            for first in range(0, len(shuffled), BUCKET * batch):
                bucket = shuffled[first : first + BUCKET * batch]
                rows.append(bucket[np.argsort(hits[bucket], kind="stable")].reshape(-1, batch))
            yield from chance.permutation(np.concatenate(rows))

    def _step(self, batch: Batch, *, step: int) -> float:
        recipe = self.recipe
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, self.epochs[self.stage] * self.steps_per_epoch[self.stage])
        loss = self._losses(batch)["total"]
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self.optimizer.step()
        return float(loss.detach())

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """The parts of the loss of one batch."""
        windows, generator, recipe = batch.windows, batch.generator, self.recipe
        groove = torch.from_numpy(windows.grooves[batch.chosen]).to(self.device)
        other = torch.from_numpy(windows.grooves[batch.companions]).to(self.device)
        tempo_bpm = torch.from_numpy(windows.tempo_bpm[batch.chosen]).to(self.device)
        if self.model.training:
            groove, other = (without_some_drums(each, recipe.silent_drums, generator) for each in (groove, other))
            tempo_bpm = a_little_faster(tempo_bpm, recipe.tempo_spread, generator)
        example = TRAINING_TASKS[batch.task](groove, other, nothing_given(groove, tempo_bpm), generator)
        noise = torch.randn(len(groove), self.config.shape.z, generator=generator).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            if self.stage:
                return {"total": self.model.expectation_loss(example, groove)}
            return self.model.loss(
                example,
                groove,
                beta=recipe.beta,
                free_bits=recipe.free_bits,
                feel_beta=recipe.feel_beta,
                feel_bits=recipe.feel_bits,
                noise=noise,
            )

    @torch.no_grad()
    def validate(self) -> float:
        """The mean total loss on the validation windows over the recipe's tasks, with fixed chance."""
        self.model.eval()
        recipe, windows, total = self.recipe, self.datasets.validation, 0.0
        self.validation = {}
        for task, share in recipe.tasks.items():
            generator, chance = torch.Generator().manual_seed(0), np.random.default_rng(0)
            for first in range(0, len(windows), 256):
                chosen = np.arange(first, min(first + 256, len(windows)))
                batch = Batch(task, windows, chosen, windows.companions(chosen, chance), generator)
                for name, value in self._losses(batch).items():
                    key = f"{task}.{name}"
                    self.validation[key] = self.validation.get(key, 0.0) + float(value) * len(chosen) / len(windows)
            total += share * self.validation[f"{task}.total"]
        return total / sum(recipe.tasks.values())

    def write(self, name: str) -> Card:
        """The best epoch's weights in bf16, the prior of their z, and the card."""
        self.model.load_state_dict(self.best_state)
        self.model.eval()
        self.settle()
        prior = self.prior()
        tensors = {key: value.to(torch.bfloat16).contiguous() for key, value in self.model.state_dict().items()}
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
            command=f"vaebridge train {config.name} --data DATA --seed {self.seed} --epochs {self.epochs[0]}",
            training={
                "date": date.today().isoformat(),
                "epochs": self.epochs,
                "steps": self.steps,
                "minutes": round(self.seconds / 60, 1),
                "device": self.device.type,
                "validation": [round(best, 3) for best in self.best],
                "windows": {str(bars): len(windows) for bars, windows in self.datasets.train.items()},
                "recipe": _described(config.recipe),
            },
        )
        return write_weights(self.out, tensors, card)

    @torch.no_grad()
    def settle(self) -> None:
        """How far to trust what is expected where no feel is told: least squares on the validation windows.

        Of offset and of velocity alike the slope of the truth on the expectation, about the mean expectation.
        """
        decoder, windows = self.model.decoder, self.datasets.validation
        if not isinstance(decoder, DrummerDecoder) or windows.grooves[..., HITS].sum() < FEWEST_HITS:
            return
        expectation, said, true = decoder.performer.expectation, [], []
        for first in range(0, len(windows), 64):
            groove = torch.from_numpy(windows.grooves[first : first + 64]).to(self.device)
            tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 64]).to(self.device)
            hits, nothing = groove[..., HITS], groove.new_zeros(len(groove), 1, self.config.shape.feel)
            mean = expectation.opinions(known_of(hits, nothing_given(groove, tempo_bpm)), nothing).mean(dim=0)
            said.append(mean.transpose(2, 3)[hits > 0])
            true.append(torch.stack([groove[..., OFFSETS], groove[..., VELOCITIES]], dim=-1)[hits > 0])
        answers, truth = torch.cat(said), torch.cat(true)
        centre = answers.mean(dim=0)
        away = answers - centre
        expectation.centre[:] = centre
        expectation.trust[:] = (away * (truth - truth.mean(dim=0))).sum(dim=0) / (away**2).sum(dim=0)

    @torch.no_grad()
    def prior(self) -> Prior:
        """Where the train windows of each style lie."""
        posteriors, styles = [], []
        names = sorted({name for windows in self.datasets.train.values() for name in windows.style_names})
        for windows in self.datasets.train.values():
            for first in range(0, len(windows), 512):
                grooves = torch.from_numpy(windows.grooves[first : first + 512]).to(self.device)
                tempo_bpm = torch.from_numpy(windows.tempo_bpm[first : first + 512]).to(self.device)
                example = autoencode(grooves, nothing_given(grooves, tempo_bpm))
                posteriors.append(self.model.encode(example.heard, example.given.position[0]))
            places = [names.index(name) for name in windows.style_names] + [-1]
            styles.append(torch.tensor(places)[torch.from_numpy(windows.style)])
        mu, sigma = (torch.cat([getattr(each, name).cpu() for each in posteriors]) for name in ("mu", "sigma"))
        return fit_prior(mu, sigma, torch.cat(styles), tuple(names))


def _has_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _described(recipe: Recipe) -> dict[str, Any]:
    """A recipe as the card holds it."""
    described = {
        key: value for key, value in asdict(recipe).items() if not isinstance(value, tuple) and value is not None
    }
    return described | ({"expectation": _described(recipe.expectation)} if recipe.expectation else {})


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The published exponential decay, or a cosine over the run with a warm-up of its first 2 %."""
    if recipe.decay:
        return (recipe.rate_peak - recipe.rate_floor) * recipe.decay**step + recipe.rate_floor
    warm_up = max(1, steps // 50)
    if step < warm_up:
        return recipe.rate_peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return recipe.rate_floor + (recipe.rate_peak - recipe.rate_floor) * (1 + math.cos(math.pi * progress)) / 2
