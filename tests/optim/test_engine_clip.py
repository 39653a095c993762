"""Measures over all gradients: one norm for all groups, as torch's and as source 000's; steps that are not taken."""

import math

import pytest
import torch

from danlu import optim
from danlu.optim.grad import ClipNorm, ClipValue, NormalizeAll, ZClip
from danlu.optim.plan import Fixed
from tests.optim.stepping import advance, gradients, make, parameters, same, snapshot, start
from tests.papers import clip

SIZES = ((4, 3), (5,), ())


def in_groups(params):
    return [{"params": params[:1], "lr": 0.01}, {"params": params[1:], "lr": 0.02}]


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("bound", [0.3, 1e3])
def test_two_groups_share_one_norm_and_walk_as_after_torchs_clipping(order, bound):
    ours = make("adamw", in_groups(start(SIZES)), grad=ClipNorm(bound, order=order, eps=1e-6))
    theirs = torch.optim.AdamW(in_groups(start(SIZES)), foreach=False)
    rows = gradients(parameters(ours), 4)
    moved = advance(ours, rows)
    for row in rows:
        for p, g in zip(parameters(theirs), row, strict=True):
            p.grad = g.clone()
        torch.nn.utils.clip_grad_norm_(parameters(theirs), bound, norm_type=order)
        theirs.step()
    for a, b in zip(moved, parameters(theirs), strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=0, atol=1e-12)


def test_a_norm_is_global_over_groups_whose_rules_have_other_measures_before_it():
    """Also where they stand in opposite orders: then no sum can be shared, and each group is clipped alone."""

    def walk(grads, *orders):
        params = start([(3,), (4,)])
        rules = [optim.Rule(optim.direction.Plain(), grad=[grads[i] for i in order]) for order in orders]
        members = [{"params": [p], "rule": Fixed(rule)} for p, rule in zip(params, rules, strict=True)]
        optimizer = optim.Optimizer(members, rules[0], lr=1.0)
        [row] = gradients(params, 1)
        before = [p.detach().clone() for p in params]
        return [p - q for p, q in zip(before, advance(optimizer, [row]), strict=True)], row

    clips = (ClipNorm(0.5, order=2.0), ClipNorm(1e6, order=1.0))
    for orders in ([(0,), (1, 0)], [(1, 0), (0,)], [(0,), (0, 0)], [(0, 1), (0,)]):
        moved, row = walk(clips, *orders)
        want = 0.5 / torch.cat(row).norm()
        for g, step in zip(row, moved, strict=True):
            torch.testing.assert_close(step, g * want, rtol=1e-12, atol=0)
    moved, row = walk(clips, (0, 1), (1, 0))
    assert [float(step.norm()) for step in moved] == pytest.approx([0.5, 0.5], rel=1e-12)


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_without_eps_it_is_source_000s_formula(order):
    ours = make("sgd_ema", in_groups(start(SIZES)), momentum=0.0, grad=ClipNorm(0.3, order=order))
    before = [p.detach().clone() for p in parameters(ours)]
    [row] = gradients(parameters(ours), 1)
    clipped, norm = clip.by_global_norm([g.numpy() for g in row], 0.3, order=order)
    assert norm > 0.6
    for lr, p, q, g in zip((0.01, 0.02, 0.02), before, advance(ours, [row]), clipped, strict=True):
        torch.testing.assert_close(q, p - lr * torch.as_tensor(g), rtol=0, atol=1e-15)


def test_groups_whose_rules_differ_share_the_norm():
    """The norm of −g is the norm of g."""
    params = start([(3,), (3,)])
    optimizer = make("sgd_ema", [{"params": [p]} for p in params], lr=1.0, momentum=0.0, grad=ClipNorm(0.5))
    optimizer.param_groups[1]["maximize"] = True
    before = [p.detach().clone() for p in params]
    [row] = gradients(params, 1)
    moved = advance(optimizer, [row])
    scale = 0.5 / float(torch.cat(row).norm())
    assert scale < 1
    for sign, p, q, g in zip((-1, 1), before, moved, row, strict=True):
        torch.testing.assert_close(q, p + sign * scale * g, rtol=0, atol=1e-15)


