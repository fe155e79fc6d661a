"""The verbs on resident models: a request goes in, results come out."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engine.asking import Asking, alone, together
from engine.clip import Clip, Note
from engine.devices import Devices
from engine.errors import ClipError, GpuFailedError, ModelError
from engine.model.band.vae import BandShape
from engine.model.noise import Noise
from engine.model.phrases.vae import PhraseShape
from engine.pausing import looking
from engine.placing import Placing
from engine.representation.band import PARTS
from engine.representation.band_clip import has_voices
from engine.representation.drum_map import GENERAL_MIDI, read_drum_map
from engine.requests import (
    MAX_SEED,
    VERBS,
    Accompany,
    ContinueSound,
    Decode,
    Fill,
    Humanize,
    Infill,
    Interpolate,
    Keeping,
    LearnStyle,
    NoteForNote,
    Request,
    Results,
    Vary,
    clips_of,
    needs_clips,
    request_about,
    verb_of,
)
from engine.styles import NONE, PROGRAMMED, checked_name, write_style
from engine.verbs.band_verbs import BandPlayer
from engine.verbs.groove_verbs import Player
from engine.verbs.phrase_verbs import PhrasePlayer
from engine.verbs.resident import (
    AnyResident,
    BandResident,
    GrooveResident,
    PhraseResident,
    TokenResident,
    load_resident,
)
from engine.verbs.running import Played, in_meter, of_silence
from engine.verbs.steering.knobs import lacking
from engine.verbs.steering.learning import learn
from engine.verbs.token_verbs import Composer
from engine.weights import Card, Library, attributes_of

logger = logging.getLogger(__name__)

LARGE_BYTES = 64 * 2**20
"""Weights that no core's cache holds: several cores stream them faster than one."""


