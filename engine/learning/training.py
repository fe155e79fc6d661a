"""MIDI performances → weights: one resumable run of one configuration.

A run is a folder: checkpoint.pt after each epoch (the whole state), and at the end NAME.safetensors with its card.
On a CPU the same seed gives the same run, interrupted or not. Under torchrun several processes train together.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.data.listing import find_corpus
from engine.data.sources import credit_of
from engine.errors import DataError, TrainingError
from engine.files import regular, replacing
from engine.learning.band_tasks import BandCourse, load_bands
from engine.learning.curriculum import BatchLosses, Course
from engine.learning.groove_tasks import GrooveCourse, load_datasets
from engine.learning.peers import Peers, own_device, peers
from engine.learning.phrase_tasks import PhraseCourse, load_drums
from engine.learning.score_tasks import ScoreCourse, load_pieces
from engine.learning.token_tasks import TokenCourse, cut_songs
from engine.model.lstm import has_bf16
from engine.registry import Config, Recipe, find_config
from engine.weights import Card, Library, write_weights


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. loss and validation in nats a sequence; validation is nan without one."""

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
    data: Sequence[Path],
    out: Path,
    name: str | None = None,
    seed: int = 1,
    epochs: int | None = None,
    max_windows: int | None = None,
    device: str = "cpu",
    start: Mapping[str, Tensor] | None = None,
    stage: int = 1,
    command: str = "",
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Card:
    """Train a configuration on corpora, resuming the run in `out` if there is one, and write its weights there.

    max_windows limits the data, for a trial run. start: the tensors of weights of the same configuration, from
    which a new run begins. stage: the first of the configuration's stages to train, after 1 where `start` has had
    those before. command: what was called, for the card. TrainingError if `out` holds a run with other settings, or
    there is no such stage. Where torchrun has started several processes, all of them call this, on one folder.
    """
    config, data = find_config(config_name), [find_corpus(path) for path in data]
    if not 1 <= stage <= len(config.stages):
        raise TrainingError(f"{config.name} is trained in {len(config.stages)} stages: there is no stage {stage}")
    if stage > 1 and start is None:
        raise TrainingError(f"stage {stage} begins from weights that have had those before: name them")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be a run's folder: {error.strerror}") from error
    torch.manual_seed(seed)
    place, name = own_device(device), name or config.name
    try:
        course = open_course(config, data, place, max_windows)
    except DataError:
        with contextlib.suppress(OSError):  # it holds a run
            out.rmdir()
        raise
    with peers(place) as together:
        run = Run(config, course, out, seed, epochs, place, together, stage)
        if start is not None:
            run.begin_from(start)
        run.resume()
        run.train(on_progress if together.is_first else lambda _: None)
        if together.is_first:
            run.write(name, "; ".join([*map(credit_of, data), *course.left_out]), command)
        together.agree(0)
        return Library([out]).card(name)


def open_course(
    config: Config, data: Sequence[Path], device: torch.device, max_windows: int | None = None
) -> Course:
    """A new model of a configuration, and the windows of the corpora."""
    if config.representation == "phrase":
        return PhraseCourse(config, load_drums(data, max_windows), device)
    if config.representation == "band":
        return BandCourse(config, load_bands(data, max_windows), device)
    if config.representation == "sound":
        return ScoreCourse(config, load_pieces(data, max_windows), device)
    if config.representation != "groove":
        return TokenCourse(config, cut_songs(config, data, max_windows), device)
    if len(data) > 1:
        raise DataError(f"{config.name} learns from one corpus, not from {len(data)}")
    return GrooveCourse(config, load_datasets(config, data[0], max_windows), device)


