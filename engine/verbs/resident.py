"""A model in memory: its verified weights and its prior, on a device."""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.errors import ClipError, ModelError, WeightsError
from engine.learning.prior import Prior, standard_prior
from engine.model.band.decoder import PartDecoder, Score
from engine.model.band.steps import Choose as ChooseOfPart
from engine.model.band.steps import draw_part
from engine.model.band.vae import BandShape, BandVae
from engine.model.blocks import whole
from engine.model.constraint import MOVERS, Mover
from engine.model.musicvae import MusicVae, SequenceShape
from engine.model.noise import Noise
from engine.model.phrases.decoder import Condition
from engine.model.phrases.steps import Choose, draw_hits
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.model.score.vae import ScoreShape
from engine.model.tasks import Given, positions
from engine.model.vae import GrooveShape, Vae
from engine.registry import Config, configure
from engine.representation.attributes import Scales, scale_of
from engine.representation.band import DRUMS
from engine.representation.tokens import STEPS_PER_BAR
from engine.weights import Card, Library, learns_again

logger = logging.getLogger(__name__)

MOST_JOINED_STEPS = 64
"""What is longer gains little from company, and is faster without blocks."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory, ready to run; weights_bytes is how large it is in float32."""

    card: Card
    config: Config
    model: nn.Module
    device: torch.device
    prior: Prior
    weights_bytes: int

    @property
    def window_steps(self) -> int:
        """How many steps share a z."""
        return self.card.bars * self.card.steps_per_bar

    @property
    def scales(self) -> Scales:
        """The scale of each attribute that the card names."""
        return {name: scale_of(name, float(mean), float(of)) for name, (mean, of) in self.card.attributes.items()}

    def told(self, name: str, asked: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a model is told of an attribute, in standard deviations, so that what is asked comes."""
        mean, deviation = self.card.attributes[name]
        times, plus = self.card.told.get(name, (1.0, 0.0))
        return np.asarray(times * (self.scales[name].value(asked) - mean) / deviation + plus, np.float64)

    def style_number(self, style: str) -> int:
        """The number of a style; ClipError where the model has it not."""
        if style not in self.card.styles:
            known = ", ".join(self.card.styles) or "none"
            raise ClipError(f"there is no style {style!r}; there are: {known}")
        return self.card.styles.index(style)


@dataclass(frozen=True, slots=True)
class GrooveResident(Resident):
    """A model of grooves."""

    model: Vae

    def encode(
        self,
        encoder_input: Tensor,
        *,
        steps_per_bar: int = 16,
        hits_given: bool = False,
        temperature: float | Tensor,
        noise: Noise,
    ) -> Tensor:
        """(batch, step, 27) -> a z for each window: (batch, window, z), drawn with one noise for all windows.

        hits_given: nothing but the feel is wanted, where z has one. temperature: one for all, or (batch, 1, 1), of
        which none is 0.
        """
        position = positions(encoder_input.shape[1], steps_per_bar).to(encoder_input.device)
        windows = (
            torch.split(each, self.window_steps, dim=-1) for each in (encoder_input.transpose(1, 2), position)
        )
        said = [self._hear(window.transpose(1, 2), its, hits_given) for window, its in zip(*windows, strict=True)]
        mu, sigma, expected = torch.stack(said, dim=1).unbind(2)
        if not isinstance(temperature, Tensor) and temperature == 0:
            return expected
        return mu + temperature * sigma * noise.normal(len(mu), 1, mu.shape[-1])

    def _hear(self, window: Tensor, position: Tensor, hits_given: bool) -> Tensor:
        """mu, sigma and the z of temperature 0: (batch, step, 27) -> (batch, 3, z)."""
        posterior = self.model.encode(window, position, hits_given=hits_given, blocks=self.in_blocks)
        return torch.stack([posterior.mu, posterior.sigma, self.model.expected_z(posterior, window)], dim=1)

    @property
    def in_blocks(self) -> bool:
        """Whether what it says of a row does not depend on the rows beside it: see engine/model/blocks.py."""
        return self.model.shape.decoder == "drummer"

    def joins(self, steps: int) -> bool:
        """Whether what is asked of so many steps is answered together with others: what is short."""
        return self.in_blocks and steps <= MOST_JOINED_STEPS

    def decode(
        self, z: Tensor, given: Given, *, temperature: float | Tensor, noise: Noise, draws: int = 1
    ) -> Tensor:
        """z (batch, window, z), or (batch, 1, z) for all of it -> (batch·draws, step, 27); see Vae.decode."""
        steps = given.groove.shape[1]
        path = (
            z.repeat_interleave(self.window_steps, dim=1)[:, :steps] if z.shape[1] > 1 else z.expand(-1, steps, -1)
        )
        return self.model.decode(path, given, temperature=temperature, noise=noise, draws=draws)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Ask for the z of each window of (batch, step, 27): see GrooveResident.encode."""

    resident: GrooveResident
    encoder_input: Tensor
    steps_per_bar: int
    hits_given: bool
    temperature: float
    noise: Noise

    @property
    def kind(self) -> Hashable:
        """Those of as many steps, read the same way, go together, those of temperature 0 among themselves."""
        if not self._joins:
            return id(self)
        how = self.encoder_input.shape[1], self.steps_per_bar, self.hits_given, self.temperature == 0
        return "encode", id(self.resident.model), *how

    @property
    def _joins(self) -> bool:
        return self.resident.joins(self.encoder_input.shape[1])

    @property
    def size(self) -> int:
        """Rows × steps."""
        return self.encoder_input.shape[0] * self.encoder_input.shape[1]

    def answers(self, asks: Sequence["Encoding"]) -> Sequence[Tensor]:
        """(batch, window, z) for each."""
        rows = [len(each.encoder_input) for each in asks]
        with whole(not self._joins):
            z = self.resident.encode(
                torch.cat([each.encoder_input for each in asks]),
                steps_per_bar=self.steps_per_bar,
                hits_given=self.hits_given,
                temperature=_of_rows([each.temperature for each in asks], rows, self.resident.device),
                noise=Noise.together([each.noise for each in asks], rows),
            )
        return torch.split(z, rows)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Ask for the grooves of z: see GrooveResident.decode."""

    resident: GrooveResident
    z: Tensor
    given: Given
    temperature: float
    noise: Noise
    draws: int
    hits_given: bool

    @property
    def kind(self) -> Hashable:
        """Those of as many steps, of which as much is drawn, go together."""
        if not self._joins:
            return id(self)
        how = self.given.steps_per_bar, self.draws, self.hits_given
        return "decode", id(self.resident.model), self.given.groove.shape[1], self.z.shape[1], *how

    @property
    def _joins(self) -> bool:
        return self.resident.joins(self.given.groove.shape[1]) and self.temperature > 0

    @property
    def size(self) -> int:
        """Rows × steps."""
        return self.given.groove.shape[0] * self.given.groove.shape[1] * self.draws

    def answers(self, asks: Sequence["Decoding"]) -> Sequence[Tensor]:
        """Grooves (batch·draws, step, 27) for each."""
        rows = [len(each.z) for each in asks]
        with whole(not self._joins):
            grooves = self.resident.decode(
                torch.cat([each.z for each in asks]),
                Given.together([each.given for each in asks]),
                temperature=_of_rows([each.temperature for each in asks], rows, self.resident.device),
                noise=Noise.together([each.noise for each in asks], rows),
                draws=self.draws,
            )
        return torch.split(grooves, [self.draws * each for each in rows])


def _of_rows(values: Sequence[float], rows: Sequence[int], device: torch.device) -> float | Tensor:
    """A number for all, or one for each of so many rows: (batch, 1, 1)."""
    if len(set(values)) == 1:
        return values[0]
    return torch.tensor(values).repeat_interleave(torch.tensor(rows)).to(device)[:, None, None]


@dataclass(frozen=True, slots=True)
class TokenResident(Resident):
    """A model of tokens. mover: what moves its z to attributes, where that has been learnt."""

    model: MusicVae
    mover: Mover | None = None

    @property
    def steerable(self) -> bool:
        """Whether that can be learnt: it hears clips, and its tokens are steps."""
        return self.model.shape.encoder != () and self.card.steps_per_bar == STEPS_PER_BAR


@dataclass(frozen=True, slots=True)
class PhraseResident(Resident):
    """A model of phrases."""

    model: PhraseVae

    def draw_style(self, noise: Noise) -> str:
        """One of the styles, as often as it was played in training."""
        edges = self.prior.share.cumsum(0)
        return self.card.styles[int(torch.searchsorted(edges, noise.uniform(1, 1)[0, 0] * edges[-1]))]

    def draw_z(self, condition: Condition, noise: Noise, temperature: float) -> Tensor:
        """A z for each phrase, by what is given of it: (batch, z)."""
        shape = self.model.shape
        return self.model.z_prior.draw(condition, temperature * noise.normal(len(condition.hits), shape.z))

    def draw_hits(
        self,
        z: Tensor,
        condition: Condition,
        temperature: float,
        noise: Noise,
        choose: Choose | None = None,
        lean: NDArray[np.float32] | None = None,
    ) -> Tensor:
        """The hits of each phrase, (batch, step, 9), drawn colder than z as the card says.

        choose and lean: see draw_hits.
        """
        steps, opening = self.card.step_temperature * temperature, self.card.opening_temperature
        noise = noise.again() if noise.is_shared else noise
        return draw_hits(
            self.model.decoder,
            z,
            condition,
            temperature=steps,
            opening=opening,
            noise=noise,
            choose=choose,
            lean=lean,
        )


@dataclass(frozen=True, slots=True)
class BandResident(Resident):
    """A model of bands."""

    model: BandVae

    def draw_z(self, score: Score, noise: Noise, temperature: float) -> Tensor:
        """A z for each band, by what is given of it: (batch, z)."""
        shape = self.model.shape
        return self.model.z_prior.draw(score, temperature * noise.normal(len(score.states), shape.z))  # type: ignore[arg-type]

    def draw_part(
        self,
        part: int,
        z: Tensor,
        score: Score,
        temperature: float,
        noise: Noise,
        against: Tensor | None = None,
        choose: ChooseOfPart | None = None,
    ) -> Tensor:
        """The states of a part, (batch, step); voices are drawn colder than z as the card says.

        At 1 drums return as often as played ones do, voices less often. against and choose: see draw_part.
        """
        noise = noise.again() if noise.is_shared else noise
        decoder, opening = self.model.decoders[part], self.card.opening_temperature
        steps = temperature * (1.0 if part == DRUMS else self.card.step_temperature)
        assert isinstance(decoder, PartDecoder)
        return draw_part(
            decoder, z, score, temperature=steps, opening=opening, noise=noise, against=against, choose=choose
        )


AnyResident = GrooveResident | TokenResident | PhraseResident | BandResident


@torch.inference_mode(False)  # only then do weights tell that they have changed
def load_resident(library: Library, name: str, device: torch.device, *, steered: bool = True) -> AnyResident:
    """A verified model on a device; on the CPU where a GPU's memory is full. steered: with what moves its z."""
    card = library.card(name)
    config = configure(card)
    if isinstance(config.shape, ScoreShape):
        raise ModelError(
            f"{name} makes sound, no clips: `vaebridge continue FILE.wav` and /vae/audio/continue ask it"
        )
    tensors = {key: tensor.float() for key, tensor in library.tensors(name).items()}
    stored = [tensors.pop(f"prior.{part}") for part in ("mean", "scale", "share") if f"prior.{part}" in tensors]
    prior = Prior(card.styles, *stored) if len(stored) == 3 else standard_prior(config.shape.z)
    size = sum(tensor.nbytes for tensor in tensors.values())
    cpu, shape = torch.device("cpu"), config.shape
    resident: AnyResident
    if isinstance(shape, SequenceShape):
        with torch.device("meta"):  # so large that what is loaded had better not be drawn first
            model = MusicVae(shape, chained=card.chained)
        mover = load_mover(library, card, shape.z) if steered else None
        resident = TokenResident(card, config, model, cpu, prior, size, mover)
    elif isinstance(shape, BandShape):
        resident = BandResident(card, config, BandVae(shape), cpu, prior, size)
    elif isinstance(shape, PhraseShape):
        resident = PhraseResident(card, config, PhraseVae(shape), cpu, prior, size)
    else:
        assert isinstance(shape, GrooveShape)
        resident = GrooveResident(card, config, Vae(shape), cpu, prior, size)
    give_tensors(name, resident.model, tensors)
    try:
        resident.model.to(device)
        resident = replace(resident, device=device, prior=prior.to(device))
    except torch.OutOfMemoryError:
        logger.warning("%s: the GPU is out of memory, loading it on the CPU", name)
        resident.model.cpu()
    if isinstance(resident, TokenResident):
        tensors.clear()
        resident.model.keep_for_decoding()
        if resident.mover is not None:
            resident.mover.to(resident.device)
    return resident


def load_mover(library: Library, card: Card, z: int) -> Mover | None:
    """What moves the z of a model of tokens, verified, if its card names any."""
    tensors = {key: tensor.float() for key, tensor in library.steering(card.name).items()}
    if not tensors:
        return None
    kind = str(card.steering.get("kind"))
    try:
        if kind not in MOVERS:
            raise WeightsError(f"the steering of {card.name} is {kind!r}; there are: {', '.join(MOVERS)}")
        mover = MOVERS[kind](z, len(card.attributes))
        give_tensors(f"{card.name} (steering)", mover, tensors)
    except WeightsError as error:
        raise WeightsError(f"{error}; {learns_again(card.name)}") from error
    return mover


def give_tensors(name: str, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a network its tensors.

    WeightsError names the first tensor that is missing, superfluous, misshapen or not finite.
    """
    expected = model.state_dict()
    for key in sorted(expected.keys() | tensors.keys()):
        if key not in tensors:
            raise WeightsError(f"the weights of {name} lack the tensor {key}")
        if key not in expected:
            raise WeightsError(f"the weights of {name} hold a tensor that their configuration has not: {key}")
        if tensors[key].shape != expected[key].shape:
            raise WeightsError(
                f"the tensor {key} of {name} has the shape {tuple(tensors[key].shape)}, "
                f"not {tuple(expected[key].shape)}"
            )
        if not bool(torch.isfinite(tensors[key]).all()):
            raise WeightsError(f"the tensor {key} of {name} holds a number that is not finite")
    model.load_state_dict(tensors, assign=True)
    model.eval().requires_grad_(False)
