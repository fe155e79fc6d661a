"""Training on phrases: what is told of a stretch, and that the network learns from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.data.drum_songs import SEQUENCED, DrumSong
from engine.errors import DataError
from engine.learning import drawing
from engine.learning.phrase_tasks import TASKS, PhraseCourse, Stretch, at_most
from engine.learning.training import Run
from engine.model.phrases.vae import PhraseShape
from engine.registry import Config, Recipe, find_config

SHAPE = PhraseShape(
    z=6, bar_z=4, styles=4, encoder_hidden=8, bar_hidden=16, decoder_hidden=32, context=4, conductor=8, plan=4
)
RECIPE = Recipe(bars=(2, 4), tasks=dict.fromkeys(TASKS, 1.0), batch=4, rate_peak=0.02, decay=0)
CONFIG = Config(name="drums_16bar", family="phrase", representation="phrase", shape=SHAPE, recipe=RECIPE)


def song(bars, split="train", style="funk", name="a"):
    """Kick and snare on the quarters, hats on the eighths, a tom in each fourth bar."""
    hits = np.zeros((bars, 16, 9), bool)
    hits[:, ::8, 0] = hits[:, 4::8, 1] = hits[:, ::2, 2] = True
    hits[3::4, 12:, 5] = True
    return DrumSong(name, split, style, 100.0, hits)


@pytest.fixture
def course():
    return a_course()


def a_course():
    torch.manual_seed(0)
    songs = [song(12), song(9, style=SEQUENCED), song(8, "validation"), song(8, "validation", SEQUENCED)]
    return PhraseCourse(CONFIG, songs, torch.device("cpu"))


def test_it_learns(course):
    optimizer = torch.optim.Adam(course.model.parameters(), lr=0.02)
    losses = []
    for batch_losses in course.training_batches(RECIPE, 40, np.random.default_rng(0)):
        loss = batch_losses(0)["total"]
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:8])


def test_batches_are_those_of_the_random_source(course):
    def first():
        batch = next(iter(course.training_batches(RECIPE, 1, np.random.default_rng(3))))
        torch.manual_seed(1)
        return float(batch(0)["total"].detach())

    assert first() == first()


def test_short_phrases_come_in_batches_of_more_rows(course):
    rng = np.random.default_rng(0)
    sizes = {each.args[1].bars: len(each.args[1].hits) for each in course.training_batches(RECIPE, 20, rng)}
    assert sizes == {2: 8, 4: 4}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_gives_what_it_says(course, task):
    stretches = [Stretch(course.train[0], bar) for bar in range(8)] * 4
    condition, _ = course.phrases(stretches, 4, {task: 1.0}, np.random.default_rng(0))
    given = condition.hits_given.view(-1, 4, 16, 9)
    assert bool(condition.taps[..., 1].any()) == (task == "tap")
    if task in ("autoencode", "tap"):
        assert not given.any()
    if task == "continue":
        assert given[:, 0].all()
        assert not given[:, -1].any()
    if task == "infill":
        assert (given.amin(dim=(2, 3)).sum(dim=1) < 4).all()
    if task == "drums":
        assert (given.amax(dim=(1, 2)) == given.amin(dim=(1, 2))).all()
    if task == "vary":
        assert (given.amax(dim=(2, 3)) == given.amin(dim=(2, 3))).all()


def test_a_stretch_at_the_end_of_a_song_has_no_weight_beyond_it(course):
    condition, weight = course.phrases(
        [Stretch(course.train[0], 10)], 4, {"autoencode": 1.0}, np.random.default_rng(0)
    )
    assert weight.view(4, 16).amax(dim=1).tolist() == [1, 1, 0, 0]
    assert not condition.hits[0, 32:].any()


def test_a_stretch_knows_the_bars_before_it_half_of_the_time(course):
    stretches = [Stretch(course.train[0], 4)] * 64
    condition, _ = course.phrases(stretches, 4, {"autoencode": 1.0}, np.random.default_rng(0))
    known = condition.past_given.sum(dim=1)
    assert 16 < (known == 0).sum() < 48
    true = torch.from_numpy(course.train[0].hits[3].astype(np.float32))
    assert (condition.past[known > 0, -16:] == true).all()


def test_validation_is_on_what_was_played_where_there_is_any(course):
    assert {stretch.song.style for stretch in course.validated} == {"funk"}


def test_attributes_are_told_in_standard_deviations_of_the_training_bars(course):
    mean, deviation = course.model.attribute_mean, course.model.attribute_deviation
    density = np.concatenate([each.hits for each in course.train]).sum(axis=(1, 2))
    assert float(mean[0]) == pytest.approx(density.mean())
    assert float(deviation[0]) == pytest.approx(density.std(), rel=1e-4)


def test_without_four_bars_of_drums_it_is_said():
    with pytest.raises(DataError, match="drums in 4/4"):
        PhraseCourse(CONFIG, [song(1)], torch.device("cpu"))


def test_a_trial_run_has_songs_of_each_split():
    songs = [song(4, split=split) for split in ("validation", "validation", "train", "test", "train")]
    assert [each.split for each in at_most(1, songs)] == ["validation", "train", "test"]
    assert len(at_most(None, songs)) == len(songs)


def test_the_shipped_configuration_learns_what_its_verbs_need():
    assert set(find_config("drums_16bar").recipe.tasks) <= set(TASKS)


def test_styles_are_drawn_as_often_as_they_were_played(course):
    prior = course.prior()
    assert dict(zip(prior.names, prior.share.tolist(), strict=True)) == {"funk": 1.0, SEQUENCED: 0.0}


class PulledPlugError(Exception):
    pass


@pytest.mark.parametrize("epoch", [2, 3, 5])
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, epoch, monkeypatch):
    """In the second epoch of phrases, in the first of their prior, in the second of what is drawn."""
    monkeypatch.setattr(drawing, "FIRST_STEPS", 5)
    prior = replace(RECIPE, tasks={"autoencode": 1.0}, epochs=1)
    verbs = replace(RECIPE, bars=(4,), tasks={"sample": 0.5, "vary": 0.5}, epochs=2, averaged=0.1)
    config = replace(CONFIG, recipe=replace(RECIPE, second=prior, third=verbs))

    def stop(progress):
        if progress.epoch == epoch:
            raise PulledPlugError

    def run(folder):
        run = Run(config, a_course(), tmp_path / folder, 1, 2)
        (tmp_path / folder).mkdir(exist_ok=True)
        run.resume()
        return run

    whole = run("whole")
    whole.train(lambda _: None)
    with pytest.raises(PulledPlugError):
        run("broken").train(stop)
    again = run("broken")
    again.train(lambda _: None)
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in again.model.state_dict().items())
