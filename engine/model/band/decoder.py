"""A part of a band, step by step, given z and what is given of all parts: what engine.model.phrases is for drums.

A step is a token. Its logits depend on an LSTM's state and on the same step of the bars 1, 2, 4, 8 before and,
where they are given, 1, 2, 4 after: more for that very token, and for all that have something in common with it
(a drum; that a note begins, ends, goes on), so that a rhythm may return on other pitches.
"""

from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.model.encoder import POSITIONS
from engine.model.lstm import InitialState, Lstm
from engine.model.phrases.decoder import AFTER, BAR_NUMBER_DEPTH, BAR_NUMBERS, BEFORE, HIDDEN_LOOKS
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, SIZES, drum_features, voice_features
from engine.representation.melody import FIRST_NOTE_ON, MELODY_SIZE, NOTE_OFF

BAR = POSITIONS
STYLE_DEPTH = 8
CONDITION_DEPTH = STYLE_DEPTH + 2
ATTRIBUTES = ("density", "register")
"""What is told of a bar of a part: the notes that begin, and of a voice their mean pitch, standardised."""

DENSITY, USUAL_DENSITY = ATTRIBUTES.index("density"), {LEAD: 0.1, BASS: 0.8}
"""In standard deviations from the mean of bars in which a part plays."""

