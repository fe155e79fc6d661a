"""A point z is moved so that what is decoded from it has the attributes that are asked for.

Two ways: along attribute vectors (Roberts et al. 2018, arXiv 1803.05428, section 5.3), or by a generator of points
that satisfy what is asked and stay real (Engel, Hoffman, Roberts 2018, arXiv 1711.05772). Asked is in deviations of
the data; asked and mask are (batch, attribute), mask is 1 for what is asked and 0 elsewhere. gain (attribute,): by
how much more is told than is asked, where less comes of it.
"""

import torch
from torch import Tensor, nn

REACH = 3.5
"""Further than so many deviations from the mean no point is moved: there are none to learn from."""

HIDDEN = 128


class AttributeVectors(nn.Module):
    """vectors (attribute, z): the mean z of the top quarter of the data less that of the bottom quarter.

    weight (attribute, z) and bias (attribute,): what a line through the data reads of each in z, which says how far
    along its vector a point is to go.
    """

    def __init__(self, z: int, attributes: int):
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(attributes, z))
        self.weight = nn.Parameter(torch.zeros(attributes, z))
        self.bias = nn.Parameter(torch.zeros(attributes))
        self.gain = nn.Parameter(torch.ones(attributes), requires_grad=False)

    def forward(self, z: Tensor, asked: Tensor, mask: Tensor) -> Tensor:
        """(batch, z) -> (batch, z) of which the line reads what is asked of all."""
        lacking = mask * (told_of(asked, self.gain) - z @ self.weight.T - self.bias)
        both = mask[:, :, None] * mask[:, None, :]
        rates = both * (self.weight @ self.vectors.T) + torch.diag_embed(1 - mask)
        steps: Tensor = torch.linalg.pinv(rates) @ lacking[..., None]
        return z + steps[..., 0] @ self.vectors


class LatentConstraint(nn.Module):
    """Of z and what is asked a gate, how much of each number of z is replaced, and by what."""

    def __init__(self, z: int, attributes: int):
        super().__init__()
        self.first = nn.Linear(z + 2 * attributes, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.output = nn.Linear(HIDDEN, 2 * z)
        self.gain = nn.Parameter(torch.ones(attributes), requires_grad=False)

    def forward(self, z: Tensor, asked: Tensor, mask: Tensor) -> Tensor:
        """(batch, z) -> (batch, z)."""
        told = mask * told_of(asked, self.gain)
        hidden = nn.functional.silu(self.first(torch.cat([z, told, mask], dim=-1)))
        gate, other = self.output(nn.functional.silu(self.second(hidden))).chunk(2, dim=-1)
        return torch.lerp(z, other, torch.sigmoid(gate))


def told_of(asked: Tensor, gain: Tensor) -> Tensor:
    """What is told of what is asked (batch, attribute)."""
    return (gain * asked).clamp(-REACH, REACH)


Mover = AttributeVectors | LatentConstraint

MOVERS: dict[str, type[AttributeVectors] | type[LatentConstraint]] = {
    "vectors": AttributeVectors,
    "generator": LatentConstraint,
}
"""By what the card calls them."""
