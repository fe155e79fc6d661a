"""The verbs, on one model: what the encoder reads, what the decoder is given, what becomes of the groove."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from engine.asking import Asking
from engine.clip import Clip
from engine.errors import ClipError, TooLongError
from engine.model import tasks
from engine.pausing import looking
from engine.representation.drum_map import CLASSES, INSTRUMENTS
from engine.representation.groove import (
    DEPTH,
    HITS,
    Array,
    clip_to_groove,
    steps_of,
    steps_per_bar,
)
from engine.requests import (
    Decode,
    Drumify,
    Encode,
    Fill,
    Groove,
    Humanize,
    Interpolate,
    NoteForNote,
    Sample,
    Vary,
)
from engine.styles import NONE, PROGRAMMED
from engine.verbs.drummer import Drummer, bar_of
from engine.verbs.follow_feel import feel_distance
from engine.verbs.latent import plane, slerp
from engine.verbs.mark import all_marked, kept_notes
from engine.verbs.note_grid import Cells, cut_cells, play_clip
from engine.verbs.pitches import outside, own_pitches, pitches_of
from engine.verbs.resident import Encoding
from engine.verbs.running import Played
from engine.verbs.steering.knobs import Place
from engine.verbs.steering.recognising import recognised
from engine.verbs.stretches import beside, stretches

DRAWS_OF_FEEL = 16
"""Of how many draws groove chooses: r of lateness with the other clip is .29 with one, .65 with 8, .73 with 16."""

STEPS_OF_FEEL = 64 * 1024
"""Draws × steps of one request among which groove chooses."""

SAMPLED_BARS = 2
"""What sample makes where nothing is said."""


class Player(Drummer):
    """One request on one model of grooves, using one seeded random source."""

    def sample(self, request: Sample) -> Asking[Played]:
        """New bars: z from the prior, or from where the style's clips lie."""
        steps = (request.bars or SAMPLED_BARS) * 16
        z = self._prior(request.count, request.style)
        tempo = request.tempo or 120.0
        given = self._nothing(np.zeros((steps, DEPTH), np.float32), request.count, tempo, 16)
        grooves = yield from self._decode(z, given, request.temperature)
        return Played(self._clips(grooves, self.drum_map, 4.0, [tempo]))

    def humanize(self, request: Humanize) -> Asking[Played]:
        """The clip's own notes, moved to where the model plays their cells.

        Where no style is named, programmed music is played in the style that it is recognised to be.
        """
        chosen = list[str]()

        def play(cells: Cells) -> Asking[Tensor]:
            groove = cells.groove()
            given = self._given(groove, request.clip, request.count, cells.timing_given())
            example = tasks.humanize(given.groove, given)
            if "partial" in self.resident.config.recipe.tasks:
                example = tasks.with_some_timing(example.given)
            style = request.style or self._recognised(request, cells, groove)
            chosen.extend([style] if style and not request.style else [])
            if style and style != NONE:
                z = self._prior(request.count, style, temperature=request.temperature)
            elif "humanize" in self.resident.config.recipe.tasks:
                z = yield from self._encode(example, request.temperature)
            else:  # a model whose encoder has never read hits alone takes its feel from the prior
                z = self._prior(request.count, temperature=request.temperature)
            draws = self._draws_of_knobs(cells.steps, request.temperature)
            return (yield from self._decode(z, example.given, request.temperature, draws))

        played = yield from self._play_notes(request, play, only=request.only)
        if not chosen:
            return played
        said = [
            f"played as {each}, for {PROGRAMMED[each].told}; style none leaves it to the hits" for each in chosen
        ]
        facts = tuple(("style", each) for each in chosen)
        return replace(played, facts=facts, remarks=(*played.remarks, *said))

    def _recognised(self, request: Humanize, cells: Cells, groove: Array) -> str:
        """The style that a clip of drums is of, of those that nobody in the data plays; else nothing.

        Pitches that stay are part of what it is; where keep_clip names notes one by one, the rest goes with these.
        """
        if request.keep_clip or cells.taps or not self.resident.card.feels:
            return ""
        return recognised(groove, bar_of(request.clip), request.clip.tempo_bpm)

    def groove(self, request: Groove) -> Asking[Played]:
        """The clip's own notes, moved to where the model plays their cells after it has played the other clip's."""
        pitches = pitches_of(request.feel)
        as_taps = not self.drum_map.is_drums(pitches)
        feel = cut_cells(request.feel, self.drum_map, as_taps=as_taps).groove()[: steps_of(request.feel)]
        if not feel.any():
            raise ClipError("groove needs a feel from a clip with at least one note that sounds")
        played = yield from self._play_notes(request, lambda cells: self._follow(cells, feel, request))
        remarks = ("the clip that lends its feel is no drums: it was heard as taps",) if as_taps else ()
        return replace(played, remarks=(*played.remarks, *remarks))

    def drumify(self, request: Drumify) -> Asking[Played]:
        """Taps → a full drum part. Velocities or offsets that are all alike are not played: they are left open."""
        clip = request.clip
        bars = request.bars or clip.bars
        groove = clip_to_groove(clip, self.drum_map, bars * steps_per_bar(clip.beats_per_bar))
        if not groove.any():
            raise ClipError("drumify needs a clip with at least one note that sounds")
        example = self._tapped(groove, self._given(groove, clip, request.count))
        if request.style not in (None, NONE):
            z = self._prior(request.count, request.style)
        else:
            z = yield from self._encode(example, request.temperature)
        decoded = yield from self._decode(z, example.given, request.temperature)
        return Played(self._clips(decoded, self.drum_map, clip.beats_per_bar, [clip.tempo_bpm]))

    def fill(self, request: Fill) -> Asking[Played]:
        """The clip's notes as they are, and the hits that the model adds for one instrument."""
        if request.instrument not in INSTRUMENTS:
            raise ClipError(f"there is no instrument {request.instrument!r}; there are: {', '.join(INSTRUMENTS)}")
        clip, instrument = request.clip, INSTRUMENTS.index(request.instrument)
        cells = cut_cells(clip, self.drum_map, as_taps=False)
        given = self._given(cells.groove(), clip, request.count)
        example = tasks.fill(given.groove, given, instrument)
        example.given.hits_given[..., instrument] = given.groove[..., instrument]  # what it has, it keeps
        z = yield from self._encode(example, request.temperature)
        grooves = yield from self._decode(z, example.given, request.temperature)
        grooves[..., :CLASSES] *= 1 - given.groove[..., :CLASSES]
        new = (1 - cells.groove())[:, HITS]
        added = self._clips(grooves, own_pitches(self.drum_map, clip), clip.beats_per_bar, [clip.tempo_bpm], new)
        clips = [clip.with_notes((*clip.notes, *extra.notes)) for extra in added]
        return Played(clips, remarks=outside(pitches_of(clip), self.drum_map))

    def interpolate(self, request: Interpolate) -> Asking[Played]:
        """The clips on the way between two, or at a point between four; shorter ones are repeated to the end."""
        first, points = request.clips[0], request.points
        steps = max(steps_of(clip) for clip in request.clips)
        z: list[Tensor] = []
        for clip in request.clips:
            mu = yield from self._hear(clip, steps)
            z.append(mu)
        path = [slerp(z[0], z[1], x) if len(z) == 2 else plane(z, x, y) for x, y in points]
        given = self._nothing(np.zeros((steps, DEPTH), np.float32), len(path), first.tempo_bpm, bar_of(first))
        grooves = yield from self._decode(torch.cat(path), given, request.temperature)
        tempos = [first.tempo_bpm + x * (request.clips[1].tempo_bpm - first.tempo_bpm) for x, _ in points]
        return Played(self._clips(grooves, own_pitches(self.drum_map, first), first.beats_per_bar, tempos))

    def vary(self, request: Vary) -> Asking[Played]:
        """z = similarity·mu + (1 − similarity)·draw from the prior, as MusicVAE's JavaScript port does."""
        clip, count = request.clip, request.count
        mark = all_marked(request, self.drum_map) if request.keeps else None
        if mark and not mark.replaced:
            return Played([clip] * count)
        steps = steps_of(clip)
        mu = yield from self._hear(clip, steps)
        z = request.similarity * mu + (1 - request.similarity) * self._prior(count)
        given = self._nothing(np.zeros((steps, DEPTH), np.float32), count, clip.tempo_bpm, bar_of(clip))
        if mark:
            given = self._given(mark.groove, clip, count, mark.groove[:, HITS])
            given = replace(given, hits_given=self._rows(1 - mark.free, count))
        grooves = yield from self._decode(z, given, request.temperature)
        pitches = own_pitches(self.drum_map, clip)
        if mark:
            rows = self._steered(grooves.cpu().numpy(), Place(mark.free, bar_of(clip), clip.tempo_bpm))
            return Played([mark.filled(row, pitches) for row in rows])
        return Played(self._clips(grooves, pitches, clip.beats_per_bar, [clip.tempo_bpm]))

    def encode(self, request: Encode) -> Asking[Played]:
        """The mu of a clip that fits into a window."""
        clip, longest = request.clip, self.resident.window_steps
        if steps_of(clip) > longest:
            bars, name = self.resident.card.bars, self.resident.card.name
            raise TooLongError(f"{name} encodes {bars} bars, {longest} steps, not {steps_of(clip)} steps")
        pitches = pitches_of(clip)
        if len(pitches) == 0:
            raise ClipError("encode needs a clip with at least one note that sounds")
        z = yield from self._hear(clip, steps_of(clip))
        return Played([], remarks=outside(pitches, self.drum_map), latent=tuple(z.flatten().tolist()))

    def decode(self, request: Decode) -> Asking[Played]:
        """A window of the groove at a point, or a clip's own notes, played with the feel of the point."""
        shape, name = self.resident.model.shape, self.resident.card.name
        z = torch.tensor(request.z, device=self.resident.device).expand(request.count, 1, -1)
        if request.clip is not None:
            if not (shape.hits_control or shape.decoder == "drummer"):
                raise ClipError(f"{name} plays no given notes: decode takes no slot")
            return (yield from self._decode_onto(z, request.clip, request.temperature))
        if shape.hits_control:
            raise ClipError(f"{name} plays given notes alone: decode needs their slot")
        empty = np.zeros((self.resident.window_steps, DEPTH), np.float32)
        grooves = yield from self._decode(z, self._nothing(empty, request.count, 120.0, 16), request.temperature)
        return Played(self._clips(grooves, self.drum_map, 4.0, [120.0]))

    def _decode_onto(self, z: Tensor, clip: Clip, temperature: float) -> Asking[Played]:
        """The notes of a clip with the feel of each z."""

        def play(cells: Cells) -> Asking[Tensor]:
            given = self._given(cells.groove(), clip, len(z))
            return (yield from self._decode(z, tasks.transfer(given.groove, given).given, temperature))

        return (yield from self._play_notes(NoteForNote(clip=clip, count=len(z)), play))

    def _play_notes(
        self, request: NoteForNote, play: Callable[[Cells], Asking[Tensor]], *, only: tuple[int, ...] = ()
    ) -> Asking[Played]:
        """The request's clip, its cells played: cells -> (batch, step, 27)."""
        clip, drum_map = request.clip, self.drum_map
        pitches = pitches_of(clip)
        if len(pitches) == 0:
            return Played([clip] * request.count)
        as_taps = not drum_map.is_drums(pitches) if request.taps is None else bool(request.taps)
        cells = cut_cells(clip, drum_map, as_taps=as_taps, stays=kept_notes(clip, request.keep, request.keep_clip))
        timing, velocity = (request.of_drums(each, as_taps=as_taps) for each in ("timing", "velocity"))
        clips = [clip] * request.count
        if min(timing) < 1:
            self.knobs.against |= dict.fromkeys(("late", "tightness", "swing"), f"timing {min(timing):g}")
        if min(velocity) < 1 or request.accents:
            self.knobs.against |= dict.fromkeys(("loudness", "dynamics", "accent"), "velocity and accents")
        if not cells.held.all():
            place = Place(cells.moving(clip, only), bar_of(clip), clip.tempo_bpm)
            played = (yield from play(cells)).cpu().numpy()
            draws = len(played) // request.count
            asks = bool(self.knobs.asked)
            if asks:
                played = self.knobs.steer(cells.off_places(played), self.resident.scales, place, draws)
            how = partial(play_clip, timing=timing, velocity=velocity, accents=request.accents, only=only)
            clips = [how(clip, cells, groove, off_places=asks) for groove in looking(played)]
            if asks:
                self.knobs.hear(np.stack([cells.as_played(each) for each in clips]), self.resident.scales, place)
        return Played(clips, as_taps, () if as_taps else outside(pitches, drum_map))

    def _follow(self, cells: Cells, feel: Array, request: Groove) -> Asking[Tensor]:
        """The cells' hits as they go on from the feel: (batch, step, 27).

        z alone carries too little timing, and what was played before fades after some bars: the groove is cut into
        stretches of half a window, and before each the feel's stretch beside it is given, as played; the encoder
        reads a window from there. Of several draws each stretch takes the one whose feel is nearest.
        """
        half, bar, feel_bar = self.resident.window_steps // 2, bar_of(request.clip), bar_of(request.feel)
        own, own_given = (stretches(each, bar, half) for each in (cells.groove(), cells.timing_given()))
        lead = max(1, half // bar) * bar
        encoder_input, before = (
            beside(feel, feel_bar, half, count=len(own), steps=steps) for steps in (2 * half, lead)
        )
        z = yield Encoding(self.resident, self._rows(encoder_input, 1)[0], feel_bar, True, 0.0, self.noise)
        order = np.arange(len(own)) % len(before)
        beside_own = before[order]
        lead_given = np.ones((len(own), lead, CLASSES), np.float32)
        timing_given = np.concatenate([lead_given, own_given], axis=1)
        given = self._given(np.concatenate([beside_own, own], axis=1), request.clip, 1, timing_given)
        given = replace(given, hits_given=torch.ones_like(given.timing_given))
        draws = request.count * self._draws_of_feel(request, cells.steps, given.groove.shape[1])
        grooves = yield from self._decode(z[order], given, request.temperature, draws)
        played = grooves[:, lead:].cpu().numpy().reshape(len(own), request.count, -1, *own.shape[1:])
        distance = feel_distance(played, beside_own[:, None, None], bar, feel_bar)
        nearest = distance.argmin(axis=2)[:, :, None, None, None]
        chosen = np.take_along_axis(played, nearest, axis=2).swapaxes(0, 1).reshape(request.count, -1, DEPTH)
        return torch.from_numpy(chosen[:, : cells.steps])

    def _draws_of_feel(self, request: Groove, steps: int, at_once: int) -> int:
        """Of how many draws groove chooses: of few in very long clips or bars, of one where all are the same.

        All draws of a row of `at_once` steps are decoded together.
        """
        if request.temperature == 0 or self.resident.model.shape.decoder == "groove":
            return 1
        longest = max(steps, 4 * at_once)
        return max(1, min(DRAWS_OF_FEEL, STEPS_OF_FEEL // (request.count * longest)))
