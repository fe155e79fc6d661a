"""A variational autoencoder over tokens: encoder → z → decoder, built from a shape.

Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.model.encoder import BidirectionalEncoder, HierarchicalEncoder, Posterior
from engine.model.nade import to_bits
from engine.model.noise import Noise
from engine.model.token_decoder import TRUTH, Conductor, Feeding, LstmDecoder, SplitDecoder, one_hot


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceShape:
    """The sizes that define a network. LSTM sizes: one for each layer, all equal; with encoder_levels one a level.

    alphabet: how many tokens each part has at a step; with nade, the NADE's hidden size, the bits of a token.
    encoder_levels: the steps of each level of a hierarchical encoder, from the bottom; else it is flat. encoder is
    empty where there is none. conductor and levels (bars, steps of a bar): of a hierarchical decoder. split: a
    decoder for each part. roll: the encoder reads a token as its bits and one more for the empty set, not as a
    one-hot. control: how many classes the control of each step has, such as its chord. plan: see LstmDecoder.
    """

    alphabet: tuple[int, ...]
    z: int
    encoder: tuple[int, ...] = ()
    encoder_levels: tuple[int, ...] = ()
    decoder: tuple[int, ...]
    conductor: tuple[int, ...] = ()
    levels: tuple[int, ...] = ()
    split: bool = False
    nade: int = 0
    roll: bool = False
    control: int = 0
    plan: tuple[int, ...] = ()

    @property
    def bits(self) -> int:
        """How many drums a token holds, one bit each, where roll or nade is set."""
        return self.alphabet[0] if self.nade else (self.alphabet[0] - 1).bit_length()

    @property
    def encoder_input_size(self) -> int:
        """The encoder's input size: how many numbers it reads at a step."""
        return (self.bits + 1 if self.roll else sum(self.alphabet)) + self.control


class MusicVae(nn.Module):
    """Encoder and decoder of one shape; chained: see Conductor."""

    def __init__(self, shape: SequenceShape, *, chained: bool = False):
        super().__init__()
        self.shape = shape
        self.encoder: BidirectionalEncoder | HierarchicalEncoder | None = None
        if shape.encoder_levels:
            self.encoder = HierarchicalEncoder(
                shape.encoder_input_size, shape.encoder, shape.encoder_levels, shape.z
            )
        elif shape.encoder:
            self.encoder = BidirectionalEncoder(
                shape.encoder_input_size, shape.encoder[0], shape.z, layers=len(shape.encoder)
            )
        self.decoder = _decoder(shape, chained)

    def encode(self, tokens: Tensor, control: Tensor | None = None) -> Posterior:
        """tokens (batch, step, part), each step's class of control (batch, step) -> posterior over z: (batch, z).

        The model must have an encoder.
        """
        assert self.encoder is not None
        encoder_input = torch.cat([self._encoder_input(tokens), self._control(tokens, control)], dim=-1)
        if isinstance(self.encoder, BidirectionalEncoder):
            return self.encoder(encoder_input)  # type: ignore[no-any-return]
        lengths = torch.unflatten((tokens >= 0).any(dim=-1), 1, (-1, self.encoder.steps[0])).sum(dim=-1)
        shortened = bool((lengths < self.encoder.steps[0]).any())
        return self.encoder(encoder_input, lengths if shortened else None)  # type: ignore[no-any-return]

    def decode(
        self, z: Tensor, steps: int, *, control: Tensor | None = None, temperature: float, noise: Noise
    ) -> Tensor:
        """z (batch, z) -> tokens (batch, step, part); at temperature 0 the likeliest at each step."""
        choices = self.decoder.choices
        if temperature == 0:
            logit_noise = z.new_zeros(1, 1, 1).expand(len(z), steps, choices)
        else:
            logit_noise = temperature * noise.gumbel(len(z), steps, choices)
            if self.shape.nade:  # two Gumbels' difference is logistic, what a Bernoulli needs
                logit_noise = logit_noise - temperature * noise.gumbel(len(z), steps, choices)
        parts = 1 if self.shape.nade else len(self.shape.alphabet)
        first = torch.full((len(z), parts), -1, device=z.device)
        return self.decoder.decode(z, first, self._control(logit_noise, control), logit_noise)

    def keep_for_decoding(self) -> None:
        """Keep the decoder's weights only as decoding needs them, which saves memory; it can be trained no more."""
        for module in self.decoder.modules():
            if isinstance(module, LstmDecoder):
                module.lstm.keep_for_steps(module.choices, half=module.in_half)

    def loss(
        self,
        tokens: Tensor,
        *,
        control: Tensor | None = None,
        beta: float,
        free_bits: float,
        noise: Tensor,
        feeding: Feeding = TRUTH,
    ) -> dict[str, Tensor]:
        """The negative ELBO of a batch in its parts, each the mean over sequences in nats; "total" is trained.

        tokens (batch, step, part), noise (batch, z). KL term = β·max(KL − free_bits·ln 2, 0) for each sequence.
        """
        posterior = self.encode(tokens, control)
        first = torch.full_like(tokens[:, 0], -1)
        nats = self.decoder.loss(posterior.sample(noise), tokens, first, self._control(tokens, control), feeding)
        kl = posterior.kl().sum(dim=-1)
        total = nats + beta * torch.clamp(kl - free_bits * math.log(2), min=0)
        return {"tokens": nats.mean(), "kl": kl.mean(), "total": total.mean()}

    def _encoder_input(self, tokens: Tensor) -> Tensor:
        """(batch, step, part) -> the encoder's input without the control: (batch, step, n)."""
        if not self.shape.roll:
            return one_hot(tokens, self.shape.alphabet)
        bits = to_bits(tokens[..., 0].clamp(min=0), self.shape.bits)
        return torch.cat([bits, (tokens == 0).to(bits)], dim=-1)

    def _control(self, steps: Tensor, control: Tensor | None) -> Tensor:
        """Each step's class of control (batch, step) -> one-hot (batch, step, control); zeros for -1 or None."""
        batch, count, _ = steps.shape
        if control is None:
            return torch.zeros(batch, count, self.shape.control, device=steps.device)
        return one_hot(control[..., None], (self.shape.control,))


def _decoder(shape: SequenceShape, chained: bool) -> LstmDecoder | SplitDecoder | Conductor:
    """The decoder of a shape; under a conductor the z of the decoder of a bar is the conductor's h.

    Bars decoded in parallel are many rows, of weights trained here, not published ones: they run in bf16.
    """
    z = shape.conductor[-1] if shape.conductor else shape.z
    in_half = bool(shape.conductor) and not chained
    given: dict[str, Any] = {"control": shape.control, "plan": shape.plan, "in_half": in_half}
    core: LstmDecoder | SplitDecoder
    if shape.split:
        core = SplitDecoder([LstmDecoder((size,), z, shape.decoder, **given) for size in shape.alphabet])
    else:
        core = LstmDecoder(shape.alphabet, z, shape.decoder, nade=shape.nade, **given)
    if not shape.conductor:
        return core
    return Conductor(shape.z, shape.conductor, shape.levels[0], core, chained=chained)
