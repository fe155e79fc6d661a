"""Bands of any length, drawn window by window, each in its own key, and part by part, each given the others.

Knows no clip and no note: states in, states out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.model.band.decoder import ATTRIBUTES, BAR, Score, blank, of_usual_density
from engine.model.noise import Noise
from engine.model.phrases.decoder import BAR_NUMBERS
from engine.representation.band import BASS, DRUMS, LEAD, PARTS, PITCHES, key_fits, moved, sounds
from engine.representation.chords import read_chords
from engine.representation.harmony import (
    LIKE_MINOR,
    Key,
    chord_tones,
    chords_heard,
    doubts,
    key_found,
    read_key,
    root_of,
    scale_classes,
)
from engine.representation.measures import of_playing
from engine.representation.melody import FIRST_NOTE_ON, LOWEST, MELODY_SIZE
from engine.representation.tokens import Tokens
from engine.requests import Accompany, Continue, Infill, Sample, Vary
from engine.verbs.resident import BandResident
from engine.verbs.steering.choosing import DRAWS, TOLD_APART, NearestBar
from engine.verbs.steering.knobs import Knobs

NO_KNOBS = Knobs({})

LEAD_BARS = 4
"""How many of the bars before those to be drawn are in the same window."""

LAST_BARS = 4
"""And how many of those after them."""

MODULATES = 0.3
"""The key is another from a bar on if what sounds before and after fit each other's key so much worse."""

HEARD_BARS, FEWEST_BARS = 8, 4
"""How many bars tell the key before and after a bar; a key lasts for so many at the least."""

NEVER = -1e4
OFF_CHORD, OFF_CHORD_ON_BEAT, NOT_ROOT = -2.0, -6.0, -5.0
"""What is added to the logits of notes outside a chord, between the beats and on them, and to those of a bass which
are not its root where it begins. When notes begin is left alone."""

NOT_LIKELY_ROOT = -2.0
"""The same for roots that nobody tells: see engine.model.band.roots."""

DISSONANT, CLASH = (1, 6, 11), -2.0
"""Semitones from a bass up to a lead, but for octaves, and what is added to the logits of such a bass on a beat."""

DRAWN_ANEW = 8
"""How often a band is, at most, of which a part rests throughout: of one in fifty the lead does."""

IS_DISSONANT = np.isin(np.arange(12), DISSONANT)


