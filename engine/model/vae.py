"""A variational autoencoder over grooves: encoder → z → decoder, and the loss that trains both.

Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428; GrooVAE, Gillick et al. 2019, arXiv 1905.06118.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from engine.model.drummer_decoder import DrummerDecoder
from engine.model.encoder import BidirectionalEncoder, DrummerEncoder, Posterior, is_played
from engine.model.groove_decoder import GrooveDecoder
from engine.model.noise import Noise
from engine.model.tasks import Example, Given
from engine.representation.groove import DEPTH


@dataclass(frozen=True, slots=True)
class GrooveShape:
    """The sizes that fix a network. decoder is "groove" (the published one) or "drummer" (pattern, performer).

    feel is how many of the dimensions of z, the last ones, are the feel; the others are the pattern. Of a drummer
    decoder_hidden is the pattern's, performer_hidden the performer's.
    """

    encoder_hidden: int
    decoder: str
    decoder_hidden: int
    decoder_layers: int
    z: int
    performer_hidden: int = 0
    feel: int = 0
    context: int = 0
    hits_control: bool = False
    dropout: float = 0.0


class Vae(nn.Module):
    """Encoder and decoder of one shape."""

    def __init__(self, shape: GrooveShape):
        super().__init__()
        self.shape = shape
        self.encoder: BidirectionalEncoder | DrummerEncoder
        self.decoder: GrooveDecoder | DrummerDecoder
        if shape.decoder == "groove":
            self.encoder = BidirectionalEncoder(DEPTH, shape.encoder_hidden, shape.z, dropout=shape.dropout)
            self.decoder = GrooveDecoder(
                shape.z,
                shape.decoder_hidden,
                shape.decoder_layers,
                hits_control=shape.hits_control,
                dropout=shape.dropout,
            )
        else:
            self.encoder = DrummerEncoder(shape.encoder_hidden, shape.z - shape.feel, shape.feel)
            self.decoder = DrummerDecoder(
                shape.z,
                shape.feel,
                shape.decoder_hidden,
                shape.performer_hidden,
                shape.context,
                dropout=shape.dropout,
            )

    def loss(
        self,
        example: Example,
        target: Tensor,
        *,
        beta: float,
        free_bits: float,
        feel_beta: float = 0.0,
        feel_bits: float = 0.0,
        noise: Tensor,
    ) -> dict[str, Tensor]:
        """The negative evidence bound of a batch in its parts, each a mean in nats a sequence; "total" is trained.

        target (batch, step, 27), noise (batch, z). KL term = β·max(KL − free_bits·ln 2, 0) on a sequence's total;
        the feel has β and bits of its own, and a pattern that is given costs nothing.
        """
        given = example.given
        posterior = self.encode(example.heard, given.position[0], hits_told=bool(given.hits_known.all()))
        parts = self.decoder.loss(posterior.sample(noise), target, given)
        sizes = [self.shape.z - self.shape.feel, self.shape.feel]
        pattern_kl, feel_kl = (part.sum(dim=-1) for part in torch.split(posterior.kl(), sizes, dim=-1))
        cost = beta * torch.clamp(pattern_kl - free_bits * math.log(2), min=0)
        cost = cost + feel_beta * torch.clamp(feel_kl - feel_bits * math.log(2), min=0)
        parts = {**parts, "kl": pattern_kl + feel_kl, "total": sum(parts.values()) + cost}
        return {name: value.mean() for name, value in parts.items()}

    def expectation_loss(self, example: Example, target: Tensor) -> Tensor:
        """How wrong a drummer's expectations are of a batch, a mean a sequence; nothing else learns from it."""
        given, told = example.given, bool(example.given.hits_known.all())
        with torch.no_grad():
            z = self.expected_z(self.encode(example.heard, given.position[0], hits_told=told), example.heard)
        performer = cast(DrummerDecoder, self.decoder).performer
        return performer.expectation_loss(z[:, -self.shape.feel :], target, given).mean()

    def expected_z(self, posterior: Posterior, heard: Tensor) -> Tensor:
        """What temperature 0 takes for z, of what was heard (batch, step, 27): (batch, z).

        That is mu; but hits alone tell no feel. What the encoder makes of those of its train windows is what it has
        learnt by heart, and who trusts it there trusts it anywhere.
        """
        if not self.shape.feel:
            return posterior.mu
        told = torch.ones_like(posterior.mu)
        told[:, -self.shape.feel :] = is_played(heard)[:, None]
        return posterior.mu * told

    def encode(self, heard: Tensor, position: Tensor, *, hits_told: bool = False) -> Posterior:
        """heard (batch, step, 27), position (step,) in the bar -> posterior over z: (batch, z).

        hits_told: nothing but the feel is wanted, where z has one.
        """
        if isinstance(self.encoder, DrummerEncoder):
            return self.encoder(heard, position, hits_told=hits_told)  # type: ignore[no-any-return]
        return self.encoder(heard)  # type: ignore[no-any-return]

    def decode(self, z: Tensor, given: Given, *, temperature: float, noise: Noise, draws: int = 1) -> Tensor:
        """z (batch, step, z) -> (batch·draws, step, 27), those of a row side by side; what is given is kept.

        More than one draw of each row is for where all hits are given: what is known before is computed once.
        """
        return self.decoder.decode(z, given, temperature=temperature, noise=noise, draws=draws)
