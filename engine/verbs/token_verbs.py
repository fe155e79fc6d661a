"""The verbs on models of tokens: melody, drums, trio, several tracks. What groove_verbs is for grooves.

A clip is read in windows of the model's length, each with a z of its own. Where there is no encoder to read it, the
clip itself must know its z, which is one for all windows.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from engine.clip import Clip, Origin
from engine.errors import ClipError, TooLongError
from engine.model.noise import Noise
from engine.representation.catalogue import find_representation
from engine.representation.chords import read_chords
from engine.representation.drum_map import DrumMap
from engine.representation.tokens import Tokens
from engine.requests import Decode, Encode, Interpolate, Sample, Vary
from engine.verbs.latent import plane, slerp
from engine.verbs.pitches import own_pitches
from engine.verbs.resident import TokenResident
from engine.verbs.running import Played, RunsVerbs
from engine.verbs.steering.points import decode_as_asked

STEPS_AT_ONCE = 4 * 1024
"""Rows × steps that are decoded together: the chance of a step has up to 692 numbers, so 11 MB."""

BEATS_PER_BAR = 4.0


class Composer(RunsVerbs):
    """One request on one model of tokens, using one seeded random source."""

    def __init__(self, resident: TokenResident, drum_map: DrumMap, noise: Noise):
        self.resident, self.noise, self.drum_map = resident, noise, drum_map
        self.representation = find_representation(resident.config.representation)
        self.bar_steps = self.representation.steps_per_bar
        self.window_bars = resident.card.bars

    def warm_up(self) -> None:
        """Run all that runs, as briefly as it can be."""
        shape, device = self.resident.model.shape, self.resident.device
        if shape.encoder:
            steps = (self.window_bars if shape.encoder_levels else 1) * self.bar_steps
            rests = torch.zeros(1, steps, len(self.representation.sizes), device=device)
            control = self._control(None, 1, 1)
            self.resident.model.encode(rests.long(), None if control is None else control[:, :steps])
        self._decode(torch.zeros(1, 1, shape.z, device=device), 1, None, 1.0)

    def sample(self, request: Sample) -> Played:
        """New bars: z from the prior, or from where the style's clips lie. All windows have the same z."""
        bars = request.bars or self.window_bars
        z = self.resident.prior.draw(self.noise, request.count, request.style)[:, None]
        return Played(self._clips(z, bars, request.chords, request.temperature))

    def interpolate(self, request: Interpolate) -> Played:
        """The clips on the way between two, or at a point between four; shorter ones are repeated to the end."""
        first, points = request.clips[0], request.points
        bars = max(map(_bars, request.clips))
        read = [self._hear(clip, request.chords) for clip in request.clips]
        windows = torch.arange(max(len(mu) for mu, _ in read))
        z = [mu[windows % len(mu)] for mu, _ in read]
        path = [slerp(z[0], z[1], x) if len(z) == 2 else plane(z, x, y) for x, y in points]
        tempos = [first.tempo_bpm + x * (request.clips[1].tempo_bpm - first.tempo_bpm) for x, _ in points]
        clips = self._clips(torch.stack(path), bars, request.chords, request.temperature, like=first)
        clips = [replace(clip, tempo_bpm=tempo) for clip, tempo in zip(clips, tempos, strict=True)]
        return Played(clips, remarks=tuple(dict.fromkeys(remark for _, remarks in read for remark in remarks)))

    def vary(self, request: Vary) -> Played:
        """z = similarity·mu + (1 − similarity)·draw from the prior, as MusicVAE's JavaScript port does."""
        mu, remarks = self._hear(request.clip, request.chords)
        drawn = self.resident.prior.draw(self.noise, request.count)[:, None]
        z = request.similarity * mu + (1 - request.similarity) * drawn
        clips = self._clips(z, _bars(request.clip), request.chords, request.temperature, like=request.clip)
        return Played(clips, remarks=remarks)

    def encode(self, request: Encode) -> Played:
        """The mu of a clip that fits into a window; what it lacks are rests."""
        if (bars := _bars(request.clip)) > self.window_bars:
            name, longest = self.resident.card.name, self.window_bars
            raise TooLongError(f"{name} encodes clips of up to {longest} bars, not {bars}")
        mu, remarks = self._hear(request.clip, request.chords)
        return Played([], remarks=remarks, latent=tuple(mu[0].tolist()))

    def decode(self, request: Decode) -> Played:
        """A window of what is at a point."""
        if request.clip is not None:
            raise ClipError(f"{self.resident.card.name} plays no given notes: decode takes no slot")
        z = torch.tensor(request.z, device=self.resident.device).expand(request.count, 1, -1)
        return Played(self._clips(z, self.window_bars, request.chords, request.temperature))

    def _hear(self, clip: Clip, chords: str | None) -> tuple[Tensor, tuple[str, ...]]:
        """The mu of each window of a clip, the last filled with rests: (window, z); and what was changed to fit.

        Without an encoder it is the z of which the clip was made: (1, z).
        """
        if not self.resident.model.shape.encoder:
            assert clip.origin is not None
            return torch.tensor([clip.origin.z], device=self.resident.device), ()
        windows = math.ceil(_bars(clip) / self.window_bars)
        filled = replace(clip, length_beats=windows * self.window_bars * BEATS_PER_BAR)
        reading = self.representation.clip_to_tokens(filled, self.drum_map)
        tokens = torch.from_numpy(reading.tokens).to(self.resident.device)
        rows = tokens.view(windows, -1, tokens.shape[-1])
        posterior = self.resident.model.encode(rows, self._control(chords, windows, 1))
        return posterior.mu, reading.remarks

    def _clips(
        self, z: Tensor, bars: int, chords: str | None, temperature: float, *, like: Clip | None = None
    ) -> list[Clip]:
        """z (row, window, z), or (row, 1, z) for all windows -> a clip a row.

        like: whose tempo and, for drums, pitches they get.
        """
        drum_map, tempo_bpm = self.drum_map, 120.0 if like is None else like.tempo_bpm
        if like is not None and self.representation.name == "drums":
            drum_map = own_pitches(drum_map, like)
        clips = [
            self.representation.tokens_to_clip(row, drum_map, tempo_bpm=tempo_bpm)
            for row in decode_as_asked(
                self.resident, self.knobs, z, bars, lambda points: self._decode(points, bars, chords, temperature)
            )
        ]
        if self.resident.model.shape.encoder:
            return clips
        origins = [Origin(self.resident.card.sha256, tuple(point)) for point in z[:, 0].tolist()]
        return [replace(clip, origin=origin) for clip, origin in zip(clips, origins, strict=True)]

    def _decode(self, z: Tensor, bars: int, chords: str | None, temperature: float) -> Tokens:
        """z (row, window, z), or (row, 1, z) for all windows -> tokens (row, step, part)."""
        rows, windows = len(z), math.ceil(bars / self.window_bars)
        flat, steps = z.expand(-1, windows, -1).flatten(0, 1), self.window_bars * self.bar_steps
        if windows == 1 and not self.resident.model.shape.conductor:
            steps = bars * self.bar_steps  # a conductor plans whole windows
        control = self._control(chords, windows, rows)
        at_once = max(1, STEPS_AT_ONCE // steps)
        decoded = []
        for first in range(0, len(flat), at_once):
            part = slice(first, first + at_once)
            own = None if control is None else control[part, :steps]
            noise = self.noise.again() if self.noise.is_shared else self.noise
            decoded.append(
                self.resident.model.decode(flat[part], steps, control=own, temperature=temperature, noise=noise)
            )
        tokens = torch.cat(decoded).view(rows, windows * steps, -1)
        return np.asarray(tokens[:, : bars * self.bar_steps].cpu().numpy(), np.int64)

    def _control(self, chords: str | None, windows: int, rows: int) -> Tensor | None:
        """The chord of each step of each row's windows: (row × window, step); none where none are followed."""
        if not self.resident.model.shape.control:
            return None
        steps = windows * self.window_bars * self.bar_steps
        classes = read_chords(chords or "N.C.", steps, self.bar_steps)
        control = torch.from_numpy(classes).to(self.resident.device).view(windows, -1)
        return control.repeat(rows, 1)


def _bars(clip: Clip) -> int:
    """The bars of four beats that hold a clip."""
    return max(1, math.ceil(clip.length_beats / BEATS_PER_BAR - 1e-6))
