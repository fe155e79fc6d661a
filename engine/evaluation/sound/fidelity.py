"""How far sound that comes back is from what it was: the error of its levels, SI-SDR, and a codec to compare.

Levels under SILENCE_DB count as that. Source of SI-SDR: Le Roux et al. 2019, arXiv 1811.02508; a model that finds
the phase anew does badly on it whatever it sounds like.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from engine.audio.files import RATE, Samples, read_sound, write_sound
from engine.audio.spectrogram import (
    FRAME,
    FRAME_COLUMNS,
    MIDDLE_DB,
    SCALE_DB,
    from_frames,
    to_frames,
    to_levels,
    to_samples,
)
from engine.model.score.vae import ScoreVae

SILENCE_DB = -80.0
CODEC, CODEC_KBITS = ("opusenc", "opusdec"), 6


def level_error_db(truth: torch.Tensor, ours: torch.Tensor) -> float:
    """The mean absolute difference of two arrays of levels, in dB."""
    floor = (SILENCE_DB - MIDDLE_DB) / SCALE_DB
    return float((truth.clamp(min=floor) - ours.clamp(min=floor)).abs().mean()) * SCALE_DB


def sound_error_db(truth: Samples, ours: Samples) -> float:
    """The same of two sounds."""
    return level_error_db(*(to_levels(torch.from_numpy(each)) for each in (truth, ours)))


def si_sdr_db(truth: Samples, ours: Samples) -> float:
    """How much stronger what is right is than what is wrong, whatever the gain, in dB."""
    right = truth * (np.dot(ours, truth) / max(np.dot(truth, truth), 1e-12))
    wrong = ours - right
    return float(10 * np.log10((np.dot(right, right) + 1e-12) / (np.dot(wrong, wrong) + 1e-12)))


@torch.inference_mode()
def through_model(model: ScoreVae, samples: Samples) -> tuple[Samples, float]:
    """Whole frames as the model plays them again, and what it knows of them, in kbit a second."""
    posterior = model.encoder(to_frames(_levels(samples)))
    kbits = float(posterior.kl().sum() / np.log(2)) / (len(samples) / FRAME / 4) / 1000
    return _heard(from_frames(model.decoder(posterior.mu))), kbits


def through_phase(samples: Samples) -> Samples:
    """Whole frames whose levels are right, and whose phase is found anew."""
    return _heard(_levels(samples))


def through_codec(samples: Samples) -> tuple[Samples, float] | None:
    """Sound as Opus plays it, and the kbit a second of its file; None where opus-tools are not there."""
    if not all(map(shutil.which, CODEC)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        raw, packed, back = (Path(folder) / f"sound.{suffix}" for suffix in ("wav", "opus", "back.wav"))
        write_sound(iter([samples]), raw)
        pack = [CODEC[0], "--quiet", "--bitrate", str(CODEC_KBITS), str(raw), str(packed)]
        for command in (pack, [CODEC[1], "--quiet", str(packed), str(back)]):
            subprocess.run(command, check=True, capture_output=True)
        heard, kbits = read_sound(back).samples, packed.stat().st_size * 8 / (len(samples) / RATE) / 1000
    return np.pad(heard, (0, max(0, len(samples) - len(heard))))[: len(samples)], kbits


def _levels(samples: Samples) -> torch.Tensor:
    return to_levels(torch.from_numpy(samples))[:, : len(samples) // FRAME * FRAME_COLUMNS]


def _heard(levels: torch.Tensor) -> Samples:
    heard: Samples = to_samples(levels, torch.zeros(0), torch.Generator().manual_seed(0)).numpy()
    return heard
