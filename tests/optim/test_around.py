"""Gradients taken beside the parameter: SAM and ASAM, and that nothing but the gradient ever comes back from there."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim import around
from danlu.train import Update
from tests.golden.replay import gap, load
from tests.papers.problem import problem
from tests.papers.sharpness import asam, sam

EXACT = 1e-12
ORACLES = {"asam": asam, "sam": sam}
GOLDEN = [
    ("B_sam_sgd__davda54.npz", "sam", {}, EXACT),
    ("B_sam_sgd__pytorch_optimizer.npz", "sam", {}, 5e-9),  # the sources differ by as much
    ("B_sam_sgd_samsung__samsunglabs.npz", "sam", {}, EXACT),
    ("B_asam_davda_sgd__davda54.npz", "asam", {"eta": 0.0}, EXACT),
    ("B_asam_davda_sgd__pytorch_optimizer.npz", "asam", {"eta": 0.0}, 1e-7),  # likewise
    ("B_asam_sgd__samsunglabs.npz", "asam", {}, EXACT),
]
OPTION_SETS = {
    "asam": [
        {},
        {"rho": 0.3, "eta": 0.5, "vectors": False, "momentum": 0.7, "weight_decay": 0.1},
        {"momentum": 0.7, "nesterov": True},
    ],
    "sam": [{}, {"rho": 0.3, "momentum": 0.7, "weight_decay": 0.1}, {"momentum": 0.7, "nesterov": True}],
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]


def quadratic(a, b, noise):
    """Gradients of ½Σa(p − b)² + noise·p."""
    return lambda k, p: {n: a[n] * (p[n] - b[n]) + noise[n][k] for n in p}


def descend(name, p0, grad, lrs, **options):
    params = {n: torch.nn.Parameter(torch.tensor(p)) for n, p in p0.items()}
    optimizer = optim.create(name, params.values(), lr=lrs[0], **options)
    paths = {n: [] for n in params}
    for k, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr

        def closure(k=k):
            for n, g in grad(k, {n: p.detach().numpy() for n, p in params.items()}).items():
                params[n].grad = torch.tensor(g)
            return 0.0

        optimizer.step(closure)
        for n, p in params.items():
            paths[n].append(p.detach().numpy().copy())
    return paths


@pytest.mark.parametrize(("file", "name", "options", "tolerance"), GOLDEN, ids=lambda x: x if isinstance(x, str) else "")
def test_golden_oracle_and_preset_agree(file, name, options, tolerance):
    _, inputs = load("B__problem.npz")
    meta, arrays = load(file)
    p0, a, b, noise = ({n: inputs[f"{key}_{n}"] for n in "vmcs"} for key in ("p0", "qa", "qb", "qn"))
    updates = meta["kept_steps"][1:]
    want = {n: arrays[f"quad__p_{n}"][1:] for n in "vmcs"}
    plain = optim.create("sgd", [torch.nn.Parameter(torch.zeros(1))], momentum=0.9)
    assert "closure" not in plain.needs
    for walk in (ORACLES[name], lambda *args, **kw: descend(name, *args, **kw)):
        got = walk(p0, quadratic(a, b, noise), [0.05] * 30, **options)
        assert gap({n: [path[t - 1] for t in updates] for n, path in got.items()}, want) <= tolerance
    without = ORACLES[name](p0, quadratic(a, b, noise), [0.05] * 30, rho=0.0)
    assert gap({n: [path[t - 1] for t in updates] for n, path in without.items()}, want) >= 1e3 * tolerance


def curved(seed):
    p0, noise, lrs = problem(seed)
    rng = np.random.default_rng(seed)
    a = {n: rng.uniform(0.1, 3.0, size=p.shape) for n, p in p0.items()}
    return p0, quadratic(a, {n: np.ones_like(p) for n, p in p0.items()}, noise), lrs


@pytest.mark.parametrize(("name", "options"), SETS)
def test_preset_meets_its_oracle(name, options):
    p0, grad, lrs = curved(31)
    want = ORACLES[name](p0, grad, lrs, **options)
    assert gap(descend(name, p0, grad, lrs, **options), want) <= EXACT
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(ORACLES[name](p0, grad, lrs, **rest), want) >= 1e3 * EXACT


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_option_sets_cover_the_preset(name):
    assert {key for options in OPTION_SETS[name] for key in options} == optim.preset(name).options.keys()


def test_radius_zero_is_the_inner_rule():
    p0, grad, lrs = curved(32)
    assert gap(descend("sam", p0, grad, lrs, rho=0.0), descend("sgd", p0, grad, lrs, momentum=0.9)) == 0.0


def test_any_rule_takes_the_gradient_of_the_place_beside():
    """AdamW around Sam is AdamW fed with the gradients that a closure finds at p + e."""
    p0, grad, lrs = curved(33)
    got = descend("adamw", p0, grad, lrs, around=around.Sam(0.2))

    def beside(k, p):
        g = grad(k, p)
        norm = np.sqrt(sum(np.sum(x**2) for x in g.values()))
        return grad(k, {n: p[n] + 0.2 * g[n] / norm for n in p})

    assert gap(got, descend("adamw", p0, beside, lrs)) <= EXACT
    assert gap(got, descend("adamw", p0, grad, lrs)) >= 1e-4


class Watched:
    """Two tensors in two groups under ½‖p‖² (or −½‖p‖²); remembers where it was evaluated."""

    def __init__(self, dtype=torch.float32, sign=1.0, fail_at=None, **options):
        torch.manual_seed(3)
        self.params = [torch.nn.Parameter(torch.randn(shape).to(dtype)) for shape in ((3,), (2, 2))]
        self.optimizer = optim.create("sam", [{"params": [p]} for p in self.params], lr=0.1, rho=0.5, **options)
        self.places, self.sign, self.fail_at = [], sign, fail_at

    def closure(self):
        self.places.append([p.detach().clone() for p in self.params])
        if len(self.places) == self.fail_at:
            raise FloatingPointError("mine")
        for p in self.params:
            p.grad = self.sign * p.detach().clone()
        return 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_model_is_evaluated_at_p_and_beside_it_and_p_comes_back_bit_for_bit(dtype):
    watched = Watched(dtype)
    for group in watched.optimizer.param_groups:
        group["lr"] = 0.0
    start = [p.detach().clone() for p in watched.params]
    assert watched.optimizer.step(watched.closure) == 1.0
    here, beside = watched.places
    assert all(torch.equal(p, q) for p, q in zip(start, here, strict=True))
    assert all(torch.equal(p, q) for p, q in zip(start, watched.params, strict=True))
    away = torch.cat([(q.double() - p.double()).flatten() for p, q in zip(here, beside, strict=True)])
    assert float(away.norm()) == pytest.approx(0.5, rel=1e-5 if dtype == torch.float32 else 2e-2)  # over both groups


def test_the_climb_turns_round_with_maximize():
    down, up = Watched(), Watched(sign=-1.0, maximize=True)
    for watched in (down, up):
        watched.optimizer.step(watched.closure)
    for i in range(2):
        assert torch.equal(down.places[1][i], up.places[1][i])
        assert torch.equal(down.params[i], up.params[i])


def test_a_failure_beside_leaves_nothing_behind():
    watched = Watched(fail_at=2)
    start = [p.detach().clone() for p in watched.params]
    with pytest.raises(FloatingPointError, match="mine"):
        watched.optimizer.step(watched.closure)
    assert all(torch.equal(p, q) for p, q in zip(start, watched.params, strict=True))
    assert not any(watched.optimizer.state.values())


def test_a_gradient_that_is_not_finite_moves_nothing():
    watched = Watched(sign=float("nan"))
    start = [p.detach().clone() for p in watched.params]
    with pytest.warns(UserWarning, match="not finite; the step was skipped"):
        assert watched.optimizer.step(watched.closure) == 1.0
    assert watched.optimizer.skipped == 1
    assert len(watched.places) == 1
    assert all(torch.equal(p, q) for p, q in zip(start, watched.params, strict=True))


def test_a_gradient_of_zero_stays_where_it_is():
    watched = Watched(sign=0.0)
    watched.optimizer.step(watched.closure)
    assert all(torch.equal(p, q) for p, q in zip(*watched.places, strict=True))


def test_a_step_without_a_closure_is_refused():
    watched = Watched()
    assert watched.optimizer.needs == {"grad", "closure"}
    with pytest.raises(ValueError, match=r"sam: this rule evaluates the model again: call step\(closure\)"):
        watched.optimizer.step()


def test_a_group_can_do_without():
    """The tensor of that group is not moved, and not part of the norm."""
    watched = Watched()
    params = watched.params
    watched.optimizer = optim.create("sam", [{"params": params[:1]}, {"params": params[1:], "without": ("sam",)}], rho=0.5)
    watched.optimizer.step(watched.closure)
    here, beside = watched.places
    assert torch.equal(here[1], beside[1])
    assert float((beside[0] - here[0]).norm()) == pytest.approx(0.5, rel=1e-5)


def squared(model, batch):
    x, y = batch
    return ((model(x) - y) ** 2).sum(), y.numel()


@pytest.mark.parametrize("name", ["asam", "sam"])
def test_accumulation_is_the_big_batch(name):
    """Ragged micro-batches in a window, with clipping: the same weights as from one batch, and not those of SGD."""
    torch.manual_seed(4)
    x, y = torch.randn(12, 5, dtype=torch.float64), torch.randn(12, 2, dtype=torch.float64)
    ends = {}
    for cut, preset in (((12,), name), ((5, 4, 3), name), ((12,), "sgd")):
        torch.manual_seed(5)
        model = torch.nn.Linear(5, 2).double()
        optimizer = optim.create(preset, model, lr=0.1, momentum=0.9)
        update = Update(model, squared, optimizer, clip=1.0)
        for _ in range(4):
            update(list(zip(x.split(cut), y.split(cut), strict=True)))
        ends[cut, preset] = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    assert gap({n: [p] for n, p in ends[(12,), name].items()}, {n: [p] for n, p in ends[(5, 4, 3), name].items()}) <= EXACT
    assert gap({n: [p] for n, p in ends[(12,), name].items()}, {n: [p] for n, p in ends[(12,), "sgd"].items()}) >= 1e-3
