"""MoMo: golden trajectories, the oracle with every option, and what the cap does at its ends."""

import math

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim.modify import PolyakCap
from tests.golden.replay import gap, load
from tests.papers.momo import momo, momo_adam
from tests.papers.problem import problem

EXACT = 1e-12
ORACLES = {"momo": momo, "momo_adam": momo_adam}
GOLDEN = [
    ("B_momo__official.npz", "momo", 1.0, {}, {"lb": -1.0}),
    ("B_momo_adam__official.npz", "momo_adam", 0.01, {"betas": (0.9, 0.99)}, {}),
]
OPTION_SETS = {
    "momo": [{}, {"weight_decay": 0.3, "beta": 0.7, "lb": -2.0}, {"bias_correction": True, "lb": 1.0, "weight_decay": 0.2}],
    "momo_adam": [{}, {"betas": (0.7, 0.9), "eps": 1e-2, "weight_decay": 0.3, "lb": -2.0}],
}


def quadratic(a, b, noise):
    """Gradients and values of ½Σa(p − b)² + noise·p."""
    gradients = lambda k, p: {n: a[n] * (p[n] - b[n]) + noise[n][k] for n in p}  # noqa: E731
    losses = lambda k, p: sum((a[n] * (p[n] - b[n]) ** 2).sum() / 2 + (noise[n][k] * p[n]).sum() for n in p)  # noqa: E731
    return gradients, losses


def walk(name, p0, gradients, losses, lrs, *, compile=False, **options):
    params = {n: torch.nn.Parameter(torch.tensor(p, dtype=torch.float64)) for n, p in p0.items()}
    optimizer = optim.create(name, params.values(), lr=lrs[0], compile=compile, **options)
    paths = {n: [] for n in params}
    for k, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        here = {n: p.detach().numpy().copy() for n, p in params.items()}
        for n, g in gradients(k, here).items():
            params[n].grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step(loss=float(losses(k, here)))
        for n, p in params.items():
            paths[n].append(p.detach().numpy().copy())
    return paths


@pytest.mark.parametrize(("file", "name", "lr", "options", "others"), GOLDEN)
def test_golden_oracle_and_preset_agree(file, name, lr, options, others):
    _, inputs = load("B__problem.npz")
    meta, arrays = load(file)
    p0, a, b, noise = ({n: inputs[f"{key}_{n}"] for n in "vmcs"} for key in ("p0", "qa", "qb", "qn"))
    want, updates = {n: arrays[f"quad__p_{n}"][1:] for n in "vmcs"}, meta["kept_steps"][1:]

    def kept(paths):
        return {n: [path[t - 1] for t in updates] for n, path in paths.items()}

    for each in (ORACLES[name], lambda *args, **kw: walk(name, *args, **kw)):
        assert gap(kept(each(p0, *quadratic(a, b, noise), [lr] * 30, **options)), want) <= EXACT
    assert gap(kept(walk(name, p0, *quadratic(a, b, noise), [lr] * 30, **others)), want) >= 1e3 * EXACT


def curved(seed):
    p0, noise, lrs = problem(seed)
    rng = np.random.default_rng(seed)
    a = {n: rng.uniform(0.1, 3.0, size=p.shape) for n, p in p0.items()}
    return p0, *quadratic(a, {n: np.ones_like(p) for n, p in p0.items()}, noise), lrs


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name, sets in OPTION_SETS.items() for options in sets], ids=str
)
def test_preset_meets_its_oracle(name, options):
    p0, gradients, losses, lrs = curved(3)
    moved = dict.fromkeys(options, 0.0)
    for scale in (0.1, 20.0):  # the step is lr, and what the model allows
        want = ORACLES[name](p0, gradients, losses, scale * lrs, **options)
        assert gap(walk(name, p0, gradients, losses, scale * lrs, **options), want) <= EXACT
        for option in options:
            rest = {key: x for key, x in options.items() if key != option}
            moved[option] = max(moved[option], gap(walk(name, p0, gradients, losses, scale * lrs, **rest), want))
    assert all(x >= 1e2 * EXACT for x in moved.values())


@pytest.mark.parametrize("name", ORACLES)
def test_small_steps_are_not_capped(name):
    """With a loss that is far above its bound it is SGD or Adam."""
    plain = {"momo": ("sgd", {"momentum": 0.9, "dampening": 0.9}), "momo_adam": ("adam", {})}[name]
    p0, grads, lrs = problem(seed=2)

    def given(k, p):
        return {n: grads[n][k] for n in p}

    want = walk(plain[0], p0, given, lambda k, p: 0.0, lrs, **plain[1])
    assert gap(walk(name, p0, given, lambda k, p: 1e6, lrs), want) <= EXACT


def test_at_the_lower_bound_nothing_moves():
    p0, grads, lrs = problem(seed=2)
    for n in p0:
        p0[n] = np.zeros_like(p0[n])  # ⟨g, p⟩ = 0
    paths = walk("momo", p0, lambda k, p: {n: grads[n][k] for n in p}, lambda k, p: 3.0, lrs, lb=3.0)
    assert all((np.asarray(path) == 0.0).all() for path in paths.values())


def test_a_loss_that_is_not_finite_leaves_the_average_as_it_was():
    total = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    cap = PolyakCap()
    tick = optim.values.Tick(2, 1.0, 1.0, {}, {"polyak_loss": 0.5, "polyak_inner": 0.0}, math.nan)
    assert cap.settle(total, tick) == {"total": 0.5, "polyak_loss": 0.5, "polyak_inner": 0.0}


def test_climbing_is_refused():
    """Its bound is a lower one: the loss of a climb would be taken for far above it, or below."""
    p = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(
        ValueError, match=r"maximize: modify\.PolyakCap reads the loss as what is to become small; minimize the neg"
    ):
        optim.create("momo", [p], maximize=True)
    with pytest.raises(ValueError, match="maximize"):
        optim.create("adamw+modify.polyak_cap", [p], maximize=True)


def test_a_rate_that_is_far_too_large_is_shortened():
    """At lr 100 SGD with the same momentum leaves ½Σp² at once."""
    p0, *_ = problem(seed=5)
    zero = {n: 0.0 * p for n, p in p0.items()}
    bowl = quadratic({n: x + 1.0 for n, x in zero.items()}, zero, {n: np.zeros((60, *x.shape)) for n, x in zero.items()})
    ends = [walk(name, p0, *bowl, [100.0] * 60, **options) for name, options in (("momo", {}), ("sgd", {"momentum": 0.9}))]
    ours, theirs = (bowl[1](0, {n: path[-1] for n, path in paths.items()}) for paths in ends)
    assert ours <= 0.01 * bowl[1](0, p0)
    assert theirs >= 1e6
