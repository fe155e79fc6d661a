"""The network of phrases: what is given is kept, a step sees what it may and no more, the prior is a density."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.model.noise import Noise
from engine.model.phrases.decoder import BEFORE, PAST_BARS, Condition, looks, unconditioned
from engine.model.phrases.steps import draw_hits
from engine.model.phrases.vae import PhraseShape, PhraseVae
from engine.model.subsets import subset_of

SHAPE = PhraseShape(
    z=6, bar_z=4, styles=3, encoder_hidden=8, bar_hidden=16, decoder_hidden=16, context=4, conductor=8, plan=4
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = PhraseVae(SHAPE).eval().requires_grad_(False)
    for weights in made.parameters():  # as spread out as trained ones, so that what is read matters
        weights += 0.3 * torch.randn_like(weights)
    return made


def random_hits(*shape: int, seed: int = 0):
    return (torch.rand(*shape, 9, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def something_given(rows: int, bars: int, steps_per_bar: int = 16, seed: int = 0) -> Condition:
    """Phrases of which a bit of everything is given."""
    steps = bars * steps_per_bar
    condition = unconditioned(rows, bars, styles=SHAPE.styles, bar_z=SHAPE.bar_z, steps_per_bar=steps_per_bar)
    random = torch.Generator().manual_seed(seed)
    known = torch.ones(rows, PAST_BARS)
    known[:, : PAST_BARS // 2] = 0
    return replace(
        condition,
        hits=random_hits(rows, steps, seed=seed),
        hits_given=(torch.rand(rows, steps, 1, generator=random) < 0.2).float().expand(-1, -1, 9).clone(),
        past=random_hits(rows, PAST_BARS * steps_per_bar, seed=seed + 1),
        past_given=known,
        bar_number=torch.arange(bars).expand(rows, -1),
        bar_z=torch.randn(rows, bars, SHAPE.bar_z, generator=random),
        bar_z_given=(torch.rand(rows, bars, generator=random) < 0.5).float(),
    )


def points(rows: int):
    return torch.randn(rows, SHAPE.z, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("steps_per_bar", [16, 12, 14, 20, 1])
def test_a_drawn_step_is_the_likeliest_that_the_network_knows_of(model, steps_per_bar):
    """The steps that are drawn, one after the other, are those of the whole network at once."""
    condition, z = something_given(3, 4, steps_per_bar), points(3)
    drawn = replace(condition, hits=draw_hits(model.decoder, z, condition, temperature=0, noise=Noise(1)))
    nats = model.decoder.nats(z, drawn)
    for step in range(0, drawn.hits.shape[1], 3):
        other = drawn.hits.clone()
        other[:, step] = random_hits(3, seed=step)
        free = condition.hits_given[:, step, 0] == 0
        assert (model.decoder.nats(z, replace(drawn, hits=other))[free, step] >= nats[free, step] - 1e-4).all()


def test_a_step_is_drawn_as_often_as_the_network_says(model):
    condition = unconditioned(4000, 1, styles=3, bar_z=4, steps_per_bar=1)
    z = points(1).expand(4000, -1)
    subsets = subset_of(draw_hits(model.decoder, z, condition, temperature=1, noise=Noise(2)))[:, 0]
    often = torch.bincount(subsets, minlength=512)
    likeliest = int(often.argmax())
    bits = ((likeliest >> torch.arange(9)) & 1).float()
    one = replace(condition, hits=bits.expand(4000, 1, -1))
    share = torch.exp(-model.decoder.nats(z, one))[0, 0]
    assert often[likeliest] / 4000 == pytest.approx(float(share), abs=4 * (0.25 / 4000) ** 0.5)


def test_what_is_given_stays_and_a_tapped_step_is_not_empty(model):
    condition = something_given(4, 3)
    condition.taps[:, ::4] = 1
    condition.hits_given[:, ::4] = 0
    hits = draw_hits(model.decoder, points(4), condition, temperature=1.5, noise=Noise(1))
    assert torch.equal(hits * condition.hits_given, condition.given_hits)
    assert (hits[:, ::4].sum(dim=-1) > 0).all()


def test_the_hits_after_a_step_do_not_change_its_nats(model):
    condition, z = replace(something_given(2, 4), hits_given=torch.zeros(2, 64, 9)), points(2)
    later = replace(condition, hits=condition.hits.clone())
    later.hits[:, 40:] = random_hits(2, 24, seed=9)
    before, after = (model.decoder.nats(z, each) for each in (condition, later))
    torch.testing.assert_close(before[:, :40], after[:, :40])
    assert not torch.allclose(before[:, 40:], after[:, 40:])


def test_bars_that_are_given_later_are_heard_before(model):
    z, condition = points(1), something_given(1, 4)
    condition.hits_given[:] = 0
    condition.hits_given[:, 32:] = 1
    other = replace(condition, hits=condition.hits.clone())
    other.hits[:, 32:] = random_hits(1, 32, seed=9)
    first, second = (model.decoder.nats(z, each)[:, :32] for each in (condition, other))
    assert not torch.allclose(first, second)


def test_a_bar_s_z_says_nothing_of_other_bars(model):
    condition = something_given(1, 4)
    other = replace(condition, hits=condition.hits.clone())
    other.hits[:, :16] = random_hits(1, 16, seed=9)
    first, second = (model.bar_encoder(each).mu for each in (condition, other))
    assert not torch.equal(first[:, 0], second[:, 0])
    assert torch.equal(first[:, 1:], second[:, 1:])


def test_the_nats_of_an_unknown_past_do_not_depend_on_it(model):
    condition, z = something_given(2, 2), points(2)
    condition.past_given[:] = 0
    other = replace(condition, past=random_hits(2, PAST_BARS * 16, seed=8))
    torch.testing.assert_close(model.decoder.nats(z, condition), model.decoder.nats(z, other))


def test_looks_say_which_bar_repeats_which():
    condition = unconditioned(1, 4, styles=3, bar_z=4)
    bar = random_hits(1, 16)
    condition = replace(condition, hits=torch.cat([bar, random_hits(1, 16, seed=1), bar, bar], dim=1))
    seen = looks(condition)
    assert seen.known[0, :, : len(BEFORE)].sum(dim=0).tolist() == [48, 32, 0, 0]
    assert seen.same[0, 47].tolist() == [0, 1, 0, 0]  # bar 3 is bar 1 again
    assert seen.same_before[0, 48].tolist() == [0, 1, 0, 0]
    assert seen.same[0, 63].tolist() == [1, 0, 0, 0]  # bar 4 is bar 3


def test_phrases_drawn_together_are_drawn_as_alone(model):
    condition, z = something_given(4, 3), points(4)
    together = draw_hits(model.decoder, z, condition, temperature=1, noise=Noise((3, 1, 4, 1)))
    for row, seed in enumerate((3, 1, 4, 1)):
        own = Condition(
            **{
                name: value[row : row + 1] if isinstance(value, torch.Tensor) else value
                for name in condition.__dataclass_fields__
                if (value := getattr(condition, name)) is not None
            }
        )
        alone = draw_hits(model.decoder, z[row : row + 1], own, temperature=1, noise=Noise(seed))
        assert torch.equal(together[row], alone[0])


def test_the_prior_is_a_density_and_draws_from_it(model):
    """-log p(z) is that of the noise that z was drawn from, and of the change of volume."""
    condition = something_given(1, 2)
    noise = torch.randn(1, SHAPE.z, generator=torch.Generator().manual_seed(2))
    jacobian = torch.autograd.functional.jacobian(lambda e: model.z_prior.draw(condition, e), noise)
    volume = torch.linalg.slogdet(jacobian[0, :, 0]).logabsdet
    z = model.z_prior.draw(condition, noise)
    expected = (0.5 * noise**2 + 0.5 * np.log(2 * np.pi)).sum() + volume
    torch.testing.assert_close(model.z_prior.nats(z, condition)[0], expected, atol=1e-3, rtol=1e-4)


def test_some_bars_of_a_phrase_have_the_bars_before_as_their_past():
    condition = something_given(2, 12)
    window = condition.some_bars(9, 16)
    assert window.bars == 3
    assert torch.equal(window.hits, condition.hits[:, 9 * 16 :])
    assert torch.equal(window.past, condition.hits[:, 16 : 9 * 16])
    assert window.past_given.all()
    first = condition.some_bars(2, 4)
    assert torch.equal(first.past, torch.cat([condition.past[:, 32:], condition.hits[:, :32]], dim=1))
    assert first.past_given.tolist() == [[0, 0, 1, 1, 1, 1, 1, 1]] * 2


def test_the_bar_that_opens_a_phrase_is_drawn_colder(model):
    """At an opening of 0 it is the same for every seed, and what follows is not."""
    condition, z = unconditioned(1, 2, styles=3, bar_z=4), points(1)
    drawn = [
        draw_hits(model.decoder, z, condition, temperature=1, opening=0, noise=Noise(seed)) for seed in range(4)
    ]
    assert all(torch.equal(each[:, :16], drawn[0][:, :16]) for each in drawn)
    assert not all(torch.equal(each[:, 16:], drawn[0][:, 16:]) for each in drawn)
    later = replace(condition, past_given=torch.ones(1, PAST_BARS))
    first, second = (
        draw_hits(model.decoder, z, later, temperature=1, opening=0, noise=Noise(seed)) for seed in (1, 2)
    )
    assert not torch.equal(first[:, :16], second[:, :16])
