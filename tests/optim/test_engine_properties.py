"""What holds for every preset, every order of parameters and every moment of stopping."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from danlu import optim
from tests.optim.stepping import EXACT, PRESETS, advance, agree, gradients, make, parameters, same, snapshot, start

LIMITS = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STEPS = 8
FREE = {  # options that leave nothing in the unit of the gradient, or of the gradient squared, but a negligible eps
    "adagrad": {"eps": 1e-30, "initial_accumulator_value": 0.0},
    "adam": {"eps": 1e-30},
    "adamax": {"eps": 1e-30},
    "adamw": {"eps": 1e-30},
    "lion": {},
    "nadam": {"eps": 1e-30},
    "nadam_simple": {"eps": 1e-30},
    "radam": {"eps": 1e-30, "unadapted": False},
    "rmsprop": {"eps": 1e-30, "initial_square_avg": 0.0},
}


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_declared_a_magnitude_is_never_negative(name):
    """Stores take the root of it without looking. Gradients of all sizes, that fade, rest, turn and come back."""
    params = start([(6, 4), (5,), ()], torch.float32)
    optimizer = make(name, params)
    rows = gradients(params, 14)
    for k, (row, size) in enumerate(zip(rows, [1, 1, 1e-3, 1e-10, 0, 0, 1e-18, 1e-22, 1e6, 1e-6, -1, -1, 0, 1], strict=True)):
        advance(optimizer, [[g * size if k % 3 else (g * size).abs() for g in row]])
    for p in params:
        for slot in optimizer.rule().magnitudes & set(optimizer.state[p]):
            assert not (optimizer.state[p][slot] < 0).any(), slot


@pytest.mark.parametrize("name", PRESETS)
@given(
    at=st.integers(0, STEPS),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64]),
    absent=st.sets(st.tuples(st.integers(0, STEPS - 1), st.integers(0, 2)), max_size=12),
    halves=st.booleans(),
)
@LIMITS
def test_resuming_equals_never_having_stopped(name, at, seed, dtype, absent, halves):
    """Bit for bit, at any step, with gradients missing here and there and an lr that changes."""
    params = start(dtype=dtype, seed=seed)
    rows = [
        [None if (k, i) in absent else g for i, g in enumerate(row)] for k, row in enumerate(gradients(params, STEPS, seed + 1))
    ]

    def fresh(values):
        return make(name, [{"params": [("a", values[0])], "lr": 0.3}, {"params": [("b", values[1]), ("c", values[2])]}])

    def walk(optimizer, begin, end):
        for row in rows[begin:end]:
            advance(optimizer, [row])
            if halves:
                optimizer.param_groups[0]["lr"] *= 0.5

    whole, stopped = fresh(params), fresh(start(dtype=dtype, seed=seed))
    walk(whole, 0, STEPS)
    walk(stopped, 0, at)
    resumed = fresh([nn.Parameter(p.detach().clone()) for p in parameters(stopped)])
    resumed.load_state_dict(stopped.state_dict())
    walk(resumed, at, STEPS)
    assert same(snapshot(resumed), snapshot(whole))
    assert same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("name", PRESETS)
@given(order=st.permutations(range(3)), seed=st.integers(0, 2**16))
@LIMITS
def test_the_order_of_parameters_does_not_matter(name, order, seed):
    params, twins = start(seed=seed), start(seed=seed)
    rows = gradients(params, 4, seed + 1)
    moved = advance(make(name, params), rows)
    shuffled = advance(make(name, [twins[i] for i in order]), [[row[i] for i in order] for row in rows])
    assert agree(name, shuffled, [moved[i] for i in order])


@pytest.mark.parametrize("name", EXACT)
@given(order=st.permutations(range(12)), seed=st.integers(0, 2**16))
@LIMITS
def test_the_order_of_coordinates_does_not_matter(name, order, seed):
    [p] = start([(12,)], seed=seed)
    rows, index = gradients([p], 4, seed + 1), torch.tensor(order)
    q = nn.Parameter(p.detach()[index].clone())
    [moved] = advance(make(name, [p]), rows)
    assert same(advance(make(name, [q]), [[g[index]] for [g] in rows]), [moved[index]])


@pytest.mark.parametrize("name", sorted(FREE))
@given(power=st.integers(-20, 20).filter(bool), seed=st.integers(0, 2**16))
@LIMITS
def test_the_scale_of_gradients_does_not_matter(name, power, seed):
    """A power of two keeps every digit; eps 1e-30 is lost beside √v."""
    both = [make(name, start(seed=seed), weight_decay=0.0, **FREE[name]) for _ in range(2)]
    rows = gradients(start(), 4, seed + 1)
    assert same(advance(both[0], rows), advance(both[1], [[g * 2.0**power for g in row] for row in rows]))


def test_the_scale_of_gradients_matters_to_sgd():
    """The control of the test above: it can fail."""
    rows = gradients(start(), 4)
    for name in ("sgd", "sgd_ema", "sgd_velocity", "sgdw"):
        assert not same(
            advance(make(name, start()), rows), advance(make(name, start()), [[2 * g for g in row] for row in rows])
        )


@pytest.mark.parametrize("name", PRESETS)
@given(split=st.integers(0, 3), seed=st.integers(0, 2**16))
@LIMITS
def test_groups_of_equal_options_are_one_group(name, split, seed):
    params, twins = start(seed=seed), start(seed=seed)
    rows = gradients(params, 4, seed + 1)
    groups = [{"params": part} for part in (twins[:split], twins[split:])]
    grad = optim.grad.ClipNorm(1.0)
    assert same(advance(make(name, params, grad=grad), rows), advance(make(name, groups, grad=grad), rows))
