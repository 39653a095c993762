"""Building kernels ahead of the runs that want them."""

from __future__ import annotations

import torch
from torch import nn

from danlu.optim.create import create
from danlu.optim.run.kernel import PARALLEL_FROM
from danlu.optim.run.runner import compilable
from danlu.optim.run.told import untold

__all__ = ["warmup"]

_SIDES = (20, 300)  # matrices of two sizes, with threads and without


def warmup(name: str, dtype: torch.dtype = torch.float32, device: str = "cpu") -> bool:
    """Build the kernels of an optimizer and leave them in the disk cache, where ``compile="auto"`` finds them in later runs.

    A kernel depends on the rule, the dtype and the device, never on the model: one warm-up serves all. The first takes up to
    20 s where the C++ compiler has everything to learn, later ones a second or two each.

    Args:
        name: a preset or a composition, as in `create`.
        dtype: of the parameters.
        device: their device type.

    Returns:
        Whether there is anything to build: a few rules run eagerly from beginning to end.

    Raises:
        UnknownNameError: for an unknown preset or piece.
        RuntimeError: when there is no compiler.
    """
    model = nn.Sequential(*(layer for side in _SIDES for layer in _layers(side))).to(device, dtype)
    optimizer = create(name, model, compile=True)
    if not any(compilable(optimizer.rule(i)) for i in range(len(optimizer.param_groups))):
        return False
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e-3)
    with untold():
        for _ in range(2):  # the first step of some rules only finds their bases
            optimizer.step(lambda: 1.0)
    return True


def _layers(side: int) -> list[nn.Module]:
    """Parameters of every role that presets tell apart; the last matrix of the model is its head."""
    vector = nn.LayerNorm(1000 if side == min(_SIDES) else PARALLEL_FROM + 1000)
    return [nn.Embedding(side, side + 100), nn.Linear(side + 100, side), vector, nn.Linear(side, side + 10)]