class Generator:
    """Several models in memory, on one device; runs one request at a time, and may load a model meanwhile.

    device is auto, cpu, cuda or cuda:N. drum_map is a .toml of instrument = [pitches], else General MIDI. own: the
    folder of the user's styles. devices: those that auto chooses from, else this machine's.
    """

    def __init__(
        self,
        library: Library,
        *,
        device: str = "auto",
        drum_map: Path | None = None,
        own: Path | None = None,
        devices: Devices | None = None,
    ):
        self.library, self.own = library, own
        self._placing = Placing[AnyResident](
            device, lambda *which: load_resident(self.library, *which), self._warm_up, devices
        )
        self.problems = self._placing.problems
        self.drum_map = GENERAL_MIDI if drum_map is None else read_drum_map(drum_map)
        self._residents: dict[str, AnyResident] = {}
        self._change = threading.Lock()
        self._seeds = np.random.default_rng()
        self._cores = min(4, torch.get_num_threads())  # more do not stream faster

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of the resident models, the default first."""
        return tuple(reversed(self._residents))

    @property
    def device(self) -> torch.device:
        """That of the default model."""
        return self._residents[self.default].device if self._residents else self._placing.device

    @property
    def default(self) -> str:
        """The model that was loaded last, or an empty name."""
        return next(reversed(self._residents), "")

    def resident(self, name: str) -> AnyResident:
        """A model that has been loaded."""
        return self._residents[name]

    def load(self, name: str, *, default: bool = True, warm: bool = False) -> Card:
        """Make a model resident, and the default for its verbs; ModelError or WeightsError if it cannot be.

        May be called on another thread than run: until it returns nothing changes for requests. Weights that have
        changed on disk are read again. warm: run its verbs first.
        """
        resident, card = self._residents.get(name), self.library.card(name)
        if resident is None or resident.card != card:
            resident = self._placing.place(card)
            if warm:
                self._warm_up(resident)
        self._keep(resident, default=default)
        return resident.card

    def warm_up(self) -> None:
        """Run each verb of each resident model, so that the first request is as fast as the next."""
        for resident in self._residents.values():
            self._warm_up(resident)

    @torch.inference_mode()
    def _warm_up(self, resident: AnyResident) -> None:
        if isinstance(resident, TokenResident):
            Composer(resident, self.drum_map, Noise(0, device=resident.device)).warm_up()
            return
        if isinstance(resident, BandResident):
            self._play(Accompany(clip=Clip((Note(60, 0.0, 1.0, 100),), 4.0)), resident, 0)
            return
        if isinstance(resident, PhraseResident):
            self._play(Infill(clip=Clip((Note(36, 0.0, 0.25, 100),), 4.0), start=2.0, beats=2.0), resident, 0)
            return
        clip = Clip(tuple(Note(36 + 2 * (i % 4), i / 4, 0.25, 100) for i in range(16)), 4.0)
        shape = resident.model.shape
        for verb, kind in VERBS.items():
            if verb in resident.card.verbs:
                clips = (clip,) * (needs_clips(kind) or shape.hits_control)
                self._play(request_about(kind, clips, z=(0.0,) * shape.z), resident, 0)

    def _keep(self, resident: AnyResident, *, default: bool) -> None:
        """Put a model among the residents, in a new dictionary: a request that runs sees the old one."""
        with self._change:
            name = resident.card.name
            if default:
                others = {each: kept for each, kept in self._residents.items() if each != name}
                self._residents = {**others, name: resident}
            elif name in self._residents:
                self._residents = {**self._residents, name: resident}
            else:
                self._residents = {name: resident, **self._residents}

    def run(self, request: Request) -> Results:
        """The results of one request; ClipError, ModelError or WeightsError if it cannot be done."""
        ((_, results),) = self.run_together([request])
        if isinstance(results, Exception):
            raise results
        return results

    @torch.inference_mode()
    def run_together(self, requests: Sequence[Request]) -> Iterator[tuple[int, Results | Exception]]:
        """The results of several by their places, each as soon as they are there, or the error of one that fails.

        What drummers are asked goes through their networks together, which changes no note of any.
        """
        yield from together([partial(self._asking, request) for request in requests])

    def _asking(self, request: Request) -> Asking[Results]:
        """What comes of one request."""
        if isinstance(request, LearnStyle):
            return self._learn(request)
        if isinstance(request, ContinueSound):
            from engine.verbs.score_verbs import continue_sound  # nobody else needs what reads sound

            return continue_sound(self.library, request)
        began = time.perf_counter()
        resident = self._resident_for(request)
        seed = int(self._seeds.integers(MAX_SEED + 1)) if request.seed is None else request.seed
        told, ask = len(self.problems), partial(self._played, request, seed=seed)
        resident, played = yield from self._placing.asking(ask, resident, self._after)
        stay = _own_notes(request, resident)
        clips = tuple(in_meter(clip.apart(but=stay), request) for clip in looking(played.clips))
        remarks = (*played.remarks, *self.problems[told:], *of_silence(clips, request))
        ms, name = (time.perf_counter() - began) * 1000, resident.card.name
        meter = clips[0].meter if clips and clips[0].beat_unit != 4 else ""
        return Results(clips, name, seed, ms, played.as_taps, remarks, played.latent, meter, played.facts)

    @torch.inference_mode()
    def _learn(self, request: LearnStyle) -> Results:
        """Keep a style of the user's own, in the z of the drummer who humanizes."""
        began = time.perf_counter()
        resident = self._resident_for(Humanize(clip=Clip((), 4.0), model=request.model))
        if not isinstance(resident, GrooveResident) or not _has_encoder(resident):
            raise ModelError(f"{resident.card.name} learns no style: name a drummer, which hears grooves")
        if self.own is None:
            raise ClipError("there is no folder for styles of your own: own names one")
        known = [style for card in self.library.cards.values() for style in card.styles]
        checked_name(request.name, (NONE, *PROGRAMMED, *known))
        style, mean, scale = learn(request.name, request.clips, request.sources, resident, self.drum_map)
        write_style(self.own, style, mean, scale)
        ms = (time.perf_counter() - began) * 1000
        facts = (("name", style.name), ("bars", style.bars), ("near", style.near), ("distance", style.distance))
        return Results((), resident.card.name, 0, ms, facts=(*facts, *style.feel.items()))

    def _resident_for(self, request: Request) -> AnyResident:
        """The model that was asked for, loaded if need be, else the newest one that can do it."""
        verb, residents = verb_of(request), self._residents
        if request.model is None:
            able = [each for each in residents.values() if verb in each.card.verbs]
            if not able:
                others = [name for name, card in self.library.cards.items() if verb in card.verbs]
                instead = f"; {_listed(others)} can: load one, or name it as the model" if others else ""
                raise ModelError(f"no loaded model can {verb}{instead}")
            for fits in (_takes, _hears, _can_keep, _can_fill, self._steers, _suits):
                if len(able) > 1:
                    best = max(fits(each, request) for each in able)
                    able = [each for each in able if fits(each, request) == best]
            return self._checked(request, able[-1])
        if request.model not in residents:
            self.load(request.model, default=not residents)
        resident = self._residents[request.model]
        if verb not in resident.card.verbs:
            able_to = _listed(resident.card.verbs)
            if not (request.makes_clips or _has_encoder(resident)):
                raise ModelError(f"{request.model} has no encoder: it can {able_to}")
            raise ModelError(f"{request.model} cannot {verb}; it can {able_to}")
        return self._checked(request, resident)

    def _checked(self, request: Request, resident: AnyResident) -> AnyResident:
        """The model, if it takes what the request says, of attributes as well."""
        resident = _checked(request, resident)
        asked = getattr(request, "asked", {})
        if asked and (lacks := lacking(asked, known := self._attributes(resident))):
            has = f"it has {', '.join(known)}" if known else f"it has none{_how_to_learn(resident)}"
            raise ClipError(f"{resident.card.name} has no {lacks[0]} to be asked for: {has}")
        return resident

    def _attributes(self, resident: AnyResident) -> tuple[str, ...]:
        """The attributes that can be asked of a model: its own, and the feel of the drummer who plays its hits."""
        loaded = [self._residents[name].card for name in self.loaded]
        return tuple(attributes_of(resident.card, loaded))

    def _steers(self, resident: AnyResident, request: Request) -> int:
        """0: a model lacks an attribute that is asked for; 1: its z is moved to them; 2: it is told of them."""
        asked = getattr(request, "asked", {})
        told = 1 if asked and isinstance(resident, TokenResident) else 2
        return 0 if lacking(asked, self._attributes(resident)) else told

    def _drummer(self) -> GrooveResident | None:
        """The model that was loaded last of those that play given hits."""
        able = [
            each
            for each in self._residents.values()
            if isinstance(each, GrooveResident) and each.model.shape.decoder == "drummer"
        ]
        return able[-1] if able else None

    def _after(self, error: GpuFailedError, resident: AnyResident, tries: int) -> AnyResident:
        """The model with which a request goes on after the GPU has failed."""
        for moved in self._placing.move(error, resident, tries, self._residents.values()):
            self._keep(moved, default=False)
        return self._residents[resident.card.name]

    def _play(self, request: Request, resident: AnyResident, seed: int) -> None:
        alone(self._played(request, resident, seed=seed))

    def _played(self, request: Request, resident: AnyResident, *, seed: int) -> Asking[Played]:
        # a step of a small model is too small to share, and beside a busy DAW threads wait for each other
        torch.set_num_threads(self._cores if resident.weights_bytes > LARGE_BYTES else 1)
        noise = Noise(seed, shared=isinstance(request, Interpolate), device=resident.device)
        if isinstance(resident, TokenResident):
            return Composer(resident, self.drum_map, noise).asking(request)
        if isinstance(resident, BandResident):
            return BandPlayer(resident, self._drummer(), self.drum_map, noise, self.own).asking(request)
        if isinstance(resident, PhraseResident):
            return PhrasePlayer(resident, self._drummer(), self.drum_map, noise, self.own).asking(request)
        return Player(resident, self.drum_map, noise, self.own).asking(request)


