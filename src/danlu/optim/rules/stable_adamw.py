"""StableAdamW."""

from __future__ import annotations

from danlu.optim import modify
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.rms_clip import RmsBound
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adamw
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["StableAdamW", "stable_adamw"]


@preset(lr=1e-3, source="Wortsman et al. 2023, arXiv:2304.13013; optimi")
def stable_adamw(
    betas: tuple[Beta, Beta] = (0.9, 0.99),
    eps: Positive = 1e-6,
    weight_decay: NonNegative = 1e-2,
    clip_threshold: RmsBound = 1.0,
    *,
    denominator_clip: bool = False,
) -> Rule:
    """p ← (1 − lr′·λ)·p − lr′·m̂/(√v̂ + ε), lr′ = lr/max(1, RMS(g/max(√v̂, ε))/d): AdamW that slows down at a spike.

    ``denominator_clip`` is timm's form: RMS(g/(√v̂ + ε)), and the decay keeps lr. 8 bytes per parameter.
    """
    clip = modify.StableClip(clip_threshold, eps, floor=not denominator_clip, decay=not denominator_clip)
    return adamw(betas, eps, weight_decay).but(modify=(clip,))


class StableAdamW(DropIn, preset=stable_adamw):
    """StableAdamW with torch's calling convention."""
