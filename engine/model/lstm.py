"""A stack of LSTM layers, trained over whole sequences; stepping.py runs it one step at a time."""

import torch
from torch import Tensor, nn

from engine.model.blocks import STEPS_AT_ONCE, Matrix, in_blocks
from engine.pausing import look

LstmState = list[tuple[Tensor, Tensor]]
"""(c, h) of each layer, each (batch, hidden)."""


class Lstm(nn.LSTM):
    """An LSTM whose layers have one size, and that a Stepper can run step by step.

    The forget gate's bias starts at 1, where published checkpoints add it at run time.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, input_size: int, hidden: int, layers: int = 1, *, dropout: float = 0.0):
        super().__init__(input_size, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        for name, bias in self.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(bias)
                if name.startswith("bias_ih"):
                    nn.init.ones_(bias.data[hidden : 2 * hidden])
        self._prepared: tuple[object, Prepared] | None = None
        self._in_blocks: tuple[object, InBlocks] | None = None

    def run(self, inputs: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        """(batch, step, input) from a state -> the top layer's h (batch, step, hidden), and the state after it."""
        c = torch.stack([layer_c for layer_c, _ in state])
        h = torch.stack([layer_h for _, layer_h in state])
        outputs, (h, c) = self(inputs, (h, c))
        return outputs, list(zip(c, h, strict=True))

    def prepared(self, fed: int | tuple[int, ...], *, half: bool = False) -> "Prepared":
        """The weights as a Stepper needs them; cached, rebuilt when the weights' version or device changes.

        fed: see Stepper; half: in bf16.
        """
        key = (fed, half, *version(self))
        if self._prepared is None or self._prepared[0] not in (key, KEPT):
            inputs = range(self.input_size)
            columns = list(inputs[:fed] if isinstance(fed, int) else fed)
            others = sorted(set(inputs) - set(columns))
            from_below = [self.weight_ih_l0[:, columns]]
            from_below += [getattr(self, f"weight_ih_l{k}") for k in range(1, self.num_layers)]
            own = [getattr(self, f"weight_hh_l{k}") for k in range(self.num_layers)]
            biases = [
                _reordered(getattr(self, f"bias_ih_l{k}") + getattr(self, f"bias_hh_l{k}"))
                for k in range(self.num_layers)
            ]
            stepped = [_reordered(torch.cat(pair, dim=1).t()).cpu() for pair in zip(from_below, own, strict=True)]
            if half:  # bf16 products are fastest with the weights of a gate contiguous
                weights = [weight.t().to(torch.bfloat16).contiguous().t() for weight in stepped]
            else:
                weights = [weight.contiguous() for weight in stepped]
            static = _reordered(self.weight_ih_l0[:, others].t()).t().contiguous()
            layers = [(weight, bias.cpu()) for weight, bias in zip(weights, biases, strict=True)]
            self._prepared = key, (static, biases[0], layers)
        return self._prepared[1]

    def in_blocks(self, fed: int) -> "InBlocks":
        """As prepared, of one layer, for products in blocks."""
        key = (fed, *version(self))
        if self._in_blocks is None or self._in_blocks[0] != key:
            ahead, static = _reordered(self.weight_ih_l0.detach().t()).tensor_split([fed])
            stepped = torch.cat([ahead, _reordered(self.weight_hh_l0.detach().t())])
            bias = _reordered(self.bias_ih_l0 + self.bias_hh_l0)
            self._in_blocks = key, (Matrix(static), bias, Matrix(stepped.cpu()))
        return self._in_blocks[1]

    def keep_for_steps(self, fed: int, *, half: bool) -> None:
        """Keep the weights only as a Stepper needs them, which saves memory; it can be trained no more."""
        self._prepared = KEPT, self.prepared(fed, half=half)
        for name, weight in self.named_parameters():
            setattr(self, name, nn.Parameter(weight.new_empty(0), requires_grad=False))


KEPT = "for steps"
"""The cache key of weights of which only the prepared form is kept: it is never rebuilt."""

Prepared = tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]
"""The first layer's weights and bias for its static inputs, and each layer's weights and bias for what changes from
step to step: its fed inputs, or the h of the layer below, and its own h."""


InBlocks = tuple[Matrix, Tensor, Matrix]
"""Of a layer: the weights of its static inputs, its bias, and the weights of its fed inputs and of its own h."""


def version(lstm: nn.LSTM) -> tuple[object, ...]:
    """Another one when the weights, or their device, have changed."""
    weight = lstm.weight_hh_l0
    return id(weight), weight._version, weight.device


def heard(lstm: nn.LSTM, inputs: Tensor) -> Tensor:
    """What an LSTM of one layer that reads both ways says of (batch, step, n): (batch, step, 2·hidden).

    Without gradients; on the CPU it is looked between stretches whether somebody is in a hurry.
    """
    batch, steps, _ = inputs.shape
    stretch = max(1, STEPS_AT_ONCE // batch)
    if steps <= stretch or inputs.is_cuda:
        return lstm(inputs)[0]  # type: ignore[no-any-return]
    ways = list[Tensor]()
    for way, read in zip(lstm.all_weights, (inputs, inputs.flip(1)), strict=True):
        state, said = [inputs.new_zeros(1, batch, lstm.hidden_size)] * 2, []
        for part in torch.split(read, stretch, dim=1):
            outputs, *state = torch.lstm(part, state, list(way), True, 1, 0.0, False, False, True)
            said.append(outputs)
            look()
        ways.append(torch.cat(said, dim=1))
    return torch.cat([ways[0], ways[1].flip(1)], dim=-1)


def _reordered(gates: Tensor) -> Tensor:
    """The last axis, gates i, f, g, o, reordered to i, f, o, g, with all but g halved.

    Since sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, one tanh over all gates does, and the three sigmoids lie side by
    side.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    return torch.cat([i / 2, f / 2, o / 2, g], dim=-1)


class InitialState(nn.Module):
    """tanh(dense(z)), split per layer as c0, h0, c1, h1, …, as MusicVAE starts its decoders."""

    def __init__(self, z: int, hidden: int, layers: int = 1):
        super().__init__()
        self.dense = nn.Linear(z, 2 * hidden * layers)
        self.hidden = hidden

    def forward(self, z: Tensor, *, blocks: bool = False) -> LstmState:
        """(batch, z) -> (c, h) of each layer; blocks: see blocks.py."""
        dense = in_blocks(self.dense, z) if blocks else self.dense(z)
        parts = torch.split(torch.tanh(dense), self.hidden, dim=-1)
        return list(zip(parts[::2], parts[1::2], strict=True))


def unexpanded(z: Tensor) -> Tensor:
    """(batch, step, z) -> (batch, 1, z) if all steps share one z (it was expanded, stride 0); else unchanged."""
    return z[:, :1] if z.stride(1) == 0 else z


def has_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
