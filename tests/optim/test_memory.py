"""Adafactor, SM3, SMMF, CAME, StableAdamW and what they are made of: oracles meet golden data, presets meet both."""

import math

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim import moment, store
from danlu.optim.formulas.covers import least, maxima
from tests.golden.cases_memory import CASES
from tests.golden.replay import descend, gap, tracks
from tests.papers.adafactor import adafactor
from tests.papers.adam import adam, adamw
from tests.papers.came import came
from tests.papers.problem import PEAK, problem
from tests.papers.sm3 import sm3
from tests.papers.smmf import smmf
from tests.papers.stable_adamw import stable_adamw

EXACT = 1e-12
PAPERS = {"adafactor": adafactor, "came": came, "sm3": sm3, "smmf": smmf, "stable_adamw": stable_adamw}
_PAPER = {"eps_added": True, "eps": (0.01, 0.3), "d": 0.7}
SETS = [
    ("adafactor", {}),
    ("adafactor", {"beta2_decay": -0.5, "eps": (0.01, 0.5), "d": 0.5, "weight_decay": 0.1, "dims": "last2"}),
    ("adafactor", {**_PAPER, "dims": "first2", "momentum": 0.8, "weight_decay": 0.1, "scale_decay": True}),
    ("adafactor", {**_PAPER, "dims": "largest", "momentum": 0.8, "lr_inside": False}),
    ("adafactor", {**_PAPER, "warmup_init": True, "weight_decay": 0.1}),
    ("adafactor", {**_PAPER, "relative_step": False, "scale_parameter": False, "beta2_cap": 0.7}),
    ("came", {}),
    ("came", {"betas": (0.8, 0.9, 0.95), "eps": (1e-3, 1e-4), "clip_threshold": 0.6, "weight_decay": 0.1}),
    ("came", {"betas": (0.8, 0.9, 0.95), "dims": "last2", "eps": (1e-3, 1e-4)}),
    ("sm3", {}),
    ("sm3", {"momentum": 0.5, "eps": 1e-2, "weight_decay": 0.1}),
    ("sm3", {"momentum": 0.0, "cover_sums": True}),
    ("smmf", {}),
    ("smmf", {"beta": 0.7, "eps": 1e-2, "weight_decay": 0.1, "decay_rate": -0.8, "growth_rate": 0.9}),
    ("smmf", {"beta": None, "vector_reshape": False}),
    ("stable_adamw", {}),
    ("stable_adamw", {"betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1, "clip_threshold": 0.5}),
    ("stable_adamw", {"betas": (0.8, 0.9), "eps": 1e-2, "weight_decay": 0.1, "denominator_clip": True}),
]
SHAPES = ((), (5,), (4, 6), (2, 3, 2, 2))
CODECS = [
    store.Cover(),
    store.Factored(),
    store.Factored("first2"),
    store.Factored("largest"),
    store.Factored("last2"),
    store.SquareMatricized(),
    store.SquareMatricized(signs=False),
]


def longer(seed):
    """The usual problem and a vector of 24, which is no prime."""
    p0, grads, lrs = problem(seed)
    return {**p0, "long": p0["kernel"].ravel()}, {**grads, "long": grads["kernel"].reshape(len(lrs), -1)}, 20 * lrs


def oracle(name, p0, grads, lrs, **options):
    return {n: PAPERS[name](p0[n], grads[n], lrs, **options) for n in p0}


def walk(name, p0, grads, lrs, **options):
    return descend(lambda params: optim.create(name, params.values(), lr=PEAK, **options), p0, grads, lrs)


def through(codec, x):
    """What `codec` makes of x."""
    return codec.decode(codec.encode(x, {}), x)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_oracle_meets_golden(case):
    for track in tracks(case):
        assert track.distance(oracle(case.preset, track.p0, track.grads, case.lrs, **case.options)) <= case.tolerance
        still = {n: [p] * len(case.lrs) for n, p in track.p0.items()}
        assert track.distance(still) >= 1e3 * case.tolerance


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_preset_meets_golden(case):
    for track in tracks(case):
        assert track.distance(walk(case.preset, track.p0, track.grads, case.lrs, **case.options)) <= case.tolerance


@pytest.mark.parametrize(("name", "options"), SETS, ids=str)
def test_preset_meets_its_oracle(name, options):
    p0, grads, lrs = longer(seed=21)  # lr is above 1/√t now and then, where the relative step acts
    assert gap(walk(name, p0, grads, lrs, **options), oracle(name, p0, grads, lrs, **options)) <= EXACT


@pytest.mark.parametrize(("name", "options"), [s for s in SETS if s[1]], ids=str)
def test_every_option_of_a_set_moves_its_oracle(name, options):
    p0, grads, lrs = longer(seed=22)
    whole = oracle(name, p0, grads, lrs, **options)
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(oracle(name, p0, grads, lrs, **rest), whole) >= 1e3 * EXACT, knob


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_sets_cover_the_preset(name):
    assert {key for n, options in SETS if n == name for key in options} == optim.preset(name).options.keys()


@pytest.mark.parametrize("options", [{}, {"beta2_decay": -0.6, "eps": (0.01, 0.1), "d": 1.2, "weight_decay": 0.1}])
def test_adafactor_is_torchs_on_matrices(options):
    """torch decays by lr·λ also where it caps the step, so lr stays below 1/√t here."""
    p0, grads, lrs = problem(seed=23)
    theirs = descend(lambda params: torch.optim.Adafactor(params.values(), lr=PEAK, **options), p0, grads, lrs)
    ours = descend(lambda params: optim.Adafactor(params.values(), dims="last2", **options), p0, grads, lrs)
    assert gap(ours, theirs) <= EXACT


def test_adafactor_follows_the_capped_rate_when_it_decays():
    """A documented departure: at lr 1 and t = 4 the decay is half of torch's."""
    p0, grads, _ = problem(seed=23, steps=4)
    none = {n: 0 * g for n, g in grads.items()}
    paths = walk("adafactor", p0, none, [1.0] * 4, weight_decay=0.1)
    want = {n: [p * math.prod(1 - 0.1 / math.sqrt(t) for t in range(1, k + 1)) for k in range(1, 5)] for n, p in p0.items()}
    assert gap(paths, want) <= EXACT


def test_options_that_need_another_are_refused():
    for options, need in (
        ({"warmup_init": True, "relative_step": False}, "relative_step=True"),
        ({"scale_decay": True, "scale_parameter": False}, "scale_parameter=True"),
        ({"lr_inside": False}, "momentum in"),
    ):
        with pytest.raises(ValueError, match=need):
            optim.adafactor(**options)


def test_a_quiet_stable_adamw_is_adamw():
    """While gradients stay below their second moment the clip does nothing."""
    p0, grads, lrs = problem(seed=24)
    constant = {n: np.broadcast_to(g[0], g.shape) for n, g in grads.items()}
    want = {n: adamw(p0[n], constant[n], lrs, betas=(0.9, 0.99), eps=1e-20) for n in p0}
    assert gap(walk("stable_adamw", p0, constant, lrs, eps=1e-20), want) <= EXACT


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in sorted(PAPERS)), ("came", {"eps": (1e-30, 1e-30)})], ids=str
)
def test_dead_cells_and_spikes_in_float32_stay_finite(name, options):
    """A zero row that crosses a zero column (1e-30·1e-30 is 0 in float32), an all-zero start, an all-zero step, a spike."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    before = [p.detach().clone() for p in params]
    optimizer = optim.create(name, params, lr=1e-2, weight_decay=0.0, **options)
    for k in range(12):
        for p in params:
            p.grad = torch.randn_like(p) * (k > 0) * (k != 5) * (1e4 if k == 8 else 1.0)
            if p.ndim > 1:
                p.grad[1] = 0
                p.grad[:, 1] = 0
        optimizer.step()
        for p, start in zip(params, before, strict=True):
            assert torch.isfinite(p).all()
            if k == 0 and name != "smmf":
                assert torch.equal(p, start)
            if p.ndim == 2 and name != "smmf":  # SMMF's zeros take part: see test_a_resting_parameter
                assert torch.equal(p[1], start[1])
                assert torch.equal(p[:, 1], start[:, 1])


@pytest.mark.parametrize(("beta", "rests"), [(0.9, False), (None, True)])
def test_a_resting_parameter(beta, rests):
    """A documented leak: with momentum, SMMF moves a parameter whose gradient is zero for ever."""
    p = torch.nn.Parameter(torch.zeros(4, 4, dtype=torch.float64))
    optimizer = optim.create("smmf", [p], lr=0.1, beta=beta)
    for _ in range(5):
        p.grad = torch.ones_like(p)
        p.grad[2, 2] = 0
        optimizer.step()
    assert (p[2, 2] == 0).item() is rests


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_what_a_codec_keeps_survives_a_second_round(codec):
    torch.manual_seed(1)
    for shape in SHAPES:
        x = torch.randn(shape, dtype=torch.float64)
        x = x if codec.signed else x.square()
        once = through(codec, x)
        assert once.shape == x.shape
        torch.testing.assert_close(through(codec, once), once, rtol=1e-13, atol=0)
        torch.testing.assert_close(through(codec, 0 * x), 0 * x)


def test_factored_storage_keeps_row_and_column_means():
    x = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    flat, back = x.view(4, 12), through(store.Factored(), x).view(4, 12)
    torch.testing.assert_close(back.mean(0), flat.mean(0))
    torch.testing.assert_close(back.mean(1), flat.mean(1))
    assert {k: tuple(v.shape) for k, v in store.Factored().encode(x, {}).items()} == {"row": (4,), "col": (12,)}
    assert {tuple(v.shape) for v in store.Factored("first2").encode(x, {}).values()} == {(2, 2, 4), (2, 2, 3)}


def test_one_root_is_closer_than_two():
    """g/√V in float32 against float64, over factors that span eight decades."""
    generator = torch.Generator().manual_seed(0)
    row, col = (10 ** (8 * torch.rand(n, generator=generator, dtype=torch.float64) - 8) for n in (256, 384))
    row, col = row.float(), col.float()
    exact = (row.double()[:, None] / row.double().mean() * col.double()).rsqrt()
    parts = {"row": row, "col": col}
    one = store.Factored().decode(parts, torch.empty(256, 384)).rsqrt()
    two = (row / row.mean()).rsqrt()[:, None] * col.rsqrt()

    def error(x):
        return ((x.double() / exact) - 1).abs().mean()

    assert error(one) < 0.9 * error(two)


def test_cover_storage_never_loses_size_and_sm3_bounds_the_sum():
    """Σg² ≤ ν of SM3-II ≤ ν of SM3-I."""
    generator = torch.Generator().manual_seed(2)
    second, sums, exact = torch.zeros(3, 4, 2), [torch.zeros(n) for n in (3, 4, 2)], torch.zeros(3, 4, 2)
    for _ in range(5):
        x = torch.randn(3, 4, 2, generator=generator).square()
        exact = exact + x
        second = through(store.Cover(), second) + x
        sums = [a + b for a, b in zip(sums, maxima(x), strict=True)]
        assert (through(store.Cover(), second) >= second).all()
        assert (exact <= second * (1 + 1e-6)).all()
        assert (second <= least(sums) * (1 + 1e-6)).all()


def test_a_forgetting_average_forgets_under_a_cover():
    """The maxima are replaced, not kept: after a spike and with zero gradients they fall by β each step."""
    p = torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
    optimizer = optim.create("rmsprop", [p], lr=0.1, alpha=0.5, store=store.Cover())
    for _ in range(4):
        p.grad = torch.ones_like(p) if not optimizer.state else torch.zeros_like(p)
        optimizer.step()
    torch.testing.assert_close(optimizer.state[p]["square_avg.0"], torch.full((3,), 0.5**4, dtype=torch.float64))


def test_signs_take_a_bit_each():
    x = torch.randn(9, 11)
    parts = store.SquareMatricized().encode(x, {})
    assert (parts["row"].shape, parts["col"].shape) == ((11,), (9,))
    assert (parts["sign"].dtype, parts["sign"].numel()) == (torch.uint8, 13)
    assert torch.equal(through(store.SquareMatricized(), x).sign(), x.sign())
    matrix, back = x.abs().view(11, 9), through(store.SquareMatricized(), x).abs().view(11, 9)
    torch.testing.assert_close(back.sum(0), matrix.sum(0))
    torch.testing.assert_close(back.sum(1), matrix.sum(1))


def test_a_prime_count_is_kept_exactly():
    p0, grads, lrs = problem(seed=25)
    p0, grads = {"vector": p0["vector"]}, {"vector": grads["vector"]}  # five elements
    assert gap(walk("smmf", p0, grads, lrs), walk("smmf", p0, grads, lrs, vector_reshape=False)) <= EXACT


def test_a_vector_may_stand_upright_or_lie():
    """What is left after sides of length 1 decides."""
    codec = store.SquareMatricized(vectors=False)
    assert set(codec.encode(torch.randn(1, 12, 1), {})) == {""}
    assert set(codec.encode(torch.randn(2, 6, 1), {})) == {"row", "col", "sign"}


def test_a_store_without_signs_leaves_signed_moments_dense():
    rule = optim.adamw().but(store=store.Factored())
    assert rule.codecs == {"exp_avg": store.Dense(), "exp_avg_sq": store.Factored()}
    centered = optim.rmsprop(centered=True).but(store=store.Factored())
    assert centered.codecs == {"square_avg": store.Factored(), "grad_avg": store.Dense()}
    with pytest.raises(ValueError, match="'exp_avg' has them"):
        optim.adamw().but(store={"exp_avg": store.Cover()})


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_resuming_is_never_having_stopped(name):
    """Bit for bit, packed signs and factors included."""
    runs = []
    for stop in (False, True):
        torch.manual_seed(3)
        params = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
        optimizer = optim.create(name, params, lr=1e-2)
        for k in range(6):
            if stop and k == 3:
                saved, optimizer = optimizer.state_dict(), optim.create(name, params, lr=1e-2)
                with pytest.warns(UserWarning, match="by position"):
                    optimizer.load_state_dict(saved)
            for p in params:
                p.grad = torch.randn_like(p)
            optimizer.step()
        runs.append(params)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize("memory", [moment.PowerDecay(0.8), moment.PowerDecay(0.8, cap=0.5), moment.Fading(0.9, 0.8)])
def test_a_scheduled_average_of_a_constant_is_the_constant(memory):
    """The bias correction 1 − Πβᵢ is exact for every schedule."""
    p0, grads, lrs = problem(seed=26)
    constant = {n: np.broadcast_to(g[0], g.shape) for n, g in grads.items()}
    rule = optim.Rule(optim.direction.Plain(), {"exp_avg": moment.Ema(memory)})
    paths = descend(lambda params: optim.Optimizer(params.values(), rule), p0, constant, lrs)
    want = {n: [p0[n] - constant[n][0] * np.sum(lrs[: k + 1]) for k in range(len(lrs))] for n in p0}
    assert gap(paths, want) <= EXACT


def test_a_schedule_that_does_not_fade_is_a_constant_memory():
    p0, grads, lrs = problem(seed=27)
    moments = {
        "exp_avg": moment.Ema(moment.Fading(0.9, 1.0)),
        "exp_avg_sq": moment.Ema(moment.Fading(0.99, 1.0), moment.square),
    }
    want = {n: adam(p0[n], grads[n], lrs, betas=(0.9, 0.99)) for n in p0}
    assert gap(walk("adam", p0, grads, lrs, moments=moments), want) <= EXACT


@pytest.mark.parametrize("wrong", [1.0, -0.1, "0.9", None])
def test_a_memory_is_a_number_in_range_or_a_schedule(wrong):
    with pytest.raises(ValueError, match=r"moment\.Ema: beta must be .*in \[0, 1\) or a Memory"):
        moment.Ema(wrong)


@pytest.mark.parametrize(("name", "off"), [("adafactor", "d"), ("came", "clip_threshold"), ("stable_adamw", "clip_threshold")])
def test_a_clip_at_infinity_is_off(name, off):
    p0, grads, lrs = problem(seed=13)
    walks = [
        descend(lambda params, more=more: optim.create(name, params.values(), lr=PEAK, **more), p0, grads, lrs)
        for more in ({off: math.inf}, {off: 1e12}, {})
    ]
    assert gap(walks[0], walks[1]) == 0.0
    assert gap(walks[0], walks[2]) > 0.0
