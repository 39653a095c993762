"""Clipping of the gradient norms that stand out from their recent mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from danlu.optim.catalog import piece
from danlu.optim.grad.global_norm import AbstractGlobalNorm, shrink_to
from danlu.optim.values import Kept, Tick
from danlu.ranges import Beta, Interval, NonNegative, Positive

__all__ = ["SpikeBound", "Warmup", "ZClip"]

Warmup = Annotated[int, Interval(1, 10**9)]
SpikeBound = Literal["adaptive", "edge", "mean"]


@piece(source="Kumar, Owen, Chowdhury, Güra 2025 (ZClip), arXiv:2504.02507; the authors' code")
@dataclass(frozen=True)
class ZClip(AbstractGlobalNorm):
    """g ← g·min(1, n/‖g‖): where z = (‖g‖ − μ)/σ > threshold, n is the usual norm; μ and σ² are averages of past norms.

    The first `warmup` steps collect μ and σ² (plain mean and variance) and clip by `max_norm` alone; then both are EMAs, fed
    the norm that was let through by the spike rule, σ² around the new μ. A norm that is not finite skips the step before it
    touches them. Four host numbers per group, no tensor; one sum over all tensors per step.

    Args:
        threshold: z from which a norm is a spike.
        alpha: memory of μ and σ².
        warmup: steps before spikes are looked for.
        max_norm: upper bound at every step, or None.
        to: n of a spike: "adaptive" μ + threshold²·σ/z (the higher the spike, the lower), "edge" μ + threshold·σ, "mean" μ.
        eps: added to σ in z, and to ‖g‖ in the quotient.
    """

    threshold: Positive = 2.5
    alpha: Beta = 0.97
    warmup: Warmup = 25
    max_norm: Positive | None = 1.0
    to: SpikeBound = "adaptive"
    eps: NonNegative = 1e-6

    clips: ClassVar[bool] = True

    def shared(self) -> Mapping[str, Kept]:
        """How many norms were seen, their mean and their variance."""
        return {"zclip_count": 0.0, "zclip_mean": 0.0, "zclip_var": 0.0}

    def respond(self, norm: float, tick: Tick) -> Mapping[str, Kept]:
        """Return the factor, and the statistics with this norm in them."""
        count, mean, var = (tick.shared[key] for key in self.shared())
        if count < self.warmup:
            seen, weight = norm, 1.0 / (count + 1.0)
            new_mean = mean + weight * (norm - mean)
            new_var = var + weight * ((norm - mean) * (norm - new_mean) - var)
        else:
            seen, weight = self._usual(norm, mean, math.sqrt(var)), 1.0 - self.alpha
            new_mean = mean + weight * (seen - mean)
            new_var = var + weight * ((seen - new_mean) ** 2 - var)
        bound = seen if self.max_norm is None else min(seen, self.max_norm)
        factor = shrink_to(norm + self.eps, bound) if bound < norm else 1.0
        return {"total": factor, "zclip_count": count + 1.0, "zclip_mean": new_mean, "zclip_var": new_var}

    def _usual(self, norm: float, mean: float, deviation: float) -> float:
        """Return n: the norm itself unless it is a spike."""
        z = (norm - mean) / (deviation + self.eps) if deviation + self.eps else 0.0
        if z <= self.threshold:
            return norm
        if self.to == "mean":
            return mean
        return mean + deviation * self.threshold * (self.threshold / z if self.to == "adaptive" else 1.0)
