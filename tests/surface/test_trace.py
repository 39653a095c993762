"""Traces against a loop that one would write oneself, with the same optimizer."""

import pytest
import torch

from danlu import optim, schedule
from danlu.surface import Gaussian, HeavyTailed, MatrixLeastSquares, Quadratic, Rosenbrock, Sparse, batches, trace, traces

STARTS = [(-1.5, 2.0), (0.3, -0.7)]


def by_hand(name, surface, start, lr, steps, noise=None, seed=0, factor=lambda k: 1.0):
    """A plain training loop; every k: the parameter, where it is evaluated, the loss there."""
    p = torch.nn.Parameter(surface.embed(torch.tensor(start, dtype=torch.float64)))
    optimizer = optim.create(name, [p], lr=lr, compile=False)
    points, losses = [], []
    for k in range(steps + 1):
        points.append(surface.project(p.detach().clone()))
        with optimizer.averaged():
            losses.append(float(surface.value(p.detach())))
        if k == steps:
            break

        def closure(k=k):
            optimizer.zero_grad()
            loss = surface.value(p)
            loss.backward()
            if noise is not None:
                p.grad = noise.apply(p.grad, noise.draw(surface.shape, seed, k))
            return float(loss.detach())

        optimizer.param_groups[0]["lr"] = lr * factor(k)
        optimizer.step(closure)
    return torch.stack(points), torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("surface", [Quadratic(condition=10.0, angle=30.0), MatrixLeastSquares()], ids=["vector", "matrix"])
@pytest.mark.parametrize("name", optim.presets())
def test_every_preset_is_what_its_optimizer_does(name, surface):
    """Two starts and two rates at once, 25 updates, to 1e-12; the rates must matter, and no run may have stood still.

    SOAP's QR of nearly equal eigenvalues blows rounding up, and stacked products round otherwise: 1e-8 for its matrices.
    """
    close = 1e-8 if name == "soap" and len(surface.shape) == 2 else 1e-12
    preset = optim.preset(name)
    lrs = [preset.lr, preset.lr * (0.01 if name == "momo" else 0.7)]  # MoMo's is a cap that it stays below
    found = trace(preset(), surface, STARTS, lrs, steps=25)
    assert found.points.shape == (2, 2, 26, 2)
    for i, lr in enumerate(lrs):
        for j, start in enumerate(STARTS):
            points, losses = by_hand(name, surface, start, lr, 25)
            torch.testing.assert_close(found.points[i, j], points, rtol=close, atol=close)
            torch.testing.assert_close(found.loss[i, j], losses, rtol=close, atol=close)
            assert (points[-1] - points[0]).abs().max() > 1e-9
    assert (found.points[0] - found.points[1]).abs().max() > 1e-10


NOISES = {"gaussian": Gaussian(0.5), "heavy": HeavyTailed(0.5), "sparse": Sparse(0.5)}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("name", ["adamw", "lamb", "prodigy", "sam"])
def test_noise_and_a_schedule_are_the_same_in_a_loop(name, noise):
    """One preset for each way of running: stacked, mapped, and one by one for a measure and for a closure."""
    surface, lr = Quadratic(condition=10.0, angle=30.0), 0.05
    cosine = schedule.create("cosine", warmup=5)
    found = trace(optim.preset(name)(), surface, STARTS[0], lr, steps=25, seed=3, noise=noise, schedule=cosine)
    points, _ = by_hand(name, surface, STARTS[0], lr, 25, noise, 3, lambda k: cosine.factor(k, 25))
    torch.testing.assert_close(found.points[0, 0], points, rtol=1e-12, atol=1e-12)
    clean = trace(optim.preset(name)(), surface, STARTS[0], lr, steps=25, schedule=cosine)
    assert (found.points - clean.points).abs().max() > 1e-8


