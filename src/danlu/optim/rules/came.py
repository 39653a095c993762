"""CAME."""

from __future__ import annotations

from danlu.optim import decay, direction, modify, moment, store
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.rms_clip import RmsBound
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.store.factored import FactoredDims
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["CAME", "came"]

_TINY = 1e-19  # the root of float32's smallest normal number, where a dead row crosses a dead column


@preset(lr=2e-4, source="Luo et al. 2023, arXiv:2307.02047; the authors' code")
def came(
    betas: tuple[Beta, Beta, Beta] = (0.9, 0.999, 0.9999),
    eps: tuple[Positive, Positive] = (1e-30, 1e-16),
    clip_threshold: RmsBound = 1.0,
    weight_decay: NonNegative = 0.0,
    *,
    dims: FactoredDims = "flatten",
) -> Rule:
    """p ← p − lr·m/√s, u = g/√V clipped to RMS(u) ≤ d, m an average of u, s one of (u − m)² + ε₂; V and s of rank 1.

    No average is bias-corrected: the first steps are about ten times lr, so warm up. Vectors take −lr·m. The authors factor
    the last two dimensions (``dims="last2"``), which saves nothing on convolutions. 4 bytes per parameter and a few vectors.
    """
    first = moment.Ema(betas[0], debias=False)
    second = moment.Ema(betas[1], moment.square, debias=False, eps=eps[0])
    scatter = moment.Ema(betas[2], moment.square, debias=False, eps=eps[1])
    return Rule(
        moments={"exp_avg_sq": second},
        store={"exp_avg_sq": store.Factored(dims), "exp_avg_res": store.Factored(dims)},
        direction=direction.ClampRatio(_TINY),
        modify=(modify.RmsClip(clip_threshold), modify.Confidence(first, scatter, "exp_avg", "exp_avg_res")),
        decay=decay.Decoupled(weight_decay),
    )


class CAME(DropIn, preset=came):
    """CAME with torch's calling convention."""
