"""Bars of drums, step by step: a phrase's z says what it is, copying says what returns.

A step is one of 512 subsets of the nine drums. Its logits depend on an LSTM's state and on the same step of the
bars 1, 2, 4, 8 before and, where they are given, 1, 2, 4 after: the more a subset agrees with one of those, drum by
drum or as a whole, the likelier the LSTM may make it. So repetition is learnt as likelihood, and a repeat is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import POSITIONS
from engine.model.lstm import InitialState, Lstm, heard
from engine.model.stepping import Stepper
from engine.model.subsets import SUBSETS, drums_of_subsets, impossible, subset_of
from engine.model.tasks import positions
from engine.representation.drum_map import CLASSES
from engine.representation.measures import BAR_ATTRIBUTES

BEFORE, AFTER = (1, 2, 4, 8), (1, 2, 4)
"""How many bars before and after a step the decoder reads the same step of the bar."""

PAST_BARS = max(BEFORE)
BAR_NUMBERS = 16
"""The number of a bar in its song is given modulo this."""

STYLE_DEPTH, BAR_NUMBER_DEPTH, BAR_DEPTH, BAR_HIDDEN = 16, 8, 64, 192
CONDITION_DEPTH = STYLE_DEPTH + 2

HIDDEN_LOOKS, HIDDEN_BARS = 0.15, 0.5
"""In training, the share of looks at other bars that is zeroed, and of the bars that the conductor does not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is given of a batch of phrases, which a decoder must keep; whatever is not given is zeroed.

    hits (batch, step, 9), of which hits_given (batch, step, 9) marks with 1 what is given: hit or no hit. past
    (batch, 8·bar, 9): the hits of the eight bars before, of which past_given (batch, 8) marks those that are.
    taps (batch, step, 2): whether a step is tapped, so that it is not empty, and whether taps are given at all.
    style (batch,), or the number of styles where none is given. tempo (batch, 2): log2(bpm / 120), and whether
    it is given. attributes (batch, bar, 8): standardised, see engine.representation.measures, then which
    are given. bar_number (batch, bar) 0..15, 16 where it is not condition. bar_z (batch, bar, z), and
    bar_z_given (batch, bar) where it is.
    """

    hits: Tensor
    hits_given: Tensor
    past: Tensor
    past_given: Tensor
    taps: Tensor
    style: Tensor
    tempo: Tensor
    attributes: Tensor
    bar_number: Tensor
    bar_z: Tensor
    bar_z_given: Tensor
    steps_per_bar: int = POSITIONS

    @property
    def bars(self) -> int:
        """How many bars the phrases have."""
        return self.bar_number.shape[1]

    @property
    def given_hits(self) -> Tensor:
        """The hits that are given: (batch, step, 9)."""
        return self.hits * self.hits_given

    def some_bars(self, first: int, count: int) -> "Condition":
        """The bars from `first` on, at most count, with the eight before them as their past."""
        bar = self.steps_per_bar
        steps, bars = slice(first * bar, (first + count) * bar), slice(first, first + count)
        known = F.pad(self.past_given, (0, self.bars), value=1.0)
        return replace(
            self,
            hits=self.hits[:, steps],
            hits_given=self.hits_given[:, steps],
            past=torch.cat([self.past, self.hits], dim=1)[:, first * bar :][:, : PAST_BARS * bar],
            past_given=known[:, first : first + PAST_BARS],
            taps=self.taps[:, steps],
            attributes=self.attributes[:, bars],
            bar_number=self.bar_number[:, bars],
            bar_z=self.bar_z[:, bars],
            bar_z_given=self.bar_z_given[:, bars],
        )

    def times(self, draws: int) -> "Condition":
        """The same with each row so many times, next to each other."""
        return self._of(lambda each: each.repeat_interleave(draws, dim=0))

    def row(self, row: int) -> "Condition":
        """One row of the batch."""
        return self._of(lambda each: each[row : row + 1])

    def _of(self, change: Callable[[Tensor], Tensor]) -> "Condition":
        names = [each.name for each in fields(self) if each.name != "steps_per_bar"]
        return Condition(**{name: change(getattr(self, name)) for name in names}, steps_per_bar=self.steps_per_bar)

    def with_drawn(self, first: int, hits: Tensor) -> "Condition":
        """The same when the hits (batch, step, 9) from the bar `first` on are drawn: they are given from now on."""
        steps = slice(first * self.steps_per_bar, first * self.steps_per_bar + hits.shape[1])
        all_hits, given = self.hits.clone(), self.hits_given.clone()
        all_hits[:, steps], given[:, steps] = hits, 1
        return replace(self, hits=all_hits, hits_given=given)


def unconditioned(
    batch: int,
    bars: int,
    *,
    styles: int,
    bar_z: int,
    steps_per_bar: int = POSITIONS,
    device: torch.device | str = "cpu",
) -> Condition:
    """Phrases of which nothing but the length is condition."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(batch, *shape, device=device)

    steps, past = bars * steps_per_bar, PAST_BARS * steps_per_bar
    return Condition(
        hits=zeros(steps, CLASSES),
        hits_given=zeros(steps, CLASSES),
        past=zeros(past, CLASSES),
        past_given=zeros(PAST_BARS),
        taps=zeros(steps, 2),
        style=zeros().long() + styles,
        tempo=zeros(2),
        attributes=zeros(bars, 2 * len(BAR_ATTRIBUTES)),
        bar_number=zeros(bars).long() + BAR_NUMBERS,
        bar_z=zeros(bars, bar_z),
        bar_z_given=zeros(bars),
        steps_per_bar=steps_per_bar,
    )


