"""Rules that estimate their own learning rate: golden data, oracles, and the joints of what groups share."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim import moment, rate
from tests.golden.cases_tuning_free import CASES_TUNING_FREE
from tests.golden.replay import descend, gap, load, tracks
from tests.papers.problem import problem
from tests.papers.tuning_free import dadapt_adam, dog, ldog, prodigy

EXACT = 1e-12
ORACLES = {"dadapt_adam": dadapt_adam, "dog": dog, "ldog": ldog, "prodigy": prodigy}
_ADAPTING = {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "d0": 0.02}
OPTION_SETS = {
    "dadapt_adam": [
        {},
        {**_ADAPTING, "decouple": True, "use_bias_correction": True},
        {**_ADAPTING, "growth_rate": 1.05},
    ],
    "dog": [{}, {"reps_rel": 0.03, "weight_decay": 0.1, "eps": 0.5}],
    "ldog": [{}, {"reps_rel": 0.03, "weight_decay": 0.1, "eps": 0.5}],
    "prodigy": [
        {},
        {**_ADAPTING, "decouple": False, "use_bias_correction": True},
        {**_ADAPTING, "growth_rate": 1.05, "d_coef": 1.5},
        {**_ADAPTING, "beta3": 0.9, "safeguard_warmup": True},
    ],
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]


def leading(seed):
    """Gradients that lead somewhere, so that the estimates grow; lrs around 1."""
    p0, grads, lrs = problem(seed)
    way = np.random.default_rng(seed).normal(size=100)
    return p0, {n: g + np.resize(way, g.shape[1:]) * np.abs(g).mean() for n, g in grads.items()}, 20 * lrs


@pytest.mark.parametrize("case", CASES_TUNING_FREE, ids=lambda case: case.file)
def test_golden_oracle_and_preset_agree(case):
    for track in tracks(case):
        oracle = ORACLES[case.preset](track.p0, track.grads, case.lrs, **case.options)
        assert track.distance(oracle) <= case.tolerance, track.name

        def make(params):
            return optim.create(case.preset, params.values(), lr=case.lr, **case.options)

        assert track.distance(descend(make, track.p0, track.grads, case.lrs)) <= case.tolerance, track.name
        assert track.distance({n: [p] * len(case.lrs) for n, p in track.p0.items()}) >= 1e3 * case.tolerance


@pytest.mark.parametrize("case", [c for c in CASES_TUNING_FREE if "__official" in c.file], ids=lambda case: case.file)
def test_the_estimate_is_the_authors(case):
    """The distance d after every update, which the authors' group keeps as well."""
    _, arrays = load(case.file)
    for track in tracks(case):
        if f"{track.name}__d" not in arrays:
            continue
        params = {n: torch.nn.Parameter(torch.tensor(p)) for n, p in track.p0.items()}
        optimizer = optim.create(case.preset, params.values(), lr=case.lr, **case.options)
        seen = []
        for k in range(30):
            for n, p in params.items():
                p.grad = torch.tensor(track.grads[n][k])
            optimizer.step()
            seen.append(optimizer.param_groups[0]["shared"]["d"])
        assert seen == pytest.approx(list(arrays[f"{track.name}__d"]), rel=EXACT)


@pytest.mark.parametrize(("name", "options"), SETS)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = leading(seed=41)
    paths = descend(lambda params: optim.create(name, params.values(), lr=1.0, **options), p0, grads, lrs)
    want = ORACLES[name](p0, grads, lrs, **options)
    assert gap(paths, want) <= EXACT
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(ORACLES[name](p0, grads, lrs, **rest), want) >= 1e3 * EXACT, knob


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_option_sets_cover_the_preset(name):
    """All but γ, which belongs to the average and does not touch p."""
    covered = {key for options in OPTION_SETS[name] for key in options}
    assert covered == optim.preset(name).options.keys() - {"gamma"}


def test_the_bias_corrected_rate_is_adams():
    """Raw moments under a corrected lr are Adam, whose ε then counts before the correction."""
    p0, grads, lrs = problem(seed=42)
    betas = (0.8, 0.95)
    rule = optim.Rule(
        optim.direction.Ratio(1e-3),
        {"exp_avg": moment.Ema(0.8, debias=False), "exp_avg_sq": moment.Ema(0.95, moment.square, debias=False)},
        rate=(rate.Debias(*betas),),
    )
    ours = descend(lambda params: optim.Optimizer(params.values(), rule), p0, grads, lrs)
    adam = descend(lambda params: optim.create("adam", params.values(), betas=betas, eps=1e-3, eps_hat=True), p0, grads, lrs)
    assert gap(ours, adam) <= EXACT


