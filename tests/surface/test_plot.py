"""Pictures of traces, and the rate that they are drawn at."""

import pytest
import torch

from danlu import optim
from danlu.surface import Quadratic, Rosenbrock, best_lr, picture, plane_picture, trace

HEADS = {"png": b"\x89PNG", "svg": b"<?xml"}


@pytest.mark.parametrize("kind", HEADS)
def test_a_picture_is_written_and_repeats_itself(kind, tmp_path):
    pytest.importorskip("matplotlib")
    one = {name: trace(optim.preset(name)(), Rosenbrock(), (-1.5, 2.0), 1e-2, 40) for name in ("adam", "sgd")}
    other = {**one, "adam": trace(optim.preset("adam")(), Rosenbrock(), (-1.5, 2.0), 3e-2, 40)}
    files = [tmp_path / f"{i}.{kind}" for i in range(3)]
    for file, traces in zip(files, (one, one, other), strict=True):
        picture(file, Rosenbrock(), traces, "title")
    first, second, third = (file.read_bytes() for file in files)
    assert first.startswith(HEADS[kind])
    assert first == second
    assert first != third


@pytest.mark.parametrize("corner", [0.0, -1.0, float("inf")])
def test_a_plane_may_have_any_loss(corner, tmp_path):
    pytest.importorskip("matplotlib")
    x = torch.linspace(-1, 1, 8, dtype=torch.float64)
    loss = 1 + x.square()[:, None] + x.square()
    loss[0, 0] = corner
    plane_picture(tmp_path / "plane.png", (x, x, loss), torch.stack([x, x], 1))
    assert (tmp_path / "plane.png").read_bytes().startswith(HEADS["png"])


def test_the_best_rate_of_gradient_descent_is_known():
    """On ½(a² + κb²) no rate decays both directions faster than 2/(1 + κ) = 0.095; 0.1 = 2/κ stands still, 0.046 is next."""
    assert best_lr(optim.preset("sgd")(), Quadratic(condition=20.0), 100) == pytest.approx(10 ** (-4 / 3))


def test_a_rule_that_always_diverges_has_no_best_rate():
    from danlu.surface import Surface

    class Cube(Quadratic):
        def value(self, p):
            return (p**3).sum(-1) * 1e300

    assert isinstance(Cube(), Surface)
    with pytest.raises(ValueError, match="best_lr: every learning rate from 1e-05 to 100 diverges"):
        best_lr(optim.preset("sgd")(), Cube(), 20)