@dataclass(frozen=True, slots=True)
class Harmony:
    """What is told, or heard, of pitches. sounding (bar, 12): see Band.

    key: None where it is heard in each window. scale (12,): which pitch classes new notes may have. chords (bar,).
    """

    sounding: NDArray[np.float64]
    key: Key | None = None
    scale: NDArray[np.bool_] | None = None
    chords: NDArray[np.int64] | None = None

    def against(self, part: int, first: int, bars: int, shift: int) -> NDArray[np.float32]:
        """What is added to the logits of a voice's tokens in some bars, moved by a shift: (step, token)."""
        classes = (LOWEST + np.arange(PITCHES) - shift) % 12
        added = np.zeros((bars, BAR, MELODY_SIZE), np.float32)
        notes = added[..., FIRST_NOTE_ON:]
        if self.chords is not None:
            for place, chord in enumerate(self.chords[first : first + bars].tolist()):
                notes[place, :, ~chord_tones(chord)[classes]] += OFF_CHORD
                notes[place, :: BAR // 4, ~chord_tones(chord)[classes]] += OFF_CHORD_ON_BEAT - OFF_CHORD
                if part == BASS and (root := root_of(chord)) is not None:
                    notes[place, 0, classes != root] += NOT_ROOT
        if self.scale is not None:
            notes[..., ~self.scale[classes]] = NEVER
        return added.reshape(bars * BAR, -1)


def harmony_told(
    request: Sample | Accompany | Continue | Infill | Vary,
    sounding: NDArray[np.float64],
    *,
    before: int = 0,
    heard: bool = False,
) -> tuple[Harmony, tuple[str, ...]]:
    """What a request tells of bars (bar, 12), and what is to be said of it.

    before: how many of the bars are before those that the chords are told of. heard: whether chords that nobody
    tells are those that sound.
    """
    key = None if request.key is None else read_key(request.key)
    whole, remarks = sounding.sum(axis=0), tuple[str, ...]()
    if key and (other := doubts(key, whole)):
        remarks = (f"the key is {key.name}, as it was told; what sounds fits {other.name} better",)
    scale = None
    if request.scale is not None:
        scale = scale_classes(request.scale, key or key_found(whole) or Key(0, request.scale in LIKE_MINOR))
    chords = None
    if request.chords is not None:
        told = read_chords(request.chords, len(sounding) - before, 1)
        chords = np.concatenate([np.zeros(before, np.int64), told])
    elif heard:
        chords = chords_heard(sounding)
    return Harmony(sounding, key, scale, chords), remarks


def shift_of(harmony: Harmony, begin: int = 0, end: int | None = None) -> int:
    """By how much some bars are moved to C or A minor: as is told, or as they sound."""
    if harmony.key:
        return harmony.key.to_c
    fits = key_fits(harmony.sounding[begin:end].sum(axis=0))
    return int(fits.argmax()) - 6 if fits.any() else 0


def clashing(score: Score) -> NDArray[np.float32]:
    """What is added to the logits of a bass that would clash with what the lead sounds on a beat.

    (row, step, token), 0 where the lead is not known.
    """
    beat = BAR // 4
    lead, known = (each[:, ::beat, LEAD].cpu().numpy() for each in (score.states, score.given))
    sounds = (lead >= FIRST_NOTE_ON) & (known > 0)
    away = (((lead - FIRST_NOTE_ON) % PITCHES)[..., None] - np.arange(PITCHES)) % 12
    added = np.zeros((*score.states.shape[:2], MELODY_SIZE), np.float32)
    added[:, ::beat, FIRST_NOTE_ON:] = CLASH * (sounds[..., None] & IS_DISSONANT[away])
    return added


def _own(index: int, part: int) -> str:
    """The name of an attribute of a part, as density.bass."""
    return f"{ATTRIBUTES[index]}.{PARTS[part]}"


@dataclass(frozen=True, slots=True)
class Sketch:
    """A band of which something is given, and what is to be drawn.

    states (row, bar, 16, 3), given (bar, 16, 3). parts: those that are drawn, in the order of PARTS. bar_z: of a
    part the z of its bars (row, bar, z), and which of these are given (row, bar). knobs: what is asked of the bars
    from first_bar on.
    """

    states: Tokens
    given: NDArray[np.float32]
    parts: tuple[int, ...]
    harmony: Harmony
    style: str | None
    tempo_bpm: float
    bar_z: Mapping[int, tuple[Tensor, Tensor]]
    knobs: Knobs = NO_KNOBS
    first_bar: int = 0

    @property
    def bars(self) -> int:
        """How many bars it has."""
        return len(self.given)


def key_changes(sounding: NDArray[np.float64]) -> list[int]:
    """The bars in which another key begins than the one before, of (bar, 12)."""
    changes, bar, end = [0], FEWEST_BARS, len(sounding) - FEWEST_BARS + 1
    while bar < end:
        if _modulates(*_around(sounding, changes[-1], bar)):
            near = range(bar, min(bar + HEARD_BARS, end))
            changes.append(max(near, key=lambda each: _apart(*_around(sounding, changes[-1], each))))
            bar = changes[-1] + FEWEST_BARS
        bar += 1
    return changes[1:]


def _around(sounding: NDArray[np.float64], begin: int, bar: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What sounds before a bar, since another, and from it on: (12,) each."""
    return sounding[max(begin, bar - HEARD_BARS) : bar].sum(axis=0), sounding[bar : bar + HEARD_BARS].sum(axis=0)


def _modulates(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    fits, others = key_fits(before), key_fits(after)
    worse = fits.max() - fits[others.argmax()], others.max() - others[fits.argmax()]
    return bool(min(worse) > MODULATES)


def _apart(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(before / max(1e-9, before.sum()) - after / max(1e-9, after.sum())))


def windows(free: NDArray[np.bool_], longest: int, cuts: Sequence[int] = ()) -> Iterator[tuple[int, int]]:
    """(first bar, bars) of each window in which something is free (bar,); none goes across a cut."""
    done, bars = 0, len(free)
    while free[done:].any():
        begin = done + int(np.argmax(free[done:]))
        section = max((cut for cut in cuts if cut <= begin), default=0)
        end = min((cut for cut in cuts if cut > begin), default=bars)
        first = max(section, begin - LEAD_BARS)
        length = min(longest, end - first)
        last = first + int(np.flatnonzero(free[first : first + length])[-1])
        length = min(length, last + 1 + LAST_BARS - first)
        yield first, length
        done = first + length


class Drawing:
    """Draws what a sketch leaves open; window: the most bars at once."""

    def __init__(self, resident: BandResident, noise: Noise):
        self._resident, self._noise, self._window = resident, noise, resident.card.bars

    def complete(self, sketch: Sketch, temperature: float, z: Tensor | None = None) -> Tokens:
        """The states (row, bar, 16, 3) with all of the parts drawn.

        z (row, z), else one is drawn for each window. Of a new band a row of which a part rests is drawn anew.
        """
        free = (sketch.given[..., list(sketch.parts)] == 0).any(axis=(1, 2))
        states = self._completed(sketch, free, temperature, z)
        for _ in range(0 if z is not None or sketch.bar_z or sketch.given.any() else DRAWN_ANEW):
            rests = ~np.all([sounds(states, part) for part in sketch.parts], axis=0)
            if not rests.any():
                break
            states[rests] = self._completed(sketch, free, temperature, z)[rests]
        self._hear(states, free, sketch)
        return states

    def _completed(self, sketch: Sketch, free: NDArray[np.bool_], temperature: float, z: Tensor | None) -> Tokens:
        """The same, drawn once. free: the bars that have room (bar,)."""
        states, given = sketch.states.copy(), sketch.given.copy()
        cuts = [] if sketch.harmony.key else key_changes(sketch.harmony.sounding)
        nearest = {part: each for part in sketch.parts if (each := self._nearest(sketch, part))}
        for first, bars in windows(free, self._window, cuts):
            self._draw(replace(sketch, states=states, given=given), first, bars, cuts, temperature, z, nearest)
        return states

    def _hear(self, states: Tokens, free: NDArray[np.bool_], sketch: Sketch) -> None:
        """Measure what came in the bars that are free (bar,): one number of all parts, or of each its own."""
        scales, asked = self._resident.scales, sketch.knobs.asked
        here, made = states[:, sketch.first_bar :], free[sketch.first_bar :]
        for name in [name for name in asked if name.partition(".")[0] in ATTRIBUTES]:
            own = [(part, f"{bare}.{PARTS[part]}") for bare in [name.partition(".")[0]] for part in sketch.parts]
            values = [
                (
                    np.where(made, of_playing(here, part, ATTRIBUTES.index(key.partition(".")[0])), np.nan),
                    scales[key],
                )
                for part, key in own
                if key in scales and (name == key or (name not in scales and key not in asked))
            ]
            if values:
                sketch.knobs.hear_bars(name, *values)

    def score(self, sketch: Sketch, first: int, bars: int, shift: int) -> Score:
        """Some bars of a sketch as the model is given them, moved by a shift."""
        model, rows = self._resident.model, len(sketch.states)
        here = slice(first, first + bars)
        score = blank(rows, bars, styles=model.shape.styles, bar_z=model.shape.bar_z, device=self._resident.device)
        if sketch.style is not None:
            score.style[:] = self._resident.style_number(sketch.style)
        score.tempo[:] = score.tempo.new_tensor([math.log2(sketch.tempo_bpm / 120), 1])
        flat = moved(sketch.states[:, here].reshape(rows, bars * BAR, len(PARTS)), shift)
        given = sketch.given[here].reshape(bars * BAR, len(PARTS))
        score.states[:] = torch.from_numpy(np.where(given > 0, flat, 0)).to(score.states)
        score.given[:] = torch.from_numpy(given).to(score.given)
        numbers = torch.arange(first, first + bars, device=score.given.device) % BAR_NUMBERS
        return replace(score, bar_number=numbers.expand(rows, -1))

    def _draw(
        self,
        sketch: Sketch,
        first: int,
        bars: int,
        cuts: Sequence[int],
        temperature: float,
        z: Tensor | None,
        nearest: Mapping[int, NearestBar],
    ) -> None:
        """Draw some bars of a sketch into it; nearest: of the parts of which anything is asked."""
        begin = max((cut for cut in cuts if cut <= first), default=0)
        shift = shift_of(sketch.harmony, begin, min((cut for cut in cuts if cut > first), default=None))
        score, here = self.score(sketch, first, bars, shift), slice(first, first + bars)
        own = self._resident.draw_z(score, self._noise, temperature) if z is None else z
        for part in sketch.parts:
            against, asked = self._against(sketch.harmony, part, score, first, shift), score
            if not bool(score.given[..., part].any()):
                asked = of_usual_density(score, part)
            asked = replace(asked, attributes=self._told(asked.attributes, sketch, part, first))
            if part in sketch.bar_z:
                ideas, stay = sketch.bar_z[part]
                asked = replace(asked, bar_z=ideas[:, here], bar_z_given=stay[:, here])
            drawn = self._drawn(part, own, asked, temperature, against, nearest.get(part), first, shift)
            score = score.with_drawn(part, drawn)
        everything = score.states.cpu().numpy().astype(np.int64)
        back = moved(everything, -shift).reshape(len(everything), bars, BAR, len(PARTS))
        for part in sketch.parts:
            new = sketch.given[here, :, part] == 0
            sketch.states[:, here, :, part][:, new] = back[..., part][:, new]
            sketch.given[here, :, part] = 1

    def _nearest(self, sketch: Sketch, part: int) -> NearestBar | None:
        """What chooses among draws of the bars of a part, where anything is asked of it."""
        keys = {_own(index, part): key for index, key in enumerate(self._keys(sketch, part))}
        if not any(keys.values()):
            return None
        made = sketch.given[..., part].min(axis=1) == 0
        return NearestBar(sketch.knobs, keys, self._resident.scales, made, sketch.first_bar, len(sketch.states))

    def _drawn(
        self,
        part: int,
        z: Tensor,
        score: Score,
        temperature: float,
        against: Tensor | None,
        nearest: NearestBar | None,
        first: int,
        shift: int,
    ) -> Tensor:
        """The states of a part (row, step) from a bar on; of the draws of a bar the nearest to what is asked."""
        if nearest is None:
            return self._resident.draw_part(part, z, score, temperature, self._noise, against)
        many, scales = score.times(DRAWS), self._resident.scales
        many.attributes[..., : len(ATTRIBUTES)] += TOLD_APART * torch.from_numpy(nearest.apart)[:, None].to(z)
        wide = against.repeat_interleave(DRAWS, dim=0) if against is not None and len(against) > 1 else against

        def choose(number: int, own: NDArray[np.int64]) -> NDArray[np.int64]:
            states = np.zeros((len(own), 1, BAR, len(PARTS)), np.int64)
            states[:, 0, :, part] = own
            states = moved(states.reshape(len(own), BAR, -1), -shift).reshape(states.shape)
            values = {_own(k, part): of_playing(states, part, k)[:, 0] for k in range(len(ATTRIBUTES))}
            return nearest.choose(first + number, {name: each for name, each in values.items() if name in scales})

        z = z.repeat_interleave(DRAWS, dim=0)
        return self._resident.draw_part(part, z, many, temperature, self._noise, wide, choose)[::DRAWS]

    def _told(self, attributes: Tensor, sketch: Sketch, part: int, first: int) -> Tensor:
        """The attributes (row, bar, 4) of some bars of a part, with what is asked of them."""
        told = attributes.clone()
        for index, key in enumerate(self._keys(sketch, part)):
            if key:
                values = sketch.knobs.of_bars(key, sketch.bars, sketch.first_bar)[first : first + told.shape[1]]
                values = self._resident.told(_own(index, part), values)
                told[..., index] = torch.from_numpy(values).to(told)
                told[..., len(ATTRIBUTES) + index] = 1
        return told

    def _keys(self, sketch: Sketch, part: int) -> Iterator[str]:
        """Under which key each of ATTRIBUTES is asked of a part: its own, else the common one; empty where not."""
        asked = sketch.knobs.asked
        for name in ATTRIBUTES:
            own = f"{name}.{PARTS[part]}"
            known = own in self._resident.scales
            yield own if own in asked and known else name if name in asked and known else ""

    def _against(self, harmony: Harmony, part: int, score: Score, first: int, shift: int) -> Tensor | None:
        """What is added to the logits of a part: see draw_part."""
        if part == DRUMS or (part == LEAD and harmony.chords is None and harmony.scale is None):
            return None
        added = harmony.against(part, first, score.bars, shift)[None]
        if part == BASS:
            added = added + clashing(score)
        if part == BASS and harmony.chords is None:
            self._to_roots(added, score)
        return torch.from_numpy(added)

    def _to_roots(self, added: NDArray[np.float32], score: Score) -> None:
        """Turn a bass towards the roots that are likeliest beneath the lead, where half bars begin."""
        lead = score.states[..., LEAD].cpu().numpy() * (score.given[..., LEAD].cpu().numpy() > 0)
        for row, own in enumerate(lead):
            if own.any():
                roots = self._resident.model.roots.likeliest(own.reshape(-1, BAR))
                other = (LOWEST + np.arange(PITCHES)) % 12 != roots[:, None]
                added[row, :: BAR // 2, FIRST_NOTE_ON:] += NOT_LIKELY_ROOT * other
