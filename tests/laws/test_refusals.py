"""Combinations that mean nothing are refused when they are made, with the reason and the fix in one line."""

import pytest
import torch

from danlu import optim
from danlu.optim import average, decay, direction, modify, moment, rate, store
from danlu.optim.grad import ZClip
from danlu.optim.rule import Rule

SIGNED = moment.Ema(0.9)
SQUARE = moment.Ema(0.99, moment.square)
ADAM = Rule(direction.Ratio(), {"exp_avg": SIGNED, "exp_avg_sq": SQUARE})

DENSE = "give it to a moment of g² or |g|, and keep this one dense"
MORE = "add moments={'exp_avg_sq': moment.Ema(0.999, of=square)}"
PLAIN = "give it moment.Ema(β, debias=False)"
REFUSED = {
    "a direction without its magnitude": (
        lambda: Rule(direction.Ratio(), {"m": SIGNED}),
        f"direction.Ratio needs a moment of g² or |g|; this rule has m: {MORE}",
    ),
    "a modifier without its magnitude": (
        lambda: Rule(direction.Plain(), modify=modify.StableClip()),
        f"modify.StableClip needs a moment of g² or |g|; this rule has no moments: {MORE}",
    ),
    "two pieces with one state key": (
        lambda: ADAM.but(modify=[modify.Smooth(SIGNED, "exp_avg")]),
        "two pieces of one rule keep state under 'exp_avg': give one of them another name",
    ),
    "two pieces with one host number": (
        lambda: ADAM.but(grad=[ZClip(), ZClip()]),
        "two pieces of one rule keep a host number under 'zclip_count': leave one of them out",
    ),
    "two distances": (
        lambda: ADAM.but(rate=[rate.Dog(), rate.Prodigy()]),
        "two pieces of one rule keep state under 'p0': give one of them another name",
    ),
    "a rate that reads what is not kept": (
        lambda: Rule(direction.Ratio(), {"m": SIGNED, "v": SQUARE}, rate=rate.DAdapt()),
        "rate.0: DAdapt reads a magnitude 'exp_avg_sq', which the rule does not keep; there is v",
    ),
    "a signed moment in a store without signs": (
        lambda: ADAM.but(store={"exp_avg": store.Factored()}),
        f"store: store.Factored keeps no signs, and 'exp_avg' has them; {DENSE}",
    ),
    "another signed slot in a store without signs": (
        lambda: ADAM.but(modify=modify.Friction(), store={"previous_grad": store.Cover()}),
        f"store: store.Cover keeps no signs, and 'previous_grad' has them; {DENSE}",
    ),
    "a store for a slot that is not there": (
        lambda: ADAM.but(store={"exp_avg_qs": store.Int8()}),
        "store: no slot 'exp_avg_qs'; did you mean 'exp_avg_sq' or 'exp_avg'?",
    ),
    "lr scaled after lr": (
        lambda: ADAM.but(after_lr=modify.ParameterScale(decay=True)),
        "after_lr.0: ParameterScale scales lr, which has acted by then; put it in modify",
    ),
    "an exact average as a measure of scatter": (
        lambda: modify.Confidence(SIGNED, SQUARE),
        f"modify.Confidence: first must not be bias-corrected, because the first update would scatter by 0 about it: {PLAIN}",
    ),
    "an exact average inside another piece": (
        lambda: moment.Centered(SQUARE, moment.Restart(SIGNED, 5)),
        f"moment.Centered: first must not be bias-corrected, because the first variance would be 0: {PLAIN}",
    ),
    "an exact average in a variance": (
        lambda: moment.Centered(SQUARE, SIGNED),
        f"moment.Centered: first must not be bias-corrected, because the first variance would be 0: {PLAIN}",
    ),
    "a slot that no rule has": (
        lambda: ADAM.but(averages=average.Swa()),
        "Rule: no slot 'averages'; did you mean 'average'?",
    ),
    "leaving out what is not there": (
        lambda: ADAM.but(decay=decay.Decoupled(0.1)).without("decoupld"),
        "without: the rule has no piece 'decoupld' to leave out; did you mean 'decoupled'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_at_construction(case):
    make, line = REFUSED[case]
    with pytest.raises((ValueError, TypeError)) as raised:
        make()
    assert str(raised.value) == line


@pytest.mark.parametrize(
    ("pieces", "line"),
    [
        ({"around": optim.around.Sam()}, "Optimizer: this rule evaluates the model again: call step(closure)"),
        ({"rate": rate.LossLinear()}, "Optimizer: this rule reads the loss: call step(loss=loss.item()) or step(closure)"),
    ],
    ids=["closure", "loss"],
)
def test_a_step_without_what_the_rule_needs_changes_nothing(pieces, line):
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = optim.Optimizer([p], ADAM.but(**pieces))
    p.grad = torch.ones(3)
    with pytest.raises(ValueError) as raised:
        optimizer.step()
    assert str(raised.value) == line
    assert p.tolist() == [1.0] * 3
    assert not optimizer.state


def test_the_same_pieces_where_they_mean_something_are_taken():
    ADAM.but(after_lr=modify.ParameterScale(decay=False), store={"exp_avg_sq": store.Factored()})
    moment.Centered(SQUARE, moment.Ema(0.9, debias=False))