@dataclass(frozen=True, slots=True)
class Looks:
    """What a step reads of other bars, zeros where it is not known.

    hits (batch, step, 7, 9): the same step 1, 2, 4, 8 bars before and 1, 2, 4 after; known (batch, step, 7);
    next (batch, step, 9): the following step, a bar before. same (batch, step, 4): whether the bar so far is
    the one 1, 2, 4, 8 before; same_before (batch, step, 4): whether the whole bar before was.
    """

    hits: Tensor
    known: Tensor
    next: Tensor
    same: Tensor
    same_before: Tensor


def looks(condition: Condition) -> Looks:
    """What each step of phrases reads, where all hits are known."""
    bar, steps = condition.steps_per_bar, condition.hits.shape[1]
    all_hits = torch.cat([condition.past, condition.hits], dim=1)
    first, known = PAST_BARS * bar, known_before(condition)
    before = torch.stack([all_hits[:, first - k * bar :][:, :steps] for k in BEFORE], dim=2) * known[..., None]
    after, after_known = looks_after(condition)
    equal = (before == condition.hits[:, :, None]).all(dim=-1).to(known) * known
    so_far = torch.unflatten(equal, 1, (-1, bar)).cumprod(dim=2)
    same = torch.cat([torch.unflatten(known, 1, (-1, bar))[:, :, :1], so_far[:, :, :-1]], dim=2).flatten(1, 2)
    same_before = F.pad(so_far[:, :-1, -1], (0, 0, 1, 0)).repeat_interleave(bar, dim=1)
    following = all_hits[:, first - bar + 1 :][:, :steps] * known[:, :, :1]
    hits, known = torch.cat([before, after], dim=2), torch.cat([known, after_known], dim=2)
    return Looks(hits, known, following, same, same_before)


def known_before(condition: Condition) -> Tensor:
    """Whether the bars 1, 2, 4, 8 before each step are known, where all hits so far are: (batch, step, 4)."""
    known = F.pad(condition.past_given, (0, condition.bars), value=1.0)
    bars = torch.stack([known[:, PAST_BARS - k :][:, : condition.bars] for k in BEFORE], dim=2)
    return bars.repeat_interleave(condition.steps_per_bar, dim=1)


