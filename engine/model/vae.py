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
    """The sizes that define a network. decoder is "groove" (the published one) or "drummer" (pattern, performer).

    Only for "drummer": feel, how many of the dimensions of z, the last ones, are the feel (the others are the
    pattern), performer_hidden and context; decoder_hidden is then the size of the pattern decoder.
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
        """The negative ELBO of a batch in its parts, each the mean over sequences in nats; "total" is trained.

        target (batch, step, 27), noise (batch, z). KL term = β·max(KL − free_bits·ln 2, 0) for each sequence; the
        feel has its own, with feel_beta and feel_bits. Where all hits are given, a drummer's pattern has a KL of 0.
        """
        given = example.given
        posterior = self.encode(example.encoder_input, given.position[0], hits_given=bool(given.hits_given.all()))
        parts = self.decoder.loss(posterior.sample(noise), target, given)
        sizes = [self.shape.z - self.shape.feel, self.shape.feel]
        pattern_kl, feel_kl = (part.sum(dim=-1) for part in torch.split(posterior.kl(), sizes, dim=-1))
        cost = beta * torch.clamp(pattern_kl - free_bits * math.log(2), min=0)
        cost = cost + feel_beta * torch.clamp(feel_kl - feel_bits * math.log(2), min=0)
        parts = {**parts, "kl": pattern_kl + feel_kl, "total": sum(parts.values()) + cost}
        return {name: value.mean() for name, value in parts.items()}

    def expectation_loss(self, example: Example, target: Tensor) -> Tensor:
        """The squared error of a drummer's Expectation, a mean over sequences; the encoder gets no gradient."""
        given, hits_given = example.given, bool(example.given.hits_given.all())
        with torch.no_grad():
            posterior = self.encode(example.encoder_input, given.position[0], hits_given=hits_given)
            z = self.expected_z(posterior, example.encoder_input)
        performer = cast(DrummerDecoder, self.decoder).performer
        return performer.expectation_loss(z[:, -self.shape.feel :], target, given).mean()

    def expected_z(self, posterior: Posterior, encoder_input: Tensor) -> Tensor:
        """z at temperature 0, from encoder_input (batch, step, 27) and its posterior: (batch, z).

        It is mu, except that with hits alone the feel part of z is 0: the encoder memorises training hits, so the
        feel that it reads from hits alone does not generalise.
        """
        if not self.shape.feel:
            return posterior.mu
        kept = torch.ones_like(posterior.mu)
        kept[:, -self.shape.feel :] = is_played(encoder_input)[:, None]
        return posterior.mu * kept

    def encode(
        self, encoder_input: Tensor, position: Tensor, *, hits_given: bool = False, blocks: bool = False
    ) -> Posterior:
        """encoder_input (batch, step, 27), position (step,) in the bar -> posterior over z: (batch, z).

        hits_given: all hits are given to the decoder, so only the feel part is encoded, where z has one. blocks: of
        a drummer, without gradients, see blocks.py.
        """
        if isinstance(self.encoder, DrummerEncoder):
            if blocks:
                return self.encoder.in_blocks(encoder_input, position, hits_given=hits_given)
            return self.encoder(encoder_input, position, hits_given=hits_given)  # type: ignore[no-any-return]
        return self.encoder(encoder_input)  # type: ignore[no-any-return]

    def decode(
        self, z: Tensor, given: Given, *, temperature: float | Tensor, noise: Noise, draws: int = 1
    ) -> Tensor:
        """z (batch, step, z) -> (batch·draws, step, 27), the draws of a row next to each other.

        What is given is kept. draws: samples of each row, more than one only where all hits are given; they share
        what is computed before sampling. temperature: one for all; of a drummer also (batch, 1, 1), none of them 0.
        """
        return self.decoder.decode(z, given, temperature=temperature, noise=noise, draws=draws)
