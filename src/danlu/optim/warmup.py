"""Building kernels ahead of the runs that want them."""

from __future__ import annotations

import torch

from danlu.optim.create import create
from danlu.optim.run.kernel import PARALLEL_FROM
from danlu.optim.run.runner import compilable

__all__ = ["warmup"]

_SHAPES = ((1000,), (PARALLEL_FROM + 1000,), (20, 30), (300, 400))  # vectors and matrices, with threads and without


def warmup(name: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> bool:
    """Build the kernels of an optimizer and leave them in the disk cache, where ``compile="auto"`` finds them in later runs.

    A kernel depends on the rule, the dtype and the device, never on the model: one warm-up serves all. The first takes up to
    20 s where the C++ compiler has everything to learn, later ones a second or two each.

    Args:
        name: a preset or a composition, as in `create`.
        dtype: of the parameters.
        device: their device type.

    Returns:
        Whether there is anything to build: rules that multiply matrices run eagerly.

    Raises:
        UnknownNameError: for an unknown preset or piece.
        RuntimeError: when there is no compiler.
    """
    params = [torch.ones(shape, dtype=dtype, device=device, requires_grad=True) for shape in _SHAPES]
    optimizer = create(name, params, compile=True)
    if not compilable(optimizer.rule()):
        return False
    for p in params:
        p.grad = torch.full_like(p, 1e-3)
    optimizer.step(lambda: 1.0)
    return True
