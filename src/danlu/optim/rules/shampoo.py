"""Shampoo and SOAP."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment
from danlu.optim.direction.kronecker import MaxSize
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.ranges import Beta, Count, NonNegative, Positive

__all__ = ["SOAP", "Shampoo", "shampoo", "soap"]


@preset(lr=1e-3, source="Gupta, Koren, Singer 2018, arXiv:1802.09568; pytorch_optimizer")
def shampoo(
    momentum: Beta = 0.0,
    weight_decay: NonNegative = 0.0,
    preconditioning_compute_steps: Count = 1,
    matrix_eps: Positive = 1e-6,
    max_size: MaxSize = 10_000,
) -> Rule:
    """p ← p − lr·b, b ← μb + L^(−1/4)·g·R^(−1/4), L ← L + ggᵀ, R ← R + gᵀg: full-matrix AdaGrad, factored; L2 decay.

    The paper's rule, without the grafting of its large-scale versions. 8·(a² + b²) bytes for a matrix (a, b), and 4 per
    parameter with momentum.
    """
    smooth = (modify.Smooth(moment.HeavyBall(momentum)),) if momentum else ()
    precondition = direction.Shampoo(matrix_eps, preconditioning_compute_steps, max_size)
    return Rule(direction=precondition, modify=smooth, decay=decay.L2(weight_decay))


@preset(lr=3e-3, source="Vyas et al. 2024, arXiv:2409.11321; the authors' code of December 2024")
def soap(
    betas: tuple[Beta, Beta] = (0.95, 0.95),
    shampoo_beta: Beta | None = None,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    precondition_frequency: Count = 10,
    max_precond_dim: MaxSize = 10_000,
    precondition_1d: bool = False,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·Q·(m̂′/(√v̂ + ε̂))·Pᵀ: Adam in the eigenbasis of Shampoo's matrices; the first gradient only makes it.

    The authors decay after the step, which differs by lr²·λ·u; here before it, as everywhere. 8 bytes per parameter and
    8·(a² + b²) for a matrix (a, b).
    """
    adam = direction.Soap(betas, shampoo_beta, eps, precondition_frequency, max_precond_dim, precondition_1d)
    return Rule(direction=adam, decay=decay.Decoupled(weight_decay))


class SOAP(DropIn, preset=soap):
    """SOAP with the argument order of torch's optimizers."""


class Shampoo(DropIn, preset=shampoo):
    """Shampoo with the argument order of torch's optimizers."""
