"""The matrix family: Muon, Shampoo and SOAP meet golden data and their oracles."""

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim.direction.orthogonal import newton_schulz
from tests.golden.replay import descend, distance, gap, load
from tests.optim.oracle_laws import check_defaults, check_options_move
from tests.papers import matrix
from tests.papers.problem import PEAK, problem

EXACT = 1e-12
MUON = {"lr": 0.02, "weight_decay": 0.1}
RMS = {"lr": 0.01, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
# Golden files hold the tensors that their sources take. Those with a tolerance of 6e-3 iterate in bfloat16.
GOLDEN = [
    ("muon_kj_fp64__official_kj_bf16_removed", "muon", MUON, EXACT, ("plain", "hard"), 30),
    ("muon_kj__official_kj", "muon", MUON, 6e-3, ("plain", "hard"), 30),
    ("muon_torch_original__torch", "muon", MUON, 6e-3, ("plain", "hard"), 30),
    ("muon_po__pytorch_optimizer", "muon", MUON, 6e-3, ("plain",), 30),
    ("muon_torch_match_rms__torch", "muon", {**RMS, "lr": 0.02}, 3e-3, ("plain", "hard"), 30),
    # Its momentum is a sum, 20 times ours: ε = 1e-7 beside ‖m‖ weighs 20 times more here. That is all of the 4e-9.
    ("muon_moonlight_fp64__official_moonlight", "muon", RMS, 1e-8, ("plain",), 30),
    ("shampoo__pytorch_optimizer", "shampoo", {"lr": 0.01}, 3e-6, ("plain",), 3),
]
OPTION_SETS = {
    "muon": [
        {},
        {"momentum": 0.8, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "weight_decay": 0.3},
        {"ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-2, "adjust_lr_fn": "none"},
    ],
    "shampoo": [
        {},
        {"momentum": 0.8, "weight_decay": 0.1, "preconditioning_compute_steps": 3, "matrix_eps": 1e-2},
        {"max_size": 3},
    ],
    "soap": [
        {},
        {"betas": (0.8, 0.9), "shampoo_beta": 0.7, "eps": 1e-3, "weight_decay": 0.1, "precondition_frequency": 3},
        {"max_precond_dim": 3, "precondition_frequency": 1},
        {"precondition_1d": True},
    ],
}
NAMES = {  # the oracle's word for the preset's
    "matrix_eps": "eps",
    "max_precond_dim": "max_size",
    "precondition_frequency": "every",
    "preconditioning_compute_steps": "every",
}
SETS = [(name, options) for name, sets in OPTION_SETS.items() for options in sets]


def walk(name, p0, grads, lrs, **options):
    options = {NAMES.get(key, key): value for key, value in options.items()}
    return {n: getattr(matrix, name)(p0[n], grads[n], lrs, **options) for n in p0}


def golden(file, track, until):
    """Inputs of one track for the tensors that the file holds, and the rows until an update, by tensor name."""
    meta, arrays = load(f"B_{file}.npz")
    _, inputs = load("B__problem.npz")
    names = [n for n in "vmcs" if f"{track}__p_{n}" in arrays]
    updates = [t for t in meta["kept_steps"] if 0 < t <= until]
    rows = {n: arrays[f"{track}__p_{n}"][1 : 1 + len(updates)] for n in names}
    return {n: inputs[f"p0_{n}"] for n in names}, {n: inputs[f"g_{track}_{n}"] for n in names}, updates, rows


def kept(paths, updates):
    return {n: [path[t - 1] for t in updates] for n, path in paths.items()}


@pytest.mark.parametrize(("file", "name", "options", "tolerance", "tracks", "until"), GOLDEN, ids=lambda x: x)
def test_oracle_and_preset_meet_golden(file, name, options, tolerance, tracks, until):
    options = dict(options)
    lrs = [options.pop("lr")] * 30
    for track in tracks:
        p0, grads, updates, rows = golden(file, track, until)
        assert gap(kept(walk(name, p0, grads, lrs, **options), updates), rows) <= tolerance, track
        paths = descend(lambda params: optim.create(name, params.values(), lr=lrs[0], **options), p0, grads, lrs)
        assert gap(kept(paths, updates), rows) <= tolerance, track


def test_oracle_of_moonlights_momentum_meets_golden():
    p0, grads, updates, rows = golden("muon_moonlight_fp64__official_moonlight", "plain", 30)
    paths = walk("muon", p0, grads, [0.01] * 30, weight_decay=0.1, adjust_lr_fn="match_rms_adamw", sums=True)
    assert gap(kept(paths, updates), rows) <= EXACT


@pytest.mark.parametrize("source", ["heavyball", "official", "pytorch_optimizer"])
def test_soap_meets_golden(source):
    """They decay after the step, the preset before it: 3e-7 apart after three steps. The sources compute in float32."""
    p0, grads, updates, rows = golden(f"soap__{source}", "plain", 3)
    paths = walk("soap", p0, grads, [0.003] * 30, every=3, decay_after=True)
    assert gap(kept(paths, updates), rows) <= 3e-7
    ours = descend(lambda p: optim.create("soap", p.values(), lr=0.003, precondition_frequency=3), p0, grads, [0.003] * 30)
    assert 3e-7 <= gap(kept(ours, updates), kept(paths, updates)) <= 4e-7
    assert gap(kept(ours, updates), rows) <= 1e-6


@pytest.mark.parametrize("which", ["a", "b", "c", "d", "z", "one"])
def test_newton_schulz_meets_golden(which):
    _, arrays = load("B_newton_schulz__official_kj.npz")
    x = arrays[f"x_{which}"]
    for steps in (1, 5):
        want = arrays[f"ns{steps}_{which}"]
        got = newton_schulz(torch.tensor(x)[None], steps, matrix.QUINTIC, 1e-7)[0].numpy()
        assert distance(got, want) <= 1e-13
        assert distance(matrix.newton_schulz(x, steps), want) <= 1e-13
    rounded = newton_schulz(torch.tensor(x)[None], steps, matrix.QUINTIC, 1e-7, torch.bfloat16)[0].numpy()
    assert distance(rounded, want) <= 0.05  # what accelerators compute: bfloat16 has three digits
    sigma = np.linalg.svd(got, compute_uv=False)
    assert which == "z" or (sigma.min() > 0.67 and sigma.max() < 1.14)


@pytest.mark.parametrize("columns", [23, 24, 60])
@pytest.mark.parametrize("decades", [0, 7])
def test_wide_matrices_are_met_twice_and_become_the_same(columns, decades):
    """On either side of the width from which polynomials are multiplied up, with singular values that span decades."""
    rng = np.random.default_rng(5)
    left, _, right = np.linalg.svd(rng.normal(size=(12, columns)), full_matrices=False)
    x = left * np.logspace(0, -decades, 12) @ right
    for steps in (1, 2, 5):
        want = matrix.newton_schulz(x, steps)
        for dtype, exact in ((torch.float64, 1e-11), (torch.float32, 1e-3)):
            got = newton_schulz(torch.tensor(x[None], dtype=dtype), steps, matrix.QUINTIC, 1e-7)
            assert got.dtype == dtype
            assert distance(got[0].double().numpy(), want) <= exact


@pytest.mark.parametrize(("name", "options"), SETS)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = problem(seed=4)
    # One gradient of a longer vector has more than one eigenvector of eigenvalue 0: which ones is anybody's choice.
    p0["vector"], grads["vector"] = p0["vector"][:2], grads["vector"][:, :2]
    paths = descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)
    assert gap(paths, walk(name, p0, grads, lrs, **options)) <= 1e-10  # eigenvectors, and ε beside eigenvalues 1e6 times larger


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_defaults_are_the_papers_and_every_option_is_walked(name):
    check_defaults(walk, name, OPTION_SETS[name])


@pytest.mark.parametrize(("name", "options"), [s for s in SETS if s[1]])
def test_every_option_moves_its_oracle(name, options):
    check_options_move(walk, name, options, least=1e-7)


def test_muon_is_blind_to_the_gradients_scale_and_turns_with_its_matrix():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))

    def ortho(y):
        return newton_schulz(y[None], 5, matrix.QUINTIC, 1e-30)[0]

    assert torch.allclose(ortho(1e-9 * x), ortho(x), rtol=0, atol=1e-13)
    assert torch.allclose(ortho(turn @ x), turn @ ortho(x), rtol=0, atol=1e-12)
    assert torch.allclose(ortho(x.mT), ortho(x).mT, rtol=0, atol=1e-13)


