"""Curves of other libraries, where they agree with the law, and the places where they do not."""

import json
from pathlib import Path

import numpy as np
import pytest

from danlu.schedule import (
    Constant,
    Cosine,
    Exponential,
    InverseSqrt,
    Linear,
    OneCycle,
    Polynomial,
    Restarts,
    Rex,
    Schedule,
    Shape,
    StableCosine,
    Steps,
    Wsd,
)

GOLDEN = Path(__file__).parents[1] / "golden"
LR, LR_MIN, T, W, S = 0.1, 0.001, 40, 5, 4
FLOOR = LR_MIN / LR
POWERS = (0.9, 1.0, 2.0)
F64, F32 = 1e-15, 2e-8  # optax computes schedules in float32; the curves go from 0.1 to 0.001


def golden(name: str, curve: str = "lr") -> np.ndarray:
    with np.load(GOLDEN / f"B_sched_{name}.npz") as z:
        hyper = json.loads(str(z["meta"]))["hyper"]
        want = {"T": T, "lr": LR, "warmup": W, "steps_per_epoch": S}
        assert {k: v for k, v in hyper.items() if k in want} == {k: v for k, v in want.items() if k in hyper}
        return z[curve]


def rates(schedule: Schedule, n: int) -> np.ndarray:
    return np.array([LR * schedule.factor(k, T, S) for k in range(n)])


DECAYS: list[tuple[str, Shape, float]] = [
    ("cosine__timm", Cosine(FLOOR), F64),
    ("cosine__optax", Cosine(FLOOR), F32),
    ("linear__torch", Linear(FLOOR), F64),
    ("linear__optax", Linear(FLOOR), F32),
    *[(f"poly_min_p{p}__timm", Polynomial(p, FLOOR), F64) for p in POWERS],
    *[(f"poly_min_p{p}__optax", Polynomial(p, FLOOR), F32) for p in POWERS],
    *[(f"poly_p{p}__torch", Polynomial(p), F64) for p in POWERS],
]


@pytest.mark.parametrize(("name", "shape", "atol"), DECAYS, ids=[row[0] for row in DECAYS])
def test_decay_and_hold_after_the_end(name, shape, atol):
    want = golden(name)
    assert len(want) > T  # the hold is compared too
    # torch's linear and polynomial forms are products of ratios over the steps, which adds their rounding
    np.testing.assert_allclose(rates(Schedule(shape), len(want)), want, rtol=0, atol=max(atol, 5e-15 * ("torch" in name)))


FALLS: list[tuple[str, Shape, float]] = [
    *[(f"step__{source}", Steps((8 / T, 16 / T, 24 / T, 32 / T), 0.5), F64) for source in ("torch", "timm")],
    ("step__optax", Steps((8 / T, 16 / T, 24 / T, 32 / T), 0.5), F32),
    ("multistep__torch", Steps((10 / T, 25 / T), 0.1), F64),
    ("multistep__optax", Steps((10 / T, 25 / T), 0.1), F32),
    ("exponential__torch", Exponential(0.95**T), F64),
    ("exponential__optax", Exponential(0.95**T), F32),
]


@pytest.mark.parametrize(("name", "shape", "atol"), FALLS, ids=[row[0] for row in FALLS])
def test_falls_by_ratios_which_others_go_on_with_after_the_run(name, shape, atol):
    want = golden(name)
    np.testing.assert_allclose(rates(Schedule(shape), T), want[:T], rtol=0, atol=atol)


def test_timm_drops_one_update_earlier():
    want = golden("multistep__timm")
    np.testing.assert_allclose(rates(Schedule(Steps((10 / T, 25 / T), 0.1)), T)[1:], want[: T - 1], rtol=0, atol=F64)


def test_exponential_staircase():
    want = golden("exponential__torch", "lr_epoch")
    np.testing.assert_allclose(rates(Schedule(Exponential(0.95 ** (T / S)), per="epoch"), T), want[:T], rtol=0, atol=F64)


FALL = 15 / (T - W)  # 5 updates of warm-up, 20 level, 15 down
STABLE: list[tuple[str, Shape]] = [
    ("wsd_linear__pytorch_optimizer", Wsd(FALL)),
    ("wsd_1sqrt__pytorch_optimizer", Wsd(FALL, 0.5)),
    ("wsd_1square__pytorch_optimizer", Wsd(FALL, 2.0)),
    ("wsd_linear__transformers", Wsd(FALL, 1.0, FLOOR)),
    ("wsd_1sqrt__transformers", Wsd(FALL, 0.5, FLOOR)),
    *[(f"wsd_cosine__{source}", StableCosine(FALL, FLOOR)) for source in ("pytorch_optimizer", "transformers")],
    ("inverse_sqrt__transformers", InverseSqrt((W / T) ** 0.5)),
]


@pytest.mark.parametrize(("name", "shape"), STABLE, ids=[row[0] for row in STABLE])
def test_warmup_stable_decay_after_their_ramps(name, shape):
    want = golden(name)
    np.testing.assert_allclose(rates(Schedule(shape, W), T)[W:], want[W:T], rtol=0, atol=5e-15)


def curve(shape: Shape, total: int, n: int) -> np.ndarray:
    return np.array([LR * Schedule(shape).factor(k, total) for k in range(n)])


