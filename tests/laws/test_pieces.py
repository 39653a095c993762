"""Laws that every registered piece obeys."""

import dataclasses
import inspect
import math
import pickle
import re
import typing
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from danlu import optim
from danlu.optim.moment import Ema
from danlu.optim.piece import Codec, Decay
from danlu.optim.roles import ROLES
from danlu.optim.run.fed import host_reads
from danlu.optim.store import Dense
from danlu.optim.values import Signal, Tick
from danlu.ranges import hints
from tests.laws.samples import (
    SHAPES,
    TOLERANCE,
    WALKS,
    dtype_for,
    host,
    infos,
    interval,
    sample,
    settings,
    step,
    trace,
    variants,
)

EVERY = [pytest.param(info, id=f"{info.axis}.{info.name}") for info in infos()]
KNOBS = [
    pytest.param(info, field.name, id=f"{info.axis}.{info.name}.{field.name}")
    for info in infos()
    for field in dataclasses.fields(info.cls)
    if interval(hint := hints(info.cls)[field.name]) is not None or hint is bool or typing.get_origin(hint) is typing.Literal
]


@pytest.mark.parametrize("info", EVERY)
def test_a_piece_acts(info):
    rule = host(info.axis, sample(info))
    reference = rule.but(store=Dense()) if issubclass(info.cls, Codec) else optim.Rule(optim.direction.Plain())
    if rule == reference:
        return  # direction.plain and store.dense are the references
    dtype = dtype_for(rule)
    hosts = [host(info.axis, sample(info, **fields)) for fields in settings(info)]
    apart = (np.abs(trace(x, **walk) - trace(reference, dtype=dtype, **walk)).max() for x in hosts for walk in WALKS)
    assert any(x > 100 * TOLERANCE for x in apart)


@pytest.mark.parametrize(("info", "field"), KNOBS)
def test_every_knob_moves_the_trace(info, field):
    assert any(apart > 100 * TOLERANCE for walk in WALKS for apart in distances(info, field, walk))


def distances(info, field, walk):
    """How far each other value of a field leads."""
    for fields in settings(info):
        before = trace(host(info.axis, sample(info, **fields)), **walk)
        for other in variants(info, field, **fields):
            yield np.abs(trace(host(info.axis, other), **walk) - before).max()


@pytest.mark.parametrize("info", [p for p in EVERY if p.values[0].axis in {"decay", "rate"}])
def test_zero_is_the_same_as_absent(info):
    bounds = {name: bound for name, hint in hints(info.cls).items() if (bound := interval(hint))}
    if info.axis == "rate" and ("loss" in info.cls.needs or any(0.0 not in bound for bound in bounds.values())):
        pytest.skip("a rate that is made from losses or distances has no setting that switches it off")
    off = sample(info, **{name: 0.0 for name, bound in bounds.items() if 0.0 in bound})
    rule = host(info.axis, off)
    assert np.array_equal(trace(rule), trace(rule.but(**{info.axis: None if info.axis == "decay" else ()})))


@pytest.mark.parametrize("info", EVERY)
def test_zero_gradients_move_nothing_but_the_decay(info):
    no_penalty = {name: optim.decay.L2(0.0) for name, hint in hints(info.cls).items() if hint is Decay}
    rule = host(info.axis, sample(info, **no_penalty)).but(decay=None)
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64))
    optimizer = optim.Optimizer([p], rule, lr=0.1)
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        step(optimizer)
    assert p.tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize("info", EVERY)
def test_numbers_do_not_shape_the_computation(info):
    """Kernels are cached by structure: numbers that differ must not give another one, unless they are marked structural."""
    piece = sample(info)
    for name, hint in hints(info.cls).items():
        if interval(hint) is not None and "Structural" not in repr(hint) and getattr(piece, name) is not None:
            for other in variants(info, name):
                assert repr(other.structure()) == repr(piece.structure())