def test_a_state_of_torchs_muon_goes_on_here():
    """It iterates in bfloat16."""
    p0, grads, _ = problem(seed=6)
    theirs, ours = (torch.nn.Parameter(torch.tensor(p0["matrix"], dtype=torch.float32)) for _ in range(2))
    torchs, danlus = torch.optim.Muon([theirs], lr=0.02), optim.Muon([ours])
    for k, g in enumerate(torch.tensor(grads["matrix"], dtype=torch.float32)):
        if k == 7:
            ours.data.copy_(theirs.data)
            with pytest.warns(UserWarning, match="by position"):
                danlus.load_state_dict(torchs.state_dict())
        theirs.grad, ours.grad = g, g
        torchs.step()
        if k >= 7:
            danlus.step()
    assert distance(ours.detach().numpy(), theirs.detach().numpy()) <= 3e-3


def test_soap_keeps_its_squares_as_magnitudes():
    """A store that keeps signs would bring the square of a resting element back as a small negative number: nan."""
    generator = torch.Generator().manual_seed(0)
    p = torch.nn.Parameter(torch.ones(6, dtype=torch.float64))
    optimizer = optim.create("soap", [p], store="square_matricized")
    for _ in range(4):
        p.grad = torch.randn(6, generator=generator, dtype=torch.float64) * (torch.arange(6) > 0)
        optimizer.step()
    assert p.isfinite().all()


