"""Planes through weights: filters' lengths, principal directions, and losses on them."""

import pytest
import torch
from torch import nn

from danlu.surface import DigitsMLP, Plane, filter_normalised, principal_plane


def weights(seed=0):
    draw = torch.Generator().manual_seed(seed)
    shapes = {"linear": (5, 7), "bias": (5,), "conv": (4, 3, 2, 2)}
    return {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in shapes.items()}


def test_filters_keep_their_length_and_vectors_stay():
    origin = weights()
    plane = filter_normalised(origin, seed=3)
    for side in (plane.across, plane.up):
        for name in ("linear", "conv"):
            torch.testing.assert_close(side[name].flatten(1).norm(dim=1), origin[name].flatten(1).norm(dim=1))
        assert not side["bias"].any()
    assert (plane.across["linear"] - plane.up["linear"]).abs().max() > 0.1
    assert torch.equal(filter_normalised(origin, seed=3).up["conv"], plane.up["conv"])
    assert not torch.equal(filter_normalised(origin, seed=4).up["conv"], plane.up["conv"])


def test_a_relu_network_scaled_between_its_layers_has_the_same_picture():
    """What filter normalisation is for, w1·c with w2/c: without it, the plane's values change by far more."""
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = lambda w: (torch.relu(x @ w["one"].T) @ w["two"].T).square().mean()  # noqa: E731
    draw = torch.Generator().manual_seed(1)
    one, two = (torch.randn(s, generator=draw, dtype=torch.float64) for s in ((8, 6), (3, 8)))
    points = torch.tensor([[0.5, -0.3], [1.0, 1.0]], dtype=torch.float64)
    pictures = [filter_normalised({"one": one * c, "two": two / c}).values(loss, points) for c in (1.0, 10.0)]
    torch.testing.assert_close(*pictures, rtol=1e-12, atol=0)


def test_a_path_in_a_plane_is_found_again():
    """Two orthonormal directions, a known path between them: its distances come back, and its points rebuild the weights."""
    origin, (a, b) = weights(), torch.linalg.qr(torch.randn(88, 2, dtype=torch.float64)).Q.T
    names, sizes = list(origin), [w.numel() for w in origin.values()]
    walk = torch.tensor([[4.0, 1.0], [3.0, -1.0], [1.0, -0.5], [0.2, 0.1], [0.0, 0.0]], dtype=torch.float64)
    path = []
    for x, y in walk.tolist():
        parts = (x * a + y * b).split(sizes)
        path.append({name: origin[name] + part.reshape(origin[name].shape) for name, part in zip(names, parts, strict=True)})
    plane, points = principal_plane(path)
    torch.testing.assert_close(torch.cdist(points, points), torch.cdist(walk, walk), rtol=1e-9, atol=1e-9)
    assert (points[0] > 0).all()
    rebuilt = plane.at(points)
    for i, each in enumerate(path):
        for name in names:
            torch.testing.assert_close(rebuilt[name][i], each[name], rtol=1e-9, atol=1e-9)


def test_too_short_a_path_and_other_models_are_refused():
    with pytest.raises(ValueError, match="at least 3 moments of a run, got 2"):
        principal_plane([weights(), weights(1)])
    with pytest.raises(ValueError, match="of one model"):
        principal_plane([weights(), weights(1), {"linear": torch.zeros(5, 7)}])


def test_values_and_gradients_are_those_of_the_model():
    """Against a loop that writes the weights into the model and calls it; the gradient by central differences."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    origin = {name: w.detach().clone() for name, w in model.named_parameters()}
    plane = filter_normalised(origin)
    loss = lambda w: torch.func.functional_call(model, w, x).square().sum()  # noqa: E731
    points = torch.randn(2, 150, 2, dtype=torch.float64, requires_grad=True)  # more than are done at once
    found = plane.values(loss, points)
    assert found.shape == (2, 150)
    for i, j in ((0, 0), (1, 149)):
        a, b = points[i, j].tolist()
        model.load_state_dict({n: origin[n] + a * plane.across[n] + b * plane.up[n] for n in origin})
        assert found[i, j].item() == pytest.approx(model(x).square().sum().item(), rel=1e-12)
    (g,) = torch.autograd.grad(found.sum(), points)
    step = torch.tensor([1e-5, 0.0], dtype=torch.float64)
    slope = (plane.values(loss, points[0, 0] + step) - plane.values(loss, points[0, 0] - step)) / 2e-5
    assert g[0, 0, 0].item() == pytest.approx(slope.item(), rel=1e-6)


def test_the_digits_slice_is_a_trained_networks():
    pytest.importorskip("sklearn")
    surface = DigitsMLP()
    at = lambda *p: surface.value(torch.tensor(p, dtype=torch.float64)).item()  # noqa: E731
    assert at(0.0, 0.0) < 0.1
    assert at(*surface.start) > 2.0
    assert at(0.3, 0.2) != DigitsMLP(seed=1).value(torch.tensor([0.3, 0.2], dtype=torch.float64)).item()
    assert isinstance(surface._plane, Plane)
    before = torch.get_rng_state()
    DigitsMLP(seed=2).value(torch.zeros(2, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)