def test_a_warm_up_rises_to_one():
    rule = optim.Rule(optim.direction.Plain(), rate=rate.Warmup(4))
    p0 = {"p": np.zeros(1)}
    path = descend(lambda params: optim.Optimizer(params.values(), rule), p0, {"p": -np.ones((6, 1))}, [1.0] * 6)
    assert np.diff(np.ravel(path["p"]), prepend=0.0).tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0], rel=EXACT)


@pytest.mark.parametrize("name", ["dadapt_adam", "dog", "prodigy"])
def test_groups_share_one_estimate(name):
    p0, grads, lrs = leading(seed=43)
    options = {"reps_rel": 0.01} if name == "dog" else {"d0": 0.02}
    apart = descend(lambda params: optim.create(name, [{"params": [p]} for p in params.values()], **options), p0, grads, lrs)
    assert gap(apart, ORACLES[name](p0, grads, lrs, **options)) <= EXACT


def test_a_group_at_lr_zero_has_no_say_in_prodigys_estimate():
    p0, grads, lrs = leading(seed=44)
    params = {n: torch.nn.Parameter(torch.tensor(p)) for n, p in p0.items()}
    moving = {n: p for n, p in params.items() if n != "matrix"}
    groups = [{"params": list(moving.values())}, {"params": [params["matrix"]], "lr": 0.0}]
    optimizer = optim.create("prodigy", groups, d0=0.02)
    seen: list[float] = []
    rest = {n: grads[n] for n in moving}
    prodigy({n: p0[n] for n in moving}, rest, lrs, d0=0.02, seen=seen)
    for k, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for n, p in params.items():
            p.grad = torch.tensor(grads[n][k])
        optimizer.step()
        assert optimizer.param_groups[1]["shared"]["d"] == pytest.approx(seen[k], rel=EXACT)
    assert np.array_equal(params["matrix"].detach().numpy(), p0["matrix"])
    assert seen[-1] > 10 * seen[0]


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_resuming_is_never_having_stopped(name):
    p0, grads, lrs = leading(seed=45)

    def walk(stop):
        params = {n: torch.nn.Parameter(torch.tensor(p)) for n, p in p0.items()}
        optimizer = optim.create(name, list(params.items()), lr=1.0)
        for k, lr in enumerate(lrs):
            if k == stop:
                params = {n: torch.nn.Parameter(p.detach().clone()) for n, p in params.items()}
                saved = optimizer.state_dict()
                optimizer = optim.create(name, list(params.items()), lr=1.0)
                optimizer.load_state_dict(saved)
            optimizer.param_groups[0]["lr"] = lr
            for n, p in params.items():
                p.grad = torch.tensor(grads[n][k])
            optimizer.step()
        return [p.detach() for p in params.values()]

    assert all(torch.equal(p, q) for p, q in zip(walk(None), walk(6), strict=True))


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_zero_gradients_from_the_start_are_no_harm(name):
    """The authors of Prodigy and D-Adaptation return, those of DoG assert; here nothing moves, and then it goes on."""
    p = torch.nn.Parameter(torch.tensor([1.0, 0.0]))
    optimizer = optim.create(name, [p], lr=1.0)
    for g in (0.0, 0.0, 1.0):
        assert p.tolist() == [1.0, 0.0]
        p.grad = torch.full_like(p, g)
        optimizer.step()
    assert torch.isfinite(p).all()
    assert p.tolist() != [1.0, 0.0]


def test_lr_zero_in_a_step_of_dadapt_moves_nothing():
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = optim.create("dadapt_adam", [p], d0=0.1)
    for lr in (1.0, 0.0, 1.0):
        optimizer.param_groups[0]["lr"] = lr
        before = p.detach().clone()
        p.grad = torch.ones_like(p)
        optimizer.step()
        assert torch.equal(before, p.detach()) == (lr == 0.0)
    assert torch.isfinite(p).all()


def test_what_reads_a_missing_slot_is_refused():
    with pytest.raises(ValueError, match=r"rate\.0: DAdapt reads a magnitude 'exp_avg_sq', which the rule does not keep"):
        optim.Rule(optim.direction.Ratio(), {"v": moment.Ema(0.9, moment.square)}, rate=(rate.DAdapt(),))
    with pytest.raises(ValueError, match=r"rate\.DAdapt needs a moment of g² or \|g\|"):
        optim.preset("sgd")().but(rate=(rate.DAdapt(),))
