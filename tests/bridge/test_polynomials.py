import numpy as np
import pytest

from bridge.polynomials import orthonormal


@pytest.mark.parametrize("ticks", [1, 2, 3, 20, 192])
def test_the_polynomials_are_orthonormal_as_many_as_the_ticks_allow(ticks: int) -> None:
    rows = orthonormal(ticks).rows
    assert rows.shape == (min(4, ticks), ticks)
    assert rows @ rows.T == pytest.approx(np.eye(len(rows)), abs=1e-9)


def test_a_parabola_has_its_value_slope_and_bend_at_the_last_tick() -> None:
    basis, tick = orthonormal(30), np.arange(30.0)
    parts = basis.rows @ (2 + 3 * tick + 0.5 * tick**2)
    assert parts @ basis.ends == pytest.approx(2 + 3 * 29 + 0.5 * 29**2)
    assert parts @ basis.slopes == pytest.approx(3 + 29)
    assert parts[2] * basis.bend == pytest.approx(1.0)
    assert parts[3] == pytest.approx(0.0, abs=1e-6)
