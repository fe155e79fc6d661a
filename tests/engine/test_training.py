import math

import mido
import pytest
import torch
from safetensors.torch import load_file

from engine import training
from engine.errors import ModelError, TrainingError
from engine.evaluation.report import evaluate
from engine.generator import Generator
from engine.registry import CONFIGS, find_config
from engine.requests import Sample
from engine.training import Run, learning_rate, load_datasets, train
from engine.weights import Library


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Twenty short beats, a little late on the off-beats, in two styles."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = ["style,bpm,time_signature,midi_filename,split"]
    for i in range(20):
        track = mido.MidiTrack()
        for eighth in range(40):
            late = 15 + i if eighth % 2 else 0
            track.append(mido.Message("note_on", channel=9, note=(36, 42)[eighth % 2], velocity=60 + i, time=late))
            track.append(mido.Message("note_off", channel=9, note=(36, 42)[eighth % 2], time=240 - late))
        mido.MidiFile(tracks=[track], ticks_per_beat=480).save(folder / f"{i}.mid")
        split = "train" if i < 14 else "validation" if i < 17 else "test"
        rows.append(f"{('funk', 'rock')[i % 2]},{100 + i},4-4,{i}.mid,{split}")
    (folder / "info.csv").write_text("\n".join(rows) + "\n")
    return folder


def tensors(folder):
    return load_file(folder / "drummer.safetensors")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    seen = []
    train("drummer", data=corpus, out=folder, epochs=2, max_windows=24, on_progress=seen.append)
    return folder, seen


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_configuration_learns(corpus, tmp_path, name):
    config = find_config(name)
    torch.manual_seed(0)
    run = Run(config, load_datasets(config, corpus, 4), tmp_path, 1, 2, "cpu")
    before = run.validate()
    run.train(lambda _: None)
    assert run.best[0] < before


def test_the_same_seed_is_the_same_run(corpus, trained, tmp_path):
    train("drummer", data=corpus, out=tmp_path, epochs=2, max_windows=24)
    first, second = tensors(trained[0]), tensors(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_interrupted_run_goes_on_to_the_same_weights(corpus, trained, tmp_path):
    class PulledPlugError(Exception):
        pass

    def stop_in_the_second_epoch(progress):
        if progress.epoch == 2:
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        train("drummer", data=corpus, out=tmp_path, epochs=2, max_windows=24, on_progress=stop_in_the_second_epoch)
    train("drummer", data=corpus, out=tmp_path, epochs=2, max_windows=24)
    first, second = tensors(trained[0]), tensors(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_folder_with_another_run_is_refused(corpus, trained):
    with pytest.raises(TrainingError, match="holds a run with other settings"):
        train("drummer", data=corpus, out=trained[0], epochs=3, max_windows=24)


def test_progress_counts_every_step(trained):
    steps = [progress.step for progress in trained[1]]
    assert steps == list(range(1, trained[1][-1].steps + 1))


def test_trained_weights_play_and_know_their_styles(trained):
    library = Library([trained[0]])
    generator = Generator(library, device="cpu")
    assert generator.load("drummer").styles == ("funk", "rock")
    assert generator.run(Sample(style="funk", seed=1)).clips


def test_an_unknown_configuration_is_answered_with_the_known_ones(corpus, tmp_path):
    with pytest.raises(ModelError, match="there are: drummer, groovae_4bar"):
        train("nothing", data=corpus, out=tmp_path)


def test_expectations_are_trained_last_and_alone(corpus, tmp_path):
    config = find_config("drummer")
    torch.manual_seed(0)
    run = Run(config, load_datasets(config, corpus, 24), tmp_path, 1, 1, "cpu")
    seen = []
    run.train(lambda progress: seen.append(({**run.model.state_dict()}, run.stage, progress)))
    assert [stage for _, stage, _ in seen] == [0] * run.steps_per_epoch[0] + [1] * run.steps_per_epoch[1]
    assert [progress.step for _, _, progress in seen] == list(range(1, run.steps + 1))
    assert run.best[1] < math.inf


def test_the_last_stage_changes_nothing_but_the_expectations(corpus, tmp_path):
    config = find_config("drummer")
    torch.manual_seed(0)
    run = Run(config, load_datasets(config, corpus, 24), tmp_path, 1, 1, "cpu")
    before: dict[str, torch.Tensor] = {}

    def remember(_: object) -> None:
        if run.stage == 0:
            before.update({key: value.clone() for key, value in run.model.state_dict().items()})

    run.train(remember)
    after = run.best_state
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert changed
    assert all("expectation" in key for key in changed)


def test_a_few_validation_hits_do_not_settle_what_to_trust(trained):
    trust = tensors(trained[0])["decoder.performer.expectation.trust"]
    assert torch.equal(trust.float(), torch.ones(2))


def test_many_validation_hits_settle_what_to_trust(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "FEWEST_HITS", 10)
    train("drummer", data=corpus, out=tmp_path, epochs=1, max_windows=8)
    settled = tensors(tmp_path)
    assert not torch.equal(settled["decoder.performer.expectation.trust"].float(), torch.ones(2))
    assert settled["decoder.performer.expectation.centre"].float().abs().min() > 0


def test_a_report_has_a_row_for_each_baseline_and_each_model(corpus, trained):
    report = evaluate(data=corpus, library=Library([trained[0]]), models=["drummer"], judges=0)
    names = [row.name for row in report.humanize]
    assert names == ["quantised", "random jitter", "class histograms", "linear", "drummer"]
    completions = [(row.name, row.task) for row in report.completion]
    assert completions[1::2] == [("drummer", "taps"), ("drummer", "closed hat")]
    assert list(report.likelihood) == list(report.steering) == ["drummer"]


def test_the_published_rate_decays_by_the_step_and_ours_on_a_cosine():
    published, ours = find_config("groovae_4bar").recipe, find_config("drummer").recipe
    assert learning_rate(published, 0, 100) == pytest.approx(1e-3)
    assert learning_rate(published, 10_000, 100) == pytest.approx(99e-5 * 0.9999**10_000 + 1e-5)
    assert learning_rate(ours, 1000, 1000) == pytest.approx(ours.rate_floor)
    assert max(learning_rate(ours, step, 1000) for step in range(1000)) <= ours.rate_peak
