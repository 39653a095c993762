"""Muon."""

from __future__ import annotations

from danlu.optim import decay, direction, moment
from danlu.optim.direction.orthogonal import Coefficients, NewtonSchulzSteps, OrthogonalScale
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["Muon", "muon"]


@preset(lr=1e-3, source="Jordan et al. 2024; Liu et al. 2025 (Moonlight), arXiv:2502.16982; torch.optim.Muon")
def muon(
    weight_decay: NonNegative = 0.1,
    momentum: Beta = 0.95,
    nesterov: bool = True,
    ns_coefficients: Coefficients = (3.4445, -4.7750, 2.0315),
    eps: Positive = 1e-7,
    ns_steps: NewtonSchulzSteps = 5,
    adjust_lr_fn: OrthogonalScale | None = None,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·s·NS(m), m ← μm + (1 − μ)g: momentum with its singular values made equal.

    torch's arguments (None is "original"); the authors train with lr 0.02, Moonlight with AdamW's lr and
    ``adjust_lr_fn="match_rms_adamw"``. The sum form of the momentum (Moonlight) gives the same steps. It takes tensors of every
    shape, convolutions and vectors as matrices (see ``direction.Orthogonal``); give embeddings, head, biases and gains another
    rule with ``groups``. 4 bytes per parameter.
    """
    return Rule(
        moments={"momentum_buffer": moment.Ema(momentum, debias=False, peek=momentum**2 if nesterov else None)},
        direction=direction.Orthogonal(adjust_lr_fn or "original", ns_steps, ns_coefficients, eps),
        decay=decay.Decoupled(weight_decay),
    )


class Muon(DropIn, preset=muon):
    """Muon with torch.optim.Muon's arguments, for tensors of every shape."""
