"""Phrases to be heard: what `sample` gives, and played bars beside it, both as the same drummer plays them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.clip import Clip
from engine.evaluation.phrases.samples import Phrases
from engine.midi.clips import clip_to_midi
from engine.representation.drum_map import GENERAL_MIDI
from engine.representation.groove import DEPTH, HITS, VELOCITIES, groove_to_clip
from engine.requests import Humanize, Sample
from engine.verbs.generator import Generator

COUNT = 12


def write_phrases(folder: Path, phrases: Phrases, generator: Generator, model: str, seed: int = 0) -> list[Path]:
    """Write NN-STYLE-sample.mid and NN-STYLE-played.mid for some phrases, each of another piece.

    The generator has the model and a drummer in memory. A sample has the style, length and tempo of the phrase.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, phrase in enumerate(_chosen(phrases, seed), 1):
        style, tempo_bpm, bars = phrase.style[0], float(phrase.tempo_bpm[0]), phrase.hits.shape[1]
        known = style if style in generator.library.card(model).styles else None
        sample = Sample(model=model, style=known, bars=bars, tempo=tempo_bpm, seed=seed + number)
        played = Humanize(clip=_on_the_grid(phrase), seed=seed + number)
        for name, request in (("sample", sample), ("played", played)):
            (clip,) = generator.run(request).clips
            paths.append(folder / f"{number:02}-{style}-{name}.mid")
            clip_to_midi(replace(clip, tempo_bpm=tempo_bpm), paths[-1])
    return paths


def _chosen(phrases: Phrases, seed: int) -> Iterator[Phrases]:
    """A phrase of each of COUNT pieces, or of as many as there are."""
    order = np.random.default_rng(seed).permutation(len(phrases))
    _, first = np.unique(phrases.piece[order], return_index=True)
    return (phrases[order[[row]]] for row in np.sort(first)[:COUNT])


def _on_the_grid(phrase: Phrases) -> Clip:
    groove = np.zeros((phrase.hits[0].size // HITS.stop, DEPTH), np.float32)
    groove[:, HITS] = phrase.hits[0].reshape(len(groove), -1)
    groove[:, VELOCITIES] = groove[:, HITS] * 0.8
    return groove_to_clip(groove, GENERAL_MIDI, beats_per_bar=4.0, tempo_bpm=float(phrase.tempo_bpm[0]))