def looks_after(condition: Condition) -> tuple[Tensor, Tensor]:
    """The given hits 1, 2, 4 bars after each step (batch, step, 3, 9), and which steps are given there."""
    bar, steps = condition.steps_per_bar, condition.hits.shape[1]
    longest = max(AFTER) * bar
    whole = F.pad(condition.hits_given.amin(dim=-1), (0, longest))
    hits = F.pad(condition.given_hits, (0, 0, 0, longest))
    known = torch.stack([whole[:, k * bar :][:, :steps] for k in AFTER], dim=2)
    return torch.stack([hits[:, k * bar :][:, :steps] for k in AFTER], dim=2) * known[..., None], known


def positions_of(condition: Condition) -> Tensor:
    """The position in the bar of each step, one-hot: (batch, step, 16)."""
    position = positions(condition.hits.shape[1], condition.steps_per_bar).to(condition.hits.device)
    return F.one_hot(position, POSITIONS).to(condition.hits).expand(len(condition.hits), -1, -1)


def read_bars(hits: Tensor, steps_per_bar: int) -> Tensor:
    """Hits (batch, step, 9) as a row for each bar, its positions by its drums: (batch, bar, 144)."""
    bars = torch.unflatten(hits, 1, (-1, steps_per_bar))
    return (at_positions(steps_per_bar).to(hits).t() @ bars).clamp(max=1).flatten(2)


def at_positions(steps_per_bar: int) -> Tensor:
    """Which position in the bar each step of a bar has, one-hot: (step, 16)."""
    return F.one_hot(positions(steps_per_bar, steps_per_bar), POSITIONS).float()


class Context(nn.LSTM):
    """Reads what is given of phrases, in both directions; what it says of nothing is kept."""

    def __init__(self, hidden: int):
        super().__init__(2 * CLASSES + 2 + POSITIONS, hidden, batch_first=True, bidirectional=True)
        self._of_nothing: dict[object, Tensor] = {}

    def read(self, condition: Condition) -> Tensor:
        """What it says at each step: (batch, step, 2·hidden)."""
        parts = condition.given_hits, condition.hits_given, condition.taps, positions_of(condition)
        if torch.is_grad_enabled():
            return self(torch.cat(parts, dim=-1))[0]  # type: ignore[no-any-return]
        if any(bool(part.any()) for part in parts[1:3]):
            return heard(self, torch.cat(parts, dim=-1))
        weights, (rows, steps, _) = self.weight_hh_l0, condition.hits.shape
        key = steps, condition.steps_per_bar, id(weights), weights._version, weights.device
        if key not in self._of_nothing:
            first = torch.cat([part[:1] for part in parts], dim=-1)
            self._of_nothing = {key: self(first)[0]}
        return self._of_nothing[key].expand(rows, -1, -1)


class Conductor(nn.Module):
    """Plans a bar at a time: it reads z, what is given of the bar, and the hits of the bar before."""

    def __init__(self, z: int, bar_z: int, hidden: int, depth: int):
        super().__init__()
        of_bar = 2 * len(BAR_ATTRIBUTES) + BAR_NUMBER_DEPTH + bar_z + 1
        self.read = nn.Sequential(nn.Linear(POSITIONS * CLASSES, BAR_DEPTH), nn.Tanh())
        self.initial_state = InitialState(z + CONDITION_DEPTH, hidden)
        self.lstm = Lstm(BAR_DEPTH + z + CONDITION_DEPTH + of_bar, hidden)
        self.plan = nn.Linear(hidden, depth)

    def forward(self, idea: Tensor, of_bar: Tensor, before: Tensor, known: Tensor) -> Tensor:
        """A plan for each bar: (batch, bar, depth).

        idea (batch, z + condition), of_bar (batch, bar, n); before (batch, bar, 144), the bars before, known which
        are.
        """
        read = self.read(before) * known[..., None]
        ideas = idea[:, None].expand(-1, of_bar.shape[1], -1)
        outputs, _ = self.lstm.run(torch.cat([read, ideas, of_bar], dim=-1), self.initial_state(idea))
        return self.plan(outputs)  # type: ignore[no-any-return]

    def stepper(self, idea: Tensor) -> Stepper:
        """To plan one bar after the other."""
        return Stepper(self.lstm, BAR_DEPTH, self.initial_state(idea))


