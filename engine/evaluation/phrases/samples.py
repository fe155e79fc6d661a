"""Stretches of songs' drums, what a model of phrases is told of them, and what its verbs draw in their place.

All is as in engine.verbs.phrase_verbs, for many phrases at a time: the tempo and the number of each bar are given.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.drum_songs import SEQUENCED, DrumSong
from engine.model.noise import Noise
from engine.model.phrases.decoder import BAR_NUMBERS, Condition, unconditioned
from engine.representation.drum_map import CLASSES
from engine.representation.tokens import STEPS_PER_BAR
from engine.verbs.latent import slerp
from engine.verbs.phrase_drawing import LEAD_BARS
from engine.verbs.resident import PhraseResident

Hits = NDArray[np.bool_]
"""(phrase, bar, 16, 9)."""

Integers = NDArray[np.int64]

AT_ONCE = 64
"""Phrases that are read or drawn together."""

SIMILARITY = 0.5
"""At which `vary` is measured."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Stretches of equally many bars of songs.

    Each (phrase,): piece, which song; first, from which of its bars; its tempo_bpm and style.
    """

    hits: Hits
    piece: Integers
    first: Integers
    tempo_bpm: NDArray[np.float64]
    style: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, chosen: Integers | slice) -> "Phrases":
        """Some of the phrases."""
        return Phrases(
            self.hits[chosen], self.piece[chosen], self.first[chosen], self.tempo_bpm[chosen], self.style[chosen]
        )

    def bars(self, first: int, count: int) -> "Phrases":
        """Some bars of each phrase."""
        return replace(self, hits=self.hits[:, first : first + count], first=self.first + first)

    def parts(self) -> Iterator["Phrases"]:
        """As many at a time as are drawn together."""
        return (self[slice(first, first + AT_ONCE)] for first in range(0, len(self), AT_ONCE))


def songs_of(songs: Iterable[DrumSong], split: str, *, sequenced: bool) -> list[DrumSong]:
    """The songs of a split that are played, or those that are sequenced."""
    return [song for song in songs if song.split == split and (song.style == SEQUENCED) == sequenced]


def cut_phrases(songs: Iterable[DrumSong], bars: int, *, most: int | None = None) -> Phrases:
    """All stretches of so many bars, or at most so many of each song, evenly spread; none of shorter songs."""
    rows: list[tuple[Any, ...]] = []
    for piece, song in enumerate(songs):
        starts = max(0, len(song.hits) - bars + 1)
        count = min(starts, most or starts)
        firsts = np.linspace(0, starts - 1, count).round().astype(int)
        rows += [(song.hits[first : first + bars], piece, first, song.tempo_bpm, song.style) for first in firsts]
    hits, *others = zip(*rows, strict=True) if rows else ((),) * 5
    kinds = (np.int64, np.int64, np.float64, np.str_)
    columns: list[NDArray[Any]] = [np.array(column, kind) for column, kind in zip(others, kinds, strict=True)]
    return Phrases(np.array(hits, np.bool_).reshape(len(rows), bars, STEPS_PER_BAR, CLASSES), *columns)


def condition_of(resident: PhraseResident, phrases: Phrases) -> Condition:
    """Phrases with their tempo and the numbers of their bars; the hits are there, none of them is given."""
    bars, shape, device = phrases.hits.shape[1], resident.model.shape, resident.device
    condition = unconditioned(len(phrases), bars, styles=shape.styles, bar_z=shape.bar_z, device=device)
    tempo = np.stack([np.log2(phrases.tempo_bpm / 120), np.ones(len(phrases))], axis=1).astype(np.float32)
    numbers = (phrases.first[:, None] + np.arange(bars)) % BAR_NUMBERS
    return replace(
        condition,
        hits=torch.from_numpy(phrases.hits.reshape(len(phrases), -1, CLASSES).astype(np.float32)).to(device),
        tempo=torch.from_numpy(tempo).to(device),
        bar_number=torch.from_numpy(numbers).to(device),
    )


def with_given(condition: Condition, given: NDArray[np.bool_]) -> Condition:
    """Those bars (bar,) are given."""
    steps = torch.from_numpy(np.repeat(given, STEPS_PER_BAR).astype(np.float32)).to(condition.hits.device)
    return replace(condition, hits_given=steps[:, None].expand_as(condition.hits).contiguous())


def drawn(
    resident: PhraseResident, condition: Condition, noise: Noise, z: Tensor | None = None, temperature: float = 1.0
) -> Hits:
    """The hits that a model draws where none are given, with z, or one that it draws too."""
    condition = replace(condition, hits=condition.given_hits)
    z = resident.draw_z(condition, noise, temperature) if z is None else z
    hits = resident.draw_hits(z, condition, temperature, noise)
    return hits.view(len(z), condition.bars, STEPS_PER_BAR, CLASSES).cpu().numpy() > 0


def sampled(resident: PhraseResident, phrases: Phrases, noise: Noise) -> Hits:
    """Songs' first bars in the style of each phrase, as `sample` gives them."""
    return sampled_there(resident, replace(phrases, first=np.zeros_like(phrases.first)), noise)


