"""Samples ↔ frames of band levels: what models of sound read and write. The phase is found again by Griffin-Lim.

A band is a triangle of bins whose centres lie a bin apart at the bottom, and evenly in mel above. Going back, the
levels between two centres are those on the straight line between them. Source of the phase: Perraudin et al. 2013,
A fast Griffin-Lim algorithm. Knows no files and no models.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.audio.files import RATE

HOP, WINDOW, FFT = 250, 1000, 1024
BANDS = 96
LOWEST_DB, HIGHEST_DB, MIDDLE_DB, SCALE_DB = -100.0, 20.0, -50.0, 20.0
"""A level is (dB - MIDDLE_DB) / SCALE_DB; a sine of amplitude 1 has 0 dB. Nothing is louder than the highest."""

ITERATIONS, MOMENTUM = 16, 0.99
HALF_WINDOW = WINDOW // HOP // 2
"""So many columns before the last sample their windows are full."""

SEAM_SAMPLES = 240
"""Where the past ends, what is left of a step dies away in 10 ms."""

FRAME_COLUMNS, SHARED_COLUMNS = 24, 8
FRAME = FRAME_COLUMNS * HOP
"""The samples of a quarter of a second. A frame is its columns, and the last ones of the frame before it."""

LOUDNESS = 0.1
"""The root mean square that recordings are brought to before they are read."""


def to_levels(samples: Tensor) -> Tensor:
    """Samples (sample,) at RATE -> the level of each band (band, column), column k around the sample k · HOP."""
    power = torch.abs(_stft(samples)) ** 2
    decibels = 10 * torch.log10(_bands() @ power + 1e-20)
    return (decibels.clamp(min=LOWEST_DB) - MIDDLE_DB) / SCALE_DB


def to_samples(levels: Tensor, past: Tensor, noise: torch.Generator, *, iterations: int = ITERATIONS) -> Tensor:
    """Levels (band, column) -> samples (column · HOP,) that go on from the past (sample,) without a click.

    The past, of whole hops, stays as it is while the phases of what follows are looked for.
    """
    before, settled = len(past) // HOP, max(0, len(past) // HOP - HALF_WINDOW)
    target = 10 ** (_between_bands() @ (levels * SCALE_DB + MIDDLE_DB).clamp(max=HIGHEST_DB) / 20)
    if before:
        heard = torch.abs(_stft(past))[:, :settled]
        target = torch.cat([heard, target[:, :1].expand(-1, before - settled), target], dim=1)
    length = target.shape[1] * HOP
    turns = torch.rand(target.shape, generator=noise) * 2 * np.pi
    samples, last = _istft(torch.polar(target, turns), length), torch.zeros(1)
    for _ in range(iterations):
        samples[: len(past)] = past
        heard = _stft(samples)[:, : target.shape[1]]
        ahead, last = heard + MOMENTUM * (heard - last), heard
        samples = _istft(torch.polar(target, torch.angle(ahead)), length)
    following = samples[len(past) :]
    if before:
        fade = torch.linspace(1, 0, SEAM_SAMPLES)
        following[:SEAM_SAMPLES] += (past[-1] - samples[len(past) - 1]) * fade
    return following


def to_frames(levels: Tensor) -> Tensor:
    """Levels (band, column) -> the frames that are whole (frame, band, 8 + 24); before the first is silence."""
    padded = F.pad(levels, (SHARED_COLUMNS, 0), value=(LOWEST_DB - MIDDLE_DB) / SCALE_DB)
    return padded.unfold(1, SHARED_COLUMNS + FRAME_COLUMNS, FRAME_COLUMNS).permute(1, 0, 2)


def from_frames(frames: Tensor) -> Tensor:
    """Frames (frame, band, 8 + 24) -> levels (band, column), each frame faded into the one before it.

    What the first shares with a frame before it is left out.
    """
    own = frames[..., SHARED_COLUMNS:].clone()
    rise = (torch.arange(SHARED_COLUMNS) + 0.5) / SHARED_COLUMNS
    own[:-1, :, -SHARED_COLUMNS:] *= 1 - rise
    own[:-1, :, -SHARED_COLUMNS:] += frames[1:, :, :SHARED_COLUMNS] * rise
    return own.permute(1, 0, 2).flatten(1)  # (band, frame · column)


def loudness_of(samples: NDArray[np.float32]) -> float:
    """The root mean square of the seconds in which there is anything, 0.0 where there is nothing."""
    blocks = samples[: len(samples) // HOP * HOP].reshape(-1, HOP).astype(np.float64)
    power = (blocks**2).mean(axis=1)
    loud = power[power > 1e-8]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def _stft(samples: Tensor) -> Tensor:
    """(bin, sample / HOP + 1) complex; silence lies before and after."""
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(samples, FFT, HOP, WINDOW, window, pad_mode="constant", return_complex=True)
    return spectrum * (2 / float(window.sum()))


def _istft(spectrum: Tensor, length: int) -> Tensor:
    window = torch.hann_window(WINDOW)
    padded = F.pad(spectrum * (float(window.sum()) / 2), (0, 1))
    return torch.istft(padded, FFT, HOP, WINDOW, window, length=length)


@cache
def _centres() -> NDArray[np.float64]:
    """The bin around which each band lies, (band,), the first and the last bin among them."""
    top = FFT / 2

    def mel(bins: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log1p(bins * RATE / FFT / 700)

    grid = np.linspace(0, top, 20_001)
    for single in range(BANDS):  # so many bands a bin apart, until mel is wider
        rest = np.interp(
            np.linspace(mel(np.array([float(single)]))[0], mel(grid)[-1], BANDS - single), mel(grid), grid
        )
        if len(rest) > 1 and rest[1] - rest[0] >= 1:
            break
    return np.concatenate([np.arange(single, dtype=np.float64), rest])


@cache
def _between_bands() -> Tensor:
    """(bin, band): a bin's level is that on the line between the two centres around it."""
    bins = np.arange(FFT // 2 + 1)
    rows = [np.interp(bins, _centres(), unit) for unit in np.eye(BANDS)]
    return torch.from_numpy(np.stack(rows, axis=1).astype(np.float32))


@cache
def _bands() -> Tensor:
    """(band, bin): the weights of the bins in the mean power of each band."""
    triangles = _between_bands().T
    return triangles / triangles.sum(dim=1, keepdim=True)