def _own_notes(request: Request, resident: AnyResident) -> frozenset[Note]:
    """The notes that may come back as they were given; a band gives back the parts that it does not play."""
    comes_back = isinstance(request, (NoteForNote, Fill, Infill)) or (
        isinstance(request, Vary) and (request.keeps or isinstance(resident, BandResident))
    )
    return frozenset(note for clip in clips_of(request) for note in clip.notes) if comes_back else frozenset()


OF_BANDS = ("parts", "key", "scale")
"""What only models of several parts are told."""

MOST_BARS = 8192
"""Of a clip. It is decoded whole, silence and all."""


def _checked(request: Request, resident: AnyResident) -> AnyResident:
    """The model, if it takes what the request says of chords, clips and z."""
    name, shape = resident.card.name, resident.config.shape
    longest = max((clip.bars for clip in clips_of(request)), default=0)
    if longest > MOST_BARS:
        raise ClipError(
            f"a clip may have {MOST_BARS} bars, not {longest}: a stray note far behind the rest is to be taken out"
        )
    in_parts = isinstance(resident, BandResident)
    if getattr(request, "chords", None) and not (getattr(shape, "control", 0) or in_parts):
        raise ClipError(f"{name} follows no chords: leave chords out")
    if not in_parts and (told := [each for each in OF_BANDS if getattr(request, each, None)]):
        raise ClipError(f"{name} is told no {told[0]}: leave it out, or name a model of several parts")
    if not _hears(resident, request):
        made = f"clips that {name} has made itself, which `sample to SLOT` keeps"
        raise ClipError(f"{name} has no encoder: {verb_of(request)} takes {made}")
    if not _can_keep(resident, request):
        raise ClipError(
            f"{name} makes all notes anew: leave keep and keep_slot out, or name a model of drums played"
        )
    if not _can_fill(resident, request):
        raise ClipError(f"{name} makes no drum fills: leave fill_in out, or name a model of drums")
    if isinstance(request, Decode) and not _takes(resident, request):
        raise ClipError(f"{name} decodes a z of {_sizes_of_points(resident)}, not {len(request.z)}")
    return resident