class PhraseDecoder(nn.Module):
    """p(hits | z, what is given): subsets that contradict a given hit, or a tap, have probability 0.

    A bidirectional LSTM reads what is given, the context; the conductor plans the bars; another LSTM generates the
    steps. Step input = [hits of the step before and looks; plan; context, z, what is given, position].
    """

    def __init__(
        self,
        z: int,
        bar_z: int,
        styles: int,
        hidden: int,
        context: int,
        conductor: int,
        plan: int,
        *,
        dropout: float,
    ):
        super().__init__()
        self.style = nn.Embedding(styles + 1, STYLE_DEPTH)
        self.bar_number = nn.Embedding(BAR_NUMBERS + 1, BAR_NUMBER_DEPTH)
        self.context = Context(context)
        self.conductor = Conductor(z, bar_z, conductor, plan)
        self.initial_state = InitialState(z + CONDITION_DEPTH, hidden)
        self.fed = (len(BEFORE) + 2) * CLASSES + 2 * len(BEFORE) + plan
        of_bar = 2 * len(BAR_ATTRIBUTES) + BAR_NUMBER_DEPTH + bar_z + 1
        known = len(BEFORE) + len(AFTER) * (CLASSES + 1)
        self.lstm = Lstm(self.fed + 2 * context + z + CONDITION_DEPTH + of_bar + POSITIONS + known, hidden)
        self.output = nn.Linear(hidden, SUBSETS)
        self.bar = nn.Sequential(
            nn.Linear(bar_z, BAR_HIDDEN), nn.Tanh(), nn.Linear(BAR_HIDDEN, POSITIONS * CLASSES)
        )
        self.copy = nn.Linear(hidden, (len(BEFORE) + len(AFTER)) * (1 + CLASSES))
        for start_at_zero in (self.copy, self.bar[-1]):
            nn.init.zeros_(cast(nn.Linear, start_at_zero).weight)
            nn.init.zeros_(cast(nn.Linear, start_at_zero).bias)
        self.drop_static, self.drop_hidden = nn.Dropout(dropout / 3), nn.Dropout(dropout)

    def nats(self, z: Tensor, condition: Condition, *, temperature: float = 1.0) -> Tensor:
        """z (batch, z), condition with all true hits -> the nats of each step that is not given: (batch, step)."""
        seen, idea = looks(condition), self.idea(z, condition)
        plans = self._plans(idea, condition)
        before = F.pad(
            condition.past[:, -1:] * condition.past_given[:, -1:, None], (0, 0, 0, condition.hits.shape[1] - 1)
        )
        before = before + F.pad(condition.hits[:, :-1], (0, 0, 1, 0))
        fed = self._fed(before, seen)
        static = torch.cat(self.static(idea, condition, seen.known), dim=-1)
        plan = plans.repeat_interleave(condition.steps_per_bar, dim=1)
        inputs = torch.cat([fed, self.drop_static(torch.cat([plan, static], dim=-1))], dim=-1)
        hidden, _ = self.lstm.run(inputs, self.initial_state(idea))
        logits = self.logits(self.drop_hidden(hidden), seen) + self.of_subsets(condition)
        nats = F.cross_entropy(logits.transpose(1, 2) / temperature, subset_of(condition.hits), reduction="none")
        return nats * (condition.hits_given.amin(dim=-1) < 1)

    def idea(self, z: Tensor, condition: Condition) -> Tensor:
        """z and what is given of the whole phrase: (batch, z + condition depth)."""
        return torch.cat([z, self.style(condition.style), condition.tempo], dim=-1)

    def static(self, idea: Tensor, condition: Condition, known: Tensor) -> tuple[Tensor, ...]:
        """The inputs of each step that depend on no step before, as parts (batch, step, n)."""
        after, _ = looks_after(condition)
        position = positions_of(condition)
        context = self.context.read(condition)
        of_bar = self.of_bar(condition).repeat_interleave(condition.steps_per_bar, dim=1)
        ideas = idea[:, None].expand(-1, condition.hits.shape[1], -1)
        return context, ideas, of_bar, position, after.flatten(2), known

    def of_bar(self, condition: Condition) -> Tensor:
        """What is given of each bar: (batch, bar, n)."""
        given = condition.bar_z_given[..., None]
        return torch.cat(
            [condition.attributes, self.bar_number(condition.bar_number), condition.bar_z * given, given], dim=-1
        )

    def logits(self, hidden: Tensor, seen: Looks) -> Tensor:
        """The output layer's, and more for subsets like those of other bars: (batch, step, 512)."""
        count = seen.hits.shape[2]
        whole, of_drum = torch.split(self.copy(hidden), [count, count * CLASSES], dim=-1)
        of_drum = torch.unflatten(of_drum, -1, (-1, CLASSES)) * seen.known[..., None]
        pull = (of_drum * (2 * seen.hits - 1)).sum(dim=2)
        logits = self.output(hidden) + pull @ signs(pull.device)
        whole = (whole * seen.known).float()
        return logits.float().scatter_add(2, subset_of(seen.hits), whole)  # type: ignore[no-any-return]

    def of_subsets(self, condition: Condition) -> Tensor:
        """What is added to the logits of each step whatever was drawn before: (batch, step, 512).

        More for what the given z of a bar says, a large negative number for what contradicts given hits or taps.
        """
        never = impossible(condition.hits, condition.hits_given, condition.taps[..., 0])
        return self._bar_pull(condition) @ signs(never.device) + never

    def _bar_pull(self, condition: Condition) -> Tensor:
        """For or against each hit, as far as the given z of its bar says: (batch, step, 9)."""
        bars = torch.unflatten(
            self.bar(condition.bar_z) * condition.bar_z_given[..., None], -1, (POSITIONS, CLASSES)
        )
        position = positions(condition.steps_per_bar, condition.steps_per_bar).to(bars.device)
        return bars[:, :, position].flatten(1, 2)

    def _plans(self, idea: Tensor, condition: Condition) -> Tensor:
        """The plan of each bar, where all hits are known: (batch, bar, depth)."""
        bar = condition.steps_per_bar
        before = torch.cat([condition.past[:, -bar:], condition.hits[:, :-bar]], dim=1)
        known = F.pad(condition.past_given[:, -1:], (0, condition.bars - 1), value=1.0)
        if self.training:
            known = known * (torch.rand_like(known) >= HIDDEN_BARS)
        plans: Tensor = self.conductor(idea, self.of_bar(condition), read_bars(before, bar), known)
        return plans

    def _fed(self, before: Tensor, seen: Looks) -> Tensor:
        """The inputs that depend on earlier steps: (batch, step, fed); some are hidden in training."""
        back = seen.hits[:, :, : len(BEFORE)]
        hits = torch.cat([before[:, :, None], seen.next[:, :, None], back], dim=2)
        flags = torch.stack([seen.same, seen.same_before], dim=-1)
        if self.training:
            kept = (torch.rand(hits.shape[:3], device=hits.device) >= HIDDEN_LOOKS)[..., None]
            hits, flags = hits * kept, flags * kept[:, :, 2:]
        return torch.cat([hits.flatten(2), flags.flatten(2)], dim=-1)


def signs(device: torch.device) -> Tensor:
    """1 where a subset has a drum, -1 where it has not: (9, 512)."""
    return (2 * drums_of_subsets(device) - 1).t()
