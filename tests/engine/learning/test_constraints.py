"""Points that are moved to what is asked, learnt from windows of which it is known where they lie."""

import numpy as np
import pytest
import torch

from engine.errors import DataError
from engine.learning import constraints
from engine.learning.constraints import learn_generator, learn_vectors, points_of, spreads
from engine.learning.prior import standard_prior
from engine.model.constraint import REACH

SIZE, WINDOWS = 6, 2000


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are too small for several: on a busy machine these would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def points():
    """One attribute is the first number of z, the other how far the second is from 0; some windows have it not."""
    rng = np.random.default_rng(0)
    mu = rng.standard_normal((WINDOWS, SIZE)).astype(np.float32)
    values = np.stack([mu[:, 0], (np.abs(mu[:, 1]) - 0.8) / 0.6], axis=1).astype(np.float64)
    values[::7, 1] = np.nan
    return points_of(torch.from_numpy(mu), torch.full((WINDOWS, SIZE), 0.1), values)


def asked(*values):
    """What is asked of 200 points: (200, 2) and which of them is."""
    told = torch.tensor([[each or 0.0 for each in values]]).repeat(200, 1)
    return told, torch.tensor([[float(each is not None) for each in values]]).repeat(200, 1)


def test_a_vector_leads_to_what_lies_on_a_line_and_to_nothing_else(points):
    vectors, z = learn_vectors(points, 0), torch.randn(200, SIZE)
    moved = vectors(z, *asked(1.5, None))
    assert moved[:, 0].numpy() == pytest.approx(1.5, abs=0.1)
    assert vectors(z, *asked(None, None)).numpy() == pytest.approx(z.numpy(), abs=1e-6)
    assert moved[:, 2:].numpy() == pytest.approx(z[:, 2:].numpy(), abs=0.3)


def test_no_point_is_moved_beyond_what_the_data_tells(points):
    vectors, z = learn_vectors(points, 0), torch.zeros(200, SIZE)
    assert vectors(z, *asked(50.0, None)).equal(vectors(z, *asked(REACH, None)))


def test_a_generator_finds_what_lies_on_no_line_and_a_vector_does_not(points, monkeypatch):
    few = {"STEPS": 1500, "RATE": 2e-3, "VALUE_STEPS": 600, "VALUE_RATE": 4e-3}
    for name, value in few.items():
        monkeypatch.setattr(constraints, name, value)
    torch.manual_seed(3)
    z, far = torch.randn(200, SIZE), asked(None, 1.5)
    generator, vectors = learn_generator(points, standard_prior(SIZE), 0), learn_vectors(points, 0)
    came = {name: (mover(z, *far)[:, 1].abs() - 0.8) / 0.6 for name, mover in (("g", generator), ("v", vectors))}
    assert (came["g"] - 1.5).abs().mean() < 0.2 < 1 < (came["v"] - 1.5).abs().mean()
    assert (generator(z, *far)[:, 0] - z[:, 0]).abs().mean() < 0.2


def test_a_seed_learns_the_same(points, monkeypatch):
    monkeypatch.setattr(constraints, "STEPS", 5)
    monkeypatch.setattr(constraints, "VALUE_STEPS", 5)
    one, other = (learn_generator(points, standard_prior(SIZE), 4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_what_is_alike_in_all_windows_or_known_of_few_is_no_attribute():
    some = np.arange(100.0)
    rare = np.where(some < 20, some, np.nan)
    assert list(spreads({"density": some, "syncopation": np.zeros(100), "interval": rare})) == ["density"]
    with pytest.raises(DataError, match="too few windows"):
        spreads({"density": some[:10]})
