"""A listening test in a folder: the same hits stiff, as the drummer played them and as a model plays them.

Each excerpt is three MIDI files, 01-stiff.mid, 01-a.mid and 01-b.mid; key.toml says which of a and b is the
drummer. index.html plays all of them without network or server, asks, and counts. The music starts a bar after
the file does, so that a first hit may be early.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from numpy.typing import NDArray

from engine.clip import Clip
from engine.data.windows import STEPS_PER_BAR, Windows
from engine.errors import DataError
from engine.evaluation.judge import Play
from engine.files import replacing
from engine.midi.clips import TICKS_PER_BEAT, clip_to_midi
from engine.representation.drum_map import CLASSES, GENERAL_MIDI
from engine.representation.groove import HITS, OFFSETS, VELOCITIES, Array, groove_to_clip

BEATS_PER_BAR = 4.0

HITS_PER_BAR = 8
"""With fewer in any of its bars an excerpt has no feel to hear."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The same hits three times. drummer is the letter, a or b, of the one that was played."""

    name: str
    style: str
    tempo_bpm: float
    stiff: Clip
    a: Clip
    b: Clip
    drummer: str


def write_examples(
    folder: Path, windows: Windows, play: Play, *, model: str, count: int = 12, seed: int = 0
) -> list[Excerpt]:
    """Write a listening test of some of the windows against how a model plays their hits; the seed decides all.

    DataError if no window has enough hits; fewer excerpts than count if there are not as many.
    """
    chosen = windows[choose(windows, count, seed)]
    excerpts = list(_excerpts(chosen, play(chosen, seed), np.random.default_rng((seed, 1))))
    folder.mkdir(parents=True, exist_ok=True)
    for excerpt in excerpts:
        for part in ("stiff", "a", "b"):
            clip_to_midi(getattr(excerpt, part), folder / f"{excerpt.name}-{part}.mid")
    for name, text in (("index.html", page(excerpts, model, seed)), ("key.toml", _key(excerpts, model, seed))):
        with replacing(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")
    return excerpts


def choose(windows: Windows, count: int, seed: int) -> NDArray[np.int64]:
    """Some windows with enough hits: no performance twice before all are there once, the styles in turn."""
    bars = windows.grooves[..., HITS].reshape(len(windows), -1, STEPS_PER_BAR * CLASSES)
    enough = np.flatnonzero((bars.sum(axis=2) >= HITS_PER_BAR).all(axis=1))
    if len(enough) == 0:
        raise DataError(f"no excerpt of the data has {HITS_PER_BAR} hits in each of its bars")
    order = np.random.default_rng(seed).permutation(enough)
    again = _turn(windows.performance[order])
    order, again = order[np.argsort(again, kind="stable")], np.sort(again)
    return order[np.lexsort((_turn(windows.style[order]), again))][:count]


def page(excerpts: Iterable[Excerpt], model: str, seed: int) -> str:
    """The page of the test, with the notes in it and the key in a form that a glance does not read."""
    excerpts = list(excerpts)
    letters = "".join(excerpt.drummer for excerpt in excerpts).encode()
    pad = np.random.default_rng((seed, 2)).bytes(len(letters))
    content = {
        "model": model,
        "seed": seed,
        "ticks_per_beat": TICKS_PER_BEAT,
        "pad": base64.b64encode(pad).decode(),
        "key": base64.b64encode(bytes(x ^ y for x, y in zip(letters, pad, strict=True))).decode(),
        "excerpts": [_for_page(excerpt) for excerpt in excerpts],
    }
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    template = resources.files("engine.evaluation").joinpath("listening_test.html").read_text(encoding="utf-8")
    return template.replace("{{test}}", text)


def _excerpts(windows: Windows, ours: Array, rng: np.random.Generator) -> Iterable[Excerpt]:
    names = (*windows.style_names, "")
    for index, groove in enumerate(windows.grooves):
        tempo_bpm = float(windows.tempo_bpm[index])
        stiff, played, model = (_clip(each, tempo_bpm) for each in (_stiff(groove), groove, ours[index]))
        drummer = "ab"[rng.integers(2)]
        a, b = (played, model) if drummer == "a" else (model, played)
        yield Excerpt(f"{index + 1:02}", names[windows.style[index]], tempo_bpm, stiff, a, b, drummer)


def _stiff(groove: Array) -> Array:
    """The hits on the grid, all as loud as they are on average."""
    stiff, hits = groove.copy(), groove[:, HITS] > 0
    stiff[:, OFFSETS] = 0
    stiff[:, VELOCITIES] = np.where(hits, groove[:, VELOCITIES][hits].mean(), 0)
    return stiff


def _clip(groove: Array, tempo_bpm: float) -> Clip:
    """The hits a bar late: that bar is the room that a first hit needs to be early."""
    clip = groove_to_clip(groove, GENERAL_MIDI, beats_per_bar=BEATS_PER_BAR, tempo_bpm=tempo_bpm)
    notes = tuple(replace(note, start_beats=note.start_beats + BEATS_PER_BAR) for note in clip.notes)
    return replace(clip, notes=notes, length_beats=clip.length_beats + BEATS_PER_BAR)


def _for_page(excerpt: Excerpt) -> dict[str, Any]:
    """Notes as [tick from the first bar line, pitch, velocity]."""
    parts = {"stiff": excerpt.stiff, "a": excerpt.a, "b": excerpt.b}
    notes = {
        part: [
            [round((note.start_beats - BEATS_PER_BAR) * TICKS_PER_BEAT), note.pitch, note.velocity]
            for note in clip.notes
        ]
        for part, clip in parts.items()
    }
    head = {"name": excerpt.name, "style": excerpt.style, "tempo_bpm": round(excerpt.tempo_bpm, 3)}
    return {**head, "bars": excerpt.stiff.bars - 1, **notes}


def _key(excerpts: Iterable[Excerpt], model: str, seed: int) -> str:
    """Which file is whose, for the one who evaluates."""
    key = tomlkit.document()
    key.add(tomlkit.comment("Which of a and b is the drummer. Open it after the test."))
    key["model"], key["seed"] = model, seed
    key["drummer"] = {excerpt.name: excerpt.drummer for excerpt in excerpts}
    return tomlkit.dumps(key)


def _turn(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value has occurred before, [value]."""
    seen: dict[int, int] = {}
    turns = []
    for value in values.tolist():
        turns.append(seen.get(value, 0))
        seen[value] = turns[-1] + 1
    return np.array(turns, np.int64)
