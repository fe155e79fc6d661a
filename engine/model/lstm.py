"""A stack of LSTM layers that runs over sequences in training and one step at a time when it generates."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Array = NDArray[np.float32]

State = list[tuple[Tensor, Tensor]]
"""(c, h) of each layer, each (batch, hidden)."""


class Lstm(nn.LSTM):
    """An LSTM of equal layers that can also be stepped.

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

    def run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, step, input) from a state -> the top layer's h (batch, step, hidden), and the state after it."""
        c = torch.stack([layer_c for layer_c, _ in state])
        h = torch.stack([layer_h for _, layer_h in state])
        outputs, (h, c) = self(inputs, (h, c))
        return outputs, list(zip(c, h, strict=True))

    def prepared(self, fed: int, *, half: bool = False) -> "Prepared":
        """The weights as a Stepper wants them, made once for as long as they do not change; half: in bf16."""
        key = (fed, half, self.weight_hh_l0._version, self.weight_hh_l0.device)
        if self._prepared is None or self._prepared[0] not in (key, KEPT):
            from_below = [self.weight_ih_l0[:, :fed]]
            from_below += [getattr(self, f"weight_ih_l{k}") for k in range(1, self.num_layers)]
            own = [getattr(self, f"weight_hh_l{k}") for k in range(self.num_layers)]
            biases = [
                _stepped(getattr(self, f"bias_ih_l{k}") + getattr(self, f"bias_hh_l{k}"))
                for k in range(self.num_layers)
            ]
            stepped = [_stepped(torch.cat(pair, dim=1).t()).cpu() for pair in zip(from_below, own, strict=True)]
            if half:  # a product in bf16 is fastest with the inputs of a gate side by side
                weights = [weight.t().to(torch.bfloat16).contiguous().t() for weight in stepped]
            else:
                weights = [weight.contiguous() for weight in stepped]
            known = _stepped(self.weight_ih_l0[:, fed:].t()).t().contiguous()
            layers = [(weight, bias.cpu()) for weight, bias in zip(weights, biases, strict=True)]
            self._prepared = key, (known, biases[0], layers)
        return self._prepared[1]

    def keep_for_steps(self, fed: int, *, half: bool) -> None:
        """Keep the weights as a Stepper wants them and no longer as they came: it learns no more."""
        self._prepared = KEPT, self.prepared(fed, half=half)
        for name, weight in self.named_parameters():
            setattr(self, name, nn.Parameter(weight.new_empty(0), requires_grad=False))


HALF = np.array(0.5, np.float32)
"""numpy takes longer to make an array of a number than to multiply by it."""

KEPT = "for steps"
"""The weights are there as a Stepper wants them and in no other way."""

Prepared = tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]
"""What is known of the first layer's gates: weights and bias; and of each layer the stepped weights and bias."""


class Stepper:
    """One step of a stack at a time, in static buffers, on the CPU: a step is too small for a GPU.

    torch multiplies, numpy does the rest in the same memory: its calls cost a third of torch's. Of the first
    layer's input only the first `fed` columns depend on the past: the caller writes them to `fed` before each step.
    The rest is known for all steps at once, and comes multiplied with its weights (`project`).
    half: products in bf16, where the processor has them; with many rows several times as fast, and no longer exact.
    """

    def __init__(self, lstm: Lstm, fed: int, state: State, *, half: bool = False):
        prepared = lstm.prepared(fed, half=half and has_bf16(torch.device("cpu")))
        self._hidden, (self._known, self._bias, layers) = lstm.hidden_size, prepared
        self._cells = [
            _Cell(weights, bias, c.cpu(), h.cpu()) for (weights, bias), (c, h) in zip(layers, state, strict=True)
        ]
        self.fed = self._cells[0].inputs[:, :fed]
        self._below = [cell.inputs[:, : self._hidden] for cell in self._cells[1:]]

    def project(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """What all but the fed columns give to the first layer's gates, a tensor a step.

        The parts are those columns in order, each (batch, step, n), or (batch, 1, n) if it stays the same.
        """
        steps = max(part.shape[1] for part in parts)
        told = torch.cat([part.expand(-1, steps, -1) for part in parts], dim=-1)
        return F.linear(told, self._known, self._bias).cpu().unbind(1)

    def step(self, gates: Tensor) -> Tensor:
        """Advance by one step; gates (batch, 4·hidden) as projected -> the top h (batch, hidden).

        The next step overwrites it.
        """
        top = self._cells[0].step(gates)
        for below, cell in zip(self._below, self._cells[1:], strict=True):
            below[...] = top
            top = cell.step(cell.bias)
        return self._cells[-1].top


def _stepped(gates: Tensor) -> Tensor:
    """The last axis i, f, g, o as i, f, o, g with all but g halved.

    sigmoid(x) = tanh(x / 2) / 2 + 1 / 2: one tanh serves all, and one product and sum the three side by side.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    return torch.cat([i / 2, f / 2, o / 2, g], dim=-1)


class _Cell:
    """One layer: inputs (batch, fed or below + hidden), whose last columns are its own h."""

    def __init__(self, weights: Tensor, bias: Tensor, c: Tensor, h: Tensor):
        batch, n = h.shape
        inputs, gates = torch.zeros(batch, len(weights)), torch.empty(batch, 4 * n)
        self.bias, self.top, self.inputs = bias, inputs[:, -n:], inputs.numpy()
        self._weights, self._inputs, self._gates = weights, inputs, gates
        self._all = gates.numpy()
        self._i, self._f, self._o, self._g = (self._all[:, k * n : (k + 1) * n] for k in range(4))
        self._sigmoids, self._c, self._h = self._all[:, : 3 * n], c.numpy().copy(), self.inputs[:, -n:]
        self._h[...] = h.numpy()

    def step(self, gates: Tensor) -> Array:
        """The gates' known share -> h (batch, hidden)."""
        if self._weights.dtype == torch.bfloat16:
            torch.add(gates, self._inputs.to(torch.bfloat16) @ self._weights, out=self._gates)
        else:
            torch.addmm(gates, self._inputs, self._weights, out=self._gates)
        np.tanh(self._all, out=self._all)
        self._sigmoids *= HALF
        self._sigmoids += HALF
        c = self._c
        c *= self._f
        self._g *= self._i
        c += self._g
        np.tanh(c, out=self._h)
        self._h *= self._o
        return self._h


class InitialState(nn.Module):
    """tanh(dense(z)), split per layer as c0, h0, c1, h1, …, as MusicVAE starts its decoders."""

    def __init__(self, z: int, hidden: int, layers: int = 1):
        super().__init__()
        self.dense = nn.Linear(z, 2 * hidden * layers)
        self.hidden = hidden

    def forward(self, z: Tensor) -> State:
        """(batch, z) -> (c, h) of each layer."""
        parts = torch.split(torch.tanh(self.dense(z)), self.hidden, dim=-1)
        return list(zip(parts[::2], parts[1::2], strict=True))


def once(z: Tensor) -> Tensor:
    """(batch, step, z) -> (batch, 1, z) where it is one z that was expanded over the steps."""
    return z[:, :1] if z.stride(1) == 0 else z


def has_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