class Unread(TorchDispatchMode):
    """Refuses to read a value on the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("info", EVERY)
def test_numbers_may_lie_on_a_device(info):
    """As a recorded step has them: a law reads on the host what it declares, and nothing else."""
    for fields in settings(info):
        rule = host(info.axis, sample(info, **fields))
        places = host_reads(rule, events=True) + host_reads(rule, events=False)
        for shape in SHAPES:
            p, g = (torch.linspace(-1.0, 2.0, math.prod(shape), dtype=torch.float64).reshape(shape) + x for x in (0.1, 0.3))
            planes = rule.init(p, p.dtype)
            for t in (1, 2, 3):
                tick = rule.ticked(Tick(t, 0.1, 0.2, rule.memory, rule.shared, 1.0))
                floats = [*rule.scalars(tick), *[0.5] * len(rule.settling)]
                numbers = [x if i in places else torch.tensor(x, dtype=p.dtype) for i, x in enumerate(floats)]
                wanted, new = rule.structure.step(p, g, planes, rule.structure.bind(floats))
                with Unread() if not any(floats[i] for i in host_reads(rule, events=True)) else nullcontext():
                    found, _ = rule.structure.step(p, g, planes, rule.structure.bind(numbers))
                assert torch.allclose(found.double(), wanted.double(), rtol=1e-12, atol=1e-12, equal_nan=True)
                p, planes = wanted, new


@pytest.mark.parametrize("info", [p for p in EVERY if p.values[0].cls.skips_roles])
def test_a_piece_that_leaves_roles_alone_can_be_left_out(info):
    assert info.cls.skips_roles <= set(ROLES)
    assert info.name in host(info.axis, sample(info)).removable


@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("info", [p for p in EVERY if p.values[0].axis == "moment"])
def test_a_moment_says_truly_whether_its_first_reading_is_the_gradient(info, debias):
    wraps = "moment" in hints(info.cls)
    try:
        piece = sample(info, **({"moment": Ema(0.7, debias=debias)} if wraps else {}))
    except ValueError:
        pytest.skip("for magnitudes, or not for this moment")
    if piece.signal is not Signal.GRADIENT:
        pytest.skip("holds a magnitude")
    p = torch.nn.Parameter(torch.zeros(6, dtype=torch.float64))
    p.grad = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    optim.Optimizer([p], optim.Rule(optim.direction.Plain(), {"m": piece}), lr=1.0).step()
    assert torch.allclose(-p.detach(), p.grad, rtol=1e-12, atol=0.0) == piece.exact_at_first


@pytest.mark.parametrize("info", EVERY)
def test_what_is_declared_a_magnitude_is_never_negative(info):
    """Stores take the root of it without looking. Gradients of all sizes, that fade, rest, turn and come back."""
    for fields in settings(info):
        rule = host(info.axis, sample(info, **fields))
        p = torch.nn.Parameter(torch.randn(6, 4, dtype=dtype_for(rule), generator=torch.Generator().manual_seed(0)))
        optimizer = optim.Optimizer([p], rule, lr=0.01, compile=False)
        draw = torch.Generator().manual_seed(1)
        for k, size in enumerate((1, 1, 1e-3, 1e-10, 0, 0, 1e-18, 1e-22, 1e6, 1e-6, -1, -1, 0, 1)):
            g = size * torch.randn(p.shape, dtype=torch.float64, generator=draw).to(p.dtype)
            p.grad = g if k % 3 else g.abs()
            step(optimizer, k)
        for slot in optimizer.rule().magnitudes & set(optimizer.state[p]):
            assert not (optimizer.state[p][slot] < 0).any(), slot


@pytest.mark.parametrize("info", EVERY)
def test_a_rule_prints_compares_and_pickles(info):
    rule = host(info.axis, sample(info))
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert info.cls.__name__ in repr(rule)


@pytest.mark.parametrize("info", EVERY)
def test_a_piece_is_documented_and_sourced(info):
    doc = inspect.getdoc(info.cls)
    assert re.search(r"[=←]|kept as it is|max\(|read as|v − a²", doc.splitlines()[0]), "the first line holds the law"
    assert info.source
    package = inspect.getmodule(optim).__dict__[info.axis]
    assert info.cls.__name__ in package.__all__
    for name in hints(info.cls):
        inherited = any(name in (inspect.getdoc(base) or "") for base in info.cls.__mro__[:-1])
        assert inherited, f"{name} is not described"
