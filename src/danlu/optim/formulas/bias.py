"""What removes the bias of an exponential moving average towards its start at 0."""

from __future__ import annotations

__all__ = ["adam_scale", "corrections"]


def corrections(product: float) -> dict[str, float]:
    """Return 1/(1 − Πβᵢ) as ``debias``, and its square root as ``root_debias``; a product of 0 corrects nothing.

    Args:
        product: β₁·…·βₜ, the share of the start in the average; βᵗ where β is constant.
    """
    debias = 1.0 / (1.0 - product)
    return {"debias": debias, "root_debias": debias**0.5}


def adam_scale(beta1: float, beta2: float, t: int) -> float:
    """Return √(1 − β₂ᵗ)/(1 − β₁ᵗ): what Adam's two corrections make of m/√v (Kingma & Ba 2014, section 2)."""
    return (1.0 - beta2**t) ** 0.5 / (1.0 - beta1**t)