@pytest.mark.parametrize("source", ["timm", "torch"])
def test_restarts_until_a_further_one_begins(source):
    want = golden(f"cosine_restarts__{source}")  # cycles of 8, 16, 32, …
    np.testing.assert_allclose(curve(Restarts(3, 2.0, 1.0, FLOOR), 56, 56), want[:56], rtol=0, atol=5e-15)
    assert want[56] == pytest.approx(LR, rel=0.01)


def test_restarts_with_falling_peaks_and_hold():
    want = golden("cosine_restarts_decay__timm")  # cycles of 8, 12 and 18
    np.testing.assert_allclose(curve(Restarts(3, 1.5, 0.5, FLOOR), 38, len(want)), want, rtol=0, atol=5e-15)


def test_equal_restarts_after_a_warmup():
    want = golden("cosine_hard_restarts__transformers")
    got = rates(Schedule(Restarts(3, 1.0), W, "zero"), len(want))
    np.testing.assert_allclose(got, want, rtol=0, atol=5e-15)


def test_one_cycle_of_optax_and_the_fall_of_torchs():
    shape = OneCycle(0.3, 1 / 25, 1 / 25 / 1e4)
    want = golden("onecycle__optax")
    np.testing.assert_allclose(rates(Schedule(shape), len(want)), want, rtol=0, atol=F32)
    fall = golden("onecycle__torch")[12:]  # one update earlier
    np.testing.assert_allclose(rates(Schedule(shape), T + 1)[13:], fall, rtol=0, atol=5e-15)


def test_rex_which_pytorch_optimizer_asks_for_one_update_early():
    want = golden("rex__pytorch_optimizer")
    np.testing.assert_allclose(rates(Schedule(Rex(FLOOR)), len(want) + 1)[1:], want, rtol=0, atol=5e-15)


EPOCHS = [row for row in DECAYS if row[2] == F64]


@pytest.mark.parametrize(("name", "shape", "atol"), EPOCHS, ids=[row[0] for row in EPOCHS])
def test_staircase(name, shape, atol):
    want = golden(name, "lr_epoch")
    assert len(want) > T
    np.testing.assert_allclose(rates(Schedule(shape, per="epoch"), len(want)), want, rtol=0, atol=max(atol, 5e-15))


WARMUPS: list[tuple[str, Shape, float]] = [
    ("constant_warmup__transformers", Constant(), F64),
    ("warmup_linear__transformers", Linear(), F64),
    ("warmup_cosine__optax", Cosine(FLOOR), F32),
    *[(f"warmup_poly_p{p}__transformers", Polynomial(p, FLOOR), F64) for p in POWERS],
]


@pytest.mark.parametrize(("name", "shape", "atol"), WARMUPS, ids=[row[0] for row in WARMUPS])
def test_warmup_from_zero(name, shape, atol):
    want = golden(name)
    np.testing.assert_allclose(rates(Schedule(shape, W, "zero"), len(want)), want, rtol=0, atol=atol)


@pytest.mark.parametrize(("name", "floor"), [("cosine", 0.0), ("cosine_minlr", FLOOR)])
def test_transformers_cosine_until_it_rises_again(name, floor):
    want = golden(f"warmup_{name}__transformers")
    got = rates(Schedule(Cosine(floor), W, "zero"), len(want))
    np.testing.assert_allclose(got[: T + 1], want[: T + 1], rtol=0, atol=F64)
    np.testing.assert_array_equal(got[T:], LR * floor)
    assert want[-1] > want[T] + 0.004


def test_torch_cosine_until_it_rises_again():
    want = golden("cosine__torch")
    got = rates(Schedule(Cosine(FLOOR)), len(want))
    np.testing.assert_allclose(got[: T + 1], want[: T + 1], rtol=0, atol=5e-15)
    np.testing.assert_array_equal(got[T:], LR_MIN)
    assert want[-1] > want[T] + 0.003


def test_torch_sequential_decay_after_its_other_ramp():
    want = golden("warmup_cosine__torch_sequential")
    np.testing.assert_allclose(rates(Schedule(Cosine(FLOOR), W), T + 1)[W:], want[W : T + 1], rtol=0, atol=5e-15)


def test_timm_prefix_decay_after_its_other_ramp():
    want = golden("warmup_cosine_prefix__timm")
    np.testing.assert_allclose(rates(Schedule(Cosine(FLOOR), W), len(want))[W:], want[W:], rtol=0, atol=F64)


def test_timm_prefix_staircase():
    want, warm = golden("warmup_cosine_prefix__timm", "lr_epoch"), 2 * S  # 5 updates are two epochs of 4
    got = rates(Schedule(Cosine(FLOOR), W, per="epoch"), len(want))
    np.testing.assert_allclose(got[warm:], want[warm:], rtol=0, atol=F64)
    np.testing.assert_array_equal(got[:warm], np.repeat([LR / 2, LR], S))


def test_a_ratio_floor_keeps_the_proportion_of_two_groups_which_an_absolute_one_does_not():
    want = golden("lr_groups__torch")  # base rates 0.1 and 0.01 with one eta_min of 0.001
    factors = np.array([Schedule(Cosine(FLOOR)).factor(k, T) for k in range(T + 1)])
    np.testing.assert_allclose(LR * factors, want[: T + 1, 0], rtol=0, atol=5e-15)
    assert want[T, 1] == pytest.approx(want[T, 0])
    assert 0.01 * factors[T] == pytest.approx(LR_MIN / 10, rel=1e-15)
