"""The regressor of temperature 0: predicts the mean offset and velocity of every hit, all hits at once.

The network that samples, trained on likelihood as well, memorises the means of its training windows. So this one is
separate, trained on squared error alone, after everything else; and it is an ensemble of three, to average out
their errors.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from engine.model.blocks import in_blocks
from engine.representation.drum_map import CLASSES

MEMBERS, LAYERS, HEADS = 3, 3, 4

REACH = 32
"""The longest sequence, in steps, as in training. A longer clip is cut into overlapping windows, in which each step
attends to at least a quarter of a window on both sides.
"""


class Expectation(nn.Module):
    """An ensemble of transformers; the answer is the mean of their predictions.

    Where z is 0, no feel is given and the predictions vary more than the truth explains: there they are shrunk
    towards `centre` by the factor `trust` (offset, velocity), both fitted on the validation windows after training.
    Source: Copas 1983, Regression, Prediction and Shrinkage.
    """

    centre: Tensor
    trust: Tensor

    def __init__(self, depth: int, z: int, hidden: int, *, dropout: float):
        super().__init__()
        self.members = nn.ModuleList([_Member(depth + z, hidden, dropout) for _ in range(MEMBERS)])
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("trust", torch.ones(2))

    def predictions(self, steps: Tensor, z: Tensor, *, blocks: bool = False) -> Tensor:
        """The prediction of each member: (member, batch, step, 2, 9), offset and velocity of each drum.

        steps (batch, step, depth) are performer.step_features, z (batch, step or 1, z). blocks: of windows, see
        blocks.py.
        """
        inputs = torch.cat([steps, z.expand(-1, steps.shape[1], -1)], dim=-1)
        said = [_in_windows(partial(in_blocks, each) if blocks else each, inputs) for each in self.members]
        return torch.stack([torch.unflatten(each, -1, (2, CLASSES)) for each in said])

    def forward(self, steps: Tensor, z: Tensor) -> Tensor:
        """Their mean, shrunk where z is 0: (batch, step, 2, 9). Arguments as for predictions, in blocks."""
        mean = self.predictions(steps, z, blocks=True).mean(dim=0)
        feel_given = (z != 0).any(dim=-1)[..., None, None]
        centre = self.centre[:, None]
        return centre + torch.where(feel_given, 1.0, self.trust[:, None]) * (mean - centre)


class _Member(nn.Module):
    """A transformer encoder: Vaswani et al. 2017, arXiv 1706.03762, with the layer norms first."""

    def __init__(self, depth: int, hidden: int, dropout: float):
        super().__init__()
        self.first = nn.Linear(depth, hidden)
        self.place = nn.Parameter(torch.randn(REACH, hidden) / 10)
        layer = nn.TransformerEncoderLayer(hidden, HEADS, 2 * hidden, dropout, batch_first=True, norm_first=True)
        layer.self_attn.dropout = 0.0  # the dropout after it is enough, and takes half the time
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.mean = nn.Linear(hidden, 2 * CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, step, depth) -> (batch, step, 18), at most REACH steps."""
        return self.mean(self.layers(self.first(inputs) + self.place[: inputs.shape[1]]))  # type: ignore[no-any-return]


def _in_windows(member: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """(batch, step, depth) -> (batch, step, n); sequences over REACH steps in windows that overlap by half."""
    batch, length, _ = inputs.shape
    if length <= REACH:
        return member(inputs)
    wanted = torch.arange(0, length, REACH // 2, device=inputs.device)[:, None]
    first = (wanted - REACH // 4).clamp(0, length - REACH)
    windows = inputs[:, (first + torch.arange(REACH, device=inputs.device)).flatten()]
    predicted = torch.unflatten(member(torch.unflatten(windows, 1, (-1, REACH)).flatten(0, 1)), 0, (batch, -1))
    kept = (wanted - first + torch.arange(REACH // 2, device=inputs.device)).clamp(max=REACH - 1)
    return predicted.gather(2, kept[None, ..., None].expand(batch, -1, -1, predicted.shape[-1])).flatten(1, 2)[
        :, :length
    ]
