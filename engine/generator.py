"""The verbs on resident models: a request goes in, results come out."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engine.clip import Clip, Note
from engine.errors import ModelError
from engine.model.noise import Noise
from engine.player import Played, Player
from engine.representation.drum_map import GENERAL_MIDI, read_drum_map
from engine.requests import (
    MAX_SEED,
    Drumify,
    Fill,
    Groove,
    Humanize,
    Interpolate,
    Request,
    Results,
    Sample,
    Vary,
    verb_of,
)
from engine.resident import Resident, load_resident
from engine.weights import Card, Library

logger = logging.getLogger(__name__)


class Generator:
    """Several models in memory, on one device; runs one request at a time.

    device is auto, cpu, cuda or cuda:N. drum_map is a .toml of instrument = [pitches], else General MIDI.
    """

    def __init__(self, library: Library, *, device: str = "auto", drum_map: Path | None = None):
        self.library = library
        self.device = _device(device)
        self.drum_map = GENERAL_MIDI if drum_map is None else read_drum_map(drum_map)
        self._residents: dict[str, Resident] = {}
        self._seeds = np.random.default_rng()
        torch.set_num_threads(1)  # a step is too small to share, and beside a busy DAW threads wait for each other

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the resident models, the default first."""
        return tuple(reversed(self._residents))

    @property
    def default(self) -> str:
        """The model that was loaded last, or an empty name."""
        return next(reversed(self._residents), "")

    def resident(self, name: str) -> Resident:
        """A model that has been loaded."""
        return self._residents[name]

    def load(self, name: str) -> Card:
        """Make a model resident and the default for its verbs; ModelError or WeightsError if it cannot be."""
        resident = self._residents.pop(name, None) or load_resident(self.library, name, self.device)
        self._residents[name] = resident
        return resident.card

    def warm_up(self) -> None:
        """Run each verb of each resident model, so that the first request is as fast as the next."""
        clip = Clip(tuple(Note(36 + 2 * (i % 4), i / 4, 0.25, 100) for i in range(16)), 8.0)
        requests = [
            Sample(seed=0),
            Humanize(clip=clip, seed=0),
            Drumify(clip=clip, seed=0),
            Fill(clip=clip, seed=0),
            Interpolate(clips=(clip, clip), steps=2, seed=0),
            Vary(clip=clip, seed=0),
            Groove(clip=clip, feel=clip, seed=0),
        ]
        for name, resident in self._residents.items():
            for request in requests:
                if verb_of(request) in resident.card.verbs:
                    self.run(replace(request, model=name))

    def run(self, request: Request) -> Results:
        """The results of one request; ClipError, ModelError or WeightsError if it cannot be done."""
        began = time.perf_counter()
        resident = self._resident_for(request)
        seed = int(self._seeds.integers(MAX_SEED + 1)) if request.seed is None else request.seed
        try:
            played = self._play(request, resident, seed)
        except torch.OutOfMemoryError:
            resident = self._move_to_cpu(resident)
            played = self._play(request, resident, seed)
            played = replace(played, remarks=(*played.remarks, "the GPU is out of memory: played on the CPU"))
        ms = (time.perf_counter() - began) * 1000
        return Results(tuple(played.clips), resident.card.name, seed, ms, played.as_taps, played.remarks)

    def _resident_for(self, request: Request) -> Resident:
        """The model that was asked for, loaded if need be, else the newest one that has the verb."""
        verb = verb_of(request)
        if request.model is not None:
            if request.model not in self._residents:
                default = self.default
                self.load(request.model)
                if default:
                    self.load(default)
            resident = self._residents[request.model]
            if verb not in resident.card.verbs:
                raise ModelError(f"{request.model} cannot {verb}; it can {', '.join(resident.card.verbs)}")
            return resident
        for resident in reversed(self._residents.values()):
            if verb in resident.card.verbs:
                return resident
        raise ModelError(f"no loaded model can {verb}")

    def _move_to_cpu(self, resident: Resident) -> Resident:
        logger.warning("%s: the GPU is out of memory, going on with the CPU", resident.card.name)
        moved = load_resident(self.library, resident.card.name, torch.device("cpu"))
        self._residents[resident.card.name] = moved
        torch.cuda.empty_cache()
        return moved

    @torch.inference_mode()
    def _play(self, request: Request, resident: Resident, seed: int) -> Played:
        shared = isinstance(request, Interpolate)
        return Player(resident, self.drum_map, Noise(seed, shared=shared, device=resident.device)).play(request)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device must be auto, cpu, cuda or cuda:N and present, not {name!r}") from error
    return device
