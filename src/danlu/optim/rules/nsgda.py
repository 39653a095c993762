"""Normalised SGD, for games: every player's step has the same length."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["NSGDA", "nsgda"]


@preset(lr=4e-5, source="Jelassi et al. 2022, arXiv:2210.04319; source 003, repaired")
def nsgda(
    momentum: Beta = 0.9,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    *,
    whole: bool = False,
) -> Rule:
    """p ← p − lr·m̂/(‖m̂‖₂ + ε), with L2 decay: a step of length lr per tensor, or in all with ``whole``.

    For a game, give each player its own optimizer, and one of them ``maximize=True`` or the negated loss. Unverified: the
    paper's body was not at hand to tell which norm its main variant takes. 4 bytes per parameter.
    """
    return Rule(
        moments={"exp_avg": moment.Ema(momentum)},
        direction=direction.Plain(),
        modify=(modify.NormalizeAll(eps) if whole else modify.Normalize(eps),),
        decay=decay.L2(weight_decay),
    )


class NSGDA(DropIn, preset=nsgda):
    """Normalised SGD with the argument order of torch's optimizers."""
