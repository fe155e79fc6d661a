"""Sound that goes on, by a model that nobody has trained."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from engine.audio.files import RATE, Samples
from engine.audio.spectrogram import FRAME, loudness_of, to_frames, to_levels
from engine.errors import AudioError, ModelError
from engine.model.noise import Noise
from engine.requests import ContinueSound, Results, Sample
from engine.verbs.generator import Generator
from engine.verbs.score_verbs import foresee, go_on, load_score, stretches_of
from engine.weights import Library
from tests.engine.untrained import SMALL_SCORES, write_random_weights

CONV = SMALL_SCORES | {"past": 8, "future": 3}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("weights")
    write_random_weights(folder, "score", **SMALL_SCORES)
    write_random_weights(folder, "score_conv", "other", **CONV)
    write_random_weights(folder, "groovae_4bar", "drums", z=4, encoder_hidden=8, decoder_hidden=8)
    return Library([folder])


def tone(seconds: float, rate: int = RATE, amplitude: float = 0.5) -> Samples:
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def go(library: Library, folder: Path, samples: Samples, rate: int = RATE, **settings: object) -> Results:
    """What comes after samples is in out.wav."""
    soundfile.write(folder / "in.wav", samples, rate, subtype="FLOAT")
    request = ContinueSound(path=folder / "in.wav", to=folder / "out.wav", **settings)  # type: ignore[arg-type]
    return Generator(library, device="cpu").run(request)


def out(folder: Path) -> Samples:
    samples, rate = soundfile.read(folder / "out.wav", dtype="float32")
    assert rate == RATE
    return np.asarray(samples)


@pytest.mark.parametrize("seconds", [0.25, 1.0, 3.1, 12.0])
def test_as_many_seconds_come_as_were_asked_for(library: Library, tmp_path: Path, seconds: float) -> None:
    results = go(library, tmp_path, tone(10), seconds=seconds, seed=3)
    assert len(out(tmp_path)) == round(seconds * RATE)
    assert (results.clips, results.model, results.seed, results.remarks) == ((), "score", 3, ())
    assert dict(results.facts) == {"seconds": seconds}


def test_the_same_seed_gives_the_same_sound(library: Library, tmp_path: Path) -> None:
    heard = []
    for seed in (1, 1, 2):
        go(library, tmp_path, tone(10), seconds=1.0, seed=seed)
        heard.append(out(tmp_path))
    assert np.array_equal(heard[0], heard[1])
    assert not np.array_equal(heard[0], heard[2])


def test_a_longer_continuation_begins_as_a_shorter_one(library: Library) -> None:
    _, model = load_score(library)
    blocks = [list(go_on(model, tone(10), seconds * RATE, seed=1, temperature=1.0)) for seconds in (10, 20)]
    assert np.array_equal(blocks[0][0], blocks[1][0])
    assert [len(each) for each in blocks[1]] == [10 * RATE] * 2


def test_between_blocks_there_is_no_click(library: Library) -> None:
    _, model = load_score(library)
    first, second = go_on(model, tone(10), 20 * RATE, seed=1, temperature=0.0)
    inside = np.abs(np.diff(np.concatenate([first, second])))
    assert abs(second[0] - first[-1]) <= inside.max() * 1.01


@torch.inference_mode()
def test_what_comes_is_made_of_stretches_that_were_heard_but_of_no_rest(library: Library) -> None:
    _, model = load_score(library)
    levels = to_levels(torch.from_numpy(np.concatenate([np.zeros(4 * RATE, np.float32), tone(6)])))[:, :960]
    stretches = stretches_of(model, levels)
    frames = foresee(model, levels, Noise(0), 1.0)
    made = torch.stack([next(frames) for _ in range(20)]).view(4, 5, -1)
    assert all(any(torch.equal(each, other) for other in stretches) for each in made)
    silent = model.encoder(to_frames(levels[:, :240])).mu[1]
    assert not (stretches == silent).all(dim=2).all(dim=1).any()


def test_a_chord_that_the_shipped_model_blurs_is_as_loud_as_it_was_and_goes_on_without_a_click() -> None:
    _, model = load_score(Library([Path(__file__).parents[3] / "weights"]))
    seconds = np.arange(10 * RATE) / RATE
    hertz = np.array([[220], [277.2], [329.6]])
    past = (0.2 * np.sin(2 * np.pi * hertz * seconds)).sum(axis=0).astype(np.float32)
    new = np.concatenate(list(go_on(model, past, 4 * RATE, seed=1, temperature=1.0)))
    assert 20 * np.log10(loudness_of(new) / loudness_of(past)) == pytest.approx(0, abs=3)
    bends = np.abs(np.diff(np.concatenate([past[-3:], new[:3]]), 2))
    assert bends.max() < np.abs(np.diff(past)).max()  # a step, or an end, would bend as much


def test_twice_as_loud_a_sound_goes_on_twice_as_loud(library: Library, tmp_path: Path) -> None:
    peaks = []
    for amplitude in (0.05, 0.005):
        go(library, tmp_path, tone(10, amplitude=amplitude), seconds=2.0, seed=1)
        peaks.append(float(np.abs(out(tmp_path)).max()))
    assert peaks[0] == pytest.approx(10 * peaks[1], rel=0.1)


def test_what_was_there_is_written_before_it(library: Library, tmp_path: Path) -> None:
    go(library, tmp_path, tone(12.5, 48_000), 48_000, seconds=1.0, append=1)
    samples = out(tmp_path)
    assert len(samples) == pytest.approx(13.5 * RATE, abs=2)
    assert np.allclose(samples[1000 : 11 * RATE], tone(13)[1000 : 11 * RATE], atol=0.01)


def test_what_is_given_up_leaves_what_was_there(library: Library, tmp_path: Path) -> None:
    (tmp_path / "out.wav").write_bytes(b"mine")
    asked = iter((False, True))
    with pytest.raises(AudioError, match="given up"):
        go(library, tmp_path, tone(10), seconds=60.0, given_up=lambda: next(asked))
    assert (tmp_path / "out.wav").read_bytes() == b"mine"
    assert {each.name for each in tmp_path.iterdir()} == {"in.wav", "out.wav"}


def test_less_than_the_model_hears_is_repeated(library: Library, tmp_path: Path) -> None:
    results = go(library, tmp_path, tone(3), seconds=1.0)
    assert results.remarks == ("3 s were repeated until they were the 10 s that are heard",)
    assert go(library, tmp_path, tone(3), model="other", seconds=1.0).remarks == ()
    (remark,) = go(library, tmp_path, tone(9.9995), seconds=1.0).remarks
    assert remark.startswith("9.99 s were repeated")


def test_a_file_that_lacks_its_end_is_told(library: Library, tmp_path: Path) -> None:
    go(library, tmp_path, tone(12), seconds=1.0)
    content = (tmp_path / "in.wav").read_bytes()
    (tmp_path / "in.wav").write_bytes(content[:-1000])
    results = Generator(library, device="cpu").run(
        ContinueSound(path=tmp_path / "in.wav", to=tmp_path / "out.wav", seconds=1.0)
    )
    assert results.remarks == ("the file lacks its end, and is heard as far as it goes",)


def test_a_low_rate_and_clipped_samples_are_told(library: Library, tmp_path: Path) -> None:
    results = go(library, tmp_path, np.clip(3 * tone(10, 8000), -1, 1), 8000, seconds=1.0)
    low, clipped = results.remarks[::-1][0], results.remarks[0]
    assert clipped.endswith("% of its samples are clipped, and heard as they are")
    assert low == "it has 8000 samples a second: nothing above 4000 Hz is heard"


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros(3 * RATE, np.float32), "the last 3 s of the sound are silent: nothing to go on from"),
        (np.concatenate([tone(3), np.zeros(10 * RATE, np.float32)]), "the last 10 s of the sound are silent"),
        (tone(0.1), r"the sound lasts 0\.10 s: 0\.25 s or more are needed to go on from"),
        (np.zeros(0, np.float32), "holds no sound"),
    ],
    ids=["silence", "silent at the end", "short", "empty"],
)
def test_where_there_is_nothing_to_go_on_from_nothing_is_written(
    library: Library, tmp_path: Path, samples: Samples, why: str
) -> None:
    (tmp_path / "out.wav").write_bytes(b"mine")
    with pytest.raises(AudioError, match=why):
        go(library, tmp_path, samples)
    assert (tmp_path / "out.wav").read_bytes() == b"mine"


def test_the_end_of_a_sound_of_any_length_is_heard(library: Library) -> None:
    _, model = load_score(library)
    one, other = (
        next(go_on(model, past, FRAME, seed=1, temperature=0.0)) for past in (tone(10), tone(10, amplitude=0.25))
    )
    assert np.allclose(one, 2 * other, atol=0.01)


def test_a_model_of_clips_makes_no_sound_and_a_model_of_sound_no_clips(library: Library, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="drums makes clips, no sound; models of sound are: other, score"):
        go(library, tmp_path, tone(10), model="drums")
    generator = Generator(library, device="cpu")
    for ask in (lambda: generator.load("score"), lambda: generator.run(Sample(model="score"))):
        with pytest.raises(ModelError, match="score makes sound, no clips"):
            ask()


def test_without_a_model_of_sound_it_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model of sound; `vaebridge train score --data FOLDER`"):
        go(Library([tmp_path]), tmp_path, tone(10))
