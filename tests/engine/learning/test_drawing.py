"""Learning from what is drawn: critics, rewards, and a decoder that follows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.learning import drawing, phrase_tasks
from engine.learning.critics import DESIGNS, Critic, Critics, seen
from engine.learning.drawing import Drawing, rewards
from engine.learning.training import Run
from engine.registry import Recipe
from tests.engine.learning.test_phrase_tasks import CONFIG, RECIPE, a_course

BARS = 4
VERBS = Recipe(
    bars=(2,), tasks={"sample": 0.5, "drumify": 0.25, "vary": 0.25}, batch=16, epochs=1, rate_peak=0.01, decay=0
)


def phrases(count, kick_every, seed=0):
    """Bars with hats strewn at random, and a kick so often."""
    rng = np.random.default_rng(seed)
    hits = np.zeros((count, BARS, 16, 9), bool)
    hits[..., 2] = rng.random((count, BARS, 16)) < 0.4
    hits[:, :, ::kick_every, 0] = True
    return hits


@pytest.fixture
def few_steps(monkeypatch):
    for name, value in {"FIRST_DRAWS": 4, "FIRST_STEPS": 2, "STEPS": 0}.items():
        monkeypatch.setattr(drawing, name, value)


def a_drawing(course, seed=0):
    batch = course.training_batches(VERBS, 1, np.random.default_rng(seed))
    return next(batch).args[0]


def test_critics_tell_what_differs_and_nothing_else():
    torch.manual_seed(0)
    critics = Critics(phrases(120, 4), np.arange(120) // 4, np.random.default_rng(0))
    others = seen(phrases(120, 8, seed=1))
    critics.learn(others, 20)
    assert critics.told(others) > 0.95
    assert (critics.logits(others)[:, -1] < 0).all()
    torch.manual_seed(0)
    critics = Critics(phrases(120, 4), np.arange(120) // 4, np.random.default_rng(0))
    alike = seen(phrases(120, 4, seed=1))
    critics.learn(alike, 5)
    assert 0.3 < critics.told(alike) < 0.7


@pytest.mark.parametrize("design", DESIGNS)
def test_a_critic_hears_only_the_bars_so_far(design):
    torch.manual_seed(0)
    critic = Critic(design, BARS).eval()
    hits, others = phrases(8, 4), phrases(8, 4)
    others[:, 2:] = phrases(8, 8, seed=1)[:, 2:]
    first, second = critic(*seen(hits)), critic(*seen(others))
    assert torch.allclose(first[:, :2], second[:, :2], atol=1e-6)
    assert not torch.allclose(first[:, 2:], second[:, 2:], atol=1e-3)


def test_no_critic_learns_from_the_pieces_that_it_is_asked_of():
    piece = np.arange(120) // 4
    critics = Critics(phrases(120, 4), piece, np.random.default_rng(0))
    for member in critics.members:
        learns, asked = (set(piece[rows.numpy()]) for rows in (member.learns, member.asked))
        assert not learns & asked
        assert len(asked) == 5
    assert len({tuple(member.asked.tolist()) for member in critics.members}) == len(DESIGNS)


def test_a_bar_is_rewarded_for_what_it_adds_and_for_what_comes_of_it():
    logits = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    reward = rewards(logits)
    assert torch.allclose(reward.mean(dim=0), torch.zeros(3), atol=1e-6)
    assert reward[0, 0] > reward[2, 0] > reward[1, 0]
    assert reward[2, 2] > reward[0, 2]  # the first had its reward before
    assert torch.equal(rewards(torch.zeros(4, 3)), torch.zeros(4, 3))


@pytest.mark.usefixtures("few_steps")
def test_what_verbs_are_given_is_kept():
    course = a_course()
    of = a_drawing(course)
    _, condition, (steps, _) = of.draw("drumify", 32)
    assert condition.taps[..., 1].all()
    assert (condition.hits.amax(dim=2) >= condition.taps[..., 0]).all()
    assert torch.equal(steps[..., :9], condition.hits)
    assert bool(of.draw("vary", 8)[1].bar_z_given.mean() > 0)
    _, condition, _ = of.draw("sample", 8)
    assert not condition.taps.any()
    assert not condition.tempo.any()
    assert (condition.style < course.shape.styles).all()


@pytest.mark.usefixtures("few_steps")
def test_the_decoder_follows_a_reward_and_what_z_means_stays(monkeypatch):
    """Critics who like nothing but a kick on the one: it comes more often."""
    course = a_course()
    of = a_drawing(course)

    def kicks():
        return float(of.draw("sample", 128)[2][0][:, ::16, 0].mean())

    def like_kicks(_, drawn):
        return 10 * drawn[0][:, ::16, 0].cumsum(dim=1)

    monkeypatch.setattr(Critics, "logits", like_kicks)
    monkeypatch.setattr(phrase_tasks, "DATA", 0)
    before, fixed = kicks(), {key: value.clone() for key, value in course.model.encoder.state_dict().items()}
    optimizer = torch.optim.Adam(course.model.decoder.parameters(), lr=0.02)
    for batch_losses in course.training_batches(VERBS, 50, np.random.default_rng(1)):
        optimizer.zero_grad()
        torch.autograd.backward(batch_losses(0)["total"])
        optimizer.step()
    assert kicks() > before + 0.12
    assert all(torch.equal(value, fixed[key]) for key, value in course.model.encoder.state_dict().items())


@pytest.mark.usefixtures("few_steps")
def test_validation_is_how_often_new_critics_tell():
    ((name, share, losses),) = a_course().validation_batches(VERBS)
    assert (name, share) == ("drawn", 1.0)
    assert 0 <= float(losses(0)["total"]) <= 1


@pytest.mark.usefixtures("few_steps")
def test_a_recipe_of_verbs_is_no_recipe_of_tasks():
    assert isinstance(a_drawing(a_course()), Drawing)
    batch = next(a_course().training_batches(replace(RECIPE, batch=2), 1, np.random.default_rng(0)))
    assert not any(isinstance(each, Drawing) for each in batch.args)


def test_the_mean_of_the_weights_is_kept_and_training_goes_on_from_the_weights(tmp_path):
    config = replace(CONFIG, recipe=replace(RECIPE, batch=1, averaged=0.25))
    run = Run(config, a_course(), tmp_path, 1, 1)
    seen: list[dict[str, torch.Tensor]] = []
    step = run._step
    run._step = lambda *args, **others: (step(*args, **others), seen.append(run._weights()))[0]  # type: ignore[method-assign]
    run.train(lambda _: None)
    mean = seen[0]
    for weights in seen[1:]:
        mean = {key: torch.lerp(mean[key], value, 0.25) for key, value in weights.items()}
    now = run.model.state_dict()
    assert all(torch.equal(run.best_state[key], value) for key, value in mean.items())
    assert all(torch.equal(now[key], value) for key, value in seen[-1].items())
    assert len(seen) > 1
