"""A decoder in two stages: first which drums are hit on each step, then the offset and velocity of each hit.

z is in two parts, pattern and feel: p(hits | pattern) · p(offset, velocity | hits, feel).
"""

import torch
from torch import Tensor, nn

from engine.model.noise import Noise
from engine.model.pattern import PatternDecoder
from engine.model.performer import Performer
from engine.model.tasks import Given
from engine.representation.groove import HITS


class DrummerDecoder(nn.Module):
    """PatternDecoder and Performer, each on its part of z. Where all hits are given, only the performer runs."""

    def __init__(self, z: int, feel: int, hidden: int, performer_hidden: int, context: int, *, dropout: float):
        super().__init__()
        self._parts = [z - feel, feel]
        self.pattern = PatternDecoder(z - feel, hidden, context, dropout=dropout)
        self.performer = Performer(feel, performer_hidden, context, dropout=dropout)

    def loss(
        self, z: Tensor, target: Tensor, given: Given, *, hidden_share: float | None = None
    ) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> the losses of hits, offsets and velocities, each (batch,).

        "hits", "offset" and "velocity" are nats; "planned" and "mean" are those of the auxiliary heads.
        hidden_share: see Performer.loss.
        """
        pattern, feel = torch.split(z, self._parts, dim=-1)
        played = self.performer.loss(feel, target, given, hidden_share=hidden_share)
        if bool(given.hits_given.all()):
            return {"hits": z.new_zeros(len(z)), **played}
        planned = self.pattern.planned_loss(pattern, target, given)
        return {"hits": self.pattern.loss(pattern, target, given), "planned": planned, **played}

    def decode(
        self, z: Tensor, given: Given, *, temperature: float | Tensor, noise: Noise, draws: int = 1
    ) -> Tensor:
        """See Vae.decode."""
        pattern, feel = torch.split(z, self._parts, dim=-1)
        if bool(given.hits_given.all()):
            hits = given.groove[..., HITS]
        else:
            hits = self.pattern.decode(pattern, given, temperature=temperature, noise=noise)
        return self.performer.decode(feel, hits, given, temperature=temperature, noise=noise, draws=draws)