def test_several_rules_at_once_are_each_the_same_alone():
    """Stacked, mapped, averaging and one by one; with one rate and with two; a neighbour that diverges changes nothing."""
    rules = [("adamw", 0.1), ("lamb", [0.1, 0.02]), ("sgd", 10.0), ("schedule_free_sgd", 1e-4), ("prodigy", 1.0), ("soap", 0.1)]
    each = [(optim.preset(name)(), lr) for name, lr in rules]
    some = {"steps": 20, "seed": 3, "noise": Gaussian(0.5), "schedule": schedule.create("cosine"), "every": 3}
    for (rule, lr), found in zip(each, traces(each, Rosenbrock(), STARTS, **some), strict=True):
        alone = trace(rule, Rosenbrock(), STARTS, lr, **some)
        for field in ("updates", "lr", "points", "evaluated", "loss", "grad_norm"):
            torch.testing.assert_close(getattr(found, field), getattr(alone, field), rtol=1e-12, atol=1e-12, equal_nan=True)
        torch.testing.assert_close(found.state, alone.state, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("name", ["adamw", "lamb", "prodigy", "shampoo"])
def test_the_state_is_what_the_optimizer_keeps(name):
    """Stacked, mapped and one by one: the root mean square of each tensor after 7 updates, and where it begins."""
    surface, lr = MatrixLeastSquares(), optim.preset(name).lr
    found = trace(optim.preset(name)(), surface, STARTS, lr, steps=7)
    p = torch.nn.Parameter(surface.embed(torch.tensor(STARTS[1], dtype=torch.float64)))
    optimizer = optim.create(name, [p], lr=lr, compile=False)
    for _ in range(7):
        optimizer.zero_grad()
        surface.value(p).backward()
        optimizer.step()
    kept = {key: x for key, x in optimizer.state[p].items() if isinstance(x, torch.Tensor)}
    assert kept.keys() == found.state.keys()
    for key, x in kept.items():
        assert found.state[key][0, 1, -1].item() == pytest.approx(x.square().mean().sqrt().item(), rel=1e-9)
    assert found.state[next(iter(kept))].shape == (1, 2, 8)
    assert any(x[0, 1, 0] != x[0, 1, -1] for x in found.state.values())


def test_a_composition_is_traced_like_a_preset():
    rule = optim.preset("adamw")().but(modify=(optim.modify.Cautious(),))
    found = trace(rule, Rosenbrock(), STARTS[0], 0.1, steps=20)
    points, _ = by_hand("adamw+modify.cautious", Rosenbrock(), STARTS[0], 0.1, 20)
    torch.testing.assert_close(found.points[0, 0], points, rtol=1e-12, atol=1e-12)


def test_kept_updates_are_those_of_the_whole_trace():
    whole = trace(optim.preset("adamw")(), Rosenbrock(), STARTS, [0.1, 0.01], steps=23)
    some = trace(optim.preset("adamw")(), Rosenbrock(), STARTS, [0.1, 0.01], steps=23, every=5)
    assert some.updates.tolist() == [0, 5, 10, 15, 20, 23]
    assert torch.equal(some.points, whole.points[:, :, some.updates])
    assert torch.equal(some.loss, whole.loss[:, :, some.updates])


@pytest.mark.parametrize("name", ["sgd", "lamb", "soap", "dog", "sam"])
def test_a_run_that_diverges_ends_in_nan_and_leaves_the_others_alone(name):
    both = trace(optim.preset(name)(), Rosenbrock(), [STARTS[0], (1e90, 1e90)], 1e-4, steps=30)
    one = trace(optim.preset(name)(), Rosenbrock(), STARTS[0], 1e-4, steps=30)
    assert both.loss[0, 1, -1].isnan()
    assert both.points[0, 1, -1].isnan().all()
    assert one.loss[0, 0].isfinite().all()
    torch.testing.assert_close(both.points[0, 0], one.points[0, 0], rtol=1e-12, atol=1e-12)


def test_an_average_is_where_the_loss_is_taken():
    found = trace(optim.preset("schedule_free_sgd")(), Quadratic(), STARTS[0], 0.05, steps=20)
    assert (found.evaluated - found.points).abs().max() > 1e-3
    torch.testing.assert_close(found.loss, Quadratic().value(found.evaluated))


def test_what_cannot_be_stacked_says_so():
    alone = {name for name in optim.presets() if not batches(optim.preset(name)())}
    assert alone == {"adalo", "adams", "am_sgd", "asam", "dadapt_adam", "dog", "momo", "momo_adam", "prodigy", "sam"}


@pytest.mark.parametrize(
    ("start", "lr", "steps"),
    [
        ((1.0,), 0.1, 5),
        ((1.0, float("nan")), 0.1, 5),
        ([], 0.1, 5),
        ((1.0, 1.0), -0.1, 5),
        ((1.0, 1.0), [], 5),
        ((1.0, 1.0), float("nan"), 5),
        ((1.0, 1.0), 0.1, 0),
        ((1.0, 1.0), 0.1, 2.5),
    ],
)
def test_bad_input_is_refused_in_one_line(start, lr, steps):
    with pytest.raises(ValueError, match=r"^trace: .*$"):
        trace(optim.preset("sgd")(), Quadratic(), start, lr, steps)
