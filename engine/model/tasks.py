"""What the encoder reads and the decoder is given in each task: GrooVAE's input transforms, targets untouched.

Training draws its examples with them; the generator prepares a user's clip with the same functions.
Source: Gillick et al. 2019, arXiv 1905.06118, sections 3 and 4, and the released configurations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.groove import HITS, OFFSETS, VELOCITIES

TAP_CLASS = INSTRUMENTS.index("open_hat")
"""The drum class that taps are written to for the encoder."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a decoder is given of the groove it must produce, and must keep.

    groove (batch, step, 27), and two masks (batch, step, 9) of 0 and 1: hits_given, whose hit bit is given (hit or
    no hit), and timing_given, whose velocity and offset are; the rest of groove must not be read. taps (batch,
    step, 6) = hit | velocity | offset, then whether taps | velocities | offsets are given. position (batch, step):
    the sixteenth in the bar, 0..15. tempo_bpm (batch,).
    """

    groove: Tensor
    hits_given: Tensor
    timing_given: Tensor
    taps: Tensor
    position: Tensor
    tempo_bpm: Tensor
    steps_per_bar: int

    def rows(self, part: slice | Tensor) -> "Given":
        """Some rows of the batch."""
        return self._of(lambda name: getattr(self, name)[part])

    @staticmethod
    def together(several: "Sequence[Given]") -> "Given":
        """The rows of several, of as many steps in bars that are as long, one after the other."""
        return several[0]._of(lambda name: torch.cat([getattr(each, name) for each in several]))

    def _of(self, tensor: Callable[[str], Tensor]) -> "Given":
        return Given(
            tensor("groove"),
            tensor("hits_given"),
            tensor("timing_given"),
            tensor("taps"),
            tensor("position"),
            tensor("tempo_bpm"),
            self.steps_per_bar,
        )


@dataclass(frozen=True, slots=True)
class Example:
    """encoder_input (batch, step, 27) is what the encoder reads, given what the decoder is given."""

    encoder_input: Tensor
    given: Given


def positions(steps: int, steps_per_bar: int = 16) -> Tensor:
    """The position 0..15 in the bar of each step (step,); in a bar of more than 16 steps some share one."""
    position = torch.arange(steps) % steps_per_bar
    return position * 16 // steps_per_bar if steps_per_bar > 16 else position


def nothing_given(groove: Tensor, tempo_bpm: Tensor, steps_per_bar: int = 16) -> Given:
    """A Given with only length, meter and tempo; groove is the target of the task, and hidden by the masks."""
    batch, steps, _ = groove.shape
    position = positions(steps, steps_per_bar).to(groove.device)
    none, taps = groove.new_zeros(batch, steps, CLASSES), groove.new_zeros(batch, steps, 6)
    return Given(groove, none, none, taps, position.expand(batch, steps), tempo_bpm, steps_per_bar)


def autoencode(groove: Tensor, given: Given) -> Example:
    """The encoder reads everything, the decoder is given nothing: z must hold all."""
    return Example(groove, given)


def humanize(groove: Tensor, given: Given) -> Example:
    """The encoder reads the hits alone and the decoder is given them; velocities and offsets are to be found."""
    return Example(_hits_alone(groove), replace(given, hits_given=torch.ones_like(given.hits_given)))


def transfer(groove: Tensor, given: Given, *, encoder_input: Tensor | None = None) -> Example:
    """The encoder reads everything, of this groove or of another; the hits are given, so z only needs the feel."""
    with_hits = replace(given, hits_given=torch.ones_like(given.hits_given))
    return Example(groove if encoder_input is None else encoder_input, with_hits)


def partial(groove: Tensor, given: Given, generator: torch.Generator) -> Example:
    """Both get the hits, and the velocities and offsets of some of them: of whole drums, or of any hits."""
    batch, steps, _ = groove.shape

    def some(drums: int, steps: int) -> Tensor:
        share = torch.rand(batch, 1, 1, generator=generator)
        return (torch.rand(batch, steps, drums, generator=generator) < share).expand(-1, -1, CLASSES)

    whole_drums = torch.rand(batch, 1, 1, generator=generator) < 0.5
    timing_given = torch.where(whole_drums, some(CLASSES, 1), some(CLASSES, steps)).to(groove)
    return with_some_timing(replace(given, hits_given=torch.ones_like(timing_given), timing_given=timing_given))


def with_some_timing(given: Given) -> Example:
    """The encoder reads all hits, and the velocities and offsets that are given."""
    timing = given.timing_given
    return Example(given.groove * torch.cat([torch.ones_like(timing), timing, timing], dim=-1), given)


def fill(groove: Tensor, given: Given, instrument: int) -> Example:
    """Both get all instruments but one, with velocities and offsets."""
    encoder_input, others = groove.clone(), torch.ones_like(given.hits_given)
    encoder_input[..., instrument::CLASSES] = 0
    others[..., instrument] = 0
    return Example(encoder_input, replace(given, hits_given=others, timing_given=others))


def tap(
    groove: Tensor,
    given: Given,
    *,
    keep: Tensor | None = None,
    velocity_given: Tensor | bool = True,
    offset_given: Tensor | bool = True,
) -> Example:
    """Both get the loudest hit of each step, without its instrument.

    keep (batch, step), velocity_given and offset_given (batch, 1): 0 leaves out taps, velocities and offsets.
    """
    hits, velocities, offsets = groove[..., HITS], groove[..., VELOCITIES], groove[..., OFFSETS]
    loudest = torch.where(hits > 0, velocities, -1.0).argmax(dim=-1, keepdim=True)
    hit = hits.gather(-1, loudest)[..., 0]
    if keep is not None:
        hit = hit * keep
    flags = [
        torch.as_tensor(flag, device=hit.device).to(hit).expand_as(hit) for flag in (velocity_given, offset_given)
    ]
    velocity = velocities.gather(-1, loudest)[..., 0] * hit * flags[0]
    offset = offsets.gather(-1, loudest)[..., 0] * hit * flags[1]
    encoder_input = torch.zeros_like(groove)
    for block, value in enumerate((hit, velocity, offset)):
        encoder_input[..., block * CLASSES + TAP_CLASS] = value
    taps = torch.stack([hit, velocity, offset, torch.ones_like(hit), *flags], dim=-1)
    return Example(encoder_input, replace(given, taps=taps))


def note_dropout(groove: Tensor, generator: torch.Generator) -> Tensor:
    """Which taps are kept, 0 or 1 (batch, step): one is dropped with probability U(0, .8)·max(.2, 1 − velocity)."""
    batch, steps, _ = groove.shape
    loudest = groove[..., VELOCITIES].amax(dim=-1)
    rate = 0.8 * torch.rand(batch, 1, generator=generator).to(groove)
    drop = rate * torch.clamp(1 - loudest, min=0.2)
    return (torch.rand(batch, steps, generator=generator).to(groove) >= drop).to(groove)


def _hits_alone(groove: Tensor) -> Tensor:
    encoder_input = torch.zeros_like(groove)
    encoder_input[..., HITS] = groove[..., HITS]
    return encoder_input


def _some(batch: int, probability: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(batch, 1, generator=generator) < probability).to(like)


def _random_fill(groove: Tensor, given: Given, generator: torch.Generator) -> Example:
    """Half of the time the closed hat, else any instrument."""
    any_instrument = int(torch.randint(CLASSES, (), generator=generator))
    closed_hat = INSTRUMENTS.index("closed_hat")
    return fill(groove, given, closed_hat if torch.rand((), generator=generator) < 0.5 else any_instrument)


def _random_taps(groove: Tensor, given: Given, generator: torch.Generator) -> Example:
    return tap(
        groove,
        given,
        keep=note_dropout(groove, generator),
        velocity_given=_some(len(groove), 0.6, generator, groove),
        offset_given=_some(len(groove), 0.7, generator, groove),
    )


TrainingTask = Callable[[Tensor, Tensor, Given, torch.Generator], Example]
"""(groove, another window of the same performance, given, random source) -> the example."""

TRAINING_TASKS: dict[str, TrainingTask] = {
    "autoencode": lambda groove, _, given, __: autoencode(groove, given),
    "humanize": lambda groove, _, given, __: humanize(groove, given),
    "transfer": lambda groove, _, given, __: transfer(groove, given),
    "same_feel": lambda groove, other, given, _: transfer(groove, given, encoder_input=other),
    "tap": lambda groove, _, given, generator: _random_taps(groove, given, generator),
    "tap_fixed_velocity": lambda groove, _, given, __: tap(groove, given, velocity_given=False),
    "tap_fixed_velocity_note_dropout": lambda groove, _, given, generator: tap(
        groove, given, velocity_given=False, keep=note_dropout(groove, generator)
    ),
    "fill": lambda groove, _, given, generator: _random_fill(groove, given, generator),
    "partial": lambda groove, _, given, generator: partial(groove, given, generator),
    "add_closed_hat": lambda groove, _, given, __: fill(groove, given, INSTRUMENTS.index("closed_hat")),
}
"""Every task by the name that configurations use."""
