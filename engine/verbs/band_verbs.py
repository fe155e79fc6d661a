"""The verbs on models of bands: some cells, bars of parts, are given, the rest is drawn and played.

What phrase_verbs is for drums alone. A part that the clip has not, and that nobody asks for, is unknown.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clip import EARLIEST_START_BEATS, STEPS_PER_BEAT, Clip
from engine.errors import ClipError, TooLongError
from engine.model.noise import Noise
from engine.representation.band import BASS, DRUMS, LEAD, PARTS
from engine.representation.band_clip import Band, Cast, read_band, with_notes_of
from engine.representation.drum_map import DrumMap
from engine.representation.groove import clip_to_groove
from engine.representation.harmony import Key, key_found
from engine.representation.tokens import Tokens
from engine.requests import Accompany, Continue, Decode, Encode, Infill, Interpolate, Sample, Vary
from engine.styles import NONE
from engine.verbs.band_drawing import Drawing, Harmony, Sketch, harmony_told, shift_of
from engine.verbs.band_playing import BandHands, empty_states
from engine.verbs.band_roles import Replaced, Roles, as_played, listed, roles_of
from engine.verbs.groove_verbs import Player
from engine.verbs.latent import plane, slerp
from engine.verbs.phrase_drawing import UNPLAYED
from engine.verbs.phrase_verbs import CONTINUED_BARS
from engine.verbs.pitches import own_pitches
from engine.verbs.resident import BandResident, GrooveResident
from engine.verbs.running import Played, RunsVerbs

STYLE = "band"
"""The style where none is told: that of bands."""

ALL = (LEAD, BASS, DRUMS)
Given = NDArray[np.float32]


class BandPlayer(RunsVerbs):
    """One request on one model of bands, using one seeded random source. drummer: what plays the hits, if any."""

    def __init__(
        self,
        resident: BandResident,
        drummer: GrooveResident | None,
        drum_map: DrumMap,
        noise: Noise,
        own: Path | None = None,
    ):
        self.resident, self.noise, self.drum_map = resident, noise, drum_map
        self.drummer, self._feel = None if drummer is None else Player(drummer, drum_map, noise, own), ""
        self.drawing = Drawing(resident, noise)
        self.window, self.style = resident.card.bars, STYLE if STYLE in resident.card.styles else None

    def sample(self, request: Sample) -> Played:
        """New bars, as many as the model's window where nothing is said."""
        bars = request.bars or self.window
        like = Clip((), bars * 4.0, tempo_bpm=request.tempo or 120.0)
        roles = roles_of(request.parts, ALL)
        harmony, remarks = harmony_told(request, np.zeros((bars, 12)))
        given = np.zeros((bars, 16, 3), np.float32)
        states = empty_states(request.count, bars)
        sketch = Sketch(states, given, roles, harmony, self._of_notes(request.style), like.tempo_bpm, {})
        drawn = self._drawn(sketch, request.temperature)
        return self._played(self._hands(self.drum_map).clips(drawn, roles, like), roles, remarks)

    def accompany(self, request: Accompany) -> Played:
        """The parts that are asked for beside those that the clip has, which are heard."""
        clip, band = request.clip, self._heard(request.clip, "accompany")
        since = round(request.since / clip.beats_per_bar)
        if since >= clip.bars:
            raise ClipError(f"since must be a bar line before the clip's end, not {request.since:g}")
        lacks = tuple(role for role in ALL if not band.states[since:, ..., role].any())
        roles = roles_of(request.parts, lacks)
        if not roles:
            raise ClipError("the clip has a lead, a bass and drums: say with parts which of them to make anew")
        if not (band.plays & ~np.isin(ALL, roles)).any():
            raise ClipError(f"accompany needs a part that stays beside {listed(roles)}: the clip has no other")
        given = self._given(band, clip.bars)
        given[since:, ..., list(roles)] = 0
        harmony, remarks = harmony_told(request, band.sounding, heard=band.has_chords)
        states = np.repeat(band.states[None], request.count, axis=0)
        sketch = Sketch(states, given, roles, harmony, self._of_notes(request.style), clip.tempo_bpm, {})
        drawn = self._drawn(sketch, request.temperature, first_bar=since)[:, since:]
        return self._after(clip, band, roles, drawn, since, band.remarks + remarks)

    def continue_(self, request: Continue) -> Played:
        """The bars after the clip, alone; the drummer goes on as the last of these were played."""
        clip, band = request.clip, self._heard(request.clip, "continue")
        roles = roles_of(request.parts, tuple(np.flatnonzero(band.plays).tolist()))
        new = request.bars or min(clip.bars, CONTINUED_BARS)
        given = np.concatenate([self._given(band, clip.bars), np.zeros((new, 16, 3), np.float32)])
        known = np.repeat(band.states[None], request.count, axis=0)
        states = np.concatenate([known, empty_states(request.count, new)], axis=1)
        sounding = np.concatenate([band.sounding, np.zeros((new, 12))])
        harmony, remarks = harmony_told(request, sounding, before=clip.bars)
        sketch = Sketch(states, given, roles, harmony, self.style, clip.tempo_bpm, {})
        drawn = self._drawn(sketch, request.temperature, first_bar=clip.bars)[:, clip.bars :]
        return self._after(clip, band, roles, drawn, clip.bars, band.remarks + remarks)

    def infill(self, request: Infill) -> Played:
        """The clip, of whose parts the notes that start in the mark are made anew."""
        clip, first, end = request.clip, request.start, request.start + request.beats
        if not first < clip.length_beats:
            raise ClipError(
                f"the mark must start before the clip's end at {clip.length_beats:g} beats, not at {first:g}"
            )
        band = self._heard(clip, "infill")
        roles = roles_of(request.parts, tuple(np.flatnonzero(band.plays).tolist()))
        if strange := [role for role in roles if not band.plays[role]]:
            raise ClipError(f"the clip has no {listed(strange)} to infill: accompany makes one")
        numbers = frozenset(number for role in roles for number in band.cast.roles[role])
        mark = Replaced(first, min(end, clip.length_beats), numbers)
        left = with_notes_of(
            [(part, mark.staying(clip, band.cast, (k,))) for k, part in enumerate(band.cast.parts)], clip
        )
        states, given = read_band(left, self.drum_map, band.cast).states, self._given(band, clip.bars)
        steps = np.arange(clip.bars * band.bar_steps) / STEPS_PER_BEAT
        inside = np.zeros((clip.bars, 16), np.bool_)
        inside[:, : band.bar_steps] = ((steps > first - 1e-6) & (steps < mark.end - 1e-6)).reshape(clip.bars, -1)
        for role in roles:
            given[..., role][inside] = 0
        harmony, remarks = harmony_told(request, band.sounding)
        states = np.repeat(states[None], request.count, axis=0)
        sketch = Sketch(states, given, roles, harmony, self.style, clip.tempo_bpm, {})
        drawn = self._drawn(sketch, request.temperature)
        return self._exchanged(clip, band.cast, roles, drawn, mark, band.remarks + remarks)

    def vary(self, request: Vary) -> Played:
        """A share of the parts' bars is made anew, as similarity says; of the others the idea stays, their z."""
        clip, band = request.clip, self._heard(request.clip, "vary")
        there = tuple(np.flatnonzero(band.plays).tolist())
        roles, rows = roles_of(request.parts, there), request.count
        given = self._given(band, clip.bars)
        given[..., list(roles)] = 0
        harmony, remarks = harmony_told(request, band.sounding)
        z, ideas = self._encoded(band, clip, harmony)
        order = self.noise.uniform(rows, clip.bars).argsort(dim=1).argsort(dim=1)
        stay = (order < round(request.similarity * clip.bars)).float()
        bar_z = {role: (ideas[role].expand(rows, -1, -1), stay) for role in roles}
        states = np.repeat(band.states[None], rows, axis=0)
        sketch = Sketch(states, given, roles, harmony, self.style, clip.tempo_bpm, bar_z)
        score = self.drawing.score(sketch, 0, min(clip.bars, self.window), shift_of(harmony))
        own = torch.lerp(self.resident.draw_z(score, self.noise, request.temperature), z, request.similarity)
        drawn = self._drawn(sketch, request.temperature, own)
        numbers = frozenset(number for role in roles for number in band.cast.roles[role])
        mark = Replaced(EARLIEST_START_BEATS, clip.length_beats, numbers)
        return self._exchanged(clip, band.cast, roles, drawn, mark, band.remarks + remarks)

    def interpolate(self, request: Interpolate) -> Played:
        """The clips on the way between two, or at a point between four, bar by bar; shorter ones are repeated."""
        first, points = request.clips[0], request.points
        bars = max(clip.bars for clip in request.clips)
        read = [self._heard(clip, "interpolate") for clip in request.clips]
        if len({band.bar_steps for band in read}) > 1:
            raise ClipError("interpolate takes clips of one meter")
        harmony = Harmony(read[0].sounding, key_found(read[0].sounding.sum(axis=0)) or Key(0))
        encoded = [
            self._encoded(band, clip, Harmony(band.sounding))
            for band, clip in zip(read, request.clips, strict=True)
        ]
        roles = tuple(role for role in ALL if any(band.plays[role] for band in read))

        def between(each: list[Tensor]) -> Tensor:
            return torch.cat(
                [slerp(each[0], each[1], x) if len(each) == 2 else plane(each, x, y) for x, y in points]
            )

        around = [torch.arange(bars) % len(band.states) for band in read]
        bar_z = {
            role: (
                between([ideas[role][:, place] for (_, ideas), place in zip(encoded, around, strict=True)]),
                torch.ones(len(points), bars),
            )
            for role in roles
        }
        like = replace(first, length_beats=bars * first.beats_per_bar, notes=(), parts=())
        sketch = Sketch(
            empty_states(len(points), bars),
            np.zeros((bars, 16, 3), np.float32),
            roles,
            replace(harmony, sounding=np.zeros((bars, 12))),
            self.style,
            first.tempo_bpm,
            bar_z,
        )
        drawn = self._drawn(sketch, request.temperature, between([z for z, _ in encoded]))
        clips = self._hands(self.drum_map).clips(drawn, roles, like, as_played(read[0].cast, first))
        tempos = [first.tempo_bpm + x * (request.clips[1].tempo_bpm - first.tempo_bpm) for x, _ in points]
        clips = [replace(clip, tempo_bpm=tempo) for clip, tempo in zip(clips, tempos, strict=True)]
        remarks = tuple(dict.fromkeys(remark for band in read for remark in band.remarks))
        return self._played(clips, roles, remarks)

    def encode(self, request: Encode) -> Played:
        """The mu of a clip that fits into a window: the phrase's, then each bar's, lead, bass, drums."""
        clip, band = request.clip, self._heard(request.clip, "encode")
        if clip.bars > self.window:
            name = self.resident.card.name
            raise TooLongError(f"{name} encodes clips of up to {self.window} bars, not {clip.bars}")
        z, ideas = self._encoded(band, clip, Harmony(band.sounding))
        latent = torch.cat([z[0], torch.cat([ideas[role] for role in ALL], dim=-1).flatten()]).tolist()
        return Played([], remarks=band.remarks, latent=tuple(latent))

    def decode(self, request: Decode) -> Played:
        """The bars whose z follow the phrase's, or, where none do, a window of the phrase; in C."""
        if request.clip is not None:
            raise ClipError(f"{self.resident.card.name} plays no given notes: decode takes no slot")
        shape, point = self.resident.model.shape, torch.tensor(request.z, device=self.resident.device)
        ideas = point[shape.z :].view(1, -1, len(PARTS), shape.bar_z)
        bars, rows = ideas.shape[1] or self.window, request.count
        stay = torch.ones(rows, bars, device=point.device)
        bar_z = {role: (ideas[:, :, role].expand(rows, -1, -1), stay) for role in ALL} if ideas.shape[1] else {}
        like, nothing = Clip((), bars * 4.0), np.zeros((bars, 16, 3), np.float32)
        harmony = Harmony(np.zeros((bars, 12)))
        sketch = Sketch(empty_states(rows, bars), nothing, ALL, harmony, self.style, like.tempo_bpm, bar_z)
        drawn = self._drawn(sketch, request.temperature, point[: shape.z].expand(rows, -1))
        return self._played(self._hands(self.drum_map).clips(drawn, ALL, like), ALL)

    def _drawn(self, sketch: Sketch, temperature: float, z: Tensor | None = None, *, first_bar: int = 0) -> Tokens:
        """What a sketch leaves open, drawn as the knobs say; the results begin with first_bar."""
        return self.drawing.complete(replace(sketch, knobs=self.knobs, first_bar=first_bar), temperature, z)

    def _of_notes(self, style: str | None) -> str | None:
        """The model's own style that is asked for, or the usual one, where the drummer alone has it."""
        if style in (None, NONE):
            return self.style
        if style in self.resident.card.styles or self.drummer is None or style is None:
            return style
        self.drummer.knobs, self._feel = self.knobs, style
        notes = self.drummer.take_style(style, self.resident.card.styles).notes
        scale = self.resident.scales.get("density.drums")
        if "density" in notes and scale:
            self.knobs.usually({"density.drums": scale.asked(notes["density"])})
        return self.style

    def _hands(self, drum_map: DrumMap) -> BandHands:
        if self.drummer is not None:
            self.drummer.knobs = self.knobs
        return BandHands(self.drummer, drum_map, self.noise, self._feel or None)

    def _heard(self, clip: Clip, verb: str) -> Band:
        band = read_band(clip, self.drum_map)
        if not band.plays.any():
            raise ClipError(f"{verb} needs a clip with at least one note that sounds")
        return band

    def _given(self, band: Band, bars: int) -> Given:
        """The parts that play are given: (bar, 16, 3)."""
        return np.broadcast_to(band.plays.astype(np.float32), (bars, 16, len(PARTS))).copy()

    def _encoded(self, band: Band, clip: Clip, harmony: Harmony) -> tuple[Tensor, list[Tensor]]:
        """The mu of a clip's first window (1, z), and of the bars of each part (1, bar, z), in C or A minor."""
        model, device = self.resident.model, self.resident.device
        everything = np.ones((clip.bars, 16, 3), np.float32)
        sketch = Sketch(band.states[None], everything, (), harmony, self.style, clip.tempo_bpm, {})
        shift, plays = shift_of(harmony), torch.from_numpy(band.plays.astype(np.float32)).to(device)
        window = self.drawing.score(sketch, 0, min(clip.bars, self.window), shift)
        whole = self.drawing.score(sketch, 0, clip.bars, shift)
        ideas = [encoder(whole).mu for encoder in model.bar_encoders]
        return model.encoder(window, plays[None]).mu, ideas

    def _after(
        self, clip: Clip, band: Band, roles: Roles, drawn: Tokens, since: int, remarks: tuple[str, ...]
    ) -> Played:
        """What was drawn from a bar of the clip on, alone; the drummer goes on as the bars before were played."""
        drums = replace(clip, notes=band.cast.notes(clip, band.cast.roles[DRUMS]), parts=())
        before = clip_to_groove(drums, self.drum_map)[: since * band.bar_steps]
        like = replace(clip, length_beats=drawn.shape[1] * clip.beats_per_bar)
        hands, parts = self._hands(own_pitches(self.drum_map, drums)), as_played(band.cast, clip)
        return self._played(hands.clips(drawn, roles, like, parts, before=before), roles, remarks)

    def _exchanged(
        self, clip: Clip, cast: Cast, roles: Roles, drawn: Tokens, mark: Replaced, remarks: tuple[str, ...]
    ) -> Played:
        """The clip with new notes in place of those that a mark replaces, a row each; all else as it was."""
        numbers = cast.roles[DRUMS]
        staying, drums = (
            replace(clip, notes=notes, parts=())
            for notes in (mark.staying(clip, cast, numbers), cast.notes(clip, numbers))
        )
        hands, heard = self._hands(own_pitches(self.drum_map, drums)), clip_to_groove(staying, self.drum_map)
        new = {role: hands.notes(drawn, role, clip, staying=heard) for role in roles}
        clips = []
        for row in range(len(drawn)):
            each = []
            for number, part in enumerate(cast.parts):
                own = mark.staying(clip, cast, (number,))
                added = [mark.cut(new[role][row], own) for role in roles if cast.roles[role][:1] == (number,)]
                each.append((part, (*own, *(note for notes in added for note in notes))))
            whole = with_notes_of(each, clip)
            clips.append(whole if clip.parts else replace(whole, parts=()))
        return self._played(clips, roles, remarks)

    def _played(self, clips: list[Clip], roles: Roles, remarks: tuple[str, ...] = ()) -> Played:
        unplayed = (UNPLAYED,) if DRUMS in roles and self.drummer is None else ()
        return Played(clips, remarks=(*remarks, *unplayed))
