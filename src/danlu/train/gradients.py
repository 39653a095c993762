"""Many gradients at once. The only file that calls torch's `_foreach_` operations, as torch's own optimizers do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from danlu.train.unwrapped import unwrapped

__all__ = ["nonfinite_names", "norms", "on_host", "optimized", "scale"]


def optimized(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters of all groups, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def scale(gradients: list[Tensor], factor: float) -> None:
    """Multiply every gradient by `factor`, in place; by 1 costs nothing."""
    if factor != 1.0:
        torch._foreach_mul_(gradients, factor)


def norms(gradients: Sequence[Tensor]) -> list[Tensor]:
    """√(Σ g²) of each gradient, non-finite as soon as an element is; √(Σ norm²) is the norm of all, taken on the host.

    Computed in float32 or wider: bfloat16 has three digits, and the square of a float16 may exceed float16. In
    float32 an element above 1e19 overflows the sum; the norm is then inf, though every gradient is finite.

    Args:
        gradients: at least one tensor, of any dtypes and devices; of sharded ones the norm is that of the whole.

    Returns:
        The norms, still on their devices.
    """
    dense = [_dense(g) for g in gradients]
    wide = reduce(torch.promote_types, {g.dtype for g in dense}, torch.float32)
    return [_whole(norm) for norm in torch._foreach_norm(dense, 2, dtype=wide)]


def on_host(values: Sequence[float | Tensor]) -> list[float]:
    """Return the numbers as floats; those on a GPU are waited for together, once."""
    away = [value.detach() for value in values if isinstance(value, Tensor) and value.is_cuda]
    # stacked, float32 and float64 become float64; of a large int64 count, float32 would lose digits
    away = [value if value.dtype == torch.float32 else value.double() for value in away]
    read = iter(torch.stack([value.to(away[0].device) for value in away]).tolist() if away else ())
    return [next(read) if isinstance(value, Tensor) and value.is_cuda else float(value) for value in values]


def nonfinite_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[str]:
    """Yield the names of the parameters whose gradient has an inf or a nan, in the optimizer's order."""
    names = {id(p): name for name, p in unwrapped(model).named_parameters()}
    for position, p in enumerate(optimized(optimizer)):
        if p.grad is not None and not bool(_whole(_dense(p.grad).isfinite().all())):
            yield names.get(id(p), f"the optimizer's parameter {position}")


def _dense(gradient: Tensor) -> Tensor:
    """The numbers of a gradient; a sparse one (of an embedding) may hold several for one place, which add up."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _whole(value: Tensor) -> Tensor:
    """A number of all shards; of an ordinary tensor, itself."""
    if type(value) is Tensor:
        return value
    from torch.distributed.tensor import DTensor  # half a second that only sharded models pay

    return value.full_tensor() if isinstance(value, DTensor) else value
