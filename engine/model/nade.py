"""A distribution over sets as bits, one bit after the other, each given those before it.

Source: Larochelle and Murray 2011, The Neural Autoregressive Distribution Estimator; as MusicVAE's NADE decoders.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Nade(nn.Module):
    """p(bit i) = sigmoid(b_i + decode_i · sigmoid(a + sum of encode_j over the bits j < i that are set)).

    a and b, the biases, come from the decoder at each step, side by side.
    """

    def __init__(self, bits: int, hidden: int):
        super().__init__()
        self.encode = nn.Parameter(torch.randn(bits, hidden) / hidden**0.5)
        self.decode = nn.Parameter(torch.randn(bits, hidden) / hidden**0.5)

    def nats(self, biases: Tensor, bits: Tensor) -> Tensor:
        """biases (…, hidden + bits), bits (…, bits) -> their negative log likelihood: (…)."""
        hidden, bias = self._split(biases)
        logits = []
        for index in range(bits.shape[-1]):
            logits.append((torch.sigmoid(hidden) * self.decode[index]).sum(dim=-1) + bias[..., index])
            hidden = hidden + bits[..., index : index + 1] * self.encode[index]
        return F.binary_cross_entropy_with_logits(torch.stack(logits, dim=-1), bits, reduction="none").sum(dim=-1)

    def draw(self, biases: Tensor, logit_noise: Tensor) -> Tensor:
        """biases (batch, hidden + bits), logit_noise (batch, bits) added to the logits -> bits (batch, bits)."""
        hidden, bias = self._split(biases)
        encode, decode = self.encode.to(biases.device), self.decode.t().to(biases.device)
        bits = torch.empty_like(bias)
        for index in range(bias.shape[-1]):
            logit = torch.sigmoid(hidden) @ decode[:, index] + bias[:, index]
            bits[:, index] = logit + logit_noise[:, index] > 0
            hidden = hidden + bits[:, index : index + 1] * encode[index]
        return bits

    def _split(self, biases: Tensor) -> tuple[Tensor, Tensor]:
        bits, hidden = self.encode.shape
        first, second = torch.split(biases, [hidden, bits], dim=-1)
        return first, second


def to_bits(sets: Tensor, count: int) -> Tensor:
    """Sets as integers (…) -> (…, count); bit k of the integer, from the lowest, is at k."""
    return ((sets[..., None] >> torch.arange(count, device=sets.device)) & 1).float()


def to_sets(bits: Tensor) -> Tensor:
    """The inverse of to_bits: (…, count) -> (…)."""
    return (bits.long() << torch.arange(bits.shape[-1], device=bits.device)).sum(dim=-1)
