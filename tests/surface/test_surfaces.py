"""The surfaces against what is known of them, and the noises against their laws."""

import math
from importlib.util import find_spec

import pytest
import torch

from danlu.surface import SURFACES, Cliff, Gaussian, HeavyTailed, MatrixLeastSquares, Quadratic, Sparse, create, surfaces

NEEDS = {"digits_mlp": pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")}
EACH = pytest.mark.parametrize("name", [pytest.param(name, marks=NEEDS.get(name, ())) for name in surfaces()])


def at(surface, points):
    return surface.value(surface.embed(torch.tensor(points, dtype=torch.float64)))


@EACH
def test_the_minima_are_minima(name):
    """The stated value, no gradient, and nothing lower on a fine grid or a hair beside."""
    surface = create(name)
    for point in surface.minima:
        p = surface.embed(torch.tensor(point, dtype=torch.float64)).requires_grad_()
        value = surface.value(p)
        assert value.item() == pytest.approx(surface.lowest, abs=1e-9)
        (g,) = torch.autograd.grad(value, p)
        assert g.abs().max() < 1e-6
        beside = torch.tensor(point) + 1e-3 * torch.randn(
            200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        assert surface.value(surface.embed(beside)).min() >= surface.lowest - 1e-12
    x, y, f = surface.grid(201, 101)
    assert f.shape == (101, 201)
    assert f.min() >= surface.lowest - 1e-9
    assert f[7, 30] == pytest.approx(at(surface, (x[30].item(), y[7].item())).item(), rel=1e-12, abs=1e-12)


@EACH
def test_the_plane_is_flat(name):
    """A start comes back from the parameter; start and minima lie inside the picture; formula and source are there."""
    surface = create(name)
    points = torch.tensor([surface.start, *surface.minima], dtype=torch.float64)
    torch.testing.assert_close(surface.project(surface.embed(points)), points)
    left, right, bottom, top = surface.domain
    assert all(left < x < right and bottom < y < top for x, y in points.tolist())
    assert surface.formula.startswith("f = ")
    assert surface.source
    assert surface.embed(points).shape[1:] == surface.shape


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("quadratic", (2.0, 1.0), 0.5 * (4 + 30)),
        ("rosenbrock", (-1.0, 2.0), 4 + 100),
        ("rastrigin", (0.5, 0.0), 20 + (0.25 + 10) - 10),
        ("beale", (1.0, 1.0), 1.5**2 + 2.25**2 + 2.625**2),
        ("himmelblau", (1.0, 2.0), (1 + 2 - 11) ** 2 + (1 + 4 - 7) ** 2),
        ("saddle", (1.0, 2.0), 0.5 - 2 + 4),
        ("monkey_saddle", (1.0, 1.0), 1 - 3 + 1),
        ("plateau", (1.0, 1.0), 2 / 3),
        ("cliff", (-1.0, 0.0), 0.05 + 5),
        ("ravine", (2.0, 0.0), 0.2),
        ("styblinski_tang", (1.0, 0.0), 0.5 * (1 - 16 + 5)),
    ],
)
def test_values_by_hand(name, point, value):
    assert at(create(name), point).item() == pytest.approx(value, rel=1e-12)


def test_condition_and_angle_are_those_of_the_hessian():
    for angle in (0.0, 30.0, -45.0):
        hessian = torch.autograd.functional.hessian(Quadratic(50.0, angle).value, torch.zeros(2, dtype=torch.float64))
        values, vectors = torch.linalg.eigh(hessian)
        torch.testing.assert_close(values, torch.tensor([1.0, 50.0], dtype=torch.float64))
        assert math.degrees(math.atan(vectors[1, 0] / vectors[0, 0])) == pytest.approx(angle, abs=1e-9)


def test_the_matrix_problem_has_its_condition():
    flat = lambda w: MatrixLeastSquares(50.0).value(w.reshape(4, 4))  # noqa: E731
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(flat, torch.zeros(16, dtype=torch.float64)))
    assert (values[-1] / values[0]).item() == pytest.approx(50.0, rel=1e-9)


def test_the_cliff_is_one():
    p = torch.tensor([[-1.0, 0.0], [0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(Cliff().value(p).sum(), p)
    assert g[0, 0].abs() > 49
    assert g[1, 0].abs() < 0.1


@pytest.mark.parametrize("noise", [Gaussian(0.3), HeavyTailed(0.3, 3.0), Sparse(0.3)])
def test_noise_is_keyed_and_unbiased(noise):
    draws = torch.stack([noise.draw((2,), 7, k) for k in range(20_000)])
    assert torch.equal(noise.draw((2,), 7, 3), draws[3])
    assert not torch.equal(noise.draw((2,), 8, 3), draws[3])
    g = torch.tensor([1.0, -2.0], dtype=torch.float64)
    seen = noise.apply(g, draws)
    assert ((seen.mean(0) - g).abs() < 5 * seen.std(0) / 20_000**0.5).all()
    assert (seen - g).abs().mean() > 0.1


def test_the_tail_is_heavy_as_told():
    """P(|noise| > 9σ) = 10^(−α)."""
    noise = HeavyTailed(1.0, 1.5)
    seen = noise.apply(torch.zeros(2, dtype=torch.float64), torch.stack([noise.draw((2,), 0, k) for k in range(20_000)]))
    assert (seen.abs() > 9).double().mean().item() == pytest.approx(10**-1.5, abs=0.004)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rosenbruck", {}, "no surface 'rosenbruck'; did you mean 'rosenbrock'"),
        ("quadratic", {"condition": 0.5}, r"quadratic: condition must be in \[1, 1e\+06\], got 0.5"),
        ("quadratic", {"angel": 1.0}, "surface 'quadratic': no option 'angel'; did you mean 'angle'"),
    ],
)
def test_bad_surfaces_are_refused(name, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        create(name, **options)
    assert len(SURFACES) == 13
