"""How well what comes next is foreseen: predictors beside the mean and beside repeating the past, by horizon."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio.spectrogram import FRAME_COLUMNS, SCALE_DB, SHARED_COLUMNS, from_frames, to_frames
from engine.evaluation.bootstrap import Bootstrap, mean
from engine.evaluation.sound.fidelity import level_error_db
from engine.learning.score_tasks import Levels, read_score
from engine.model.noise import Noise
from engine.model.score.predictors import Prediction
from engine.model.score.vae import ScoreVae
from engine.verbs.score_verbs import foresee

WINDOWS, FOLLOWED = 8, 40
"""Of each piece so many windows are measured; so many frames are followed where it goes on."""

Row = tuple[object, ...]


@torch.inference_mode()
def foresight_of(models: dict[str, ScoreVae], pieces: Sequence[Levels]) -> Iterator[Row]:
    """Rows: who foresees, the error in dB of each frame to come, nats a number of the first and the last.

    The models share one VAE, or each sees with its own; baselines see with the first. What is played is the mean.
    """
    for place, (name, model) in enumerate(models.items()):
        past, future, frames, piece = windows_of(model, pieces)
        if not place:
            yield "what is right", *_errors(model, future, frames, piece), None, None
            for baseline, foresee in BASELINES.items():
                yield _row(baseline, model, foresee(past, future.shape[1]), future, frames, piece)
        yield _row(name, model, model.predictor(past), future, frames, piece)


@torch.inference_mode()
def movement_of(models: dict[str, ScoreVae], pieces: Sequence[Levels]) -> Iterator[Row]:
    """Rows: how much levels move in the seconds after a past, as it was, as it comes back, as a model goes on."""
    scores = {name: [read_score(model, each).mu for each in pieces] for name, model in models.items()}
    past = next(iter(models.values())).shape.past
    ends = [min(len(score), past + FOLLOWED) for score in next(iter(scores.values()))]
    columns = [slice(past * FRAME_COLUMNS, end * FRAME_COLUMNS) for end in ends]
    yield "as it was", *_movements(each[:, part].float() for each, part in zip(pieces, columns, strict=True))
    for name, model in models.items():
        back = (from_frames(model.decoder(score[past:end])) for score, end in zip(scores[name], ends, strict=True))
        yield f"{name}: as it comes back", *_movements(back)
        made = []
        for levels, end in zip(pieces, ends, strict=True):
            frames = foresee(model, levels[:, : past * FRAME_COLUMNS].float(), Noise(0), 1.0)
            made.append(from_frames(model.decoder(torch.stack(list(islice(frames, end - past))))))
        yield f"{name}: as it goes on", *_movements(made)


def _movements(sounds: Iterable[Tensor]) -> tuple[float, float]:
    """The mean deviation of a band's level, and how much it rises from a column to the next, in dB."""
    moved = [(each.std(dim=1).mean(), each.diff(dim=1).clamp(min=0).mean()) for each in sounds]
    deviation, rise = (float(torch.stack(column).mean()) * SCALE_DB for column in zip(*moved, strict=True))
    return deviation, rise


def windows_of(model: ScoreVae, pieces: Sequence[Levels]) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
    """Pasts and futures (window, frame, z) evenly spread, what sounds in the futures, and the piece of each."""
    past, future = model.shape.past, model.shape.future
    scores, frames, piece = [], [], []
    for number, levels in enumerate(pieces):
        score, heard = read_score(model, levels).mu, to_frames(levels).float()
        for start in np.unique(np.linspace(0, len(score) - past - future, WINDOWS).astype(int)):
            scores.append(score[start : start + past + future])
            frames.append(heard[start + past : start + past + future])
            piece.append(number)
    both = torch.stack(scores)
    return both[:, :past], both[:, past:], torch.stack(frames), np.array(piece)


def _row(
    name: str,
    model: ScoreVae,
    expected: Prediction,
    future: Tensor,
    frames: Tensor,
    piece: NDArray[np.int64],
) -> Row:
    nats = expected.nats(future) / future.shape[-1]
    ends = (Bootstrap(piece).of_sums(mean, nats[:, at].numpy(), np.ones(len(nats))) for at in (0, -1))
    return name, *_errors(model, expected.mean, frames, piece), *ends


def _errors(model: ScoreVae, score: Tensor, frames: Tensor, piece: NDArray[np.int64]) -> Iterator[object]:
    """For each frame to come the error in dB of its own columns, as the decoder plays it."""
    for at in range(score.shape[1]):
        played = model.decoder(score[:, at])
        errors = [
            level_error_db(*pair)
            for pair in zip(frames[:, at, :, SHARED_COLUMNS:], played[..., SHARED_COLUMNS:], strict=True)
        ]
        yield Bootstrap(piece).of_sums(mean, np.array(errors), np.ones(len(errors)))


def _of_mean(past: Tensor, future: int) -> Prediction:
    """The mean of all pasts."""
    flat = past.flatten(0, 1)
    return Prediction(*(each.expand(len(past), future, -1) for each in (flat.mean(dim=0), flat.std(dim=0) + 1e-3)))


def _of_past(lag: int) -> Callable[[Tensor, int], Prediction]:
    """The last frames again, as often as need be, as wrong as that is in the past."""

    def foresee(past: Tensor, future: int) -> Prediction:
        again = past[:, -lag:].repeat(1, -(-future // lag), 1)[:, :future]
        deviation = (past[:, lag:] - past[:, :-lag]).flatten(0, 1).std(dim=0) + 1e-3
        return Prediction(again, deviation.expand_as(again))

    return foresee


BASELINES: dict[str, Callable[[Tensor, int], Prediction]] = {
    "the mean": _of_mean,
    "the last frame held": _of_past(1),
    "the last 2 s again": _of_past(8),
}
