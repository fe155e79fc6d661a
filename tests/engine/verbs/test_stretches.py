import numpy as np
import pytest

from engine.verbs.stretches import beside, stretches


def counted(steps):
    """A groove that says at each step which it is, from 1."""
    return np.arange(1, steps + 1, dtype=np.float32)[:, None]


@pytest.mark.parametrize(
    ("steps", "bar", "shape"),
    [
        (32, 16, (1, 32)),
        (64, 16, (1, 64)),
        (80, 16, (2, 64)),
        (60, 12, (1, 60)),
        (72, 12, (2, 60)),
        (200, 100, (2, 100)),
    ],
)
def test_a_stretch_is_the_whole_bars_that_a_window_holds(steps, bar, shape):
    assert stretches(counted(steps), bar, 64).shape[:2] == shape


@pytest.mark.parametrize("steps", [1, 33, 64, 65, 200])
def test_the_stretches_are_the_groove_and_then_rests(steps):
    cut = stretches(counted(steps), 16, 64).reshape(-1, 1)
    assert np.array_equal(cut[:steps], counted(steps))
    assert not cut[steps:].any()


def test_a_shorter_groove_plays_on_in_a_loop():
    assert beside(counted(16), 16, 64, count=1, steps=64)[0, :, 0].tolist() == [*range(1, 17)] * 4


def test_of_a_longer_groove_each_stretch_is_the_next():
    played = beside(counted(128), 16, 64, count=2, steps=32)[..., 0]
    assert played[:, [0, -1]].tolist() == [[1, 32], [65, 96]]


def test_stretches_begin_on_the_bar_lines_of_their_groove():
    played = beside(counted(84), 12, 64, count=3, steps=64)[..., 0]
    assert played[:, 0].tolist() == [1, 61, 37]


@pytest.mark.parametrize(("bars", "different"), [(1, 1), (2, 1), (3, 3), (4, 1), (6, 3), (8, 2), (12, 3)])
def test_stretches_that_come_again_are_played_once(bars, different):
    played = beside(counted(16 * bars), 16, 64, count=100, steps=64)
    assert len(played) == different
    assert np.array_equal(beside(counted(16 * bars), 16, 64, count=1, steps=64)[0], played[0])
