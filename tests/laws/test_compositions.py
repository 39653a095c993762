"""Every trick composes with every other: random rules over the whole grid, the same ones at every run."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from danlu.optim.piece import Piece
from danlu.optim.rule import Rule
from danlu.optim.run import kernel
from danlu.optim.store import Dense
from danlu.optim.values import Tick
from tests.laws.grid import OPTIONAL, SEVERAL, begin, rules, seeded, walk
from tests.laws.samples import dtype_for, infos, trace
from tests.optim.stepping import same, snapshot

FIXED = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@settings(FIXED, max_examples=80)
@given(rules())
def test_any_composition_trains_and_is_finite(rule):
    assume(rule is not None)
    assert np.isfinite(trace(rule, steps=6)).all()
    path = trace(rule, dtype=torch.float64)
    assert np.isfinite(path).all()
    assert np.ptp(path, axis=0).max() > 0


@settings(FIXED, max_examples=40)
@given(rules())
def test_any_composition_stops_and_goes_on_bit_for_bit(rule):
    assume(rule is not None)
    whole, stopped, resumed = begin(rule), begin(rule), begin(rule)
    walk(whole, 0, 5)
    for p, value in zip(resumed.param_groups[0]["params"], walk(stopped, 0, 3), strict=True):
        p.data.copy_(value)
    resumed.load_state_dict(stopped.state_dict())
    assert same(walk(resumed, 3, 5), [p.detach() for p in whole.param_groups[0]["params"]])
    assert same(snapshot(resumed), snapshot(whole))


@settings(FIXED, max_examples=60)
@given(rules())
def test_any_composition_keeps_dtype_shape_and_gradient(rule):
    assume(rule is not None)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        optimizer = begin(rule, dtype)
        params = optimizer.param_groups[0]["params"]
        kinds = [(p.shape, p.dtype, p.stride()) for p in params]
        walk(optimizer, 0, 1)
        slots = [{key: (x.shape, x.dtype) for key, x in state.items()} for _, state in snapshot(optimizer)]
        walk(optimizer, 1, 3)
        assert [(p.shape, p.dtype, p.stride()) for p in params] == kinds
        assert [{key: (x.shape, x.dtype) for key, x in state.items()} for _, state in snapshot(optimizer)] == slots


@settings(FIXED, max_examples=30)
@given(rules(element=True))
def test_element_rules_do_not_see_shape(rule):
    """The engine runs such rules on flat views: the trace of a reshaped tensor is the reshaped trace."""
    assume(rule is not None)
    assert rule.scope == "element"
    source = torch.Generator().manual_seed(0)
    p, g = (torch.randn(3, 4, dtype=torch.float64, generator=source) for _ in range(2))
    settled = [0.5 for piece in rule.measures.values() for _ in piece.settles]
    h = rule.bind([*rule.scalars(rule.ticked(Tick(1, 0.1, 0.1, rule.memory, rule.shared))), *settled])
    square, _ = rule.structure.step(p, g, rule.init(p, torch.float64), h)
    line, _ = rule.structure.step(p.view(-1), g.view(-1), rule.init(p.view(-1), torch.float64), h)
    assert torch.equal(square.view(-1), line)


@pytest.mark.filterwarnings("ignore:.*is not finite")  # relative steps and penalties of lr 1 may run away together
def test_every_piece_moves_some_composition():
    """Beside others, too: a piece that only acts alone would be no axis. Each rule is compared with one piece left out."""
    still = {info.cls for info in infos() if info.axis in {*SEVERAL, *OPTIONAL}}
    for rule in seeded(300):
        for piece, without in _shortened(rule):
            if type(piece) in still and not np.array_equal(*(_far(x, dtype_for(rule)) for x in (rule, without))):
                still.discard(type(piece))
    assert not still


def _far(rule: Rule, dtype: torch.dtype) -> np.ndarray:
    return trace(rule, lr=1.0, drift=2.0, dtype=dtype)


def _shortened(rule: Rule) -> Iterator[tuple[Piece, Rule]]:
    """Each piece that may be left out, and the rule without it."""
    for axis in SEVERAL:
        for i, piece in enumerate(getattr(rule, axis)):
            yield piece, rule.but(**{axis: [x for j, x in enumerate(getattr(rule, axis)) if j != i]})
    for axis in OPTIONAL:
        if getattr(rule, axis) is not None:
            yield getattr(rule, axis), rule.but(**{axis: None})


@pytest.mark.skipif(kernel.compiler_for("cpu") is None, reason="no C++ compiler")
@pytest.mark.parametrize("rule", seeded(6, element=True, seed=5), ids=range(6))
def test_compiled_equals_eager(rule):
    """To a ten-thousandth of the way: the kernel rounds its numbers to float32 and contracts multiply-adds.

    A moment kept as bfloat16 may be rounded the other way, 1/256 of it, where a draw lies between two such sums.
    """
    begun = torch.cat([p.detach().flatten() for p in begin(rule, torch.float32).param_groups[0]["params"]])
    eager, compiled = (torch.cat([p.flatten() for p in walk(begin(rule, torch.float32, on), 0, 7)]) for on in (False, True))
    way = (eager - begun).abs().max()
    assert way > 1e-3
    assert (compiled - eager).abs().max() <= way * (1e-4 if all(type(x) is Dense for x in rule.codecs.values()) else 1e-2)
