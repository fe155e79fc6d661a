"""The verbs on models of phrases: some of the hits are given, the rest is drawn, and a drummer plays them.

What groove_verbs is for grooves. Long clips are drawn in windows of the model's length, each given the bars before.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clip import Clip
from engine.errors import ClipError, TooLongError
from engine.midi.song import drums_of
from engine.model.noise import Noise
from engine.model.phrases.decoder import BAR_NUMBERS, Condition, unconditioned
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import (
    DEPTH,
    HITS,
    VELOCITIES,
    Array,
    clip_to_groove,
    groove_to_clip,
    steps_per_bar,
)
from engine.representation.measures import BAR_ATTRIBUTES
from engine.requests import Continue, Decode, Drumify, Encode, Infill, Interpolate, Sample, Vary
from engine.verbs.groove_verbs import Player
from engine.verbs.latent import plane, slerp
from engine.verbs.mark import Mark, all_marked, marked
from engine.verbs.pitches import outside, own_pitches, pitches_of
from engine.verbs.resident import GrooveResident, PhraseResident
from engine.verbs.running import Played, RunsVerbs

SAMPLED_BARS = 4
"""What sample makes where nothing is said."""

CONTINUED_BARS = 16
"""The most that continue makes where nothing is said."""

LEAD_BARS = 4
"""How many of the bars before those to be drawn are in the same window; eight more are its past."""

FEEL_BARS = 4
"""How many bars before the new ones the drummer hears as they were played."""

STEADY_VELOCITY = 0.8
"""What hits have that no drummer plays."""

UNPLAYED = "no model is loaded that plays the hits: they lie on the grid"

Hits = NDArray[np.float32]
"""(step, 9) of 0 and 1."""


class PhrasePlayer(RunsVerbs):
    """One request on one model of phrases, using one seeded random source. drummer: what plays the hits, if any."""

    def __init__(self, resident: PhraseResident, drummer: GrooveResident | None, drum_map: DrumMap, noise: Noise):
        self.resident, self.noise, self.drum_map = resident, noise, drum_map
        self.drummer = None if drummer is None else Player(drummer, drum_map, noise)
        self.window = resident.card.bars

    def sample(self, request: Sample) -> Played:
        """New bars, in a style, or in one that is drawn, as often as it was played in training."""
        nothing = np.zeros(((request.bars or SAMPLED_BARS) * 16, CLASSES), np.float32)
        style = request.style or self.resident.draw_style(self.noise)
        condition = self._condition(nothing, nothing, request.count, 16, style=style, tempo_bpm=request.tempo)
        hits = self._complete(condition, request.temperature)
        return self._played(
            hits, 16, 4.0, [request.tempo or 120.0], request.temperature, self.drum_map, style=style
        )

    def continue_(self, request: Continue) -> Played:
        """The bars after a clip's drums, alone; the drummer goes on as the last of these were played."""
        clip, bar = drums_of(request.clip), _bar(request.clip)
        groove = _heard(clip, self.drum_map, "continue")
        new = np.zeros((bar * (request.bars or min(clip.bars, CONTINUED_BARS)), CLASSES), np.float32)
        known = np.ones_like(groove[:, HITS])
        condition = self._condition(
            np.concatenate([groove[:, HITS], new]),
            np.concatenate([known, new]),
            request.count,
            bar,
            tempo_bpm=clip.tempo_bpm,
            fill_in=request.fill_in,
        )
        hits = self._complete(condition, request.temperature, first_bar=clip.bars)
        lead = groove[-FEEL_BARS * bar :]
        drum_map = own_pitches(self.drum_map, clip)
        return self._played(
            hits[:, len(groove) :],
            bar,
            clip.beats_per_bar,
            [clip.tempo_bpm],
            request.temperature,
            drum_map,
            lead=lead,
        )

    def infill(self, request: Infill) -> Played:
        """The clip, of which the notes that start in the mark are made anew, but for those that are kept."""
        clip, bar = request.clip, _bar(request.clip)
        mark = marked(clip, self.drum_map, request.start, request.beats, request.keep, request.keep_clip)
        condition = self._condition(
            mark.groove[:, HITS],
            1 - mark.free,
            request.count,
            bar,
            tempo_bpm=clip.tempo_bpm,
            fill_in=request.fill_in,
        )
        return self._filled(mark, self._complete(condition, request.temperature), request.temperature)

    def _filled(self, mark: Mark, hits: Hits, temperature: float) -> Played:
        """The hits (row, step, 9) around those that stay, played after them."""
        clip = mark.clip
        grooves = np.repeat(mark.groove[None], len(hits), axis=0)
        grooves[..., HITS] = hits
        staying = mark.groove[:, HITS]
        played = self._play(grooves, _bar(clip), clip.tempo_bpm, temperature, timing_given=staying)
        drum_map = own_pitches(self.drum_map, clip)
        return Played([mark.filled(row, drum_map) for row in played], remarks=self._remarks())

    def drumify(self, request: Drumify) -> Played:
        """Taps → a full drum part, played with the timing and dynamics of the taps where they have any."""
        clip, bar = request.clip, _bar(request.clip)
        taps = clip_to_groove(clip, self.drum_map, (request.bars or clip.bars) * bar)
        if not taps.any():
            raise ClipError("drumify needs a clip with at least one note that sounds")
        nothing = np.zeros((len(taps), CLASSES), np.float32)
        condition = self._condition(
            nothing, nothing, request.count, bar, style=request.style, tempo_bpm=clip.tempo_bpm
        )
        condition.taps[..., 0] = torch.from_numpy(taps[:, HITS].max(axis=1)).to(condition.taps)
        condition.taps[:, : clip.bars * bar, 1] = 1
        hits = self._complete(condition, request.temperature)
        return self._played(
            hits,
            bar,
            clip.beats_per_bar,
            [clip.tempo_bpm],
            request.temperature,
            self.drum_map,
            style=request.style,
            taps=taps,
        )

    def vary(self, request: Vary) -> Played:
        """A share of the bars is made anew, as similarity says; of the others the idea stays, their z."""
        clip, bar = request.clip, _bar(request.clip)
        mark = all_marked(request, self.drum_map) if request.keeps else None
        if mark and not mark.replaced:
            return Played([clip] * request.count)
        z, bar_z = self._encoded(clip)
        bars, rows = bar_z.shape[1], request.count
        condition = self._blank(rows, bars, bar, tempo_bpm=clip.tempo_bpm)
        if mark:
            condition = self._condition(mark.groove[:, HITS], 1 - mark.free, rows, bar, tempo_bpm=clip.tempo_bpm)
        order = self.noise.uniform(rows, bars).argsort(dim=1).argsort(dim=1)
        stay = (order < round(request.similarity * bars)).float()
        condition = replace(condition, bar_z=bar_z.expand(rows, -1, -1), bar_z_given=stay)
        drawn = self.resident.draw_z(condition, self.noise, request.temperature)
        hits = self._complete(
            condition, request.temperature, torch.lerp(drawn, z.expand(rows, -1), request.similarity)
        )
        if mark:
            return self._filled(mark, hits, request.temperature)
        drum_map = own_pitches(self.drum_map, clip)
        return self._played(hits, bar, clip.beats_per_bar, [clip.tempo_bpm], request.temperature, drum_map)

    def interpolate(self, request: Interpolate) -> Played:
        """The clips on the way between two, or at a point between four, bar by bar; shorter ones are repeated."""
        first, points = request.clips[0], request.points
        bar, bars = _bar(first), max(clip.bars for clip in request.clips)
        encoded = [self._encoded(clip) for clip in request.clips]
        ideas = [z for z, _ in encoded]
        scores = [bar_z[:, torch.arange(bars) % bar_z.shape[1]] for _, bar_z in encoded]
        z, bar_z = (
            torch.cat([slerp(each[0], each[1], x) if len(each) == 2 else plane(each, x, y) for x, y in points])
            for each in (ideas, scores)
        )
        condition = self._blank(len(points), bars, bar, tempo_bpm=first.tempo_bpm)
        condition = replace(condition, bar_z=bar_z, bar_z_given=torch.ones_like(condition.bar_z_given))
        tempos = [first.tempo_bpm + x * (request.clips[1].tempo_bpm - first.tempo_bpm) for x, _ in points]
        hits = self._complete(condition, request.temperature, z)
        drum_map = own_pitches(self.drum_map, first)
        return self._played(hits, bar, first.beats_per_bar, tempos, request.temperature, drum_map)

    def encode(self, request: Encode) -> Played:
        """The mu of a clip that fits into a window: the phrase's, then each bar's."""
        clip = request.clip
        if clip.bars > self.window:
            name = self.resident.card.name
            raise TooLongError(f"{name} encodes clips of up to {self.window} bars, not {clip.bars}")
        z, bar_z = self._encoded(clip)
        latent = torch.cat([z[0], bar_z[0].flatten()]).tolist()
        return Played([], remarks=outside(pitches_of(clip), self.drum_map), latent=tuple(latent))

    def decode(self, request: Decode) -> Played:
        """The bars whose z follow the phrase's, or, where none do, a window of the phrase."""
        if request.clip is not None:
            raise ClipError(f"{self.resident.card.name} plays no given notes: decode takes no slot")
        shape, point = self.resident.model.shape, torch.tensor(request.z, device=self.resident.device)
        bar_z = point[shape.z :].view(1, -1, shape.bar_z)
        condition = self._blank(request.count, bar_z.shape[1] or self.window, 16)
        if bar_z.shape[1]:
            given = torch.ones_like(condition.bar_z_given)
            condition = replace(condition, bar_z=bar_z.expand(request.count, -1, -1), bar_z_given=given)
        hits = self._complete(condition, request.temperature, point[: shape.z].expand(request.count, -1))
        return self._played(hits, 16, 4.0, [120.0], request.temperature, self.drum_map)

    def _encoded(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """The mu of a clip, of its first window (1, z), and of each of its bars (1, bar, z)."""
        groove, bar = _heard(clip, self.drum_map, self.resident.card.name), _bar(clip)
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
        """
        condition, bar, first = replace(condition, hits=condition.given_hits), condition.steps_per_bar, 0
        given = condition.hits_given[0].cpu().numpy().reshape(-1, bar * CLASSES)
        free = (given == 0).any(axis=1)
        made = free.copy()
        self._tell(condition, made, first_bar)
        while free[first:].any():
            begin = first + int(np.argmax(free[first:]))
            first = max(0, begin - LEAD_BARS)
            window = condition.some_bars(first, self.window)
            own = z if z is not None else self.resident.draw_z(window, self.noise, temperature)
            hits = self.resident.draw_hits(own, window, temperature, self.noise)
            condition = condition.with_drawn(first, hits)
            first += window.bars
            free[:first] = False
        done: Hits = condition.hits.cpu().numpy()
        self.knobs.hear_drums(done, self.resident.scales, bar, made)
        return done

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
        known = style if style in self.drummer.resident.prior.names else None
        self.drummer.knobs = self.knobs
        return self.drummer.play_hits(
            grooves,
            timing_given,
            bar=bar,
            tempo_bpm=tempo_bpm,
            temperature=temperature,
            style=known,
            taps=taps,
            first_bar=first_bar,
        )

    def _clips(
        self, grooves: Array, beats_per_bar: float, tempos: Sequence[float], drum_map: DrumMap
    ) -> list[Clip]:
        each = list(tempos) * len(grooves) if len(tempos) == 1 else tempos
        return [
            groove_to_clip(row, drum_map, beats_per_bar=beats_per_bar, tempo_bpm=tempo)
            for row, tempo in zip(grooves, each, strict=True)
        ]

    def _remarks(self) -> tuple[str, ...]:
        return () if self.drummer else (UNPLAYED,)


FILL = BAR_ATTRIBUTES.index("fill")


def _bar(clip: Clip) -> int:
    return steps_per_bar(clip.beats_per_bar)


def _heard(clip: Clip, drum_map: DrumMap, who: str) -> Array:
    """The clip as [step, 27]; ClipError where nothing sounds, with who needs it."""
    groove = clip_to_groove(clip, drum_map)
    if not groove.any():
        raise ClipError(f"{who} needs a clip with at least one note that sounds")
    return groove