def test_parameters_without_a_gradient_are_no_part_of_the_norm():
    params = start([(3,), (3,)])
    optimizer = make("sgd_ema", params, lr=1.0, momentum=0.0, grad=ClipNorm(0.5))
    before = params[0].detach().clone()
    [[g, _]] = gradients(params, 1)
    moved = advance(optimizer, [[g, None]])
    torch.testing.assert_close(moved[0], before - 0.5 * g / g.norm(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
def test_empty_tensors_are_no_part_of_the_norm(order):
    alone, beside = start([(3,)]), start([(3,), (0,)])
    rows = gradients(alone, 2)
    none = torch.zeros(0, dtype=torch.float64)
    grad = ClipNorm(0.5, order=order)
    moved = advance(make("adamw", [{"params": [p]} for p in beside], grad=grad), [[*row, none] for row in rows])
    assert same(moved[:1], advance(make("adamw", alone, grad=grad), rows))
    only = make("adamw", start([(0,)]), grad=grad)
    advance(only, [[none]])
    assert only.skipped == 0


def test_transforms_before_a_norm_are_seen_by_it():
    params = start([(6,)])
    optimizer = make("sgd_ema", params, lr=1.0, momentum=0.0, grad=[ClipValue(0.5), ClipNorm(0.2)])
    before = params[0].detach().clone()
    [[g]] = gradients(params, 1)
    [moved] = advance(optimizer, [[g]])
    held = g.clamp(-0.5, 0.5)
    assert not torch.equal(held, g)
    torch.testing.assert_close(moved, before - 0.2 * held / held.norm(), rtol=0, atol=1e-15)


def test_two_norms_in_a_row_are_measured_one_after_the_other():
    params = start([(6,)])
    optimizer = make("sgd_ema", params, lr=1.0, momentum=0.0, grad=[ClipNorm(0.5), ClipNorm(0.1, order=1.0)])
    before = params[0].detach().clone()
    [[g]] = gradients(params, 1)
    first = 0.5 * g / g.norm()
    [moved] = advance(optimizer, [[g]])
    torch.testing.assert_close(moved, before - 0.1 * first / first.abs().sum(), rtol=0, atol=1e-15)


def test_clip_value_bounds_every_element():
    params = start([(6,)])
    optimizer = make("sgd_ema", params, lr=1.0, momentum=0.0, grad=ClipValue(0.5))
    before = params[0].detach().clone()
    [[g]] = gradients(params, 1)
    assert g.abs().max() > 0.5 > g.abs().min()
    [moved] = advance(optimizer, [[g]])
    torch.testing.assert_close(moved, before - torch.as_tensor(clip.by_value([g.numpy()], 0.5)[0]), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite_skips_the_step_and_says_so_once(bad, order):
    optimizer = make("adamw", in_groups(start(SIZES)), grad=ClipNorm(1.0, order=order))
    rows = gradients(parameters(optimizer), 6)
    advance(optimizer, rows[:3])
    before = snapshot(optimizer)
    broken = [*rows[3][:1], torch.where(torch.arange(5) == 2, bad, rows[3][1]), rows[3][2]]
    with pytest.warns(UserWarning, match=r"^adamw: a measure over the gradients .* not finite; the step was skipped"):
        advance(optimizer, [broken])
    advance(optimizer, [broken])  # warnings are errors here
    assert optimizer.skipped == 2
    assert same(snapshot(optimizer), before)

    whole = make("adamw", in_groups(start(SIZES)), grad=ClipNorm(1.0, order=order))
    assert same(advance(optimizer, rows[3:]), advance(whole, rows))


@pytest.mark.parametrize("piece", [ClipNorm(0.5), ClipNorm(0.5, order=3.0), NormalizeAll(), ZClip(max_norm=0.5)], ids=str)
@pytest.mark.parametrize("size", [1e25, 3e38])
def test_a_finite_gradient_whose_squares_are_infinite_is_clipped(piece, size):
    """In float32 an element above 1.8e19 overflows the sum, which is taken again in float64 then."""
    params = start(SIZES, torch.float32)
    rows = gradients(params, 1)
    rows[0][0][2, 1] = -size
    optimizer = make("sgd", params, lr=1.0, momentum=0.0, weight_decay=0.0, grad=piece)
    before = [p.detach().clone() for p in params]
    moved = torch.cat([(q - p).flatten() for p, q in zip(advance(optimizer, rows), before, strict=True)])
    assert not optimizer.skipped
    assert moved.norm() == pytest.approx(getattr(piece, "max_norm", 1.0), rel=1e-5)
    assert moved.argmin() == 2 * 3 + 1
    assert moved.ne(0.0).sum() == 1


def test_without_a_measure_what_is_not_finite_is_shown():
    p = start([(3,)])
    [moved] = advance(make("adamw", p), [[torch.tensor([1.0, math.nan, 1.0], dtype=torch.float64)]])
    assert torch.isnan(moved).tolist() == [False, True, False]


def test_clipping_by_name_is_clipping_by_piece():
    rows = gradients(start(SIZES), 3)
    named = make("adamw", start(SIZES), grad=[{"name": "clip_norm", "max_norm": 0.5}])
    fixed = optim.Optimizer(start(SIZES), optim.adamw().but(grad=ClipNorm(0.5)), lr=0.01, compile=False)
    assert same(advance(named, rows), advance(fixed, rows))


def test_a_float64_norm_does_not_widen_a_scalar():
    """A 0-d parameter takes part in type promotion as the norm does; a matrix root would meet two dtypes."""
    params = start([(), (3,)], torch.float32)
    rule = optim.Rule(optim.direction.Shampoo(every=2), grad=ClipNorm(0.5))
    moved = advance(optim.Optimizer(params, rule, lr=0.1), gradients(params, 2))
    assert [(p.dtype, bool(torch.isfinite(p).all())) for p in moved] == [(torch.float32, True)] * 2