class Run:
    """One training run: the network, its optimizer, and where it stands; together with its peers, if it has any."""

    def __init__(
        self,
        config: Config,
        course: Course,
        out: Path,
        seed: int,
        epochs: int | None = None,
        device: torch.device | None = None,
        together: Peers | None = None,
        first_stage: int = 1,
    ):
        self.config, self.course, self.model, self.out, self.seed = config, course, course.model, out, seed
        self.recipes, self.stage, self.first_stage = config.stages[first_stage - 1 :], 0, first_stage
        most = epochs or self.recipes[0].epochs
        self.epochs = [most, *(min(most, recipe.epochs) for recipe in self.recipes[1:])]
        self.device, self.together = device or torch.device("cpu"), together or Peers()
        self.joined = self.together.joined(self.model)
        self.validation: dict[str, float] = {}
        self.half = has_bf16(self.device)
        self.optimizer = self._new_optimizer()
        self.epoch, self.seconds, self.best = 0, 0.0, [math.inf] * len(self.recipes)
        self.best_state: dict[str, Tensor] = {}
        self.mean: dict[str, Tensor] = {}
        self.steps_per_epoch = [math.ceil(course.size / recipe.batch) for recipe in self.recipes]

    @property
    def recipe(self) -> Recipe:
        """The recipe of the current stage, of which each has an optimizer of its own."""
        return self.recipes[self.stage]

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=self.recipe.rate_peak)

    @property
    def steps(self) -> int:
        """How many training steps all stages have."""
        return int(np.dot(self.epochs, self.steps_per_epoch))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that must be equal for a run to be resumed."""
        return {"config": self.config.name, "seed": self.seed, "epochs": self.epochs, "steps": self.steps_per_epoch}

    def begin_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin with weights that have been trained before; TrainingError if they are of another network."""
        own = self.model.state_dict()
        other = sorted(key for key, value in own.items() if getattr(tensors.get(key), "shape", None) != value.shape)
        if other:
            text = f"the weights to begin from are of another network than {self.config.name}: see {other[0]}"
            raise TrainingError(text)
        self.model.load_state_dict({key: tensors[key].to(value.dtype) for key, value in own.items()})

    def resume(self) -> None:
        """Take up the checkpoint in the run's folder, if there is one."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        try:
            state = torch.load(regular(path), map_location=self.device, weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
            why = getattr(error, "strerror", None) or "it is damaged"
            raise TrainingError(f"{path} cannot be read ({why}); delete it to begin anew") from error
        if state["settings"] != self.settings:
            raise TrainingError(
                f"{self.out} holds a run with other settings ({state['settings']}, not {self.settings}); "
                "choose another folder, or delete it"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"].cpu())
        self.stage, self.epoch, self.seconds = state["stage"], state["epoch"], state["seconds"]
        self.best, self.best_state, self.mean = state["best"], state["best_state"], state.get("mean", {})

    def save(self) -> None:
        """Write the checkpoint; a run that cannot write it, or is killed meanwhile, keeps the one before.

        Any number of processes may take it up.
        """
        if not self.together.is_first:
            return
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
            "mean": self.mean,
        }
        try:
            with replacing(path) as beside, beside.open("wb") as file:
                torch.save(state, file)
        except (OSError, RuntimeError) as error:  # torch has its own for a disk that is full
            why = getattr(error, "strerror", None) or error
            raise TrainingError(f"{path} cannot be written: {why}; the run goes on from the one before") from error

    def train(self, on_progress: Callable[[Progress], None]) -> None:
        """Train all epochs that are left."""
        validation = math.nan
        while True:
            if self.epoch == self.epochs[self.stage]:
                if self.stage + 1 == len(self.recipes):
                    return
                self.model.load_state_dict(self.best_state)
                self.stage, self.epoch, self.mean = self.stage + 1, 0, {}
                self.optimizer = self._new_optimizer()
            began, before = time.perf_counter(), self.seconds
            self._train_epoch(validation, on_progress)
            self.epoch += 1
            with self._averaged():
                validation = self.together.agree(self.validate() if self.together.is_first else math.nan)
                if not validation > self.best[self.stage]:  # without any, the last epoch is the best
                    self.best[self.stage], self.best_state = validation, self._weights()
            self.seconds = before + time.perf_counter() - began
            self.save()

    def _weights(self) -> dict[str, Tensor]:
        return {key: value.detach().clone() for key, value in self.model.state_dict().items()}

    def _average(self) -> None:
        """Draw the mean towards the weights, by the share that the recipe says."""
        if self.recipe.averaged:
            now = self._weights()
            self.mean = {
                key: torch.lerp(self.mean.get(key, value), value, self.recipe.averaged)
                for key, value in now.items()
            }

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """With the mean in place of the weights, where the recipe has one."""
        own = self._weights()
        if self.mean:
            self.model.load_state_dict(self.mean)
        try:
            yield
        finally:
            self.model.load_state_dict(own)

    def _train_epoch(self, validation: float, on_progress: Callable[[Progress], None]) -> None:
        per_epoch = self.steps_per_epoch[self.stage]
        before = int(np.dot(self.epochs[: self.stage], self.steps_per_epoch[: self.stage]))
        rng, recipe = self.together.random(self.seed, self.stage, self.epoch), self.together.share(self.recipe)
        began = time.perf_counter() - self.seconds
        for index, batch_losses in enumerate(self.course.training_batches(recipe, per_epoch, rng)):
            step = self.epoch * per_epoch + index
            loss = self._step(batch_losses, step=step)
            self._average()
            epoch = sum(self.epochs[: self.stage]) + self.epoch + 1
            done, seconds = before + step + 1, time.perf_counter() - began
            on_progress(Progress(done, self.steps, epoch, sum(self.epochs), loss, validation, seconds))

    def _step(self, batch_losses: BatchLosses, *, step: int) -> float:
        recipe = self.recipe
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, self.epochs[self.stage] * self.steps_per_epoch[self.stage])
        with self._half():
            loss = self.joined(batch_losses, step)["total"]
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"the loss is not finite at step {step + 1}; {self.out} holds the run as it was after epoch "
                f"{self.epoch}: begin anew with another seed, or from weights"
            )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self.optimizer.step()
        return float(loss.detach())

    def _half(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    @torch.no_grad()
    def validate(self) -> float:
        """The weighted mean total loss over the validation batches, with fixed seeds; nan without any."""
        self.model.eval()
        self.validation, total = {}, math.nan
        for task, share, batch_losses in self.course.validation_batches(self.recipe):
            with self._half():
                losses = batch_losses(0)
            for name, value in losses.items():
                self.validation[f"{task}.{name}"] = self.validation.get(f"{task}.{name}", 0) + share * float(value)
            total = share * float(losses["total"]) + (0.0 if math.isnan(total) else total)
        return total

    @torch.no_grad()
    def write(self, name: str, data: str = "", command: str = "") -> Card:
        """The best epoch's weights in bf16, the prior of their z, and the card, which names data and command."""
        self.model.load_state_dict(self.best_state)
        self.model.eval()
        self.course.calibrate()
        prior = self.course.prior()
        tensors = {key: value.to(torch.bfloat16).contiguous() for key, value in self.model.state_dict().items()}
        tensors |= {key: value.to(torch.bfloat16).contiguous() for key, value in prior.tensors().items()}
        config = self.config
        card = Card(
            name=name,
            config=config.name,
            family=config.family,
            bars=max(config.recipe.bars),
            steps_per_bar=self.course.steps_per_bar,
            verbs=config.verbs,
            styles=prior.names,
            step_temperature=config.recipe.step_temperature,
            opening_temperature=config.recipe.opening_temperature,
            attributes=_rounded(self.course.about.get("attributes", {})),
            feels=_rounded(self.course.about.get("feels", {})),
            sha256="",
            license="Apache-2.0",
            data=data,
            command=command,
            training={
                "date": date.today().isoformat(),
                **({"first_stage": self.first_stage} if self.first_stage > 1 else {}),
                "epochs": self.epochs,
                "steps": self.steps,
                "minutes": round(self.seconds / 60, 1),
                "device": self.device.type,
                **({"processes": self.together.count} if self.together.count > 1 else {}),
                "validation": [round(best, 3) for best in self.best if math.isfinite(best)],
                "windows": dict(self.course.facts),
                "recipe": _described(config.recipe),
            },
        )
        return write_weights(self.out, tensors, card)


def _rounded(rows: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {key: [float(f"{value:.5g}") for value in row] for key, row in rows.items()}


def _described(recipe: Recipe) -> dict[str, Any]:
    """A recipe as the card holds it."""
    described = {
        key: value for key, value in asdict(recipe).items() if not isinstance(value, tuple) and value is not None
    }
    later = {"second": recipe.second, "third": recipe.third}
    return described | {name: _described(stage) for name, stage in later.items() if stage}


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The published exponential decay, or a cosine over the run with a warm-up of its first 2 %."""
    if recipe.decay:
        return (recipe.rate_peak - recipe.rate_floor) * recipe.decay**step + recipe.rate_floor
    warm_up = max(1, steps // 50)
    if step < warm_up:
        return recipe.rate_peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return recipe.rate_floor + (recipe.rate_peak - recipe.rate_floor) * (1 + math.cos(math.pi * progress)) / 2
