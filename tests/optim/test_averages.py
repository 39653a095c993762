"""Averages: their oracles meet the golden data, pieces and presets meet the oracles, and evaluation leaves no trace."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim import average, moment
from tests.golden.cases_averages import CASES_AVERAGES
from tests.golden.replay import descend, gap, load, tracks
from tests.papers import averages as papers
from tests.papers.adam import adamw
from tests.papers.problem import PEAK, problem

EXACT = 1e-12
ORACLES = {
    "lookahead": papers.lookahead,
    "schedule_free_adamw": papers.schedule_free_adamw,
    "schedule_free_radam": papers.schedule_free_radam,
    "schedule_free_sgd": papers.schedule_free_sgd,
}
OPTION_SETS = {
    "lookahead": [
        {},
        {"k": 3, "alpha": 0.8, "momentum": 0.7, "weight_decay": 0.1},
        {"k": 2, "alpha": 0.3, "nesterov": True},
    ],
    "schedule_free_adamw": [
        {},
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "warmup_steps": 4, "r": 0.5, "weight_lr_power": 1.0},
    ],
    "schedule_free_radam": [
        {},
        {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "r": 0.5, "weight_lr_power": 1.0},
    ],
    "schedule_free_sgd": [
        {},
        {"momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 4, "r": 0.5, "weight_lr_power": 1.0},
    ],
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]
RUNNING = [
    (average.Ema(0.9), lambda path: papers.ema(path, [0.9] * 30), "B_ema_plain__timm_v3.npz"),
    (average.Ema(0.9), lambda path: papers.ema(path, [0.9] * 30), "B_ema_plain__torch_averaged_model.npz"),
    (average.Ema(0.9), lambda path: papers.ema(path, [0.9] * 30), "B_ema_plain_excl_buffers__timm_v3.npz"),
    (average.Ema(0.9, debias=True), lambda path: papers.debiased(path, 0.9), "B_ema_debias__optax.npz"),
    (average.Ema(0.9, start=6), lambda path: papers.ema(path, [0] * 6 + [0.9] * 24), "B_ema_step_nowarmup__timm_v3.npz"),
    (
        average.EmaRatio(0.999),
        lambda path: papers.ema(path, papers.ratio_decay(0.999, 30)),
        "B_ema_tf_num_updates__formula_tf_docs.npz",
    ),
    (average.EmaPower(0.999), lambda path: papers.ema(path, papers.power_decay(0.999, 30)), "B_ema_warmup__timm_v3.npz"),
    (average.Swa(), papers.swa, "B_swa__torch_averaged_model.npz"),
    (average.Lawa(5), lambda path: papers.lawa(path, 5), "B_lawa__window_mean.npz"),
]
AVERAGES = [
    average.Ema(0.8, every=2, start=1),
    average.EmaPower(0.8),
    average.Lawa(3, every=2),
    average.Lookahead(2),
    average.Polynomial(8.0),
    average.ScheduleFree(0.8),
    average.Swa(start=2),
]


def follow(piece, paths):
    """Where a piece evaluates after each update, when the parameters walk `paths`."""
    params = {n: torch.nn.Parameter(torch.tensor(path[0])) for n, path in paths.items()}
    optimizer = optim.Optimizer(params.values(), optim.Rule(optim.direction.Plain(), average=piece), lr=1.0)
    found = {n: [] for n in paths}
    for t in range(1, len(next(iter(paths.values())))):
        for n, p in params.items():
            p.grad = p.detach() - torch.tensor(paths[n][t])
        optimizer.step()
        with optimizer.averaged():
            for n, p in params.items():
                found[n].append(p.detach().numpy().copy())
    return found


def walk_of(file):
    _, arrays = load(file)
    return {n: arrays[f"w_{n}"] for n in "vmcs"}, {n: arrays[f"ema_{n}"] for n in "vmcs"}


@pytest.mark.parametrize(("piece", "oracle", "file"), RUNNING, ids=lambda x: x if isinstance(x, str) else "")
def test_averages_meet_golden_and_oracle(piece, oracle, file):
    paths, want = walk_of(file)
    by_oracle = {n: oracle(list(path)) for n, path in paths.items()}
    assert gap(by_oracle, want) <= EXACT
    assert gap(follow(piece, paths), want) <= EXACT
    assert gap({n: path[1:] for n, path in paths.items()}, want) >= 1e3 * EXACT


def test_the_polynomial_average_meets_its_oracle():
    paths, _ = walk_of("B_swa__torch_averaged_model.npz")
    for gamma in (0.0, 2.5, 8.0):
        want = {n: papers.polynomial(list(path), gamma) for n, path in paths.items()}
        assert gap(follow(average.Polynomial(gamma), paths), want) <= EXACT
    assert gap({n: papers.polynomial(list(path), 0.0) for n, path in paths.items()}, follow(average.Swa(), paths)) <= EXACT


def test_looks_apart_see_every_nth_weight_from_the_start_on():
    paths, _ = walk_of("B_swa__torch_averaged_model.npz")
    seen = {n: [path[0], *path[5::3]] for n, path in paths.items()}  # start 2, every 3: updates 5, 8, ...
    for piece, want in [
        (average.Swa(every=3, start=2), {n: papers.swa(path) for n, path in seen.items()}),
        (
            average.Ema(0.9, every=3, start=2),
            {n: papers.ema([paths[n][2], *path[1:]], [0.9**3] * (len(path) - 1)) for n, path in seen.items()},
        ),
    ]:
        got = follow(piece, paths)
        assert gap({n: path[4::3] for n, path in got.items()}, want) <= EXACT
        assert gap({n: path[:2] for n, path in got.items()}, {n: path[1:3] for n, path in paths.items()}) <= EXACT
        assert gap({n: path[4:6] for n, path in got.items()}, {n: [path[0]] * 2 for n, path in want.items()}) <= EXACT


def test_lawa_is_the_parameter_until_its_first_snapshot():
    paths, _ = walk_of("B_swa__torch_averaged_model.npz")
    got = follow(average.Lawa(3, every=4), paths)
    assert gap({n: path[:3] for n, path in got.items()}, {n: path[1:4] for n, path in paths.items()}) <= EXACT
    want = {n: papers.lawa([path[0], *path[4::4]], 3) for n, path in paths.items()}
    assert gap({n: path[3::4] for n, path in got.items()}, want) <= EXACT


def test_after_its_half_life_a_weight_counts_half():
    """From 1 the weights jump to 0; the average is what is left of the 1."""
    path = [np.ones(1), *[np.zeros(1)] * 20]
    left = follow(average.Ema(average.half_life(10)), {"p": path})["p"]
    assert left[9] == pytest.approx(0.5, rel=1e-12)
    assert left[19] == pytest.approx(0.25, rel=1e-12)


def walk(name, p0, grads, lrs, **options):
    found = {n: ORACLES[name](p0[n], grads[n], lrs, **options) for n in p0}
    return {n: path[0] for n, path in found.items()} if name.startswith("schedule_free") else found


@pytest.mark.parametrize("case", CASES_AVERAGES, ids=lambda case: case.file)
def test_golden_oracle_and_preset_agree(case):
    for track in tracks(case):
        oracle = walk(case.preset, track.p0, track.grads, case.lrs, **case.options)
        assert track.distance(oracle) <= case.tolerance

        def make(params):
            return optim.create(case.preset, params.values(), lr=case.lr, **case.options)

        assert track.distance(descend(make, track.p0, track.grads, case.lrs)) <= case.tolerance
        assert track.distance({n: [p] * len(case.lrs) for n, p in track.p0.items()}) >= 1e3 * case.tolerance


@pytest.mark.parametrize(
    "case", [c for c in CASES_AVERAGES if "__official.npz" in c.file and "free" in c.file], ids=lambda c: c.file
)
def test_schedule_free_evaluates_where_the_authors_do(case):
    (track,) = tracks(case)
    _, arrays = load(case.file)
    params = {n: torch.nn.Parameter(torch.tensor(p)) for n, p in track.p0.items()}
    optimizer = optim.create(case.preset, params.values(), lr=case.lr, **case.options)
    for k in range(30):
        for n, p in params.items():
            p.grad = torch.tensor(track.grads[n][k])
        optimizer.step()
        with optimizer.averaged():
            for n, p in params.items():
                assert np.abs(p.detach().numpy() - arrays[f"plain__x_{n}"][k]).max() <= EXACT


@pytest.mark.parametrize(("name", "options"), SETS)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=21)
    paths = descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)
    want = walk(name, p0, grads, lrs, **options)
    assert gap(paths, want) <= EXACT
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(walk(name, p0, grads, lrs, **rest), want) >= 1e3 * EXACT


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_option_sets_cover_the_preset(name):
    assert {key for options in OPTION_SETS[name] for key in options} == optim.preset(name).options.keys()


@pytest.mark.parametrize("file", ["B_lookahead_sgdm_reset__official.npz", "B_lookahead_sgdm_pullback__official.npz"])
def test_momentum_under_lookahead_meets_golden(file):
    """The authors' pullback keeps a reference where it means a copy; up to its second sync that makes no difference."""
    reset = "reset" in file
    buffer = moment.HeavyBall(0.9)
    inner = moment.Restart(buffer, 5) if reset else moment.PullBack(buffer, 5, 0.5)
    case = next(c for c in CASES_AVERAGES if c.preset == "lookahead")
    (track, *_) = tracks(type(case)(file, "lookahead", {}, case.lr, case.tolerance, ("plain",)))
    at_sync = "reset" if reset else "pullback"

    def oracle(**options):
        return {n: papers.lookahead(p, track.grads[n], case.lrs, at_sync=at_sync, **options) for n, p in track.p0.items()}

    assert track.distance(oracle(aliased=True)) <= EXACT
    paths = descend(
        lambda params: optim.create("lookahead", params.values(), lr=case.lr, moments={"momentum_buffer": inner}),
        track.p0,
        track.grads,
        case.lrs,
    )
    assert gap(paths, oracle()) <= EXACT
    assert track.distance(oracle()) <= EXACT if reset else track.distance(oracle()) >= 1e-2


