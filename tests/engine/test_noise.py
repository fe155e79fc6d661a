"""A seed a row: several requests in one batch, each as alone."""

from dataclasses import replace

import pytest
import torch

from engine.model import tasks
from engine.model.musicvae import MusicVae
from engine.model.noise import Noise
from engine.model.vae import Vae
from engine.registry import CONFIGS
from tests.engine.untrained import small

SEEDS = [3, 5, 8]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("rows", [1, 2])
def test_the_rows_of_a_seed_get_the_numbers_that_they_get_alone(rows, shared):
    together, alone = Noise(SEEDS, shared=shared), [Noise(seed, shared=shared) for seed in SEEDS]
    for kind in ("uniform", "normal", "uniform"):
        numbers = torch.cat([getattr(each, kind)(rows, 4, 2) for each in alone])
        assert torch.equal(getattr(together, kind)(rows * len(SEEDS), 4, 2), numbers)


def test_seeds_that_do_not_share_the_rows_evenly_are_refused():
    with pytest.raises(AssertionError, match="3 seeds"):
        Noise(SEEDS).uniform(4)


@pytest.mark.parametrize(("name", "draws"), [("drummer", 1), ("drummer", 2), ("groovae_4bar", 1)])
def test_grooves_that_are_decoded_together_are_chosen_as_alone(name, draws):
    """Products of other batch sizes may round otherwise: the choices are the same, what is played nearly so."""
    torch.manual_seed(0)
    model, z = Vae(CONFIGS[name].shape).eval(), torch.randn(3, 1, CONFIGS[name].shape.z)
    groove = torch.zeros(3, 32, 27)
    groove[..., :9] = torch.rand(3, 32, 9) < 0.2
    given = tasks.nothing_given(groove, torch.full((3,), 120.0))
    given = tasks.humanize(groove, given).given if draws > 1 else given

    def decode(rows, seed):
        path = z[rows].expand(-1, 32, -1)
        return model.decode(path, given.rows(rows), temperature=1.0, noise=Noise(seed), draws=draws)

    alone = torch.cat([decode(slice(row, row + 1), seed) for row, seed in enumerate(SEEDS)])
    together = decode(slice(None), SEEDS)
    assert torch.equal(together[..., :9], alone[..., :9])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    assert not torch.equal(decode(slice(None), SEEDS[0]), together)


@pytest.mark.parametrize("name", ["melody_2bar", "nade-drums_2bar_reduced", "hierdec-trio_16bar"])
def test_tokens_that_are_decoded_together_are_chosen_as_alone(name):
    torch.manual_seed(0)
    shape = replace(CONFIGS[name].shape, **small(CONFIGS[name]))
    model, z = MusicVae(shape).eval(), torch.randn(3, shape.z)
    steps = 256 if shape.conductor else 32
    together = model.decode(z, steps, temperature=1.0, noise=Noise(SEEDS))
    for row, seed in enumerate(SEEDS):
        alone = model.decode(z[row : row + 1], steps, temperature=1.0, noise=Noise(seed))
        assert torch.equal(together[row : row + 1], alone)
