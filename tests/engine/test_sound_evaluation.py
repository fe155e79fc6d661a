"""The report on models of sound: measures of sounds of which the answer is known, all of it on a small model."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from engine.audio.files import RATE, Samples
from engine.audio.spectrogram import FRAME, SCALE_DB, to_levels
from engine.data.listing import split_of
from engine.errors import DataError
from engine.evaluation.showing import show
from engine.evaluation.sound.crowding import crowding_row, one_layer
from engine.evaluation.sound.fidelity import level_error_db, si_sdr_db, sound_error_db, through_codec, through_phase
from engine.evaluation.sound.foresight import BASELINES, foresight_of
from engine.evaluation.sound.report import SoundAmount, evaluate_sound
from engine.verbs.score_verbs import load_score
from engine.weights import Library
from tests.engine.untrained import SMALL_SCORES, write_random_weights


def noise(seconds: float, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("weights")
    write_random_weights(folder, "score", **SMALL_SCORES)
    write_random_weights(folder, "score_conv", **SMALL_SCORES)
    return Library([folder])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of each split, those of validation as long as what is shown."""
    folder, there = tmp_path_factory.mktemp("sounds"), dict.fromkeys(("train", "validation", "test"), 0)
    for number in range(100):
        name = f"{number}.wav"
        if there[split_of(name)] < 2:
            there[split_of(name)] += 1
            soundfile.write(folder / name, noise(18.1 if split_of(name) == "validation" else 11.3, number), RATE)
    return folder


def test_the_error_of_levels_is_in_db_and_nothing_is_quieter_than_silence() -> None:
    levels = to_levels(torch.from_numpy(noise(1)))
    assert level_error_db(levels, levels + 6 / SCALE_DB) == pytest.approx(6, abs=1e-3)
    assert sound_error_db(noise(1), noise(1) / 2) == pytest.approx(6.02, abs=0.05)
    assert sound_error_db(np.zeros(RATE, np.float32), 1e-5 * noise(1)) == 0


def test_si_sdr_is_what_is_right_over_what_is_wrong_whatever_the_gain() -> None:
    truth, wrong = noise(1), noise(1, 1)
    wrong -= truth * np.dot(wrong, truth) / np.dot(truth, truth)
    for gain in (0.1, 1.0, 3.0):
        assert si_sdr_db(truth, gain * (truth + wrong * 0.1)) == pytest.approx(20, abs=0.1)
    assert si_sdr_db(truth, wrong) < -50


def test_right_levels_with_a_phase_that_is_found_anew_are_near_in_levels_and_far_in_samples() -> None:
    sound = noise(2)[: 8 * FRAME]
    assert sound_error_db(sound, through_phase(sound)) < 3
    assert si_sdr_db(sound, through_phase(sound)) < 5


def test_without_opus_there_is_no_codec_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert through_codec(noise(1)) is None


def test_one_layer_knows_as_many_frames_as_it_has_numbers() -> None:
    few, many = [noise(1, 1)], [noise(1, seed) for seed in range(8)]
    assert si_sdr_db(few[0], one_layer(few, 8).play(few[0])) > 40
    assert si_sdr_db(few[0], one_layer(many, 8).play(few[0])) < 10


def test_the_more_songs_the_more_noise_there_is() -> None:
    songs = [noise(11.25, seed) for seed in range(4)]
    alone, crowded = crowding_row(songs[:1], songs[3:], 1), crowding_row(songs[:3], songs[3:], 1)
    assert [alone[0], crowded[0]] == ["1", "3"]
    assert float(str(alone[1])) < float(str(crowded[1]))


def test_predictors_stand_beside_the_mean_and_the_past(library: Library) -> None:
    name, model = load_score(library, "score")
    rows = list(foresight_of({name: model}, [to_levels(torch.from_numpy(noise(12)))]))
    assert [row[0] for row in rows] == ["what is right", *BASELINES, "score"]
    assert {len(row) for row in rows} == {1 + model.shape.future + 2}


def test_everything_is_measured_of_each_model(library: Library, data: Path) -> None:
    amount = SoundAmount(pieces=2, songs=(1, 4), steps=1, seconds=0.5)
    tables = list(evaluate_sound(data=[data], library=library, models=["score", "score_conv"], amount=amount))
    assert len(tables) == 5
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}, table.title
    assert [row[0] for row in tables[-1].rows] == ["1"], "there are no four songs"
    assert [row[0] for row in tables[2].rows][1:3] == ["score: as it comes back", "score: as it goes on"]


def test_a_split_without_sound_that_is_long_enough_is_told(library: Library, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "1.wav", noise(3), RATE)
    with pytest.raises(DataError, match=r"of test and train there must be sound of 11\.25 s or more"):
        list(evaluate_sound(data=[tmp_path], library=library, models=["score"], split="test"))


def test_what_goes_on_can_be_seen_and_heard(library: Library, data: Path, tmp_path: Path) -> None:
    paths = show(data=[data], library=library, models=["score"], examples=tmp_path / "a", pictures=tmp_path / "b")
    assert [each.name for each in paths] == ["1.wav", "1.true.wav", "1.png"]
    assert all(each.stat().st_size > 1000 for each in paths)
    assert soundfile.info(paths[0]).frames == 18 * RATE
