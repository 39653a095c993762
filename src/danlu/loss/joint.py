"""One loss of several named parts."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from danlu.loss.loss_sum import Count, LossSum
from danlu.registry import refuse_unknown

__all__ = ["joint"]


def joint(parts: Mapping[str, LossSum], weights: Mapping[str, float | Tensor] | None = None) -> LossSum:
    """Σᵢ wᵢ·totalᵢ over the count of the FIRST part; each part is logged under its name, by its own count.

    Every part is measured per item of the first one: a reconstruction per picture and a KL per picture, or squared
    errors of pixels per picture. So sums of batches add up exactly, however they are cut and whatever the counts are.
    (Adding with ``+`` is something else: the union of the parts' items. And for means over each part's own items there
    are the `parts` of a `LossSum`, which cost another forward pass under accumulation.)

    Args:
        parts: name → sum and count, in order.
        weights: name → wᵢ, 1 where there is none; of constants or of tensors without a gradient.

    Returns:
        The sum, the first part's count, and as measures each part, unweighted, with the parts' own as "part/measure".

    Raises:
        ValueError: when there is no part, or one has `parts` of its own: their means are not per item of the first part.
        TypeError: for the weight of a part that there is not, with the nearest names.
    """
    if not parts:
        raise ValueError("joint: there is no part; give at least one, as in joint({'nll': cross_entropy(z, y)})")
    for name, part in parts.items():
        if part.parts:
            fix = f"put {', '.join(map(repr, part.parts))} into the joint sum, or into the parts of a LossSum around it"
            raise ValueError(f"joint: {name!r} has parts of its own, with means over other items; {fix}")
    weighted = weights or {}
    refuse_unknown("joint weights", weighted, parts)
    measures: dict[str, tuple[Count, Count]] = {}
    for name, part in parts.items():
        measures[name] = (part.total.detach(), part.count)
        measures.update({f"{name}/{own}": pair for own, pair in part.measures.items()})
    totals = [weighted.get(name, 1.0) * part.total for name, part in parts.items()]
    return LossSum(sum(totals[1:], totals[0]), next(iter(parts.values())).count, measures)
