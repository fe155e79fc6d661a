"""z → tokens: an LSTM that generates step by step, or one for each part, with a conductor above it or without.

All are a TokenDecoder. Tokens are (batch, step, part); -1 is no token, which is read as zeros.
Source: MusicVAE, Roberts et al. 2018, arXiv 1803.05428, section 3.2, and the released configurations.
"""

import itertools
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.blocks import Array
from engine.model.lstm import InitialState, Lstm
from engine.model.nade import Nade, to_bits, to_sets
from engine.model.plan import Plan, keep_some
from engine.model.stepping import State, Stepper, run


@dataclass(frozen=True, slots=True)
class Feeding:
    """What replaces the true previous token as a decoder's input in training, each for a share 0..1 of the steps.

    sampling: the token that was sampled; scheduled sampling, Bengio et al. 2015, arXiv 1506.03099. hidden: zeros,
    so that its information must come from z; word dropout, Bowman et al. 2016, arXiv 1511.06349.
    """

    sampling: float = 0.0
    hidden: float = 0.0


TRUTH = Feeding()


class TokenDecoder(Protocol):
    """What a decoder of tokens does. choices: how many logits, and random numbers added to them, a step has."""

    choices: int

    def loss(self, z: Tensor, tokens: Tensor, first: Tensor, control: Tensor, feeding: Feeding) -> Tensor:
        """z (batch, z), tokens (batch, step, part), control (batch, step, n) -> nats: (batch,).

        first (batch, part) are the tokens of the step before the first.
        """

    def decode(self, z: Tensor, first: Tensor, control: Tensor, logit_noise: Tensor) -> Tensor:
        """z (batch, z), logit_noise (batch, step, choices), added to the logits -> tokens (batch, step, part)."""


