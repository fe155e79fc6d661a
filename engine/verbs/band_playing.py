"""From the states of a band to notes: voices by touch, drums by the drummer, where one is loaded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.asking import alone
from engine.clip import Clip, Note, Part
from engine.model.noise import Noise
from engine.representation.band import DRUMS, LEAD
from engine.representation.band_clip import NEW_PARTS, bar_steps_of, voice_notes, with_notes_of
from engine.representation.drum_map import CLASSES, DrumMap
from engine.representation.groove import DEPTH, HITS, VELOCITIES, Array, groove_to_clip
from engine.representation.tokens import STEPS_PER_BAR, Tokens
from engine.representation.touch import BASS_TOUCH, LEAD_TOUCH, played
from engine.verbs.groove_verbs import Player
from engine.verbs.phrase_drawing import FEEL_BARS, STEADY_VELOCITY

Notes = tuple[Note, ...]


class BandHands:
    """Plays states (row, bar, 16, 3). drummer: what plays the hits, in a style; else they lie on the grid."""

    def __init__(self, drummer: Player | None, drum_map: DrumMap, noise: Noise, style: str | None = None):
        self._drummer, self._drum_map, self._noise, self._style = drummer, drum_map, noise, style

    def clips(
        self,
        states: Tokens,
        roles: Sequence[int],
        like: Clip,
        parts: Sequence[Part] = NEW_PARTS,
        *,
        before: Array | None = None,
    ) -> list[Clip]:
        """Some parts as clips of the length, meter and tempo of another; parts: as what each is played.

        before: see notes.
        """
        each = [self.notes(states, role, like, before=before) for role in roles]
        return [
            with_notes_of([(parts[k], own) for k, own in zip(roles, row, strict=True)], like)
            for row in zip(*each, strict=True)
        ]

    def notes(
        self, states: Tokens, role: int, like: Clip, *, before: Array | None = None, staying: Array | None = None
    ) -> list[Notes]:
        """The notes of a part, a row each.

        before (step, 27): the drums as they were played until then; staying (step, 27): those that are played
        already, and are not among the notes.
        """
        bar_steps = bar_steps_of(like)
        if role == DRUMS:
            return self._drums(states[..., DRUMS], like, bar_steps, before, staying)
        touch = LEAD_TOUCH if role == LEAD else BASS_TOUCH
        noise = self._noise.normal(len(states), states.shape[1] * bar_steps).cpu().numpy()
        return [
            played(voice_notes(row[..., role], bar_steps), touch, own, like.beats_per_bar)
            for row, own in zip(states, noise, strict=True)
        ]

    def _drums(
        self, subsets: Tokens, like: Clip, bar_steps: int, before: Array | None, staying: Array | None
    ) -> list[Notes]:
        hits = hits_of(subsets)[:, :, :bar_steps].reshape(len(subsets), -1, CLASSES)
        lead = np.zeros((0, DEPTH), np.float32) if before is None else before[-FEEL_BARS * bar_steps :]
        heard = np.zeros((hits.shape[1], DEPTH), np.float32) if staying is None else staying
        known = np.concatenate([lead, heard])
        grooves = np.repeat(known[None], len(hits), axis=0)
        np.maximum(grooves[:, len(lead) :, HITS], hits, out=grooves[:, len(lead) :, HITS])
        before_bars = len(lead) // bar_steps
        grooves = self._by_drummer(grooves, known[:, HITS], like, bar_steps, before_bars)[:, len(lead) :]
        grooves[..., HITS] *= 1 - heard[:, HITS]
        size = {"beats_per_bar": like.beats_per_bar, "tempo_bpm": like.tempo_bpm}
        return [groove_to_clip(row, self._drum_map, **size).notes for row in grooves]

    def _by_drummer(
        self, grooves: Array, timing_given: NDArray[np.float32], like: Clip, bar_steps: int, first_bar: int
    ) -> Array:
        """The hits of grooves (row, step, 27), played, but for those whose timing is given (step, 9)."""
        if self._drummer is None:
            new = grooves[..., HITS] * (1 - timing_given)
            grooves[..., VELOCITIES] = np.where(new > 0, STEADY_VELOCITY, grooves[..., VELOCITIES])
            return grooves
        asking = self._drummer.play_hits(
            grooves,
            timing_given,
            bar=bar_steps,
            tempo_bpm=like.tempo_bpm,
            temperature=1.0,
            style=self._style,
            first_bar=first_bar,
        )
        return alone(asking)


def hits_of(subsets: Tokens) -> NDArray[np.float32]:
    """Subsets (…) -> hits (…, 9)."""
    return ((subsets[..., None] >> np.arange(CLASSES)) & 1).astype(np.float32)


def empty_states(rows: int, bars: int) -> Tokens:
    """A band in which nothing is known."""
    return np.zeros((rows, bars, STEPS_PER_BAR, 3), np.int64)
