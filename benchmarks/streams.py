"""The memory floor: the same access pattern as a rule's, with next to nothing to compute."""

from __future__ import annotations

import torch
from timing import Contestant

from danlu import optim
from danlu.optim.run.kernel import PARALLEL_FROM, kernel

__all__ = ["stream_adds", "stream_kernel"]


def stream_kernel(n: int, slots: int) -> tuple[Contestant, int]:
    """The engine's kernel of an access pattern on one flat arena, p −= lr·m and each m += w·(g − m), and its bytes."""
    rule = optim.Rule(optim.direction.Plain(), {f"m{i}": optim.moment.Ema(0.9, debias=False) for i in range(slots)})
    p, g, *planes = (torch.ones(n) for _ in range(2 + slots))
    run, h = kernel(rule, p, planes, parallel=n >= PARALLEL_FROM), torch.zeros(len(rule.layout))
    return Contestant("stream", lambda: run(g, h)), 4 * n * (3 + 2 * slots)


def stream_adds(n: int, slots: int) -> tuple[Contestant, int]:
    """The same arena by torch's own in-place additions, p += g and each m += g, and its bytes."""
    g, *planes = (torch.zeros(n) for _ in range(2 + slots))
    return Contestant("adds", lambda: [plane.add_(g) for plane in planes]), 12 * n * (1 + slots)
