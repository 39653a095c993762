"""Every kind of parameter and gradient gives the numbers of a plain contiguous one: eager, all presets."""

import pytest
import torch
from torch import nn

from tests.optim import stepping
from tests.optim.stepping import (
    ALONE,
    CLIMBING,
    EXACT,
    GRADIENTS,
    LAYOUTS,
    PRESETS,
    advance,
    agree,
    gradients,
    laid_out,
    lanes,
    make,
    same,
    snapshot,
    start,
)

SHAPE = (2, 3, 4, 5)
STEPS = 3


@pytest.fixture(params=PRESETS)
def name(request):
    return request.param


@pytest.mark.parametrize("of_gradient", LAYOUTS)
@pytest.mark.parametrize("of_parameter", LAYOUTS)
def test_layouts_of_parameter_and_gradient_do_not_matter(name, of_parameter, of_gradient):
    [plain] = start([SHAPE])
    rows = gradients([plain], STEPS)
    p = nn.Parameter(laid_out(of_parameter, plain.detach()))
    strides = p.stride()
    optimizers = [make(name, [p]), make(name, [plain])]
    advance(optimizers[0], [[laid_out(of_gradient, g) for g in row] for row in rows])
    advance(optimizers[1], rows)
    assert agree(name, snapshot(optimizers[0]), snapshot(optimizers[1]))
    assert p.stride() == strides


def test_the_gap_between_strided_elements_is_not_written():
    whole = torch.full((4, 6), 5.0)
    p = nn.Parameter(whole[:, ::2])
    advance(make("adamw", [p]), [[torch.ones(4, 3)]])
    assert (whole[:, ::2] != 5.0).all()
    assert (whole[:, 1::2] == 5.0).all()


def test_an_expanded_gradient(name):
    first, second = (make(name, start([(4, 3)])) for _ in range(2))
    rows = gradients(start([(3,)]), STEPS)
    advance(first, [[row[0].expand(4, 3)] for row in rows])
    advance(second, [[row[0].expand(4, 3).contiguous()] for row in rows])
    assert agree(name, snapshot(first), snapshot(second))


def test_a_scalar_is_a_tensor_of_one_element(name):
    scalar, vector = start([()]), start([(1,)])
    rows = gradients(scalar, STEPS)
    moved = advance(make(name, scalar), rows)
    reshaped = advance(make(name, vector), [[g.reshape(1) for g in row] for row in rows])
    assert agree(name, [x.reshape(1) for x in moved], reshaped)
    assert moved[0].shape == ()


def test_empty_tensors_step_and_leave_the_others_alone(name):
    alone, beside = start([(3,)]), start([(3,), (0,), (2, 0)])
    rows = gradients(alone, STEPS)
    optimizer = make(name, beside)
    moved = advance(optimizer, [[*row, torch.zeros(0).double(), torch.zeros(2, 0).double()] for row in rows])
    assert agree(name, moved[:1], advance(make(name, alone), rows))
    assert optimizer.state[beside[1]]["step"] == STEPS


def test_complex_numbers_are_pairs(name):
    source = torch.Generator().manual_seed(0)
    z = nn.Parameter(torch.randn(3, 2, dtype=torch.complex128, generator=source))
    pairs = nn.Parameter(torch.view_as_real(z.detach()).clone())
    rows = gradients([z], STEPS)
    optimizer, of_pairs = make(name, [z]), make(name, [pairs])
    advance(optimizer, rows)
    advance(of_pairs, [[torch.view_as_real(g) for g in row] for row in rows])
    assert agree(name, torch.view_as_real(z.detach()), pairs.detach())
    if name not in EXACT:  # statistics of rows and columns have shapes of their own
        return
    state = {k: torch.view_as_real(x) if torch.is_tensor(x) and x.is_complex() else x for k, x in optimizer.state[z].items()}
    assert same(state, dict(of_pairs.state[pairs]))


def test_a_conjugated_or_negated_gradient_is_read_as_what_it_stands_for():
    z, minus = nn.Parameter(torch.ones(2, dtype=torch.complex64)), nn.Parameter(torch.ones(2))
    advance(make("sgd_ema", [z], lr=1.0, momentum=0.0), [[torch.tensor([1 + 2j, 3 - 1j]).conj()]])
    advance(make("sgd_ema", [minus], lr=1.0, momentum=0.0), [[torch._neg_view(torch.tensor([2.0, 3.0]))]])
    assert torch.equal(z.detach(), torch.tensor([0 + 2j, -2 - 1j]))
    assert torch.equal(minus.detach(), torch.tensor([3.0, 4.0]))


