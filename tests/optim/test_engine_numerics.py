"""Long runs: counters that do not stop, second moments that do not go denormal."""

import pytest
import torch

from danlu import optim
from tests.optim.stepping import ALONE, EXACT, PRESETS, advance, agree, gradients, make, parameters, start


@pytest.mark.parametrize("name", PRESETS)
def test_counting_goes_on_beyond_float32(name):
    """A float32 counter stays at 2**24."""
    params = start([(3,)])
    optimizer = make(name, params)
    rows = gradients(params, 3)
    advance(optimizer, rows[:1])
    optimizer.state[params[0]]["step"] = 2**24
    advance(optimizer, rows[1:])
    assert optimizer.state[params[0]]["step"] == 2**24 + 2
    assert torch.isfinite(params[0]).all()


def test_numbers_beyond_two_to_the_24_still_tell_steps_apart():
    optimizer = make("adagrad", start([()]), lr=1.0, lr_decay=1.0, initial_accumulator_value=0.0, eps=1e-30)
    [p] = parameters(optimizer)
    advance(optimizer, [[torch.ones((), dtype=torch.float64)]])
    for t in (2**24 + 1, 2**24 + 2):
        optimizer.state[p].update(step=t - 1, sum=torch.zeros_like(p))
        before = float(p.detach())
        advance(optimizer, [[torch.ones((), dtype=torch.float64)]])
        assert before - float(p.detach()) == pytest.approx(1.0 / t, rel=1e-8)


def test_the_second_moment_never_holds_denormals():
    """A gradient of 1e-20 squares to 1e-43 in float32, and v halves into denormals when gradients stop."""
    params = start([(8,)], torch.float32)
    optimizer = make("adamw", params, betas=(0.0, 0.5))
    size = torch.logspace(-23, 0, 8)
    advance(optimizer, [[size], *[[torch.zeros(8)]] * 130])
    v = optimizer.state[params[0]]["exp_avg_sq"].clone()
    advance(optimizer, [[size]])
    w = optimizer.state[params[0]]["exp_avg_sq"]
    tiny = torch.finfo(torch.float32).tiny
    for x in (v, w):
        assert ((x == 0) | (x >= tiny)).all()
    assert (v == 0).all()
    assert w[-1] == 0.5


@pytest.mark.parametrize("size", [1e-37, 1e-42])
@pytest.mark.parametrize("name", PRESETS)
def test_gradients_that_become_tiny_leave_everything_finite(name, size):
    """What divides by the size of a gradient may reach beyond float32 there: 1e3/1e-37."""
    params = start([(), (5,), (3, 4)], torch.float32)
    rows = gradients(params, 8)
    optimizer = make(name, params)
    sizes = [1e3, 1e3, 1e3, 1e3, size, size, 1.0, 1.0]
    assert all(
        torch.isfinite(p).all() for p in advance(optimizer, [[g * x for g in row] for row, x in zip(rows, sizes, strict=True)])
    )
    assert not optimizer.skipped


@pytest.mark.parametrize("name", EXACT)
def test_a_gradient_whose_square_is_infinite_harms_its_own_coordinate_alone(name):
    """1e25 in two steps on end: inf in v, where inf - inf would be nan."""
    params, twins = start([(), (5,), (3, 4)], torch.float32), start([(), (5,), (3, 4)], torch.float32)
    rows = gradients(params, 8)
    clean = advance(make(name, twins), rows)
    for g in (rows[3][2], rows[4][2]):
        g[1, 1] = 1e25
    *others, struck = advance(make(name, params), rows)
    assert torch.isfinite(struck).all()
    struck[1, 1] = clean[-1][1, 1]
    assert all(map(torch.equal, [*others, struck], clean))


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("name", ALONE)
def test_a_nan_is_shown_in_its_own_tensor(name, at):
    """Also where matrices are decomposed, which LAPACK refuses to do with it: then only those before it would step."""
    params, twins = start([(5,), (3, 4), (2, 3)], torch.float32), start([(5,), (3, 4), (2, 3)], torch.float32)
    rows = gradients(params, 5)
    clean = advance(make(name, twins), rows)
    rows[at][1][0, 0] = torch.nan
    optimizer = make(name, params)
    moved = advance(optimizer, rows)
    assert not torch.isfinite(moved[1]).all()
    assert agree(name, [moved[0], moved[2]], [clean[0], clean[2]])
    assert [optimizer.state[p]["step"] for p in params] == [5, 5, 5]


def test_a_skipped_first_step_leaves_no_state_behind():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.create("adamw", [p], grad=optim.grad.ClipNorm(1.0), compile=False)
    p.grad = torch.full((3,), float("nan"))
    with pytest.warns(UserWarning, match="not finite"):
        optimizer.step()
    assert optimizer.skipped == 1
    assert optimizer.state_dict()["state"] == {}
    p.grad = torch.ones(3)
    optimizer.step()
    assert optimizer.state[p]["step"] == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_a_backward_pass_through_a_parameter_that_has_stepped_is_refused(compiled):
    """Kernels write past autograd; without the version counter the gradient would be of the new value, in silence."""
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.create("sgd", [p], lr=0.1, momentum=0.9, compile=compiled)
    loss = (p * p).sum()
    p.grad = torch.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
