"""Learning from what is drawn: critics, rewards, and a decoder that follows them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import DataError
from engine.learning import drawing
from engine.learning.band_tasks import BandCourse
from engine.learning.critics import DESIGNS, Critic, Critics, seen
from engine.learning.drawing import Drawing, rewards
from engine.learning.training import Run
from engine.registry import Recipe
from engine.representation.band import BASS, LEAD
from tests.engine import test_band as bands
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
    return next(batch).func.__self__


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
    of = a_drawing(course)._draw
    rng = np.random.default_rng(0)
    _, condition = of.draw("drumify", 32, rng)
    assert condition.taps[..., 1].all()
    assert (condition.hits.amax(dim=2) >= condition.taps[..., 0]).all()
    assert bool(of.draw("vary", 8, rng)[1].bar_z_given.mean() > 0)
    _, condition = of.draw("sample", 8, rng)
    assert not condition.taps.any()
    assert not condition.tempo.any()
    assert (condition.style < course.shape.styles).all()


@pytest.mark.usefixtures("few_steps")
def test_the_decoder_follows_a_reward_and_what_z_means_stays(monkeypatch):
    """Critics who like nothing but a kick on the one: it comes more often."""
    course = a_course()
    of = a_drawing(course)

    def kicks():
        (drawn,) = of._draw("sample", 128, np.random.default_rng(2)).values()
        return float(drawn.seen[0][:, ::16, 0].mean())

    def like_kicks(_, drawn):
        return 10 * drawn[0][:, ::16, 0].cumsum(dim=1)

    monkeypatch.setattr(Critics, "logits", like_kicks)
    monkeypatch.setattr(drawing, "DATA", 0)
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
    assert not isinstance(getattr(batch.func, "__self__", None), Drawing)


BAND_VERBS = replace(VERBS, bars=(8,), tasks={"sample": 0.5, "accompany": 0.5}, batch=8)


def a_band_course():
    torch.manual_seed(0)
    return BandCourse(bands.CONFIG, [bands.song(), bands.song("validation")], torch.device("cpu"))


def draw_of(course):
    batch = next(course.training_batches(BAND_VERBS, 1, np.random.default_rng(0)))
    return batch.func.__self__._draw


@pytest.mark.usefixtures("few_steps")
def test_the_parts_that_a_verb_asks_are_drawn_each_beside_those_before():
    course = a_band_course()
    draw = draw_of(course)
    found = draw("sample", 4, np.random.default_rng(0))
    assert list(found) == ["lead", "bass", "drums"]
    assert all(drawn.seen[0].shape == (4, 128, 42) for drawn in found.values())
    found = draw("accompany", 4, np.random.default_rng(0))
    assert list(found) == ["bass", "drums"]
    for part in ("bass", "drums"):
        nats = found[part].nats()
        assert nats.shape == (4, 8)
        torch.autograd.backward(nats.sum())
    assert course.model.decoders[LEAD].output.weight.grad is None
    assert float(course.model.decoders[BASS].output.weight.grad.abs().sum()) > 0


@pytest.mark.usefixtures("few_steps")
def test_a_lead_that_is_accompanied_is_that_of_the_data():
    course = a_band_course()
    asked = draw_of(course).ask
    for verb, given in (("sample", 0), ("accompany", 1)):
        score = asked(verb, 3, np.random.default_rng(0))
        assert score.given[..., LEAD].unique().tolist() == [given]
        assert not score.given[..., BASS:].any()
        assert torch.equal(score.states[0, :, LEAD], torch.from_numpy(bands.song().states[:8, :, LEAD].reshape(-1)))


@pytest.mark.usefixtures("few_steps")
def test_each_part_of_a_band_follows_its_own_critics(monkeypatch):
    """Critics who like nothing but a ninth row: drums and voices learn to have it more often."""
    course = a_band_course()
    draw = draw_of(course)

    def share():
        found = draw("sample", 128, np.random.default_rng(2))
        return {part: float(drawn.seen[0][..., 8].mean()) for part, drawn in found.items()}

    monkeypatch.setattr(
        Critics, "logits", lambda _, seen: 10 * seen[0][..., 8].view(-1, 8, 16).mean(dim=2).cumsum(1)
    )
    monkeypatch.setattr(drawing, "DATA", 0)
    before = share()
    optimizer = torch.optim.Adam(course.model.decoders.parameters(), lr=0.02)
    for batch_losses in course.training_batches(replace(BAND_VERBS, batch=32), 20, np.random.default_rng(1)):
        optimizer.zero_grad()
        torch.autograd.backward(batch_losses(0)["total"])
        optimizer.step()
    after = share()
    assert all(after[part] > before[part] + 0.02 for part in ("lead", "bass", "drums")), (before, after)


@pytest.mark.usefixtures("few_steps")
def test_validation_of_bands_is_how_often_new_critics_tell():
    ((name, share, losses),) = a_band_course().validation_batches(BAND_VERBS)
    assert (name, share) == ("drawn", 1.0)
    assert 0 <= float(losses(0)["total"]) <= 1


def test_without_bands_there_is_nothing_to_learn_from_what_is_drawn():
    course = a_band_course()
    course.train = []
    with pytest.raises(DataError, match="holds no 8 bars in 4/4 of a lead, a bass and drums"):
        draw_of(course)


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
