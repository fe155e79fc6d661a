"""Models of sound on a split of corpora: every figure, as tables, each as soon as it is measured."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from engine.audio.files import RATE, Samples
from engine.audio.spectrogram import FRAME, to_levels
from engine.errors import DataError
from engine.evaluation.bootstrap import Bootstrap, mean
from engine.evaluation.phrases.report import Table
from engine.evaluation.sound.crowding import STEPS, crowding_row, one_layer
from engine.evaluation.sound.fidelity import (
    CODEC_KBITS,
    si_sdr_db,
    sound_error_db,
    through_codec,
    through_model,
    through_phase,
)
from engine.evaluation.sound.foresight import FOLLOWED, foresight_of, movement_of
from engine.learning.score_tasks import recordings
from engine.model.score.vae import ScoreVae
from engine.verbs.score_verbs import go_on, load_score
from engine.weights import Library

KBIT_COLUMNS = ("levels, dB", "SI-SDR, dB", "kbit/s", "of Opus")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundAmount:
    """How much is measured: pieces of each corpus, numbers of songs that are learnt from in so many steps."""

    pieces: int = 12
    songs: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    steps: int = STEPS
    seconds: float = 30.0


def evaluate_sound(
    *,
    data: Sequence[Path],
    library: Library,
    models: Sequence[str],
    split: str = "validation",
    seed: int = 0,
    amount: SoundAmount = SoundAmount(),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Table]:
    """Everything that can be measured; DataError where the split has nothing as long as a past and a future."""
    torch.set_num_threads(1)  # what it multiplies is small
    loaded = dict(load_score(library, name) for name in models)
    shape = next(iter(loaded.values())).shape
    shortest = (shape.past + shape.future) * FRAME
    held_out, learnt = (sounds_of(data, each, amount.pieces, shortest) for each in (split, "train"))
    if not held_out or not learnt:
        raise DataError(f"of {split} and train there must be sound of {shortest / RATE:g} s or more")
    on_progress("what comes back")
    yield _fidelity(loaded, held_out, learnt)
    on_progress("what is foreseen")
    levels = [to_levels(torch.from_numpy(each)) for each in held_out]
    columns = ("", *(f"{frame / 4:g} s, dB" for frame in range(1, shape.future + 1)), "nats, first", "nats, last")
    title = f"what comes next: the error of the levels of each frame, and nats a number of its score ({split})"
    yield Table(title, columns, list(foresight_of(loaded, levels)))
    columns = ("", "deviation of a level, dB", "rise a column, dB")
    yield Table(
        f"how much it moves in the {FOLLOWED / 4:g} s after the past", columns, list(movement_of(loaded, levels))
    )
    on_progress("how fast")
    speeds = [_speed(*each, held_out[0], amount) for each in loaded.items()]
    yield Table("making sound", ("", "seconds of one core a second"), speeds)
    rows = []
    spread = [learnt[place] for place in np.random.default_rng(seed).permutation(len(learnt))]
    for songs in amount.songs:
        if songs <= len(spread):
            on_progress(f"learning from {songs} songs")
            rows.append(crowding_row(spread[:songs], held_out[: amount.pieces], amount.steps))
    each = ("{}: its songs, dB", "{}: SI-SDR, dB", "{}: others, dB")
    columns = ("songs", *(text.format(way) for way in ("one layer", "ours") for text in each))
    yield Table("noise against the number of songs that one autoencoder learns from", columns, rows)


def sounds_of(data: Sequence[Path], split: str, pieces: int, shortest: int) -> list[Samples]:
    """Whole frames of the pieces of a split that are long enough, at most so many of each corpus."""
    found = []
    for path in data:
        long = (each.samples for each in recordings([path], split) if len(each.samples) >= shortest)
        found += [samples[: len(samples) // FRAME * FRAME] for samples in islice(long, pieces)]
    return found


def _fidelity(models: dict[str, ScoreVae], sounds: Sequence[Samples], learnt: Sequence[Samples]) -> Table:
    bootstrap, ones = Bootstrap(np.arange(len(sounds))), np.ones(len(sounds))

    def row(name: str, heard: Sequence[Samples], kbits: float | None) -> tuple[object, ...]:
        pairs = list(zip(sounds, heard, strict=True))
        figures = ([measure(*pair) for pair in pairs] for measure in (sound_error_db, si_sdr_db))
        means = (bootstrap.of_sums(mean, np.array(each), ones) for each in figures)
        return name, *means, kbits, kbits and kbits / CODEC_KBITS

    rows = []
    for name, model in models.items():
        heard, kbits = zip(*(through_model(model, each) for each in sounds), strict=True)
        rows.append(row(name, heard, float(np.mean(kbits))))
        layer = one_layer(learnt, model.shape.z)
    rows.append(row("right levels, phase found anew", [through_phase(each) for each in sounds], None))
    rows.append(row(f"one layer, of {len(learnt)} songs", [layer.play(each) for each in sounds], None))
    if coded := [each for each in map(through_codec, sounds) if each is not None]:
        heard, kbits = zip(*coded, strict=True)
        rows.append(row(f"Opus at {CODEC_KBITS} kbit/s", heard, float(np.mean(kbits))))
    return Table(f"what comes back of {len(sounds)} pieces", ("", *KBIT_COLUMNS), rows)


def _speed(name: str, model: ScoreVae, sound: Samples, amount: SoundAmount) -> tuple[object, ...]:
    began, past = time.process_time(), sound[: model.shape.past * FRAME]
    for _ in go_on(model, past, int(amount.seconds * RATE), seed=0, temperature=1.0):
        pass
    return name, (time.process_time() - began) / amount.seconds
