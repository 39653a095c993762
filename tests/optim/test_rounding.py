"""Sixteen bits: roundings that are right on average, compensation that loses nothing, and kernels that undo neither."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._inductor import cpu_vec_isa

from danlu import optim
from danlu.optim.formulas.rounding import bfloat16_at, bfloat16_nearest, draws, seed_number
from danlu.optim.run import kernel
from danlu.optim.store import BFloat16, Dense
from danlu.optim.write import Kahan, Stochastic
from tests.golden.replay import load

ROUNDED = load("A_bf16_stochastic_rounding__torchao.npz")[1]
KAHAN = load("A_adamw_bf16_kahan__optimi.npz")[1]
PLAIN = load("A_adamw_bf16_plain__torch.npz")[1]
START = torch.tensor(KAHAN["init/w"]).bfloat16().float().numpy()
OPTIONS = {"lr": 1e-4, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.0}


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_rounding_at_given_draws_is_torchaos():
    got = bfloat16_at(torch.tensor(ROUNDED["x"]), torch.tensor(ROUNDED["rand16"]))
    assert np.array_equal(got.numpy(), ROUNDED["y_bits_as_f32"])


def test_what_bfloat16_holds_and_what_is_not_finite_stays():
    exact = torch.cat([normal(64).bfloat16().float(), torch.tensor([0.0, -0.0, float("inf"), -float("inf")])])
    for r in (0, 1, 0xFFFF):
        assert torch.equal(bfloat16_at(exact, torch.full_like(exact, r, dtype=torch.int32)), exact)
    assert bfloat16_at(torch.tensor([float("nan")]), torch.tensor([0], dtype=torch.int32)).isnan().all()


def test_nearest_is_torchs_cast():
    x = torch.cat([normal(4096), 1e-40 * normal(64), torch.tensor([0.0, -0.0, 3.4e38, float("inf"), 1 + 2**-8, 1 + 3 * 2**-8])])
    assert torch.equal(bfloat16_nearest(x), x.bfloat16().float())
    assert bfloat16_nearest(torch.tensor([float("nan")])).isnan().all()


def test_the_mean_over_steps_is_the_value():
    """4000 steps: the mean of a rounding errs by at most 1/2/√4000 of a spacing, and five of those bound it."""
    x = normal(500)
    total = sum(bfloat16_at(x, draws(x, seed_number("test", k))).double() for k in range(4000))
    up = bfloat16_at(x, torch.zeros_like(x, dtype=torch.int32))
    down = bfloat16_at(x, torch.full_like(x, 0xFFFF, dtype=torch.int32))
    assert ((total / 4000 - x.double()).abs() <= 0.04 * (up - down).abs()).all()


def test_draws_are_uniform_and_independent():
    """Over elements of one step, and over steps of one element; 65536 bins of 16 bits, folded to 64."""
    x = normal(1 << 16)
    spread = torch.bincount(draws(x, 7.0).long() >> 10, minlength=64).double()
    assert ((spread - 1024).square() / 1024).sum() <= 120.0  # chi² with 63 degrees: 99.99 % lie below
    one = torch.stack([draws(x[:1], seed_number("test", k)) for k in range(4096)]).flatten()
    assert ((torch.bincount(one.long() >> 10, minlength=64) - 64.0).square() / 64).sum() <= 120.0
    cut = draws(x, 7.0).double(), (x.view(torch.int32) & 0xFFFF).double()
    assert torch.corrcoef(torch.stack(cut))[0, 1].abs() <= 0.02
    steps = draws(x, 7.0).double(), draws(x, 8.0).double()
    assert torch.corrcoef(torch.stack(steps))[0, 1].abs() <= 0.02
    for lag in (1, 2, 7):  # steps of one element
        assert torch.corrcoef(torch.stack([one[lag:], one[:-lag]]).double())[0, 1].abs() <= 0.06
    same = torch.ones(1 << 12)
    assert draws(same, 7.0).unique().numel() == 1
    assert draws(same, 7.0, salt=normal(1 << 12)).unique().numel() >= 3000


def test_seeds_are_whole_numbers_that_float32_holds():
    seeds = [seed_number("store", 0, t) for t in range(1000)]
    assert len(set(seeds)) >= 999
    assert all(float(np.float32(s)) == s == int(s) for s in seeds)


def test_a_bfloat16_average_forgets_on_average_where_nearest_never_does():
    p = torch.nn.Parameter(torch.zeros(4096))
    first = 2 ** (5 * normal(4096))  # over many binades: elements of equal bits are rounded alike
    left = {}
    for codec in (Dense(torch.bfloat16), BFloat16()):
        second = optim.moment.Ema(0.999, optim.moment.square)
        optimizer = optim.Optimizer([p], optim.Rule(optim.direction.Ratio(), {"v": second}, store=codec), lr=0.0)
        for k in range(501):
            p.grad = first if k == 0 else torch.zeros_like(p)
            optimizer.step()
        kept = optimizer.state[p]["v"]
        assert kept.dtype == torch.bfloat16
        left[codec] = (kept.double() / (1e-3 * first.double().square())).mean().item()
    assert left[Dense(torch.bfloat16)] >= 0.99
    assert abs(left[BFloat16()] / 0.999**500 - 1) <= 0.01


@pytest.mark.parametrize(("planes", "bits"), [([torch.bfloat16], 256), ([torch.float32], None), ([torch.bfloat16] * 2, None)])
def test_an_only_narrow_slot_has_vectors_that_need_no_mask(planes, bits, monkeypatch):
    """Where vectors have 512 bits; where they are shorter, nothing is chosen."""
    tensors = [torch.empty(1), torch.empty(1), *(torch.empty(1, dtype=dtype) for dtype in planes)]
    for width, chosen in ((512, bits), (256, None)):
        monkeypatch.setattr(cpu_vec_isa, "pick_vec_isa", lambda width=width: SimpleNamespace(bit_width=lambda: width))
        assert kernel._simdlen(tensors) == chosen


@pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")
def test_a_kernel_with_an_only_narrow_slot_is_its_rule():
    moved = []
    for compiled in (False, True):
        p = torch.nn.Parameter(torch.tensor(START))
        optimizer = optim.create("lion", [p], lr=1e-3, store=Dense(torch.bfloat16), compile=compiled)
        for g in KAHAN["grads/w"]:
            p.grad = torch.tensor(g)
            optimizer.step()
        moved.append((p.detach(), optimizer.state[p]["exp_avg"]))
    assert all(torch.equal(a, b) for a, b in zip(*moved, strict=True))
    assert moved[0][1].dtype == torch.bfloat16


def walk(write=None, dtype=torch.bfloat16, store=None, compile=False):
    """AdamW over the golden problem; all rows, as float64."""
    p = torch.nn.Parameter(torch.tensor(START).to(dtype))
    slots = {"write": write} if write else {}
    optimizer = optim.create("adamw", [p], compile=compile, **OPTIONS, **slots, **({"store": store} if store else {}))
    rows = []
    for g in KAHAN["grads/w"]:
        p.grad = torch.tensor(g).to(torch.bfloat16).to(dtype)
        optimizer.step()
        rows.append(p.detach().double().numpy().copy())
    return np.array(rows), optimizer.state[p]


def errors(rows, exact):
    return np.abs(rows[-1] - exact[-1]).mean()


def test_kahan_follows_full_precision_to_the_grid_and_plain_writing_does_not():
    """30 steps of 1e-4 move an element by 5e-4; rounding to nearest loses most of that, the grid itself errs by 1e-4."""
    exact, _ = walk(dtype=torch.float64)
    plain, _ = walk()
    grid = np.abs(torch.tensor(exact[-1]).bfloat16().double().numpy() - exact[-1]).mean()
    assert errors(plain, exact) >= 3.0 * grid
    for store in (None, {"compensation": Dense(torch.bfloat16)}):
        kahan, state = walk(Kahan(), store=store)
        assert errors(kahan, exact) <= 1.1 * grid
        master = kahan[-1] + state["compensation"].double().numpy()
        assert np.abs(master - exact[-1]).max() <= (1e-6 if store is None else 2e-4)
    assert np.abs(PLAIN["params/w64/w"][-1] - exact[-1]).mean() >= 3.0 * grid
    ulp = np.abs(np.spacing(torch.tensor(exact[-1]).float().numpy())) * 65536
    kahan, _ = walk(Kahan(), store={"compensation": Dense(torch.bfloat16)})
    assert (np.abs(kahan[-1] - KAHAN["params/w64/w"][-1]) <= ulp).mean() >= 0.995  # optimi adds up in bfloat16


def test_stochastic_writing_is_right_on_average():
    exact, _ = walk(dtype=torch.float64)
    plain, _ = walk()
    drawn, _ = walk(Stochastic())
    moved, lost = (drawn[-1] - START), (plain[-1] - START)
    want = exact[-1] - START
    slope = (moved * want).sum() / (want * want).sum()
    assert abs(slope - 1) <= 0.1
    assert (lost * want).sum() / (want * want).sum() <= 0.5
    other, _ = walk(Stochastic(seed=1))
    assert np.abs(other - drawn).max() > 0


@pytest.mark.parametrize("write", [Kahan(), Stochastic()])
def test_wider_parameters_are_written_as_they_are(write):
    for dtype in (torch.float32, torch.float64):
        assert np.array_equal(walk(write, dtype=dtype)[0], walk(dtype=dtype)[0])


def test_a_kernel_keeps_the_roundings():
    """A compiler that drops a round trip through bfloat16 would leave the compensation at zero."""
    for write, store in ((Kahan(), None), (Kahan(), BFloat16()), (Stochastic(), None)):
        eager, _ = walk(write, store=store)
        compiled, state = walk(write, store=store, compile=True)
        assert (compiled == eager).mean() >= 0.98  # elsewhere a fused multiply-add has changed the bits that are hashed
        if isinstance(write, Kahan):
            assert state["compensation"].abs().max() > 0