class LstmDecoder(nn.Module):
    """Step input = [tokens before, z, control, plan]; all parts of a step are sampled from one h.

    Tokens are one-hot, sampled from a softmax for each part; with a NADE a token is a set of bits. plan (positions,
    depth): after how many steps the plan repeats, and its size; published models have none. in_half: see half in
    Stepper.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        z: int,
        hidden: tuple[int, ...],
        *,
        control: int = 0,
        nade: int = 0,
        plan: tuple[int, ...] = (),
        in_half: bool = False,
    ):
        super().__init__()
        self.sizes, self.choices, self.in_half = sizes, sum(sizes), in_half
        self.plan = Plan(z, *plan) if plan else None
        self.initial_state = InitialState(z, hidden[0], len(hidden))
        self.lstm = Lstm(self.choices + z + control + sum(plan[1:]), hidden[0], len(hidden))
        self.output = nn.Linear(hidden[0], self.choices + nade)
        self.nade = Nade(self.choices, nade) if nade else None

    def loss(self, z: Tensor, tokens: Tensor, first: Tensor, control: Tensor, feeding: Feeding) -> Tensor:
        """See TokenDecoder."""
        before = keep_some(self.vectors(torch.cat([first[:, None], tokens[:, :-1]], dim=1)), feeding.hidden)
        static = torch.cat([z[:, None].expand(-1, tokens.shape[1], -1), self._static(z, control)], dim=-1)
        state = self.initial_state(z)
        if feeding.sampling:
            logits = self._sampled(before, static, state, feeding.sampling)
        else:
            logits = self.output(self.lstm.run(torch.cat([before, static], dim=-1), state)[0])
        if self.nade:
            return self.nade.nats(logits, to_bits(tokens[..., 0], self.choices)).sum(dim=1)
        parts = zip(torch.split(logits, list(self.sizes), dim=-1), tokens.unbind(-1), strict=True)
        nats = [
            F.cross_entropy(part.transpose(1, 2), true, ignore_index=-1, reduction="none") for part, true in parts
        ]
        return torch.stack(nats).sum(dim=(0, 2))

    def decode(self, z: Tensor, first: Tensor, control: Tensor, logit_noise: Tensor) -> Tensor:
        """See TokenDecoder."""
        lstm = Stepper(self.lstm, self.choices, self.initial_state(z), half=self.in_half)
        lstm.fed[...] = self.vectors(first).cpu().numpy()
        static, chance = self._static(z, control), logit_noise.cpu().unbind(1)
        told = (z[:, None], static) if static.shape[-1] else (z[:, None],)
        gates = list(lstm.project(*told))
        gates *= len(chance) // len(gates)  # where all steps have the same, it is there once
        return torch.stack(run(_Tokens(self), State(lstm), gates, chance), dim=1).to(z.device)

    def vectors(self, tokens: Tensor) -> Tensor:
        """(…, part) -> (…, choices): one-hots side by side, or bits."""
        if self.nade:
            return to_bits(tokens[..., 0].clamp(min=0), self.choices)
        return one_hot(tokens, self.sizes)

    def _static(self, z: Tensor, control: Tensor) -> Tensor:
        """The inputs of a step besides z and the tokens before: its control and its plan (batch, step, n)."""
        if self.plan is None:
            return control
        steps = control.shape[1]
        position = torch.arange(steps, device=z.device) % len(self.plan.weight)
        return torch.cat([control, self.plan(z[:, None].expand(-1, steps, -1), position)], dim=-1)

    def draw(self, logits: Tensor, step_noise: Tensor) -> Tensor:
        """The output layer's logits and the noise added to them, both (batch, choices) -> tokens (batch, part)."""
        if self.nade:
            return to_sets(self.nade.draw(logits, step_noise))[:, None]
        parts = torch.split(logits + step_noise, list(self.sizes), dim=-1)
        return torch.stack([part.argmax(dim=-1) for part in parts], dim=-1)

    def _sampled(
        self, before: Tensor, static: Tensor, state: list[tuple[Tensor, Tensor]], sampling: float
    ) -> Tensor:
        """The logits of each step, where a share of the steps is fed the token sampled at the step before."""
        c, h = (torch.stack(part) for part in zip(*state, strict=True))
        logits: list[Tensor] = []
        for step in range(before.shape[1]):
            fed = before[:, step]
            if logits:
                step_noise = logistic_or_gumbel(fed.shape, bits=self.nade is not None, device=fed.device)
                drawn = self.vectors(self.draw(logits[-1].detach(), step_noise))
                fed = torch.where(torch.rand(len(fed), 1, device=fed.device) < sampling, drawn, fed)
            top, (h, c) = self.lstm(torch.cat([fed, static[:, step]], dim=-1)[:, None], (h, c))
            logits.append(self.output(top[:, 0]))
        return torch.stack(logits, dim=1)


class _Tokens:
    """A Step that chooses a token for each part: (batch, part). known: the gates; chance: noise for the logits."""

    def __init__(self, decoder: LstmDecoder):
        self._weights, self._bias = decoder.output.weight.t().cpu(), decoder.output.bias.cpu()
        self._decoder = decoder

    def __call__(self, state: State, gates: Array, logit_noise: Tensor) -> Tensor:
        logits = torch.addmm(self._bias, state.lstm.step(gates), self._weights)
        tokens = self._decoder.draw(logits, logit_noise)
        state.lstm.fed[...] = self._decoder.vectors(tokens).numpy()
        return tokens


class SplitDecoder(nn.Module):
    """A decoder for each part, on the same z; none sees another's tokens."""

    def __init__(self, parts: list[LstmDecoder]):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._choices = [part.choices for part in parts]
        self.choices = sum(self._choices)

    def loss(self, z: Tensor, tokens: Tensor, first: Tensor, control: Tensor, feeding: Feeding) -> Tensor:
        """See TokenDecoder."""
        each = zip(self.parts, torch.split(tokens, 1, dim=-1), torch.split(first, 1, dim=-1), strict=True)
        return torch.stack([part.loss(z, own, before, control, feeding) for part, own, before in each]).sum(dim=0)  # type: ignore[operator]

    def decode(self, z: Tensor, first: Tensor, control: Tensor, logit_noise: Tensor) -> Tensor:
        """See TokenDecoder."""
        each = zip(
            self.parts, torch.split(first, 1, dim=-1), torch.split(logit_noise, self._choices, dim=-1), strict=True
        )
        return torch.cat([part.decode(z, before, control, noise) for part, before, noise in each], dim=-1)  # type: ignore[operator]