@pytest.mark.parametrize("name", GRADIENTS)  # a closure is evaluated at a point of the parameter's own dtype
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_parameters_step_in_float32(name, dtype):
    """Each step is the float32 step from the parameter's value, rounded once; the state is float32.

    But for an offset from the parameter, which is one from what is stored.
    """
    narrow, wide = start([(64,)], dtype), start([(64,)], torch.float32)
    ours, twin = make(name, narrow), make(name, wide)
    for [g] in gradients(narrow, 4):
        wide[0].data.copy_(narrow[0].data)
        advance(twin, [[g.float()]])
        assert same(advance(ours, [[g]]), [wide[0].detach().to(dtype)])
    assert narrow[0].dtype == dtype
    kept = [{key: x for key, x in state.items() if key != "offset"} for state in (ours.state[narrow[0]], twin.state[wide[0]])]
    assert same(*kept)


@pytest.mark.parametrize("size", [1e-7, 6e4])
def test_fp16_gradients_at_the_ends_of_their_range_stay_finite(name, size):
    params = start([(8,)], torch.float16)
    moved = advance(make(name, params, lr=1e-6), [[torch.full((8,), size, dtype=torch.float16)]] * 5)
    assert torch.isfinite(moved[0]).all()


def test_adam_steps_by_lr_on_tiny_fp16_gradients():
    p = nn.Parameter(torch.zeros(8, dtype=torch.float16))
    tiny = torch.full((8,), 1e-7, dtype=torch.float16)
    [moved] = advance(make("adamw", [p], lr=0.01, eps=1e-12, weight_decay=0.0), [[tiny]])
    assert torch.equal(moved, torch.full_like(p, -0.01).detach())


def test_a_gradient_wider_than_its_parameter_keeps_its_digits():
    narrow, wide = nn.Parameter(torch.zeros(4, dtype=torch.bfloat16)), nn.Parameter(torch.zeros(4))
    narrow.grad_dtype = torch.float32
    g = torch.tensor([1.001, -1.003, 0.5, 2.007])
    optimizers = [make("adamw", [p]) for p in (narrow, wide)]
    for optimizer in optimizers:
        advance(optimizer, [[g]] * 2)
    assert same(optimizers[0].state[narrow]["exp_avg"], optimizers[1].state[wide]["exp_avg"])


@pytest.mark.parametrize("name", ALONE)
def test_dtypes_live_beside_one_another(name):
    dtypes = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64]
    together = [start([(6,)], dtype)[0] for dtype in dtypes]
    apart = [start([(6,)], dtype)[0] for dtype in dtypes]
    rows = gradients(together, STEPS)
    moved = advance(make(name, together), rows)
    assert same(moved, [advance(make(name, [p]), [[row[i]] for row in rows])[0] for i, p in enumerate(apart)])


@pytest.mark.parametrize("name", EXACT)
def test_meta_tensors_step_without_values(name):
    p = nn.Parameter(torch.empty(3, 4, device="meta"))
    optimizer = make(name, [p])
    advance(optimizer, [[torch.empty(3, 4, device="meta")]] * 2)
    assert optimizer.state[p]["step"] == 2
    assert all(x.is_meta and x.shape == (3, 4) for x in optimizer.state[p].values() if isinstance(x, torch.Tensor))


def test_swapped_storage_is_followed(name):
    """`p.data = …`, as `module.to(dtype)` does it, between two steps."""
    params, twins = start([(5,)]), start([(5,)])
    rows = gradients(params, 4)
    ours, theirs = make(name, params), make(name, twins)
    advance(ours, rows[:2])
    params[0].data = params[0].data.clone()
    assert same(advance(ours, rows[2:]), advance(theirs, rows))


def test_gradients_are_read_and_never_written(name):
    params = start()
    [row] = gradients(params, 1)
    before = [g.clone() for g in row]
    advance(make(name, params, grad=[{"name": "clip_norm", "max_norm": 0.1}], maximize=name in CLIMBING), [row])
    assert same(row, before)


def test_a_test_runs_in_the_way_that_it_names(name):
    optimizer = make(name, start([(4,)], torch.float32))
    advance(optimizer, gradients(start([(4,)], torch.float32), 1))
    for lane in lanes(optimizer).values():
        assert (lane.way is not None or lane.tail is not None) == (stepping.COMPILE is True)
        assert (lane.fused is not None) == (stepping.COMPILE == "auto")