def test_lookahead_with_alpha_one_is_the_inner_rule():
    p0, grads, lrs = problem(seed=22)
    inner = average.Lookahead(3, 1.0)
    paths = descend(lambda params: optim.create("adamw", params.values(), lr=PEAK, average=inner), p0, grads, lrs)
    assert gap(paths, {n: adamw(p0[n], grads[n], lrs) for n in p0}) <= EXACT


def test_lookahead_leaves_parameter_and_slow_weights_equal_at_a_sync():
    p = torch.nn.Parameter(torch.randn(5))
    optimizer = optim.create("lookahead", [p], lr=0.1, k=2)
    for k in range(1, 7):
        p.grad = torch.randn(5)
        optimizer.step()
        assert torch.equal(p.detach(), optimizer.state[p]["slow"]) == (k % 2 == 0)


def trained(piece, steps, seed=0, dtype=torch.float32, optimizer=None, params=None, first=0):
    if params is None:
        torch.manual_seed(seed)
        params = [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in ((), (3,), (2, 4))]
        optimizer = optim.create("adamw", params, lr=0.1, average=piece)
    for k in range(first, first + steps):
        torch.manual_seed(100 + k)
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + k)
        for p in params:
            p.grad = torch.randn(p.shape).to(dtype)
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("piece", AVERAGES, ids=lambda piece: piece.brief())
def test_evaluation_puts_every_bit_back_and_refuses_a_step(piece):
    params, optimizer = trained(piece, 5)
    before = [p.detach().clone() for p in params]
    with pytest.raises(KeyError, match="mine"), optimizer.averaged():
        assert any(not torch.equal(p, old) for p, old in zip(params, before, strict=True))
        with pytest.raises(RuntimeError, match=r"step\(\) inside averaged"):
            optimizer.step()
        raise KeyError("mine")
    assert all(torch.equal(p, old) for p, old in zip(params, before, strict=True))
    optimizer.step()


