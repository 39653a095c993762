"""Every trick composes with every other: random rules over the whole registry."""

import numpy as np
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from danlu.optim import moment
from danlu.optim.piece import Signal, Tick
from danlu.optim.rule import Rule
from tests.laws.samples import infos, sample, trace


def pieces(axis, element):
    every = [sample(info) for info in infos() if info.axis == axis]
    return st.sampled_from([x for x in every if not element or all(y.scope == "element" for y in (x, *x.parts.values()))])


@st.composite
def rules(draw, element=False):
    def of(axis):
        return pieces(axis, element)

    moments = {"exp_avg": moment.Ema(0.7), "exp_avg_sq": moment.Ema(0.8, moment.square)}
    drawn = draw(of("moment"))
    moments["exp_avg" if drawn.signal is Signal.GRADIENT else "exp_avg_sq"] = drawn
    try:
        return Rule(
            draw(of("direction")),
            moments,
            grad=draw(st.lists(of("grad"), max_size=2, unique_by=repr)),
            modify=draw(st.lists(of("modify"), max_size=2, unique_by=lambda x: type(x))),
            decay=draw(st.none() | of("decay")),
            rate=draw(st.lists(of("rate"), max_size=1)),
            store=draw(of("store")),
            average=draw(st.none() | of("average")),
            around=draw(st.none() | of("around")),
        )
    except ValueError as error:
        if "which the rule does not keep" in str(error):  # a piece that reads another one's state beside a moment without it
            reject()
        raise


@settings(max_examples=60, deadline=None)
@given(rules())
def test_any_composition_trains_and_is_finite(rule):
    path = trace(rule)
    assert np.isfinite(path).all()
    assert np.abs(np.diff(path, axis=0)).max() > 1e-6


@settings(max_examples=30, deadline=None)
@given(rules(element=True))
def test_element_rules_do_not_see_shape(rule):
    """The engine runs such rules on flat views: the trace of a reshaped tensor is the reshaped trace."""
    assert rule.scope == "element"
    p, g = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    settled = [0.5 for piece in rule.measures.values() for _ in piece.settles]
    h = rule.bind([*rule.scalars(rule.ticked(Tick(1, 0.1, 0.1, rule.memory, rule.shared))), *settled])
    square, _ = rule.structure.step(p, g, rule.init(p, torch.float64), h)
    line, _ = rule.structure.step(p.view(-1), g.view(-1), rule.init(p.view(-1), torch.float64), h)
    assert torch.equal(square.view(-1), line)
