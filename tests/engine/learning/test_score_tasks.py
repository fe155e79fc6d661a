"""Models of sound that learn: tiny networks on a few seconds of tones."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from engine.audio.files import RATE
from engine.audio.spectrogram import FRAME_COLUMNS, to_levels
from engine.errors import DataError
from engine.learning.score_tasks import Pieces, ScoreCourse, load_pieces, read_score
from engine.learning.training import Run, train
from engine.model.score.predictors import Prediction
from engine.model.score.vae import ScoreShape, ScoreVae
from engine.registry import CONFIGS, Config
from tests.engine.untrained import SMALL_SCORES

CPU = torch.device("cpu")


def tiny(name: str, **recipe: object) -> Config:
    """A configuration with a network and a recipe that a test has time for."""
    config = CONFIGS[name]
    shape = replace(config.shape, **SMALL_SCORES)  # type: ignore[arg-type]
    assert config.recipe.second is not None
    quick = {"batch": 16, "epochs": 2, "rate_peak": 1e-2, **recipe}
    return replace(
        config,
        shape=shape,
        recipe=replace(config.recipe, **quick, second=replace(config.recipe.second, **quick)),  # type: ignore[arg-type]
    )


def alternating(seconds: float = 14.0, low: float = 220.0) -> torch.Tensor:
    """The levels of a low and a high tone in turns of a quarter of a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    hz = np.where(np.floor(time * 4) % 2, 5 * low, low)
    return to_levels(torch.from_numpy((0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32))).half()


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    return Pieces([alternating(), alternating(low=330)], [alternating(low=250)])


def run_of(config: Config, pieces: Pieces, folder: Path) -> Run:
    torch.manual_seed(1)
    return Run(config, ScoreCourse(config, pieces, CPU), folder, 1, config.recipe.epochs)


def test_frames_come_back_once_they_are_learnt(pieces: Pieces, tmp_path: Path) -> None:
    run = run_of(tiny("score", epochs=10), pieces, tmp_path)
    before = run.validate()
    run.train(lambda _: None)
    assert run.best[0] < before / 3


@pytest.mark.parametrize("predictor", ["lstm", "conv"])
def test_a_predictor_foresees_what_alternates(predictor: Literal["lstm", "conv"]) -> None:
    torch.manual_seed(0)
    network = ScoreVae(ScoreShape(predictor=predictor, **SMALL_SCORES)).predictor  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)

    def score(seed: int) -> torch.Tensor:
        """Frames that are 1 and -1 in turns, whichever comes first."""
        draw = torch.Generator().manual_seed(seed)
        first = torch.randint(0, 2, (32, 1, 1), generator=draw)
        turns = (-1.0) ** (torch.arange(45)[None, :, None] + first)
        return turns + 0.1 * torch.randn(32, 45, 4, generator=draw)

    for step in range(120):
        frames = score(step)
        optimizer.zero_grad()
        network(frames[:, :40]).nats(frames[:, 40:]).mean().backward()
        optimizer.step()
    frames, network = score(1000), network.eval()
    assert float(((network(frames[:, :40]).mean - frames[:, 40:]) ** 2).mean().detach()) < 0.2


def test_both_predictors_follow_the_same_autoencoder(pieces: Pieces, tmp_path: Path) -> None:
    models = []
    for name in ("score", "score_conv"):
        run = run_of(tiny(name, epochs=1), pieces, tmp_path / name)
        (tmp_path / name).mkdir()
        run.train(lambda _: None)
        models.append({key: each for key, each in run.best_state.items() if not key.startswith("predictor")})
    assert all(torch.equal(each, models[1][key]) for key, each in models[0].items())


def test_an_interrupted_run_ends_as_one_that_was_not(pieces: Pieces, tmp_path: Path) -> None:
    config, states = tiny("score"), []
    for name, stops in (("whole", None), ("again", None), ("halves", 3)):
        (tmp_path / name).mkdir()
        seen: list[int] = []

        def follow(now: object, seen: list[int] = seen, stops: int | None = stops) -> None:
            seen.append(1)
            if len(seen) == stops:
                raise KeyboardInterrupt

        run = run_of(config, pieces, tmp_path / name)
        try:
            run.train(follow)
        except KeyboardInterrupt:
            run = run_of(config, pieces, tmp_path / name)
            run.resume()
            run.train(lambda _: None)
        states.append(run.model.state_dict())
    for other in states[1:]:
        assert all(torch.equal(each, other[key]) for key, each in states[0].items())


def test_a_folder_of_sound_becomes_weights_and_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "score", tiny("score", epochs=1))
    (tmp_path / "in").mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).normal(0, 0.1, 12 * 8000)
        soundfile.write(tmp_path / "in" / f"{number}.wav", noise, 8000)
    card = train("score", data=[tmp_path / "in"], out=tmp_path / "run", epochs=1)
    assert (card.family, card.verbs, card.steps_per_bar) == ("score", (), FRAME_COLUMNS)
    assert "predictor.mean.weight" in load_file(tmp_path / "run" / "score.safetensors")


def test_what_is_too_short_or_not_there_is_one_sentence(tmp_path: Path) -> None:
    config = tiny("score")
    with pytest.raises(DataError, match=r"no recording to learn from lasts 11\.25 s"):
        ScoreCourse(config, Pieces([alternating(5)], [alternating(5)]), CPU)
    with pytest.raises(DataError, match=r"no sound to learn from; a folder of sound \(WAV, FLAC, Ogg, MP3\)"):
        load_pieces([tmp_path])


def test_a_score_does_not_depend_on_how_much_is_read_at_once() -> None:
    model = ScoreVae(ScoreShape(predictor="lstm", **SMALL_SCORES)).eval()  # type: ignore[arg-type]
    levels = alternating().float()
    with torch.no_grad():
        whole, half = read_score(model, levels).mu, read_score(model, levels[:, : 10 * FRAME_COLUMNS]).mu
    assert torch.allclose(whole[:10], half, atol=1e-5)


def test_the_nats_of_a_prediction_are_those_of_a_normal_distribution() -> None:
    normal = torch.distributions.Normal(torch.tensor(0.3), torch.tensor(0.7))
    truth = torch.tensor([[[0.1, 0.9]]])
    nats = Prediction(torch.full((1, 1, 2), 0.3), torch.full((1, 1, 2), 0.7)).nats(truth)
    assert torch.allclose(nats, -normal.log_prob(truth).sum(dim=-1))
