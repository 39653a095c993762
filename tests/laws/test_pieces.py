"""Laws that every registered piece obeys."""

import dataclasses
import inspect
import pickle
import re

import numpy as np
import pytest
import torch

from danlu import optim
from danlu.optim.piece import Codec
from danlu.ranges import hints
from tests.laws.samples import TOLERANCE, host, infos, interval, sample, trace, variants

EVERY = [pytest.param(info, id=f"{info.axis}.{info.name}") for info in infos()]
KNOBS = [
    pytest.param(info, field.name, id=f"{info.axis}.{info.name}.{field.name}")
    for info in infos()
    for field in dataclasses.fields(info.cls)
    if interval(hints(info.cls)[field.name]) is not None or hints(info.cls)[field.name] is bool
]


@pytest.mark.parametrize("info", EVERY)
def test_a_piece_acts(info):
    if issubclass(info.cls, Codec):
        pytest.skip("a dense codec is exact: it must not act")
    reference = optim.Rule(optim.direction.Plain())
    rule = host(info.axis, sample(info))
    if rule == reference:
        return  # direction.plain is the reference
    assert np.abs(trace(rule) - trace(reference)).max() > 100 * TOLERANCE


@pytest.mark.parametrize(("info", "field"), KNOBS)
def test_every_knob_moves_the_trace(info, field):
    before = trace(host(info.axis, sample(info)))
    moved = [np.abs(trace(host(info.axis, other)) - before).max() for other in variants(info, field)]
    assert max(moved) > 100 * TOLERANCE


@pytest.mark.parametrize("info", [p for p in EVERY if p.values[0].axis in {"decay", "rate"}])
def test_zero_is_the_same_as_absent(info):
    off = sample(info, **{field.name: 0.0 for field in dataclasses.fields(info.cls)})
    rule = host(info.axis, off)
    assert np.array_equal(trace(rule), trace(rule.but(**{info.axis: None if info.axis == "decay" else ()})))


@pytest.mark.parametrize("info", EVERY)
def test_zero_gradients_move_nothing_but_the_decay(info):
    rule = host(info.axis, sample(info)).but(decay=None)
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64))
    optimizer = optim.Optimizer([p], rule, lr=0.1)
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert p.tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize("info", EVERY)
def test_numbers_do_not_shape_the_computation(info):
    """Kernels are cached by structure: numbers that differ must not give another one, unless they are marked structural."""
    piece = sample(info)
    for name, hint in hints(info.cls).items():
        if interval(hint) is not None and "Structural" not in repr(hint) and getattr(piece, name) is not None:
            for other in variants(info, name):
                assert repr(other.structure()) == repr(piece.structure())


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