def test_soap_is_adam_where_nothing_is_turned():
    """But for the first gradient, which it does not use, and for ε, which it adds before the bias correction."""
    p0, grads, lrs = problem(seed=7)
    options = {"betas": (0.9, 0.95), "eps": 1e-3, "weight_decay": 0.1}
    paths = descend(lambda params: optim.create("soap", params.values(), lr=PEAK, max_precond_dim=1, **options), p0, grads, lrs)
    later = {n: g[1:] for n, g in grads.items()}
    adamw = descend(lambda params: optim.create("adamw", params.values(), lr=PEAK, eps_hat=True, **options), p0, later, lrs[1:])
    assert gap({n: path[1:] for n, path in paths.items()}, adamw) <= EXACT
    assert gap({n: path[:1] for n, path in paths.items()}, {n: [p] for n, p in p0.items()}) == 0.0


def test_shampoo_of_a_scalar_is_adagrad():
    p0, grads, lrs = problem(seed=8)
    p0, grads = {"scalar": p0["scalar"]}, {"scalar": grads["scalar"]}
    paths = descend(lambda params: optim.create("shampoo", params.values(), lr=PEAK, matrix_eps=0.1), p0, grads, lrs)
    rule = {"initial_accumulator_value": 0.1, "eps": 1e-300}
    assert (
        gap(paths, descend(lambda params: optim.create("adagrad", params.values(), lr=PEAK, **rule), p0, grads, lrs)) <= EXACT
    )


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_gradients_move_nothing_and_later_ones_are_finite(name, dtype):
    params = [torch.nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in ((), (3,), (4, 3), (0, 3), (2, 3, 2, 2))]
    optimizer = optim.create(name, params, lr=0.1, weight_decay=0.0)
    for scale in (0.0, 0.0, 0.0, 1.0, 1.0):
        for p in params:
            p.grad = torch.full_like(p, scale)
        optimizer.step()
        if not scale:
            assert all(torch.equal(p, torch.ones_like(p)) for p in params)
    assert all(p.isfinite().all() and (p < 1).all() for p in params)


@pytest.mark.parametrize("name", sorted(OPTION_SETS))
def test_resuming_equals_never_having_stopped(name):
    p0, grads, _ = problem(seed=9)

    def make():
        params = {n: torch.nn.Parameter(torch.tensor(x)) for n, x in p0.items()}
        return params, optim.create(name, params.items(), lr=PEAK)

    def advance(params, optimizer, steps):
        for k in steps:
            for n, p in params.items():
                p.grad = torch.tensor(grads[n][k])
            optimizer.step()

    params, optimizer = make()
    advance(params, optimizer, range(14))
    stopped, first = make()
    advance(stopped, first, range(6))
    resumed, second = make()
    for n, p in resumed.items():
        p.data.copy_(stopped[n].data)
    second.load_state_dict(first.state_dict())
    advance(resumed, second, range(6, 14))
    assert all(torch.equal(p, resumed[n]) for n, p in params.items())
