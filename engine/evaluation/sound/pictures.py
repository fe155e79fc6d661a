"""Sound to be seen and heard: what a model heard, what came then, and what it made of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.audio.files import RATE, Samples, write_sound
from engine.audio.spectrogram import FRAME, HOP, MIDDLE_DB, SCALE_DB, to_levels
from engine.errors import DataError
from engine.evaluation.pictures import panels_of, save_picture
from engine.evaluation.sound.report import sounds_of
from engine.model.score.vae import ScoreVae
from engine.verbs.score_verbs import go_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SECONDS, PIECES = 8.0, 1


def show_sound(
    data: Sequence[Path], split: str, name: str, model: ScoreVae, *, examples: Path | None, pictures: Path | None
) -> list[Path]:
    """Of the first long piece of each corpus, write N.wav and N.true.wav, or draw N.png; N counts from 1."""
    past, new = model.shape.past * FRAME, int(SHOWN_SECONDS * RATE)
    sounds = [sound for path in data for sound in sounds_of([path], split, PIECES, past + new)]
    if not sounds:
        raise DataError(f"the split {split!r} has no sound of {(past + new) / RATE:g} s")
    paths = []
    for number, sound in enumerate(sounds, 1):
        heard, truth = sound[:past], sound[past : past + new]
        made = np.concatenate(list(go_on(model, heard, new, seed=0, temperature=1.0)))
        if examples is not None:
            (examples / name).mkdir(parents=True, exist_ok=True)
            for suffix, after in (("wav", made), ("true.wav", truth)):
                paths.append(examples / name / f"{number}.{suffix}")
                write_sound(iter((heard, after)), paths[-1])
        if pictures is not None:
            (pictures / name).mkdir(parents=True, exist_ok=True)
            paths.append(pictures / name / f"{number}.png")
            save_picture(draw_continuation(heard, truth, made), paths[-1])
    return paths


def draw_continuation(heard: Samples, truth: Samples, made: Samples) -> "Figure":
    """The levels of what was heard, and behind its end what came then above, what was made below."""
    figure, panels = panels_of(2, 1, height_inches=5.0)
    before = min(len(heard), len(truth))
    for axes, after, name in zip(
        panels[:, 0], (truth, made), ("what came then", "what the model made"), strict=True
    ):
        shown = np.concatenate([heard[-before:], after])
        levels = to_levels(torch.from_numpy(shown)).numpy() * SCALE_DB + MIDDLE_DB
        seconds = (-before / RATE, (levels.shape[1] * HOP - before) / RATE)
        extent = (*seconds, 0, len(levels))
        axes.imshow(
            levels,
            origin="lower",
            aspect="auto",
            extent=extent,
            vmin=-90,
            vmax=-10,
            cmap="magma",
            interpolation="none",
        )
        axes.axvline(0, color="white", linewidth=1)
        axes.set_ylabel("band")
        axes.set_title(f"what was heard | {name}", fontsize=9)
    panels[-1, 0].set_xlabel("seconds")
    return figure
