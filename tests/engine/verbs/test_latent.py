import pytest
import torch

from engine.verbs.latent import slerp


def test_slerp_keeps_the_length_of_equally_long_vectors():
    a, b = torch.tensor([[1.0, 0, 0]]), torch.tensor([[0, 1.0, 0]])
    assert slerp(a, b, 0.5).norm().item() == pytest.approx(1)


@pytest.mark.parametrize("position", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("a", "b"), [([1.0, 2], [2.0, 4]), ([1.0, 2], [-1.0, -2]), ([0.0, 0], [1.0, 1]), ([0.0, 0], [0.0, 0])]
)
def test_slerp_of_parallel_opposite_or_zero_vectors_is_a_straight_line(a, b, position):
    a, b = torch.tensor([a]), torch.tensor([b])
    assert torch.allclose(slerp(a, b, position), torch.lerp(a, b, position), atol=1e-5)


def test_slerp_ends_where_it_says():
    a, b = torch.randn(3, 16), torch.randn(3, 16)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)
