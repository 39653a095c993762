"""What can be read off one tensor: its size, its dead part and its tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

__all__ = ["Gauges"]


@final
@dataclass(frozen=True)
class Gauges:
    """Numbers of one tensor x with n elements, computed in float32 or wider over its finite elements.

    For a normal distribution `top` is 0.085, `kurtosis` 0 and `hill` about 6; long tails have a larger `top` and `kurtosis`
    and a smaller `hill`. `top` is bounded and robust; the two others are what the literature quotes.

    Args:
        norm: ‖x‖₂.
        rms: ‖x‖₂/√n.
        zeros: share of elements that are 0.
        nonfinite: share of elements that are inf or nan.
        top: share of Σx² that the largest 1 % of the elements hold, at least one of them; nan where all are 0.
        kurtosis: mean((x − x̄)⁴)/var² − 3; nan where all are equal.
        hill: tail index 1/mean(ln(|x|₍ᵢ₎/|x|₍ₖ₎)) over the k largest, k = max(10, n/100) (Hill, 1975); P(|X| > t) falls like
            t^−hill. nan below 100 elements or where the k-th is 0.
    """

    norm: float
    rms: float
    zeros: float
    nonfinite: float
    top: float
    kurtosis: float
    hill: float

    @classmethod
    def of(cls, x: Tensor) -> Gauges:
        """Read a tensor of any shape and floating or complex dtype; one transfer to the host."""
        flat = (torch.view_as_real(x) if x.is_complex() else x).detach().reshape(-1)
        flat = flat if flat.dtype == torch.float64 else flat.float()
        n = flat.numel()
        if not n:
            return cls(0.0, math.nan, 0.0, 0.0, math.nan, math.nan, math.nan)
        bad = ~flat.isfinite()
        flat = flat.masked_fill(bad, 0.0)
        size = flat.abs()
        peak = size.max()
        y = flat / torch.where(peak > 0, peak, 1.0)  # squares and fourth powers of y neither overflow nor vanish
        square = y * y
        energy = square.sum(dtype=torch.float64)
        k = max(1, n // 100)
        tail = max(10, k)
        largest = size.topk(min(n, max(k, tail))).values.double()
        top = (largest[:k] / peak.double()).square().sum() / energy
        centered = (y - y.mean()).double()
        variance = centered.square().mean()
        kurtosis = centered.square().square().mean() / variance.square() - 3.0
        hill = 1.0 / (largest[: tail - 1] / largest[tail - 1]).log().mean() if n >= 100 else energy.new_tensor(math.nan)
        numbers = torch.stack(
            [energy.sqrt() * peak, (flat == 0).sum() - bad.sum(), bad.sum(), top, kurtosis, hill, variance, largest[-1]]
        ).tolist()
        norm, zeros, nonfinite, top_, kurtosis_, hill_, variance_, last = numbers
        return cls(
            norm,
            norm / math.sqrt(n),
            zeros / n,
            nonfinite / n,
            top_ if norm else math.nan,
            kurtosis_ if variance_ else math.nan,
            hill_ if last and math.isfinite(hill_) else math.nan,
        )
