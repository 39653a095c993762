"""Adagrad."""

from __future__ import annotations

from danlu.optim import decay, direction, moment, rate
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import NonNegative, Positive

__all__ = ["Adagrad", "adagrad"]


@preset(lr=1e-2, source="Duchi, Hazan, Singer 2011 (JMLR 12); torch.optim.Adagrad")
def adagrad(
    lr_decay: NonNegative = 0.0,
    weight_decay: NonNegative = 0.0,
    initial_accumulator_value: NonNegative = 0.0,
    eps: Positive = 1e-10,
    *,
    eps_inside: bool = False,
) -> Rule:
    """G ← G + g²; p ← p − lr/(1 + (t − 1)d)·g/(√G + ε): steps shrink like 1/√t where gradients keep coming.

    ``eps_inside`` is g/√(G + ε), with ``initial_accumulator_value=0.1`` and ``eps=1e-7`` Keras' and optax' Adagrad. 4 bytes per
    parameter.
    """
    return Rule(
        moments={"sum": moment.Sum(moment.square, start=initial_accumulator_value)},
        direction=direction.InnerRatio(eps) if eps_inside else direction.Ratio(eps),
        rate=(rate.InverseTime(lr_decay),),
        decay=decay.L2(weight_decay),
    )


class Adagrad(DropIn, preset=adagrad):
    """Drop-in for torch.optim.Adagrad."""
