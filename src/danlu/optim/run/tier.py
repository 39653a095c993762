"""How far the engine may go from the eager rule: the environment variable DANLU_ENGINE."""

from __future__ import annotations

import os

from danlu.registry import did_you_mean

__all__ = ["allows"]

TIERS = ("eager", "captured", "raw")  # each may also use the ones before it


def allows(tier: str) -> bool:
    """Return whether DANLU_ENGINE lets the engine use a tier; it is ``raw`` when not set, which lets it use all.

    ``eager`` runs every rule as plain torch operations, whatever `compile` says; ``captured`` compiles, but calls what
    inductor returns; ``raw`` calls the compiled functions themselves where that is known to give the same bits.

    Args:
        tier: one of the three.

    Returns:
        Whether `tier` is not beyond the one that the variable names.

    Raises:
        ValueError: for a word that names no tier.
    """
    cap = os.environ.get("DANLU_ENGINE", "raw")
    if cap not in TIERS:
        raise ValueError(f"DANLU_ENGINE={cap}: no such tier{did_you_mean(cap, TIERS)}")
    return TIERS.index(tier) <= TIERS.index(cap)