class Conductor(nn.Module):
    """An LSTM without input that takes one step a bar; its h is the z with which the core decodes that bar.

    chained: a bar starts with the last token of the bar before as input, as published weights need. Else each bar
    starts from the conductor alone, and all bars are decoded in parallel.
    """

    def __init__(
        self, z: int, hidden: tuple[int, ...], bars: int, core: LstmDecoder | SplitDecoder, *, chained: bool
    ):
        super().__init__()
        self.bars, self.chained = bars, chained
        self.initial_state = InitialState(z, hidden[0], len(hidden))
        self.lstm = Lstm(1, hidden[0], len(hidden))
        self.core = core
        self.choices = core.choices

    def loss(self, z: Tensor, tokens: Tensor, first: Tensor, control: Tensor, feeding: Feeding) -> Tensor:
        """See TokenDecoder."""
        bars = self._bars(tokens)
        before = torch.full_like(bars[:, :, 0], -1)
        if self.chained:
            before[:, 0], before[:, 1:] = first, bars[:, :-1, -1]
        plans, bars, before, controls = (
            part.flatten(0, 1) for part in (self.plans(z), bars, before, self._bars(control))
        )
        return self.core.loss(plans, bars, before, controls, feeding).view(len(z), -1).sum(dim=1)

    def decode(self, z: Tensor, first: Tensor, control: Tensor, logit_noise: Tensor) -> Tensor:
        """See TokenDecoder."""
        plans, controls, noises = self.plans(z), self._bars(control), self._bars(logit_noise)
        if not self.chained:
            before = first.new_full((plans[..., 0].numel(), first.shape[-1]), -1)
            bar_control, noise = controls.flatten(0, 1), noises.flatten(0, 1)
            bars = self.core.decode(plans.flatten(0, 1), before, bar_control, noise)
            return torch.unflatten(bars, 0, (len(z), -1)).flatten(1, 2)
        decoded = []
        for plan, bar_control, noise in zip(plans.unbind(1), controls.unbind(1), noises.unbind(1), strict=True):
            decoded.append(self.core.decode(plan, first, bar_control, noise))
            first = decoded[-1][:, -1]
        return torch.cat(decoded, dim=1)

    def plans(self, z: Tensor) -> Tensor:
        """The conductor's h, which is the z of each bar: (batch, z) -> (batch, bar, hidden)."""
        return self.lstm.run(z.new_zeros(len(z), self.bars, 1), self.initial_state(z))[0]

    def _bars(self, steps: Tensor) -> Tensor:
        """(batch, step, n) -> (batch, bar, step, n)."""
        return torch.unflatten(steps, 1, (self.bars, -1))


def one_hot(tokens: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """(…, part) -> (…, sum of sizes), zeros where a token is -1."""
    vectors = torch.zeros(*tokens.shape[:-1], sum(sizes), device=tokens.device)
    places = tokens.clamp(min=0)
    if len(sizes) > 1:
        places = places + torch.tensor([0, *itertools.accumulate(sizes[:-1])], device=tokens.device)
    return vectors.scatter_(-1, places, (tokens >= 0).to(vectors))


def logistic_or_gumbel(shape: torch.Size, *, bits: bool, device: torch.device) -> Tensor:
    """Noise for logits: Gumbel, with which argmax samples a softmax; or logistic, whose sign samples a bit."""
    gumbel = -torch.log(torch.empty(shape, device=device).exponential_().clamp(min=1e-30))
    if not bits:
        return gumbel
    return gumbel + torch.log(torch.empty(shape, device=device).exponential_().clamp(min=1e-30))
