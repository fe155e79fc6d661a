import numpy as np
import pytest
import torch

from engine.audio.files import RATE, Samples
from engine.audio.spectrogram import (
    BANDS,
    FRAME,
    FRAME_COLUMNS,
    HOP,
    LOUDNESS,
    LOWEST_DB,
    MIDDLE_DB,
    SCALE_DB,
    from_frames,
    loudness_of,
    to_frames,
    to_levels,
    to_samples,
)

SECONDS = 2


def sine(hz: float, amplitude: float = 0.5, seconds: float = SECONDS) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def decibels(samples: Samples) -> torch.Tensor:
    return to_levels(torch.from_numpy(samples)) * SCALE_DB + MIDDLE_DB


def heard(levels: torch.Tensor, past: torch.Tensor | None = None, seed: int = 0) -> torch.Tensor:
    return to_samples(levels, torch.zeros(0) if past is None else past, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("hz", [100, 440, 3000, 11_000])
def test_a_sine_has_its_level_in_its_band(hz: float) -> None:
    levels = decibels(sine(hz, amplitude=1.0))
    assert levels.shape == (BANDS, SECONDS * RATE // HOP + 1)
    middle = levels[:, 50]
    assert -15 < float(middle.max()) < 1
    assert torch.equal(middle.argmax(), decibels(sine(hz, amplitude=0.1))[:, 50].argmax())


def test_ten_times_as_loud_is_20_db() -> None:
    louder = decibels(sine(440, 0.5)).amax() - decibels(sine(440, 0.05)).amax()
    assert float(louder) == pytest.approx(20, abs=0.01)


def test_silence_is_the_lowest_level_and_is_heard_as_silence() -> None:
    levels = to_levels(torch.zeros(RATE))
    assert float(levels.max() * SCALE_DB + MIDDLE_DB) == pytest.approx(LOWEST_DB)
    assert float(heard(levels).abs().max()) < 0.001


def test_what_is_heard_has_nearly_the_levels_that_were_asked_for() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE).astype(np.float32)
    for samples in (noise, noise * np.hanning(len(noise)).astype(np.float32)):
        levels = to_levels(torch.from_numpy(samples))[:, :-1]
        assert float((to_levels(heard(levels))[:, :-1] - levels).abs().mean()) * SCALE_DB < 3


def test_levels_that_no_sound_has_are_still_heard_as_numbers() -> None:
    assert torch.isfinite(heard(torch.full((BANDS, 48), 1e6))).all()


def test_a_pitch_comes_back() -> None:
    samples = heard(to_levels(torch.from_numpy(sine(440)))[:, :-1]).numpy()
    assert np.argmax(np.abs(np.fft.rfft(samples))) / SECONDS == pytest.approx(440, abs=10)


def test_the_same_seed_gives_the_same_samples() -> None:
    levels = to_levels(torch.from_numpy(sine(440)))[:, :-1]
    assert torch.equal(heard(levels, seed=3), heard(levels, seed=3))
    assert not torch.equal(heard(levels, seed=3), heard(levels, seed=4))


@pytest.mark.parametrize("hz", [110, 440, 1000])
def test_what_goes_on_begins_without_a_click(hz: float) -> None:
    whole, place = torch.from_numpy(sine(hz)), 16 * HOP
    past = whole[:place]
    levels = to_levels(whole)[:, place // HOP : -1]
    following = heard(levels, past)
    steepest = float((whole[1:] - whole[:-1]).abs().max())
    joined = torch.cat([past[-10:], following[:10]])
    assert float((joined[1:] - joined[:-1]).abs().max()) < 1.5 * steepest


def test_frames_become_the_levels_that_they_were() -> None:
    levels = to_levels(torch.from_numpy(sine(440)))[:, : FRAME_COLUMNS * 8]
    frames = to_frames(levels)
    assert frames.shape == (8, BANDS, 8 + FRAME_COLUMNS)
    assert torch.allclose(from_frames(frames), levels, atol=1e-6)


def test_a_frame_is_faded_into_the_one_before_it() -> None:
    frames = torch.zeros(2, BANDS, 8 + FRAME_COLUMNS)
    frames[1] = 1
    steps = from_frames(frames)[0].diff()
    assert float(steps.max()) <= 1 / 8 + 1e-6
    assert float(steps.min()) >= 0


def test_loudness_is_that_of_what_is_not_silent() -> None:
    tone = sine(440, amplitude=LOUDNESS * 2**0.5)
    assert loudness_of(np.concatenate([tone, np.zeros(5 * RATE, np.float32)])) == pytest.approx(LOUDNESS, rel=0.01)
    assert loudness_of(np.zeros(FRAME, np.float32)) == 0
    assert loudness_of(np.zeros(3, np.float32)) == 0
