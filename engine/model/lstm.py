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

    def run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, step, input) from a state -> the top layer's h (batch, step, hidden), and the state after it."""
        c = torch.stack([layer_c for layer_c, _ in state])
        h = torch.stack([layer_h for _, layer_h in state])
        outputs, (h, c) = self(inputs, (h, c))
        return outputs, list(zip(c, h, strict=True))

    def prepared(self, fed: int, *, half: bool = False) -> "Prepared":
        """The weights as a Stepper needs them; cached, rebuilt when the weights' version or device changes.

        fed: see Stepper; half: in bf16.
        """
        key = (fed, half, self.weight_hh_l0._version, self.weight_hh_l0.device)
        if self._prepared is None or self._prepared[0] not in (key, KEPT):
            from_below = [self.weight_ih_l0[:, :fed]]
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
            static = _reordered(self.weight_ih_l0[:, fed:].t()).t().contiguous()
            layers = [(weight, bias.cpu()) for weight, bias in zip(weights, biases, strict=True)]
            self._prepared = key, (static, biases[0], layers)
        return self._prepared[1]

    def keep_for_steps(self, fed: int, *, half: bool) -> None:
        """Keep the weights only as a Stepper needs them, which saves memory; it can be trained no more."""
        self._prepared = KEPT, self.prepared(fed, half=half)
        for name, weight in self.named_parameters():
            setattr(self, name, nn.Parameter(weight.new_empty(0), requires_grad=False))


HALF = np.array(0.5, np.float32)
"""numpy takes longer to make an array of a number than to multiply by it."""

KEPT = "for steps"
"""The cache key of weights of which only the prepared form is kept: it is never rebuilt."""

Prepared = tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]
"""The first layer's weights and bias for its static inputs, and each layer's weights and bias for what changes from
step to step: its fed inputs, or the h of the layer below, and its own h."""


class Stepper:
    """Runs a stack one step at a time, in preallocated buffers, on the CPU: a step is too small for a GPU.

    torch multiplies, numpy does the rest in the same memory: its calls cost a third of torch's. Of the first
    layer's input only the first `fed` columns depend on earlier steps: the caller writes them to `fed` before each
    step. The others, the static inputs, are multiplied by their weights for all steps at unexpanded (`project`).
    half: products in bf16, where the processor has them; with many rows several times as fast, and less exact.
    """

    def __init__(self, lstm: Lstm, fed: int, state: State, *, half: bool = False):
        prepared = lstm.prepared(fed, half=half and has_bf16(torch.device("cpu")))
        self._hidden, (self._static, self._bias, layers) = lstm.hidden_size, prepared
        self._cells = [
            _Cell(weights, bias, c.cpu(), h.cpu()) for (weights, bias), (c, h) in zip(layers, state, strict=True)
        ]
        self.fed = self._cells[0].inputs[:, :fed]
        self._below = [cell.inputs[:, : self._hidden] for cell in self._cells[1:]]

    def project(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """The static inputs' share of the first layer's gates: a tensor (batch, 4·hidden) for each step.

        parts are the static columns in order, each (batch, step, n), or (batch, 1, n) if all steps have the same.
        """
        steps = max(part.shape[1] for part in parts)
        inputs = torch.cat([part.expand(-1, steps, -1) for part in parts], dim=-1)
        return F.linear(inputs, self._static, self._bias).cpu().unbind(1)

    def step(self, gates: Tensor) -> Tensor:
        """Advance by one step; gates (batch, 4·hidden) from project -> the top layer's h (batch, hidden).

        The next step overwrites the result.
        """
        top = self._cells[0].step(gates)
        for below, cell in zip(self._below, self._cells[1:], strict=True):
            below[...] = top
            top = cell.step(cell.bias)
        return self._cells[-1].top


def _reordered(gates: Tensor) -> Tensor:
    """The last axis, gates i, f, g, o, reordered to i, f, o, g, with all but g halved.

    Since sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, one tanh over all gates does, and the three sigmoids lie side by
    side.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    return torch.cat([i / 2, f / 2, o / 2, g], dim=-1)


class _Cell:
    """One layer. inputs (batch, fed or hidden of the layer below + hidden); the last columns are its own h."""

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
        """Advance by one step; gates (batch, 4·hidden), as far as computed before -> h (batch, hidden)."""
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


def unexpanded(z: Tensor) -> Tensor:
    """(batch, step, z) -> (batch, 1, z) if all steps share one z (it was expanded, stride 0); else unchanged."""
    return z[:, :1] if z.stride(1) == 0 else z


def has_bf16(device: torch.device) -> bool:
    """Whether products in bf16 are faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return hasattr(torch.cpu, "get_capabilities") and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
