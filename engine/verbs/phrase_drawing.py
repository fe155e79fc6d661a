"""What the verbs on a model of phrases share: what it is given, what it draws, and how a drummer plays that."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.asking import alone
from engine.clip import Clip
from engine.errors import ClipError
from engine.model.noise import Noise
from engine.model.phrases.decoder import BAR_NUMBERS, Condition, unconditioned
from engine.pausing import looking
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import (
    DEPTH,
    HITS,
    VELOCITIES,
    Array,
    clip_to_groove,
    groove_to_clip,
)
from engine.representation.measures import BAR_ATTRIBUTES, bar_attributes
from engine.styles import NONE
from engine.verbs.drummer import bar_of
from engine.verbs.groove_verbs import Player
from engine.verbs.resident import GrooveResident, PhraseResident
from engine.verbs.running import Played, RunsVerbs
from engine.verbs.steering.choosing import DRAWS, TOLD_APART, NearestBar

LEAD_BARS = 4
"""How many of the bars before those to be drawn are in the same window; eight more are its past."""

FEEL_BARS = 4
"""How many bars before the new ones the drummer hears as they were played."""

STEADY_VELOCITY = 0.8
"""What hits have that no drummer plays."""

ASKED = BAR_ATTRIBUTES[:3]
"""What can be asked of the bars: a fill is told alone."""

LEAN = (1.0, 2.0, 2.0)
"""What is added to the logits of hits in the draws that are furthest apart, for each of these: a network that hears
the bars around may not listen to what it is told."""

DRAWN_ANEW = 8
"""How often new bars are, at most, that fall silent: one window in a hundred does."""

UNPLAYED = "no model is loaded that plays the hits: they lie on the grid"

Hits = NDArray[np.float32]
"""(step, 9) of 0 and 1."""


class PhraseDrawing(RunsVerbs):
    """A model of phrases, one seeded random source. drummer: what plays the hits, if any; own: one's own styles."""

    def __init__(
        self,
        resident: PhraseResident,
        drummer: GrooveResident | None,
        drum_map: DrumMap,
        noise: Noise,
        own: Path | None = None,
    ):
        self.resident, self.noise, self.drum_map = resident, noise, drum_map
        self.drummer = None if drummer is None else Player(drummer, drum_map, noise, own)
        self.window = resident.card.bars

    def _of_notes(self, style: str | None) -> str | None:
        """The model's own style that one asked for is, or is like; what its notes are like is asked for as well."""
        if style is None or style == NONE:
            return None
        if style in self.resident.card.styles or self.drummer is None:
            return style
        self.drummer.knobs = self.knobs
        chosen, scales = self.drummer.take_style(style, self.resident.card.styles), self.resident.scales
        of_notes = [(name, value) for name, value in chosen.notes.items() if name in scales]
        self.knobs.usually({name: scales[name].asked(value) for name, value in of_notes})
        return next((name for name in chosen.like if name in self.resident.card.styles), None)

    def _of_feel(self, style: str | None) -> str | None:
        """The style that the drummer plays in, where it is one of hers alone."""
        return None if style in (None, NONE, *self.resident.card.styles) else style

    def _encoded(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """The mu of a clip, of its first window (1, z), and of each of its bars (1, bar, z)."""
        groove, bar = heard(clip, self.drum_map, self.resident.card.name), bar_of(clip)
        hits = groove[None, :, HITS]
        condition = replace(
            self._blank(1, clip.bars, bar), hits=torch.from_numpy(hits).to(self.resident.device).contiguous()
        )
        window = condition.some_bars(0, self.window)
        model = self.resident.model
        return model.encoder(window).mu, model.bar_encoder(condition).mu

    def _blank(
        self, rows: int, bars: int, bar: int, *, style: str | None = None, tempo_bpm: float | None = None
    ) -> Condition:
        """Bars from the beginning of a song, of which the style and the tempo are given, or not."""
        shape, device = self.resident.model.shape, self.resident.device
        condition = unconditioned(
            rows, bars, styles=shape.styles, bar_z=shape.bar_z, steps_per_bar=bar, device=device
        )
        condition.bar_number[:] = torch.arange(bars, device=device) % BAR_NUMBERS
        if style is not None:
            condition.style[:] = self.resident.style_number(style)
        if tempo_bpm is not None:
            condition.tempo[:] = condition.tempo.new_tensor([math.log2(tempo_bpm / 120), 1])
        return condition

    def _condition(
        self,
        hits: Hits,
        given: Hits,
        rows: int,
        bar: int,
        *,
        style: str | None = None,
        tempo_bpm: float | None = None,
        fill_in: int = 0,
    ) -> Condition:
        """Bars of which some hits are given. fill_in: 1 makes the last bar that is not given whole a drum fill."""
        condition = self._blank(rows, len(hits) // bar, bar, style=style, tempo_bpm=tempo_bpm)
        condition.hits[:], condition.hits_given[:] = (
            torch.from_numpy(each).to(condition.hits) for each in (hits, given)
        )
        free = np.flatnonzero((given.reshape(-1, bar * CLASSES) == 0).any(axis=1))
        if fill_in and len(free):
            condition.attributes[:, free[-1], FILL] = self.resident.model.standardised(FILL, 1.0)
            condition.attributes[:, free[-1], len(BAR_ATTRIBUTES) + FILL] = 1
        return condition

    def _complete(
        self, condition: Condition, temperature: float, z: Tensor | None = None, *, first_bar: int = 0
    ) -> Hits:
        """Draw what is not given, window by window: (row, step, 9).

        z (row, z), else one is drawn for each window, by what is given in it. first_bar: where the results begin.
        Of new bars a window that falls silent for two bars, which no drummer does, is drawn anew.
        """
        condition, bar, first = replace(condition, hits=condition.given_hits), condition.steps_per_bar, 0
        given = condition.hits_given[0].cpu().numpy().reshape(-1, bar * CLASSES)
        free = (given == 0).any(axis=1)
        made = free.copy()
        self._tell(condition, made, first_bar)
        nearest = self._nearest(made, first_bar, len(condition.hits))
        is_new = z is None and nearest is None and not given.any() and not bool(condition.taps.any())
        while free[first:].any():
            begin = first + int(np.argmax(free[first:]))
            first = max(0, begin - LEAD_BARS)
            window = condition.some_bars(first, self.window)
            own = z if z is not None else self.resident.draw_z(window, self.noise, temperature)
            hits = self._drawn(own, window, first, temperature, nearest)
            for _ in range(DRAWN_ANEW if is_new else 0):
                stops = falls_silent(hits.view(len(hits), window.bars, -1))
                if not bool(stops.any()):
                    break
                own = self.resident.draw_z(window, self.noise, temperature)
                hits[stops] = self._drawn(own, window, first, temperature, None)[stops]
            condition = condition.with_drawn(first, hits)
            first += window.bars
            free[:first] = False
        done: Hits = condition.hits.cpu().numpy()
        self.knobs.hear_drums(done, self.resident.scales, bar, made, first_bar)
        return done

    def _nearest(self, made: NDArray[np.bool_], first_bar: int, rows: int) -> NearestBar | None:
        """What chooses among draws of the bars that are made (bar,), where anything is asked of their notes."""
        keys = {name: name if name in self.knobs.asked else "" for name in ASKED}
        if not any(keys.values()):
            return None
        return NearestBar(self.knobs, keys, self.resident.scales, made, first_bar, rows)

    def _drawn(
        self, z: Tensor, window: Condition, first: int, temperature: float, nearest: NearestBar | None
    ) -> Tensor:
        """The hits of a window that begins with a bar; of several draws of a bar the nearest to what is asked."""
        if nearest is None:
            return self.resident.draw_hits(z, window, temperature, self.noise)
        many, bar = window.times(DRAWS), window.steps_per_bar
        apart = torch.from_numpy(nearest.apart)[:, None].to(many.attributes)
        many.attributes[..., : len(ASKED)] += TOLD_APART * apart
        lean = nearest.apart * np.array(LEAN, np.float32)

        def choose(number: int, hits: Array) -> NDArray[np.int64]:
            table = bar_attributes(hits[:, -2 * bar :].reshape(-1, bar, CLASSES) > 0)[1::2].astype(np.float64)
            values = {name: table[:, BAR_ATTRIBUTES.index(name)] for name in ASKED}
            if first + number == 0:  # there is none to be repeated
                values["repetition"][:] = np.nan
            return nearest.choose(first + number, values)

        z = z.repeat_interleave(DRAWS, dim=0)
        return self.resident.draw_hits(z, many, temperature, self.noise, choose, lean)[::DRAWS]

    def _tell(self, condition: Condition, made: NDArray[np.bool_], first_bar: int) -> None:
        """Let the model know what is asked of the bars that are made (bar,)."""
        bars = torch.from_numpy(made).to(condition.attributes.device)
        for index, name in enumerate(BAR_ATTRIBUTES):
            if name in self.knobs.asked:
                asked = self.resident.told(name, self.knobs.of_bars(name, len(made), first_bar))
                condition.attributes[:, bars, index] = torch.from_numpy(asked).to(condition.attributes)[bars]
                condition.attributes[:, bars, len(BAR_ATTRIBUTES) + index] = 1

    def _played(
        self,
        hits: Hits,
        bar: int,
        beats_per_bar: float,
        tempos: Sequence[float],
        temperature: float,
        drum_map: DrumMap,
        *,
        style: str | None = None,
        lead: Array | None = None,
        taps: Array | None = None,
    ) -> Played:
        """Hits (row, step, 9) as the drummer plays them. lead (step, 27): what was played before, taps: beneath."""
        before = 0 if lead is None else len(lead)
        grooves = np.zeros((len(hits), before + hits.shape[1], DEPTH), np.float32)
        grooves[:, before:, HITS] = hits
        given = np.zeros((grooves.shape[1], CLASSES), np.float32)
        if lead is not None:
            grooves[:, :before], given[:before] = lead, lead[:, HITS]
        played = self._play(
            grooves,
            bar,
            tempos[0],
            temperature,
            timing_given=given,
            style=style,
            taps=taps,
            first_bar=before // bar,
        )
        return Played(self._clips(played[:, before:], beats_per_bar, tempos, drum_map), remarks=self._remarks())

    def _play(
        self,
        grooves: Array,
        bar: int,
        tempo_bpm: float,
        temperature: float,
        *,
        timing_given: Hits,
        style: str | None = None,
        taps: Array | None = None,
        first_bar: int = 0,
    ) -> Array:
        """The hits of grooves (row, step, 27), played, but for those whose timing is given."""
        if self.drummer is None:
            new = grooves[..., HITS] * (1 - timing_given)
            grooves[..., VELOCITIES] = np.where(new > 0, STEADY_VELOCITY, grooves[..., VELOCITIES])
            return grooves
        known = (
            None if style in self.resident.card.styles and style not in self.drummer.resident.prior.names else style
        )
        self.drummer.knobs = self.knobs
        asking = self.drummer.play_hits(
            grooves,
            timing_given,
            bar=bar,
            tempo_bpm=tempo_bpm,
            temperature=temperature,
            style=known,
            taps=taps,
            first_bar=first_bar,
        )
        return alone(asking)

    def _clips(
        self, grooves: Array, beats_per_bar: float, tempos: Sequence[float], drum_map: DrumMap
    ) -> list[Clip]:
        each = list(tempos) * len(grooves) if len(tempos) == 1 else tempos
        return [
            groove_to_clip(row, drum_map, beats_per_bar=beats_per_bar, tempo_bpm=tempo)
            for row, tempo in looking(zip(grooves, each, strict=True))
        ]

    def _remarks(self) -> tuple[str, ...]:
        return () if self.drummer else (UNPLAYED,)


FILL = BAR_ATTRIBUTES.index("fill")


def falls_silent(hits: Tensor) -> Tensor:
    """Whether two bars running are silent: (row, bar, n) -> (row,)."""
    silent = hits.amax(dim=2) == 0
    return (silent[:, 1:] & silent[:, :-1]).any(dim=1)


def heard(clip: Clip, drum_map: DrumMap, who: str) -> Array:
    """The clip as [step, 27]; ClipError where nothing sounds, with who needs it."""
    groove = clip_to_groove(clip, drum_map)
    if not groove.any():
        raise ClipError(f"{who} needs a clip with at least one note that sounds")
    return groove
