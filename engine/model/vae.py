"""A variational autoencoder over grooves: encoder → z → decoder, and the loss that trains both.

Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428; GrooVAE, Gillick et al. 2019, arXiv 1905.06118.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.model.drummer_decoder import DrummerDecoder
from engine.model.encoder import BidirectionalEncoder, Posterior
from engine.model.groove_decoder import GrooveDecoder
from engine.model.noise import Noise
from engine.model.tasks import Example, Given
from engine.representation.groove import DEPTH


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes that fix a network. decoder is "groove" (the published one) or "drummer" (pattern, performer)."""

    encoder_hidden: int
    decoder: str
    decoder_hidden: int
    decoder_layers: int
    z: int
    context: int = 0
    hits_control: bool = False
    dropout: float = 0.0


class Vae(nn.Module):
    """Encoder and decoder of one shape."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.shape = shape
        self.encoder = BidirectionalEncoder(DEPTH, shape.encoder_hidden, shape.z)
        self.decoder: GrooveDecoder | DrummerDecoder
        if shape.decoder == "groove":
            self.decoder = GrooveDecoder(
                shape.z, shape.decoder_hidden, shape.decoder_layers, hits_control=shape.hits_control
            )
        else:
            self.decoder = DrummerDecoder(shape.z, shape.decoder_hidden, shape.context, dropout=shape.dropout)

    def loss(
        self, example: Example, target: Tensor, *, beta: float, free_bits: float, noise: Tensor
    ) -> dict[str, Tensor]:
        """The negative evidence bound of a batch in its parts, each a mean in nats a sequence; "total" is trained.

        target (batch, step, 27), noise (batch, z). KL term = β·max(KL − free_bits·ln 2, 0) on a sequence's total.
        """
        posterior = self.encode(example.heard)
        parts = self.decoder.loss(posterior.sample(noise), target, example.given)
        kl = posterior.kl()
        total = sum(parts.values()) + beta * torch.clamp(kl - free_bits * math.log(2), min=0)
        return {name: value.mean() for name, value in {**parts, "kl": kl, "total": total}.items()}

    def encode(self, heard: Tensor) -> Posterior:
        """(batch, step, 27) -> posterior over z: (batch, z)."""
        return self.encoder(heard)  # type: ignore[no-any-return]

    def decode(self, z: Tensor, given: Given, *, temperature: float, noise: Noise) -> Tensor:
        """z (batch, step, z) -> (batch, step, 27); what is given is kept as it is."""
        return self.decoder.decode(z, given, temperature=temperature, noise=noise)
