"""What is to be expected of each hit: the mean offset and velocity, all hits at once.

A network that also says the nats of a walk learns the means of its train windows by heart. So this one stands apart
and is trained for nothing else, after the rest; and it is three, whose errors are not the same.
"""

import torch
from torch import Tensor, nn

from engine.representation.drum_map import CLASSES

MEMBERS, LAYERS, HEADS = 3, 3, 4

REACH = 32
"""Steps that hear one another: the windows of its training. In a longer clip each hears at least a quarter of them
on both sides.
"""


class Expectation(nn.Module):
    """Some transformers, each with an opinion of its own; the answer is their mean.

    Where no feel is told (z is 0) they are surer of themselves than they may be: what they say is drawn towards the
    centre, by a trust that is measured after training. Source: Copas 1983, Regression, Prediction and Shrinkage.
    """

    centre: Tensor
    trust: Tensor

    def __init__(self, depth: int, z: int, hidden: int, *, dropout: float):
        super().__init__()
        self.members = nn.ModuleList([_Member(depth + z, hidden, dropout) for _ in range(MEMBERS)])
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("trust", torch.ones(2))

    def opinions(self, steps: Tensor, z: Tensor) -> Tensor:
        """What is known of each step (batch, step, depth), z (batch, step or 1, z) -> (member, batch, step, 2, 9).

        The two are offset and velocity.
        """
        told = torch.cat([steps, z.expand(-1, steps.shape[1], -1)], dim=-1)
        return torch.stack([torch.unflatten(_in_windows(each, told), -1, (2, CLASSES)) for each in self.members])

    def forward(self, steps: Tensor, z: Tensor) -> Tensor:
        """What is known of each step (batch, step, depth), z (batch, step or 1, z) -> (batch, step, 2, 9)."""
        mean = self.opinions(steps, z).mean(dim=0)
        is_told = (z != 0).any(dim=-1)[..., None, None]
        centre = self.centre[:, None]
        return centre + torch.where(is_told, 1.0, self.trust[:, None]) * (mean - centre)


class _Member(nn.Module):
    """Vaswani et al. 2017, arXiv 1706.03762, with the norms before the layers."""

    def __init__(self, depth: int, hidden: int, dropout: float):
        super().__init__()
        self.first = nn.Linear(depth, hidden)
        self.place = nn.Parameter(torch.randn(REACH, hidden) / 10)
        layer = nn.TransformerEncoderLayer(hidden, HEADS, 2 * hidden, dropout, batch_first=True, norm_first=True)
        layer.self_attn.dropout = 0.0  # what is dropped behind it is enough, and takes half the time
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.mean = nn.Linear(hidden, 2 * CLASSES)

    def forward(self, told: Tensor) -> Tensor:
        """(batch, step, depth) -> (batch, step, 18), at most REACH steps."""
        return self.mean(self.layers(self.first(told) + self.place[: told.shape[1]]))  # type: ignore[no-any-return]


def _in_windows(member: nn.Module, told: Tensor) -> Tensor:
    """(batch, step, depth) -> (batch, step, n), what is longer than REACH in windows that overlap by half."""
    batch, length, _ = told.shape
    if length <= REACH:
        return member(told)  # type: ignore[no-any-return]
    wanted = torch.arange(0, length, REACH // 2, device=told.device)[:, None]
    first = (wanted - REACH // 4).clamp(0, length - REACH)
    windows = told[:, (first + torch.arange(REACH, device=told.device)).flatten()]
    heard = torch.unflatten(member(torch.unflatten(windows, 1, (-1, REACH)).flatten(0, 1)), 0, (batch, -1))
    kept = (wanted - first + torch.arange(REACH // 2, device=told.device)).clamp(max=REACH - 1)
    return heard.gather(2, kept[None, ..., None].expand(batch, -1, -1, heard.shape[-1])).flatten(1, 2)[:, :length]
