"""What becomes of sound where one autoencoder learns from ever more songs: a layer of weights beside our network.

The seed of this is a dense layer that turns a quarter of a second of samples into a few numbers. Its best weights
need no training: they are the principal components of the frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.audio.files import Samples
from engine.audio.spectrogram import FRAME, to_levels
from engine.evaluation.sound.fidelity import si_sdr_db, sound_error_db, through_model
from engine.learning.score_tasks import Pieces, ScoreCourse
from engine.learning.training import learning_rate
from engine.model.score.vae import ScoreVae
from engine.registry import find_config

STEPS, BATCH = 300, 64
HEARD_FRAMES = 32


@dataclass(frozen=True, slots=True)
class OneLayer:
    """The best linear autoencoder of frames of samples: a mean (sample,) and weights (sample, z)."""

    mean: Tensor
    weights: Tensor

    def play(self, samples: Samples) -> Samples:
        """Whole frames as they come back."""
        frames = _frames(samples) - self.mean
        heard: Samples = (frames @ self.weights @ self.weights.T + self.mean).flatten().numpy()
        return heard


def one_layer(songs: Sequence[Samples], z: int) -> OneLayer:
    """The one of these songs, with so many numbers a frame."""
    frames = torch.cat([_frames(each) for each in songs])
    mean = frames.mean(dim=0)
    torch.manual_seed(0)
    _, _, weights = torch.svd_lowrank(frames - mean, q=min(z, *frames.shape), niter=4)
    return OneLayer(mean, weights)


def network(songs: Sequence[Samples], steps: int = STEPS, seed: int = 0) -> ScoreVae:
    """Ours, trained anew on these songs, as long whatever their number is."""
    config = find_config("score")
    recipe = replace(config.recipe, batch=BATCH, second=None)
    pieces = [to_levels(torch.from_numpy(each)).half() for each in songs]
    torch.manual_seed(seed)
    course = ScoreCourse(replace(config, recipe=recipe), Pieces(pieces, pieces), torch.device("cpu"))
    optimizer = torch.optim.Adam(course.model.encoder.parameters())
    optimizer.add_param_group({"params": course.model.decoder.parameters()})
    for step, losses in enumerate(course.training_batches(recipe, steps, np.random.default_rng(seed))):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step, steps)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses(step)["total"])
        torch.nn.utils.clip_grad_norm_(course.model.parameters(), recipe.clip_norm)
        optimizer.step()
    return course.model.eval()


def crowding_row(songs: Sequence[Samples], others: Sequence[Samples], steps: int = STEPS) -> tuple[object, ...]:
    """How many songs, then of each way the error in dB and the SI-SDR on them, and the error on others."""
    ours = network(songs, steps)
    layer = one_layer(songs, ours.shape.z)
    row: list[object] = [str(len(songs))]
    for play in (layer.play, lambda samples: through_model(ours, samples)[0]):
        heard = [(each, play(each)) for each in map(_beginning, songs)]
        row.append(float(np.mean([sound_error_db(*pair) for pair in heard])))
        row.append(float(np.mean([si_sdr_db(*pair) for pair in heard])))
        row.append(float(np.mean([sound_error_db(each, play(each)) for each in map(_beginning, others)])))
    return tuple(row)


def _beginning(samples: Samples) -> Samples:
    return samples[: min(HEARD_FRAMES, len(samples) // FRAME) * FRAME]


def _frames(samples: Samples) -> Tensor:
    return torch.from_numpy(samples[: len(samples) // FRAME * FRAME]).view(-1, FRAME)