@pytest.mark.parametrize("piece", AVERAGES, ids=lambda piece: piece.brief())
def test_resuming_is_never_having_stopped(piece):
    whole, uninterrupted = trained(piece, 7)
    params, optimizer = trained(piece, 4)
    again = [torch.nn.Parameter(p.detach().clone()) for p in params]
    fresh = optim.create("adamw", again, lr=0.1, average=piece)
    with pytest.warns(UserWarning, match="by position"):
        fresh.load_state_dict(optimizer.state_dict())
    trained(piece, 3, optimizer=fresh, params=again, first=4)
    with uninterrupted.averaged(), fresh.averaged():
        assert all(torch.equal(p, q) for p, q in zip(whole, again, strict=True))
    assert all(torch.equal(p, q) for p, q in zip(whole, again, strict=True))


@pytest.mark.parametrize("piece", [a for a in AVERAGES if not isinstance(a, (average.Lookahead, average.ScheduleFree))])
def test_watching_changes_nothing(piece):
    plain, _ = trained(None, 5)
    watched, _ = trained(piece, 5)
    assert all(torch.equal(p, q) for p, q in zip(plain, watched, strict=True))


def test_a_bfloat16_parameter_has_a_float32_average():
    """1 − ρ = 1e-3 is below bfloat16's resolution: an average in that dtype would never move."""
    p = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = optim.create("sgd", [p], lr=1.0, average=average.Ema(0.999))
    p.grad = torch.full((4,), -1.0, dtype=torch.bfloat16)
    optimizer.step()
    kept = optimizer.state[p]["average"]
    assert kept.dtype == torch.float32
    assert kept.tolist() == pytest.approx([1.001] * 4, rel=1e-6)


def test_a_complex_parameter_is_averaged_as_its_two_parts():
    z = torch.nn.Parameter(torch.tensor([1 + 2j, -3j]))
    pair = torch.nn.Parameter(torch.view_as_real(z.detach()).clone())
    ours = [optim.create("sgd", [p], lr=0.5, average=average.Lawa(2)) for p in (z, pair)]
    for k in range(4):
        z.grad = torch.tensor([1j + k, 2.0 - k])
        pair.grad = torch.view_as_real(z.grad).clone()
        for optimizer in ours:
            optimizer.step()
    with ours[0].averaged(), ours[1].averaged():
        assert torch.equal(torch.view_as_real(z.detach()), pair.detach())


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"average\.Ema: every must be in \[1, inf\), got 0"):
        average.Ema(every=0)
    with pytest.raises(ValueError, match=r"average\.Lookahead: every must be a whole number in \[1, inf\), got 2\.5"):
        average.Lookahead(every=2.5)
    with pytest.raises(ValueError, match=r"average\.ScheduleFree: beta must be in \(0, 1\], got 0\.0"):
        average.ScheduleFree(0.0)
    with pytest.raises(ValueError, match=r"half_life: steps must be in \(0, inf\), got 0"):
        average.half_life(0)
