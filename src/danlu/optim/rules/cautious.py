"""Cautious AdamW and Lion, and AdamW with cautious weight decay."""

from __future__ import annotations

from danlu.optim import decay, modify
from danlu.optim.decay.cautious import Zero
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.cautious import MaskScale
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adam, adamw
from danlu.optim.rules.lion import lion
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdamWCWD", "CautiousAdamW", "CautiousLion", "adamw_cwd", "cautious_adamw", "cautious_lion"]


@preset(lr=1e-3, source="Liang et al. 2024 (Cautious Optimizers), arXiv:2411.16085; timm")
def cautious_adamw(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    amsgrad: bool = False,
    *,
    eps_hat: bool = False,
    scale: MaskScale = "clamped_mean",
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·s·φ⊙m̂/(√v̂ + ε), φ = 1[m·g > 0]: AdamW that never steps against the present gradient.

    ``eps_hat`` with the default scale is the authors' C-AdamW. 8 bytes per parameter, 12 with ``amsgrad``.
    """
    return adamw(betas, eps, weight_decay, amsgrad, eps_hat=eps_hat).but(modify=modify.Cautious(scale))


@preset(lr=1e-4, source="Liang et al. 2024 (Cautious Optimizers), arXiv:2411.16085; timm")
def cautious_lion(
    betas: tuple[Beta, Beta] = (0.9, 0.99), weight_decay: NonNegative = 0.0, *, scale: MaskScale = "clamped_mean"
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·s·φ⊙sign(β₁m + (1 − β₁)g), φ = 1[u·g > 0]: Lion that never steps against the present gradient.

    ``scale="paper"`` is the authors' C-Lion. 4 bytes per parameter.
    """
    return lion(betas, weight_decay).but(modify=modify.Cautious(scale))


@preset(lr=1e-3, source="Chen et al. 2025 (Cautious Weight Decay), arXiv:2510.12402")
def adamw_cwd(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    amsgrad: bool = False,
    *,
    eps_hat: bool = False,
    zero: Zero = "decay",
) -> Rule:
    """p ← p − lr·(u + λ·1[u·p ≥ 0]⊙p), u = m̂/(√v̂ + ε): AdamW that decays only where the step does not push p away from 0.

    8 bytes per parameter, 12 with ``amsgrad``.
    """
    return adam(betas, eps, 0.0, amsgrad, eps_hat=eps_hat).but(decay=decay.Cautious(weight_decay, zero))


class CautiousAdamW(DropIn, preset=cautious_adamw):
    """Cautious AdamW, with torch.optim.AdamW's arguments."""


class CautiousLion(DropIn, preset=cautious_lion):
    """Cautious Lion."""


class AdamWCWD(DropIn, preset=adamw_cwd):
    """AdamW with cautious weight decay, with torch.optim.AdamW's arguments."""
