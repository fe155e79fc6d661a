import pytest
import torch

from engine.errors import ClipError
from engine.learning.prior import fit_prior, standard_prior
from engine.model.noise import Noise


@pytest.fixture
def prior():
    torch.manual_seed(0)
    left, right = torch.randn(2000, 4) - 3, 0.5 * torch.randn(1000, 4) + 3
    style = torch.tensor([0] * 2000 + [1] * 1000)
    return fit_prior(torch.cat([left, right]), torch.full((3000, 4), 0.1), style, ("left", "right"))


def test_a_style_is_drawn_from_where_its_clips_lie(prior):
    assert prior.draw(Noise(1), 500, "left").mean().item() == pytest.approx(-3, abs=0.2)
    assert prior.draw(Noise(1), 500, "right").mean().item() == pytest.approx(3, abs=0.2)


def test_without_a_style_each_is_drawn_as_often_as_it_occurs(prior):
    left = (prior.draw(Noise(1), 3000).mean(dim=1) < 0).float().mean().item()
    assert left == pytest.approx(2 / 3, abs=0.05)


def test_at_temperature_zero_a_style_is_its_mean(prior):
    torch.testing.assert_close(prior.draw(Noise(1), 2, "left", temperature=0), prior.mean[[0, 0]])


def test_clips_without_a_style_make_one_nameless_prior():
    prior = fit_prior(torch.randn(50, 4), torch.ones(50, 4), torch.full((50,), -1), ())
    assert prior.names == ()
    assert prior.draw(Noise(1), 3).shape == (3, 4)


def test_a_style_with_few_clips_is_left_out():
    style = torch.tensor([0] * 50 + [1] * 2)
    assert fit_prior(torch.randn(52, 4), torch.ones(52, 4), style, ("many", "few")).names == ("many",)


def test_an_unknown_style_is_answered_with_the_known_ones(prior):
    with pytest.raises(ClipError, match="there is no style 'up'; there are: left, right"):
        prior.draw(Noise(1), 1, "up")


def test_weights_without_a_prior_have_the_standard_normal():
    drawn = standard_prior(8).draw(Noise(1), 4000)
    assert drawn.std().item() == pytest.approx(1, abs=0.05)
