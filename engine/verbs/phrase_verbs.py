"""The verbs on models of phrases: some of the hits are given, the rest is drawn, and a drummer plays them.

What groove_verbs is for grooves. Long clips are drawn in windows of the model's length, each given the bars before.
"""

from dataclasses import replace

import numpy as np
import torch

from engine.errors import ClipError, TooLongError
from engine.midi.song import drums_of
from engine.representation.drum_map import CLASSES
from engine.representation.groove import (
    HITS,
    clip_to_groove,
)
from engine.requests import Continue, Decode, Drumify, Encode, Infill, Interpolate, Sample, Vary
from engine.styles import NONE
from engine.verbs.drummer import bar_of
from engine.verbs.latent import plane, slerp
from engine.verbs.mark import Mark, all_marked, marked
from engine.verbs.phrase_drawing import FEEL_BARS, Hits, PhraseDrawing, heard
from engine.verbs.pitches import outside, own_pitches, pitches_of
from engine.verbs.running import Played

SAMPLED_BARS = 4
"""What sample makes where nothing is said."""

CONTINUED_BARS = 16
"""The most that continue makes where nothing is said."""


class PhrasePlayer(PhraseDrawing):
    """One request on one model of phrases, using one seeded random source. drummer: what plays the hits, if any."""

    def sample(self, request: Sample) -> Played:
        """New bars, in a style, or in one that is drawn, as often as it was played in training."""
        nothing = np.zeros(((request.bars or SAMPLED_BARS) * 16, CLASSES), np.float32)
        style = self._of_notes(request.style) or self.resident.draw_style(self.noise)
        condition = self._condition(nothing, nothing, request.count, 16, style=style, tempo_bpm=request.tempo)
        hits = self._complete(condition, request.temperature)
        return self._played(
            hits,
            16,
            4.0,
            [request.tempo or 120.0],
            request.temperature,
            self.drum_map,
            style=self._of_feel(request.style) or style,
        )

    def continue_(self, request: Continue) -> Played:
        """The bars after a clip's drums, alone; the drummer goes on as the last of these were played."""
        clip, bar = drums_of(request.clip), bar_of(request.clip)
        groove = heard(clip, self.drum_map, "continue")
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
        clip, bar = request.clip, bar_of(request.clip)
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
        played = self._play(grooves, bar_of(clip), clip.tempo_bpm, temperature, timing_given=staying)
        drum_map = own_pitches(self.drum_map, clip)
        return Played([mark.filled(row, drum_map) for row in played], remarks=self._remarks())

    def drumify(self, request: Drumify) -> Played:
        """Taps → a full drum part, played with the timing and dynamics of the taps where they have any."""
        clip, bar = request.clip, bar_of(request.clip)
        taps = clip_to_groove(clip, self.drum_map, (request.bars or clip.bars) * bar)
        if not taps.any():
            raise ClipError("drumify needs a clip with at least one note that sounds")
        nothing = np.zeros((len(taps), CLASSES), np.float32)
        condition = self._condition(
            nothing,
            nothing,
            request.count,
            bar,
            style=self._of_notes(request.style),
            tempo_bpm=clip.tempo_bpm,
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
            style=None if request.style == NONE else request.style,
            taps=taps,
        )

    def vary(self, request: Vary) -> Played:
        """A share of the bars is made anew, as similarity says; of the others the idea stays, their z."""
        clip, bar = request.clip, bar_of(request.clip)
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
        bar, bars = bar_of(first), max(clip.bars for clip in request.clips)
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
