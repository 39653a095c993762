"""What follows a direction runs by a kernel where the direction itself does not, with the same numbers."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from danlu.optim import decay, direction, modify, moment
from danlu.optim.context import Context
from danlu.optim.engine import Optimizer
from danlu.optim.rule import Rule
from danlu.optim.run.kernel import compiler_for
from danlu.optim.run.lane import Lane
from danlu.optim.values import Scope, Tick
from tests.laws.samples import dtype_for, host, infos, sample
from tests.optim.stepping import advance, agree, gradients, make, parameters, parted, same, snapshot, start

needs_compiler = pytest.mark.skipif(compiler_for("cpu") is None, reason="needs a C++ compiler")
BEHIND = [info for info in infos() if info.axis in {"after_lr", "average", "decay", "modify", "write"}]
TAILED = ["furnace", "furnace_lean", "muon", "smmf", "soap"]
SHAPES = ((4, 6),) * 5 + ((5,),) * 3 + ((2, 3, 2, 2),) * 2 + ((6, 4), (200, 210))


@pytest.mark.parametrize("info", BEHIND, ids=lambda info: f"{info.axis}.{info.name}")
def test_the_tail_is_what_follows_the_direction(info):
    """Whatever the pieces there are: the same numbers, or no tail."""
    rule = host(info.axis, sample(info))
    if rule.tail is None:
        return
    dtype = dtype_for(rule)
    draw = torch.Generator().manual_seed(0)
    p, g = (torch.randn(5, 6, dtype=torch.float64, generator=draw) for _ in range(2))
    planes, tailed = rule.init(p, torch.float64), rule.tail.init(p, torch.float64)
    assert tailed.keys() <= planes.keys()
    for t in range(1, 4):
        tick = rule.ticked(Tick(t, 0.1, 0.1, rule.memory, rule.shared, 1.0))
        h = rule.structure.bind([*rule.scalars(tick), *(1.0 for x in rule.measures.values() for _ in x.settles)])
        c = Context(p, g, planes, rule.structure.codecs, h, dtype)
        rule.structure.begin([c], h)
        if c.lr_scale is not None:
            continue
        u, begun = c.u, dict(c.new)
        moved, new = rule.structure.finish(c, h)
        numbers = rule.tail.structure.bind(rule.tail.scalars(tick))
        ours, kept = rule.tail.structure.step(p, u, {key: planes[key] for key in tailed}, numbers, dtype)
        torch.testing.assert_close(ours, moved, rtol=0.0, atol=0.0)
        assert {**begun, **kept}.keys() == new.keys()
        for key, x in kept.items():
            torch.testing.assert_close(x, new[key], rtol=0.0, atol=0.0)
        p, planes = moved, new


@pytest.mark.parametrize(
    "slots",
    [
        {"decay": decay.L2(0.1)},  # in the gradient
        {"decay": decay.Stable(0.1)},  # by the second moment
        {"after_lr": modify.Cautious()},  # by the gradient's sign
        {"modify": modify.SpectralBound()},  # another lr for each tensor
    ],
    ids=lambda slots: next(iter(slots)),
)
def test_what_looks_back_has_no_tail(slots):
    moments = {"exp_avg": moment.Ema(0.9), "exp_avg_sq": moment.Ema(0.99, moment.square)}
    assert Rule(direction.Ratio(), moments).tail is not None
    assert Rule(direction.Ratio(), moments, **slots).tail is None


@dataclass(frozen=True)
class _Shaped(decay.Cautious):
    """A piece of a user's that says no more of itself than that it looks at its whole tensor."""

    scope: ClassVar[Scope] = "tensor"

    def shrink(self, p, c, h):
        return p - p * (c.lr * h["rate"] * p.square().mean())


@needs_compiler
def test_a_tail_that_no_kernel_takes_runs_eagerly():
    def rule():
        moments = {"exp_avg": moment.Ema(0.9), "exp_avg_sq": moment.Ema(0.99, moment.square)}
        return Rule(direction.Atan2(), moments, decay=_Shaped(0.1))

    assert rule().tail is not None
    assert rule().sees == "shape"
    ours, theirs = (Optimizer(start(SHAPES), rule(), lr=0.1, compile=way) for way in (True, False))
    rows = gradients(parameters(ours), 3)
    advance(ours, rows)
    advance(theirs, rows)
    assert same(snapshot(ours), snapshot(theirs))


@pytest.fixture
def finished(monkeypatch):
    """How many elements of each tensor a tail's kernel has stepped, in order."""
    sizes, finish = [], Lane.finish

    def count(self, u, numbers):
        sizes.append(u.numel())
        finish(self, u, numbers)

    monkeypatch.setattr(Lane, "finish", count)
    return sizes


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TAILED)
def test_by_kernels_as_eagerly(name, dtype, finished):
    """Alone, in stacks, with threads; in the first step as well, which in some rules takes no lr."""
    ours, theirs = (make(name, start(SHAPES, dtype), compile=way) for way in (True, False))
    for row in gradients(parameters(ours), 4):
        advance(ours, [row])
        advance(theirs, [row])
        assert agree(name, snapshot(ours), snapshot(theirs))
    steps = 4 - (name in {"furnace", "soap"})
    assert finished.count(200 * 210) == steps
    assert finished.count(4 * 6) == 8 * steps


@needs_compiler
@pytest.mark.parametrize("name", TAILED)
def test_a_narrow_parameter_is_stepped_eagerly(name, finished):
    """A kernel would take the direction in the parameter's digits."""
    ours, theirs = (make(name, start(SHAPES[:6], torch.bfloat16), compile=way) for way in (True, False))
    rows = gradients(parameters(ours), 3)
    advance(ours, rows)
    advance(theirs, rows)
    assert not finished
    assert same(snapshot(ours), snapshot(theirs))


@needs_compiler
@pytest.mark.parametrize("name", ["furnace", "muon"])
def test_layouts_keep_their_elements_in_place(name, finished):
    shapes = ((2, 3, 4, 5),) * 2
    ours, theirs = start(shapes), start(shapes)
    ours[1] = torch.nn.Parameter(ours[1].detach().to(memory_format=torch.channels_last))
    rows = gradients(theirs, 4)
    advance(make(name, ours, compile=True), rows)
    advance(make(name, theirs), rows)
    assert finished
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11)


@needs_compiler
@pytest.mark.parametrize("name", ["furnace", "furnace_lean", "muon", "smmf"])
def test_a_resumed_run_goes_on_bit_for_bit(name, finished):
    assert same(*parted(name, SHAPES, gradients(start(SHAPES, torch.float32), 8), 5, compile=True))
    assert finished
