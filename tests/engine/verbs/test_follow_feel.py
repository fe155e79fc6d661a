import numpy as np
import pytest

from engine.representation.drum_map import CLASSES
from engine.representation.groove import DEPTH
from engine.verbs.follow_feel import feel_distance


def played(steps, *, offset=0.0, velocity=0.5, drum=2, length=32):
    """One drum at some steps, all of them alike."""
    groove = np.zeros((length, DEPTH), np.float32)
    groove[steps, drum], groove[steps, CLASSES + drum], groove[steps, 2 * CLASSES + drum] = 1, velocity, offset
    return groove


EIGHTHS = np.arange(0, 32, 2)


def test_a_groove_has_its_own_feel_on_any_drum():
    assert feel_distance(played(EIGHTHS), played(EIGHTHS, drum=8), 16, 16) == 0


@pytest.mark.parametrize("change", [{"offset": -0.2}, {"velocity": 0.8}])
def test_later_or_louder_is_another_feel(change):
    far = {name: 2 * value for name, value in change.items()}
    near, farther = (feel_distance(played(EIGHTHS, **each), played(EIGHTHS), 16, 16) for each in (change, far))
    assert 0 < near < farther


def test_swing_is_told_from_lateness():
    straight, late = played(EIGHTHS), played(EIGHTHS, offset=-0.1)
    swung = played(EIGHTHS[::2]) + played(EIGHTHS[1::2], offset=-0.2)
    wanted = played(EIGHTHS[::2], drum=0) + played(EIGHTHS[1::2], offset=-0.2, drum=0)
    distances = feel_distance(np.stack([straight, late, swung]), wanted, 16, 16)
    assert distances.argmin() == 2
    assert distances[2] == pytest.approx(0, abs=1e-9)


def test_places_that_only_one_of_them_has_are_not_compared():
    assert feel_distance(played([0]), played([1], offset=0.9, velocity=0.1), 16, 16) == 0


def test_each_is_heard_from_its_own_bar_lines():
    waltz, common = played([3, 9], offset=0.4, length=12), played([1], offset=0.4, length=16)
    assert feel_distance(waltz, common, 6, 16) == 0
    assert feel_distance(waltz, played([0], length=16), 6, 16) == 0
    assert feel_distance(waltz, played([1], length=16), 6, 16) > 0
