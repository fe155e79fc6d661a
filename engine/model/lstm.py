"""A stack of LSTM layers that runs over sequences in training and one step at a time when it generates."""

import torch
from torch import Tensor, nn

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

    def run(self, inputs: Tensor, state: State) -> Tensor:
        """(batch, step, input) from a state -> the top layer's h: (batch, step, hidden)."""
        c = torch.stack([layer_c for layer_c, _ in state])
        h = torch.stack([layer_h for _, layer_h in state])
        outputs, _ = self(inputs, (h, c))
        return outputs  # type: ignore[no-any-return]


class Stepper:
    """One step of a stack at a time, in static buffers and with as few operations as it takes.

    Of the first layer's input only the first `fed` columns depend on the past: the caller writes them to `fed`
    before each step. The rest is known for all steps at once, and comes multiplied with its weights (`project`).
    """

    def __init__(self, lstm: Lstm, fed: int, state: State):
        self._lstm, self._first = lstm, fed
        batch, hidden = state[0][0].shape
        from_below = [lstm.weight_ih_l0[:, :fed]]
        from_below += [getattr(lstm, f"weight_ih_l{k}") for k in range(1, lstm.num_layers)]
        own = [getattr(lstm, f"weight_hh_l{k}") for k in range(lstm.num_layers)]
        columns = [torch.cat(pair, dim=1).t() for pair in zip(from_below, own, strict=True)]
        biases = [getattr(lstm, f"bias_ih_l{k}") + getattr(lstm, f"bias_hh_l{k}") for k in range(lstm.num_layers)]
        self._bias = biases[0]
        self._cells = [
            _Cell(weights, bias, weights.new_zeros(batch, len(weights)), c, h)
            for weights, bias, (c, h) in zip(columns, biases, state, strict=True)
        ]
        self.fed = self._cells[0].inputs[:, :fed]
        self._below = [cell.inputs[:, :hidden] for cell in self._cells[1:]]

    def project(self, inputs: Tensor) -> Tensor:
        """What all but the fed columns give to the first layer's gates, with its bias: (…, 4·hidden)."""
        return torch.nn.functional.linear(inputs, self._lstm.weight_ih_l0[:, self._first :], self._bias)

    def step(self, gates: Tensor) -> Tensor:
        """Advance by one step; gates (batch, 4·hidden) as projected -> the top h (batch, hidden).

        The next step overwrites it.
        """
        h = self._cells[0].step(gates)
        for below, cell in zip(self._below, self._cells[1:], strict=True):
            below.copy_(h)
            h = cell.step(cell.bias)
        return h


class _Cell:
    """One layer: inputs (batch, fed or below + hidden), whose last columns are its own h."""

    def __init__(self, weights: Tensor, bias: Tensor, inputs: Tensor, c: Tensor, h: Tensor):
        batch, n = h.shape
        self.weights, self.bias, self.inputs, self.c = weights, bias, inputs, c.clone()
        self.h, self._tanh_c = inputs[:, -n:], torch.empty_like(self.c)
        self.h.copy_(h)
        self._gates = weights.new_empty(batch, 4 * n)
        i_f, self._g, self._o = self._gates[:, : 2 * n], self._gates[:, 2 * n : 3 * n], self._gates[:, 3 * n :]
        self._i_f, self._i, self._f = i_f, i_f[:, :n], i_f[:, n:]

    def step(self, gates: Tensor) -> Tensor:
        """The gates' known share, in PyTorch's order i, f, g, o -> h (batch, hidden)."""
        torch.addmm(gates, self.inputs, self.weights, out=self._gates)
        self._i_f.sigmoid_()
        self._g.tanh_()
        self._o.sigmoid_()
        self.c.mul_(self._f).addcmul_(self._i, self._g)
        torch.tanh(self.c, out=self._tanh_c)
        return torch.mul(self._o, self._tanh_c, out=self.h)


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