def sampled_there(resident: PhraseResident, phrases: Phrases, noise: Noise) -> Hits:
    """Bars in the style of each phrase that have its place in the song."""
    condition = condition_of(resident, phrases)
    known = {name: resident.style_number(name) for name in resident.card.styles}
    style = [known.get(name, resident.model.shape.styles) for name in phrases.style.tolist()]
    nothing = torch.zeros_like(condition.tempo)
    return drawn(resident, replace(condition, style=condition.style.new_tensor(style), tempo=nothing), noise)


def drumified(resident: PhraseResident, phrases: Phrases, noise: Noise) -> Hits:
    """Other drums on the rhythm of each phrase."""
    condition = condition_of(resident, phrases)
    taps = torch.stack([condition.hits.amax(dim=-1), torch.ones_like(condition.hits[..., 0])], dim=-1)
    return drawn(resident, replace(condition, taps=taps), noise)


def continued(resident: PhraseResident, phrases: Phrases, noise: Noise) -> Hits:
    """The second halves of phrases, of which the first halves are given."""
    bars = phrases.hits.shape[1]
    lead = min(LEAD_BARS, bars // 2)
    condition = with_given(condition_of(resident, phrases), np.arange(bars) < bars // 2)
    return drawn(resident, condition.some_bars(bars // 2 - lead, bars), noise)[:, lead:]


def varied(resident: PhraseResident, phrases: Phrases, noise: Noise) -> Hits:
    """Each phrase at SIMILARITY: that share of its bars keeps its z."""
    condition, model = condition_of(resident, phrases), resident.model
    order = noise.uniform(len(phrases), condition.bars).argsort(dim=1).argsort(dim=1)
    z, bar_z = model.encoder(condition).mu, model.bar_encoder(condition).mu
    stay = (order < round(SIMILARITY * condition.bars)).float()
    condition = replace(condition, bar_z=bar_z, bar_z_given=stay)
    return drawn(resident, condition, noise, torch.lerp(resident.draw_z(condition, noise, 1.0), z, SIMILARITY))


def interpolated(resident: PhraseResident, first: Phrases, second: Phrases, position: float, noise: Noise) -> Hits:
    """The phrases at a position 0..1 between pairs, which share their noise."""
    condition, model = condition_of(resident, first), resident.model
    other = condition_of(resident, second)
    z, bar_z = (
        slerp(encoder(condition).mu, encoder(other).mu, position) for encoder in (model.encoder, model.bar_encoder)
    )
    given = torch.ones_like(condition.bar_z_given)
    return drawn(resident, replace(condition, bar_z=bar_z, bar_z_given=given), noise, z)


Draw = Callable[[PhraseResident, Phrases, Noise], Hits]


@torch.inference_mode()
def drawn_of(draw: Draw, resident: PhraseResident, phrases: Phrases, seed: int) -> Hits:
    """What a verb draws for any number of phrases."""
    device = resident.device
    parts = enumerate(phrases.parts())
    return np.concatenate([draw(resident, part, Noise(seed * 100_003 + k, device=device)) for k, part in parts])