BAR_HIDDEN, BAR_RANK = 256, 32
CHROMA = 12
FEATURES = (22, 22, 9)
OF_ALL_PARTS = sum(FEATURES) + len(PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A batch of bands, and what of them is given, for one part to be drawn.

    states (batch, step, 3), see engine.representation.band; given (batch, step, 3): 1 where they are given.
    style (batch,), or the number of styles where none is told. tempo (batch, 2): log2(bpm / 120), and whether it is
    told. attributes (batch, bar, 4): those of the part, then which are told. bar_number (batch, bar) 0..15, 16
    where it is not told. bar_z (batch, bar, z) of the part, and bar_z_given (batch, bar) where it is.
    """

    states: Tensor
    given: Tensor
    style: Tensor
    tempo: Tensor
    attributes: Tensor
    bar_number: Tensor
    bar_z: Tensor
    bar_z_given: Tensor

    @property
    def bars(self) -> int:
        """How many bars the bands have."""
        return self.bar_number.shape[1]

    def times(self, draws: int) -> "Score":
        """The same with each row so many times, next to each other."""
        return Score(
            **{each.name: getattr(self, each.name).repeat_interleave(draws, dim=0) for each in fields(self)}
        )

    def with_drawn(self, part: int, states: Tensor) -> "Score":
        """The same when the states (batch, step) of a part are drawn: they are given from now on."""
        all_states, given = self.states.clone(), self.given.clone()
        all_states[..., part], given[..., part] = states, 1
        return replace(self, states=all_states, given=given)


def blank(batch: int, bars: int, *, styles: int, bar_z: int, device: torch.device | str = "cpu") -> Score:
    """Bands of which nothing but the length is told."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(batch, *shape, device=device)

    return Score(
        states=zeros(bars * BAR, len(PARTS)).long(),
        given=zeros(bars * BAR, len(PARTS)),
        style=zeros().long() + styles,
        tempo=zeros(2),
        attributes=zeros(bars, 2 * len(ATTRIBUTES)),
        bar_number=(torch.arange(bars, device=device) % BAR_NUMBERS).expand(batch, -1),
        bar_z=zeros(bars, bar_z),
        bar_z_given=zeros(bars),
    )


def of_usual_density(score: Score, part: int) -> Score:
    """A voice of which nothing is known is told that it plays as usual: untold it might rest throughout."""
    if part not in USUAL_DENSITY:
        return score
    told = score.attributes.clone()
    told[..., DENSITY], told[..., len(ATTRIBUTES) + DENSITY] = USUAL_DENSITY[part], 1
    return replace(score, attributes=told)


class Alphabets(nn.Module):
    """What a network reads of the states of each part, and what its tokens have in common."""

    def __init__(self) -> None:
        super().__init__()
        voice, drums = torch.from_numpy(voice_features()), torch.from_numpy(drum_features())
        for part, table in enumerate((voice, voice, drums)):
            self.register_buffer(f"features_{part}", table, persistent=False)
        kinds = torch.zeros(MELODY_SIZE, 3)
        kinds[FIRST_NOTE_ON:, 0], kinds[NOTE_OFF, 1], kinds[0, 2] = 1, 1, 1
        for part, table in enumerate((kinds, kinds, drums)):
            self.register_buffer(f"signs_{part}", 2 * table - 1, persistent=False)

    def features(self, part: int) -> Tensor:
        """The features of each state of a part: (state, feature)."""
        return cast(Tensor, getattr(self, f"features_{part}"))

    def signs(self, part: int) -> Tensor:
        """1 where a token has an aspect, -1 where not: (token, aspect)."""
        return cast(Tensor, getattr(self, f"signs_{part}"))

    def all_parts(self, states: Tensor, given: Tensor) -> Tensor:
        """What is given of all parts: (batch, step, 56)."""
        read = [self.features(part)[states[..., part]] * given[..., part, None] for part in range(len(PARTS))]
        return torch.cat([*read, given], dim=-1)


def alike(score: Score) -> Tensor:
    """How much of what is given of each part's bar is as in the bars 1, 2, 4, 8 before and 1, 2, 4 after.

    (batch, bar, 21), shares of the steps: where a lead returns, a bass may return as well.
    """
    states, given = (torch.unflatten(each, 1, (-1, BAR)) for each in (score.states, score.given))
    bars, shares = states.shape[1], []
    for by in (*(-k for k in BEFORE), *AFTER):
        same = torch.zeros_like(given)
        first, end = max(0, -by), bars - max(0, by)
        if first < end:
            here, there = slice(first, end), slice(first + by, end + by)
            same[:, here] = (states[:, here] == states[:, there]) * given[:, here] * given[:, there]
        shares.append(same.mean(dim=2))
    return torch.cat(shares, dim=-1)


def chroma(heard: Tensor) -> Tensor:
    """What all_parts reads -> the pitch classes that its voices sound in each half of a bar, and in the whole bar.

    (batch, step, 24), shares of the steps.
    """
    first = 3
    voices = sum(heard[..., place + first : place + first + CHROMA] for place in (0, FEATURES[0]))
    halves = torch.unflatten(cast(Tensor, voices), 1, (-1, 2, BAR // 2)).mean(dim=3)
    bars = halves.mean(dim=2, keepdim=True).expand(-1, -1, 2, -1)
    return torch.cat([halves, bars], dim=-1).flatten(1, 2).repeat_interleave(BAR // 2, dim=1)


def tokens_of(part: int, states: Tensor) -> Tensor:
    """States of a part -> its tokens."""
    return states if part == DRUMS else torch.where(states < MELODY_SIZE, states, 0)


def positions_of(score: Score) -> Tensor:
    """The position in the bar of each step, one-hot: (batch, step, 16)."""
    eye = torch.eye(POSITIONS, device=score.given.device)
    return eye.repeat(score.bars, 1).expand(len(score.given), -1, -1)


@dataclass(frozen=True, slots=True)
class Looks:
    """What a step reads of its part's other bars, zeros where it is not known.

    states (batch, step, 7): the same step 1, 2, 4, 8 bars before and 1, 2, 4 after; known (batch, step, 7).
    same (batch, step, 4): whether the bar so far is the one 1, 2, 4, 8 before; same_before: whether the whole bar
    before was.
    """

    states: Tensor
    known: Tensor
    same: Tensor
    same_before: Tensor


def known_looks(score: Score, part: int) -> Tensor:
    """Whether the bars before and after each step are known: (batch, step, 7)."""
    rows, steps = score.states.shape[:2]
    step = torch.arange(steps, device=score.given.device)
    before = torch.stack([(step >= k * BAR).float() for k in BEFORE], dim=1).expand(rows, -1, -1)
    own = F.pad(score.given[..., part], (0, max(AFTER) * BAR))
    return torch.cat([before, torch.stack([own[:, k * BAR :][:, :steps] for k in AFTER], dim=2)], dim=2)


def looks(score: Score, part: int) -> Looks:
    """What each step reads, where all states of the part are known."""
    own, known, steps = score.states[..., part], known_looks(score, part), score.states.shape[1]
    first = max(BEFORE) * BAR
    padded = F.pad(own, (first, max(AFTER) * BAR))
    states = torch.stack([padded[:, first + k * BAR :][:, :steps] for k in (*(-k for k in BEFORE), *AFTER)], dim=2)
    count = len(BEFORE)
    equal = (states[..., :count] == own[..., None]).float() * known[..., :count]
    so_far = torch.unflatten(equal, 1, (-1, BAR)).cumprod(dim=2)
    opening = torch.unflatten(known[..., :count], 1, (-1, BAR))[:, :, :1]
    same = torch.cat([opening, so_far[:, :, :-1]], dim=2).flatten(1, 2)
    same_before = F.pad(so_far[:, :-1, -1], (0, 0, 1, 0)).repeat_interleave(BAR, dim=1)
    return Looks(states, known, same, same_before)


class PartDecoder(nn.Module):
    """p(states of a part | z, what is given of all parts).

    A bidirectional LSTM reads what is given, the context; another LSTM generates the steps. Step input = [the step
    before, the next one a bar before, looks; context, z, what is told, what the parts play now and next].
    """

    def __init__(self, part: int, z: int, bar_z: int, styles: int, hidden: int, context: int, dropout: float):
        super().__init__()
        self.part, self.alphabets = part, Alphabets()
        depth, tokens = FEATURES[part], SIZES[part]
        aspects = self.alphabets.signs(part).shape[1]
        self.style = nn.Embedding(styles + 1, STYLE_DEPTH)
        self.bar_number = nn.Embedding(BAR_NUMBERS + 1, BAR_NUMBER_DEPTH)
        self.context = nn.LSTM(OF_ALL_PARTS + POSITIONS, context, batch_first=True, bidirectional=True)
        self.initial_state = InitialState(z + CONDITION_DEPTH, hidden)
        self.flags = (len(BEFORE) + 2) * depth
        self.fed = self.flags + 2 * len(BEFORE)
        of_bar = 2 * len(ATTRIBUTES) + BAR_NUMBER_DEPTH + bar_z + 1
        static = 2 * context + z + CONDITION_DEPTH + of_bar + POSITIONS + 2 * OF_ALL_PARTS
        static += 2 * CHROMA + (len(BEFORE) + len(AFTER)) * len(PARTS)
        looked = len(AFTER) * depth + len(BEFORE) + len(AFTER)
        self.lstm = Lstm(self.fed + static + looked, hidden)
        self.output = nn.Linear(hidden, tokens)
        self.copy = nn.Linear(hidden, (len(BEFORE) + len(AFTER)) * (1 + aspects))
        self.bar = nn.Sequential(
            nn.Linear(bar_z, BAR_HIDDEN),
            nn.Tanh(),
            nn.Linear(BAR_HIDDEN, BAR_HIDDEN),
            nn.Tanh(),
            nn.Linear(BAR_HIDDEN, BAR * BAR_RANK),
        )
        self.of_rank = nn.Linear(BAR_RANK, tokens, bias=False)
        for start_at_zero in (self.copy, self.bar[-1]):
            nn.init.zeros_(cast(nn.Linear, start_at_zero).weight)
            nn.init.zeros_(cast(nn.Linear, start_at_zero).bias)
        self.drop_static, self.drop_hidden = nn.Dropout(dropout / 3), nn.Dropout(dropout)

    def nats(self, z: Tensor, score: Score, *, temperature: float = 1.0) -> Tensor:
        """z (batch, z), score with all true states -> the nats of each step that is not given: (batch, step)."""
        seen, idea, part = looks(score, self.part), self.idea(z, score), self.part
        static = self.static(idea, score)
        kept = self.drop_static(torch.ones_like(static[:, :1]))
        inputs = torch.cat([self._fed(score, seen), static * kept], dim=-1)
        hidden, _ = self.lstm.run(inputs, self.initial_state(idea))
        logits = self.logits(self.drop_hidden(hidden), seen) + self.of_tokens(score)
        target = tokens_of(part, score.states[..., part])
        nats = F.cross_entropy(logits.float().transpose(1, 2) / temperature, target, reduction="none")
        return nats * (1 - score.given[..., part])

    def idea(self, z: Tensor, score: Score) -> Tensor:
        """z and what is told of the whole phrase: (batch, z + condition depth)."""
        return torch.cat([z, self.style(score.style), score.tempo], dim=-1)

    def static(self, idea: Tensor, score: Score) -> Tensor:
        """The inputs of each step that depend on no step before: (batch, step, n)."""
        position, steps = positions_of(score), score.states.shape[1]
        heard = self.alphabets.all_parts(score.states, score.given)
        following = F.pad(heard[:, 1:], (0, 0, 0, 1))
        context, _ = self.context(torch.cat([heard, position], dim=-1))
        given = score.bar_z_given[..., None]
        numbers = self.bar_number(score.bar_number)
        of_bar = torch.cat([score.attributes, numbers, score.bar_z * given, given, alike(score)], dim=-1)
        ideas = idea[:, None].expand(-1, steps, -1)
        known, first = known_looks(score, self.part), sum(FEATURES[: self.part])
        own = F.pad(heard[..., first : first + FEATURES[self.part]], (0, 0, 0, max(AFTER) * BAR))
        after = torch.cat([own[:, k * BAR :][:, :steps] for k in AFTER], dim=-1)
        bars = of_bar.repeat_interleave(BAR, dim=1)
        return torch.cat([context, ideas, bars, position, heard, following, chroma(heard), after, known], dim=-1)

    def logits(self, hidden: Tensor, seen: Looks) -> Tensor:
        """The output layer's, and more for tokens like those of other bars: (batch, step, token)."""
        signs, count = self.alphabets.signs(self.part), seen.known.shape[-1]
        whole, aspects = torch.split(self.copy(hidden), [count, count * signs.shape[1]], dim=-1)
        tokens = tokens_of(self.part, seen.states)
        aspects = torch.unflatten(aspects, -1, (count, -1)) * seen.known[..., None]
        pull = (aspects * signs[tokens]).sum(dim=2)
        logits = (self.output(hidden) + pull @ signs.t()).float()
        return logits.scatter_add(2, tokens, (whole * seen.known).float())  # type: ignore[no-any-return]

    def of_tokens(self, score: Score) -> Tensor:
        """What the given z of a bar adds to the logits of each step: (batch, step, token)."""
        bars = self.bar(score.bar_z) * score.bar_z_given[..., None]
        return self.of_rank(torch.unflatten(bars, -1, (BAR, BAR_RANK)).flatten(1, 2))  # type: ignore[no-any-return]

    def bar_nats(self, score: Score) -> Tensor:
        """The nats of each step if a bar's z alone says what is played: (batch, step)."""
        logits = self.of_tokens(replace(score, bar_z_given=torch.ones_like(score.bar_z_given))).float()
        target = tokens_of(self.part, score.states[..., self.part])
        return F.cross_entropy(logits.transpose(1, 2), target, reduction="none")

    def _fed(self, score: Score, seen: Looks) -> Tensor:
        """The inputs that depend on earlier steps: (batch, step, fed); some are hidden in training."""
        own, steps = score.states[..., self.part], score.states.shape[1]
        table, count = self.alphabets.features(self.part), len(BEFORE)
        read = F.pad(table[own], (0, 0, BAR, 0))
        last, following = read[:, BAR - 1 :][:, :steps], read[:, 1:][:, :steps]
        last = torch.cat([torch.zeros_like(last[:, :1]), last[:, 1:]], dim=1)
        known = (torch.arange(steps, device=own.device) >= BAR - 1).to(last)[:, None]
        back = table[seen.states[..., :count]] * seen.known[..., :count, None]
        parts = torch.cat([last[:, :, None], (following * known)[:, :, None], back], dim=2)
        flags = torch.stack([seen.same, seen.same_before], dim=-1)
        if self.training:
            kept = (torch.rand(parts.shape[:3], device=own.device) >= HIDDEN_LOOKS)[..., None]
            parts, flags = parts * kept, flags * kept[:, :, 2:]
        return torch.cat([parts.flatten(2), flags.flatten(2)], dim=-1)
