"""Many gradients at once. The only file that calls torch's `_foreach_` operations, as torch's own optimizers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

__all__ = ["nonfinite_names", "optimized", "scale", "total_norm"]


def optimized(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters of all groups, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def scale(gradients: list[Tensor], factor: float) -> None:
    """Multiply every gradient by `factor`, in place."""
    torch._foreach_mul_(gradients, factor)


def total_norm(gradients: Sequence[Tensor]) -> float:
    """√(Σ g²) over all elements of all gradients; non-finite as soon as one of them is.

    Computed in float32 or wider: bfloat16 has three digits, and the square of a float16 may exceed float16. In
    float32 an element above 1e19 overflows the sum; the norm is then inf, though every gradient is finite.

    Args:
        gradients: at least one tensor, of any dtypes and devices.

    Returns:
        The norm, brought to the host.
    """
    dense = [_dense(g) for g in gradients]
    wide = reduce(torch.promote_types, (g.dtype for g in dense), torch.float32)
    norms = torch._foreach_norm(dense, 2, dtype=wide)
    return float(torch.linalg.vector_norm(torch.stack([n.to(dense[0].device) for n in norms])))


def nonfinite_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[str]:
    """Yield the names of the parameters whose gradient has an inf or a nan, in the optimizer's order."""
    names = {id(p): name for name, p in model.named_parameters()}
    for position, p in enumerate(optimized(optimizer)):
        if p.grad is not None and not _dense(p.grad).isfinite().all():
            yield names.get(id(p), f"the optimizer's parameter {position}")


def _dense(gradient: Tensor) -> Tensor:
    """The numbers of a gradient; a sparse one (of an embedding) may hold several for one place, which add up."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient
