import math
import os
from dataclasses import replace

import mido
import pytest
import torch
from safetensors.torch import load_file

from engine.errors import DataError, ModelError, TrainingError
from engine.evaluation.report import evaluate
from engine.learning import groove_tasks as groove_course
from engine.learning.token_tasks import beta_at, cut_songs, sampling_at
from engine.learning.training import Run, learning_rate, open_course, train
from engine.registry import CONFIGS, find_config
from engine.requests import Sample
from engine.verbs.generator import Generator
from engine.weights import Library


def run_of(name, corpus, folder, windows, *, epochs=1):
    torch.manual_seed(1)
    config = find_config(name)
    return Run(config, open_course(config, [corpus], torch.device("cpu"), windows), folder, 1, epochs)


def tensors(folder):
    return load_file(folder / "drummer.safetensors")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    seen = []
    train("drummer", data=[corpus], out=folder, epochs=2, max_windows=24, on_progress=seen.append)
    return folder, seen


@pytest.mark.parametrize("name", [name for name, each in CONFIGS.items() if each.representation == "groove"])
def test_every_configuration_of_grooves_learns(corpus, tmp_path, name):
    run = run_of(name, corpus, tmp_path, 4, epochs=2)
    before = run.validate()
    run.train(lambda _: None)
    assert run.best[0] < before


def test_the_same_seed_is_the_same_run(corpus, trained, tmp_path):
    train("drummer", data=[corpus], out=tmp_path, epochs=2, max_windows=24)
    first, second = tensors(trained[0]), tensors(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_interrupted_run_goes_on_to_the_same_weights(corpus, trained, tmp_path):
    class PulledPlugError(Exception):
        pass

    def stop_in_the_second_epoch(progress):
        if progress.epoch == 2:
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        train(
            "drummer", data=[corpus], out=tmp_path, epochs=2, max_windows=24, on_progress=stop_in_the_second_epoch
        )
    train("drummer", data=[corpus], out=tmp_path, epochs=2, max_windows=24)
    first, second = tensors(trained[0]), tensors(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_folder_with_another_run_is_refused(corpus, trained):
    with pytest.raises(TrainingError, match="holds a run with other settings"):
        train("drummer", data=[corpus], out=trained[0], epochs=3, max_windows=24)


def test_progress_counts_every_step(trained):
    steps = [progress.step for progress in trained[1]]
    assert steps == list(range(1, trained[1][-1].steps + 1))


def test_trained_weights_play_and_know_their_styles(trained):
    library = Library([trained[0]])
    generator = Generator(library, device="cpu")
    assert generator.load("drummer").styles == ("funk", "rock")
    assert generator.run(Sample(style="funk", seed=1)).clips


def test_an_unknown_configuration_is_answered_with_the_known_ones(corpus, tmp_path):
    with pytest.raises(ModelError, match="there are: drummer, drums_16bar"):
        train("nothing", data=[corpus], out=tmp_path)


def test_expectations_are_trained_last_and_alone(corpus, tmp_path):
    run = run_of("drummer", corpus, tmp_path, 24)
    seen = []
    run.train(lambda progress: seen.append(({**run.model.state_dict()}, run.stage, progress)))
    assert [stage for _, stage, _ in seen] == [0] * run.steps_per_epoch[0] + [1] * run.steps_per_epoch[1]
    assert [progress.step for _, _, progress in seen] == list(range(1, run.steps + 1))
    assert run.best[1] < math.inf


def test_the_last_stage_changes_nothing_but_the_expectations(corpus, tmp_path):
    run = run_of("drummer", corpus, tmp_path, 24)
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
    monkeypatch.setattr(groove_course, "FEWEST_HITS", 10)
    train("drummer", data=[corpus], out=tmp_path, epochs=1, max_windows=8)
    settled = tensors(tmp_path)
    assert not torch.equal(settled["decoder.performer.expectation.trust"].float(), torch.ones(2))
    assert settled["decoder.performer.expectation.centre"].float().abs().min() > 0


def test_a_report_has_a_row_for_each_baseline_and_each_model(corpus, trained):
    parts = list(evaluate(data=[corpus], library=Library([trained[0]]), models=["drummer"], judges=0))
    names = [row.name for part in parts for row in part.humanize]
    assert names == ["quantised", "random jitter", "class histograms", "linear", "drummer"]
    completions = [(row.name, row.task) for part in parts for row in part.completion]
    assert completions[1::2] == [("drummer", "taps"), ("drummer", "closed hat")]
    assert [name for part in parts for name in part.likelihood] == ["drummer"]
    assert [name for part in parts for name in part.steering] == ["drummer"]


def test_the_published_rate_decays_by_the_step_and_ours_on_a_cosine():
    published, ours = find_config("groovae_4bar").recipe, find_config("drummer").recipe
    assert learning_rate(published, 0, 100) == pytest.approx(1e-3)
    assert learning_rate(published, 10_000, 100) == pytest.approx(99e-5 * 0.9999**10_000 + 1e-5)
    assert learning_rate(ours, 1000, 1000) == pytest.approx(ours.rate_floor)
    assert max(learning_rate(ours, step, 1000) for step in range(1000)) <= ours.rate_peak


def song(program, shift):
    """Eight bars of a scale, and a beat under it."""
    voice = mido.MidiTrack(
        [mido.MetaMessage("track_name", name="MELODY"), mido.Message("program_change", program=program)]
    )
    drums = mido.MidiTrack()
    for eighth in range(64):
        pitch = 60 + (eighth * (2 + shift) % 12)
        for track, channel, note in ((voice, 0, pitch), (drums, 9, (36, 42)[(eighth + shift) % 2])):
            track.append(mido.Message("note_on", channel=channel, note=note, velocity=90, time=0))
            track.append(mido.Message("note_off", channel=channel, note=note, time=240))
    return mido.MidiFile(tracks=[voice, drums], ticks_per_beat=480)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    rows = ["midi_filename,split"]
    for i in range(8):
        song(0, i).save(folder / f"{i}.mid")
        rows.append(f"{i}.mid,{'train' if i < 6 else 'validation'}")
    (folder / "info.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("name", ["melody_2bar", "drums_2bar"])
def test_weights_of_tokens_are_trained_and_play(songs, tmp_path, name):
    card = train(name, data=[songs], out=tmp_path, epochs=1)
    assert (card.data, card.bars, card.verbs[0]) == (songs.name, 2, "sample")
    assert set(card.training["windows"]) == {"2", "left out, the same as another of its song"}
    generator = Generator(Library([tmp_path]))
    generator.load(name)
    assert generator.run(Sample(bars=2, seed=1)).clips[0].bars == 2


def test_betas_and_samplings_schedules_are_the_published_ones():
    recipe = find_config("cat-mel_2bar_small").recipe
    assert beta_at(recipe, 0) == 0
    assert beta_at(recipe, 100_000) == pytest.approx(0.2 * (1 - 0.99999**100_000))
    assert sampling_at(recipe, 0) == pytest.approx(1 / 1001)
    assert sampling_at(recipe, 5000) == pytest.approx(1 - 1000 / (1000 + math.exp(5)))
    assert beta_at(find_config("hierdec-mel_16bar").recipe, 1) == 0.2
    assert sampling_at(find_config("hierdec-mel_16bar").recipe, 5000) == 0


def test_a_song_that_names_its_melody_has_no_other(songs):
    config = find_config("melody_2bar")
    tokens = cut_songs(config, [songs]).train
    assert len(tokens) <= 6 * 7
    assert (tokens >= 2).any()


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it(corpus, tmp_path):
    run = run_of("groovae_4bar", corpus, tmp_path, 4)
    run.save()
    beside = tmp_path / f".{os.getpid()}.pt.part"
    beside.symlink_to("/dev/full")
    run.epoch = 1
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be written: No space left on device"):
        run.save()
    again = run_of("groovae_4bar", corpus, tmp_path, 4)
    again.resume()
    assert again.epoch == 0


def test_a_folder_that_cannot_be_made_is_one_sentence(corpus, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be a run's folder"):
        train("drummer", data=[corpus], out=tmp_path / "file" / "run")


@pytest.mark.parametrize("content", [b"", b"damaged", b"PK\x03\x04damaged"])
def test_a_checkpoint_that_cannot_be_read_is_one_sentence(corpus, tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt cannot be read .*; delete it to begin anew"):
        run_of("groovae_4bar", corpus, tmp_path, 4).resume()


def test_a_checkpoint_that_is_a_pipe_is_not_waited_for(corpus, tmp_path):
    os.mkfifo(tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="no regular file"):
        run_of("groovae_4bar", corpus, tmp_path, 4).resume()


def test_a_run_without_data_leaves_no_folder_that_would_count_as_weights(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        train("drummer", data=[tmp_path / "empty"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_begins_from_weights_that_have_been_trained_before(corpus, tmp_path, trained):
    folder, _ = trained
    run = run_of("drummer", corpus, tmp_path, 4)
    start = tensors(folder)
    run.begin_from(start)
    torch.testing.assert_close(run.model.state_dict()["encoder.mu.weight"], start["encoder.mu.weight"].float())


def test_weights_of_another_network_are_refused_by_name(corpus, tmp_path, trained):
    folder, _ = trained
    run = run_of("groovae_4bar", corpus, tmp_path, 4)
    with pytest.raises(TrainingError, match="another network than groovae_4bar"):
        run.begin_from(tensors(folder))


def test_a_loss_that_is_not_finite_ends_the_run_with_what_is_left(corpus, tmp_path):
    run = run_of("drums_16bar", corpus, tmp_path, 8, epochs=2)
    with torch.no_grad():
        next(iter(run.model.parameters()))[:] = math.nan
    with pytest.raises(TrainingError, match="not finite at step 1"):
        run.train(lambda _: None)


def test_a_later_stage_begins_from_weights_that_have_had_those_before(corpus, tmp_path, trained):
    assert len(find_config("drummer").stages) == 2
    start = tensors(trained[0])
    command = "vaebridge train drummer --from drummer --stage 2"
    card = train(
        "drummer", data=[corpus], out=tmp_path, epochs=1, max_windows=24, start=start, stage=2, command=command
    )
    assert (card.command, card.training["first_stage"], card.training["epochs"]) == (command, 2, [1])
    assert len(card.training["validation"]) == 1
    after = tensors(tmp_path)
    assert torch.equal(after["encoder.mu.weight"], start["encoder.mu.weight"])  # the second learns expectations


@pytest.mark.parametrize(
    ("config", "stage", "sentence"),
    [
        ("drummer", 3, "trained in 2 stages: there is no stage 3"),
        ("melody_2bar", 2, "trained in 1 stages: there is no stage 2"),
        ("drummer", 2, "stage 2 begins from weights"),
    ],
)
def test_a_stage_that_cannot_be_trained_is_refused_with_the_reason(corpus, tmp_path, config, stage, sentence):
    with pytest.raises(TrainingError, match=sentence):
        train(config, data=[corpus], out=tmp_path / "run", stage=stage)
    assert not (tmp_path / "run").exists()


def test_without_anything_to_validate_on_the_last_epoch_is_the_best(corpus, tmp_path):
    config = find_config("drums_16bar")
    config = replace(config, recipe=replace(config.recipe, second=None, third=None))
    course = open_course(config, [corpus], torch.device("cpu"), 8)
    course.validated = []
    run = Run(config, course, tmp_path, 1, 2)
    seen = []
    run.train(seen.append)
    assert math.isnan(seen[-1].validation)
    assert run.best_state.keys() == run.model.state_dict().keys()
    assert all(torch.equal(value, run.best_state[key]) for key, value in run.model.state_dict().items())
    assert run.write("drums").training["validation"] == []