def _takes(resident: AnyResident, request: Request) -> bool:
    """Whether the point that a request is about, if it is about one, is of a size that the model decodes."""
    if not isinstance(request, Decode):
        return True
    shape, size = resident.config.shape, len(request.z)
    if isinstance(shape, BandShape):
        of_bar = len(PARTS) * shape.bar_z
        return size in range(shape.z, shape.z + resident.card.bars * of_bar + 1, of_bar)
    if isinstance(shape, PhraseShape):
        return size in range(shape.z, shape.z + resident.card.bars * shape.bar_z + 1, shape.bar_z)
    return size == shape.z


def _sizes_of_points(resident: AnyResident) -> str:
    shape = resident.config.shape
    if isinstance(shape, BandShape):
        each = len(PARTS) * shape.bar_z
        return f"{shape.z} numbers, or of {each} for each of at most {resident.card.bars} bars more"
    if isinstance(shape, PhraseShape):
        return f"{shape.z} numbers, or of {shape.bar_z} for each of at most {resident.card.bars} bars more"
    return f"{shape.z} numbers"


def _hears(resident: AnyResident, request: Request) -> bool:
    """Whether a model can tell the z of the clips that a request starts from."""
    if not needs_clips(type(request)) or _has_encoder(resident):
        return True
    own = resident.card.sha256
    return all(clip.origin and clip.origin.weights == own for clip in clips_of(request))


def _can_keep(resident: AnyResident, request: Request) -> bool:
    """Whether a model can leave the notes that are to stay."""
    return not (
        isinstance(request, Keeping) and request.keeps and isinstance(resident, TokenResident | BandResident)
    )


def _can_fill(resident: AnyResident, request: Request) -> bool:
    """Whether a model can make the drum fill that is asked for."""
    return not (getattr(request, "fill_in", 0) and isinstance(resident, BandResident))


def _suits(resident: AnyResident, request: Request) -> bool:
    """Whether a model plays what a request is about: drums, or several parts."""
    voices = any(has_voices(clip, GENERAL_MIDI) for clip in clips_of(request))
    in_parts = voices or any(getattr(request, each, None) for each in OF_BANDS)
    return isinstance(resident, HEARS_PARTS if in_parts else NOT_OF_BANDS)


HEARS_PARTS, NOT_OF_BANDS = (BandResident, TokenResident), (GrooveResident, PhraseResident, TokenResident)


def _how_to_learn(resident: AnyResident) -> str:
    """How attributes of the notes of a model are learnt, if they can be."""
    if not isinstance(resident, TokenResident) or not resident.steerable:
        return ""
    return f"; `vaebridge weights attributes {resident.card.name} --data CORPUS` learns those of its notes"


def _has_encoder(resident: AnyResident) -> bool:
    return bool(getattr(resident.config.shape, "encoder", True))


def _listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
