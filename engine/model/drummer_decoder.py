"""A decoder in two movements: first which drums are hit, then how: p(hits | z) · p(offset, velocity | hits, z)."""

from torch import Tensor, nn

from engine.model.noise import Noise
from engine.model.pattern import PatternDecoder
from engine.model.performer import Performer
from engine.model.tasks import Given
from engine.representation.groove import HITS


class DrummerDecoder(nn.Module):
    """Pattern and performer on one z. Where all hits are given, only the performer runs."""

    def __init__(self, z: int, hidden: int, context: int, *, dropout: float):
        super().__init__()
        self.pattern = PatternDecoder(z, hidden, context, dropout=dropout)
        self.performer = Performer(z, hidden, context, dropout=dropout)

    def loss(self, z: Tensor, target: Tensor, given: Given) -> dict[str, Tensor]:
        """z (batch, z), target (batch, step, 27) -> nats of hits, offsets and velocities, each (batch,)."""
        played = self.performer.loss(z, target, given)
        if bool(given.hits_known.all()):
            return {"hits": z.new_zeros(len(z)), **played}
        planned = self.pattern.planned_loss(z, target, given)
        return {"hits": self.pattern.loss(z, target, given), "planned": planned, **played}

    def decode(self, z: Tensor, given: Given, *, temperature: float, noise: Noise) -> Tensor:
        """z (batch, step, z) -> (batch, step, 27); what is given is kept as it is."""
        if bool(given.hits_known.all()):
            hits = given.groove[..., HITS]
        else:
            hits = self.pattern.decode(z, given, temperature=temperature, noise=noise)
        return self.performer.decode(z, hits, given, temperature=temperature, noise=noise)
