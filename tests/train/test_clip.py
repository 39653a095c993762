import numpy as np
import pytest

from danlu.train import clip_coefficient


def test_the_law():
    rng = np.random.default_rng(0)
    for norm, bound in rng.lognormal(0, 3, (200, 2)):
        assert clip_coefficient(norm, bound) == bound / max(norm, bound)
        assert clip_coefficient(norm, bound) * norm <= bound * (1 + 1e-15)


def test_up_to_the_bound_nothing_happens():
    below = np.nextafter(1.0, 0.0)
    assert [clip_coefficient(norm, 1.0) for norm in (0.0, 0.5, below, 1.0)] == [1.0] * 4


@pytest.mark.parametrize("norm", [1 + 1e-9, 1.5, 1e8])
def test_above_it_the_norm_becomes_the_bound_without_an_epsilon(norm):
    assert clip_coefficient(norm, 1.0) * norm == pytest.approx(1.0, rel=1e-15)
    assert clip_coefficient(norm, 1.0) != 1.0 / (norm + 1e-6)
