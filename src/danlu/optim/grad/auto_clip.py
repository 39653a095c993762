"""Clipping to a percentile of the norms seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from danlu.optim.catalog import piece
from danlu.optim.grad.global_norm import AbstractGlobalNorm, shrink_to
from danlu.optim.values import Kept, Tick
from danlu.ranges import Interval, NonNegative

__all__ = ["AutoClip", "History", "Percentile"]

Percentile = Annotated[float, Interval(0.0, 100.0)]
History = Annotated[int, Interval(1, 10**9)]


@piece(source="Seetharaman et al. 2020 (AutoClip), arXiv:2007.14469; the authors' code")
@dataclass(frozen=True)
class AutoClip(AbstractGlobalNorm):
    """g ← g·min(1, n/(‖g‖ + ε)), n the q-th percentile of all norms so far, this one included, before clipping.

    With q = 10 nine steps of ten are clipped: the norm hardly varies, and the rule is close to normalised descent. Percentiles
    are interpolated linearly. The authors keep every norm; here the last `history` ones, as host numbers of the group. No
    tensor; one sum over all tensors per step.

    Args:
        percentile: q in [0, 100]; 100 never clips.
        history: how many norms are kept.
        eps: ε.
    """

    percentile: Percentile = 10.0
    history: History = 1000
    eps: NonNegative = 1e-6

    clips: ClassVar[bool] = True

    def shared(self) -> Mapping[str, Kept]:
        """The norms, oldest first."""
        return {"autoclip_norms": ()}

    def respond(self, norm: float, tick: Tick) -> Mapping[str, Kept]:
        """Return the factor, and the norms with this one."""
        norms = (*tick.shared["autoclip_norms"], norm)[-int(self.history) :]
        bound = torch.quantile(torch.tensor(norms, dtype=torch.float64), self.percentile / 100.0).item()
        return {"total": shrink_to(norm + self.eps, bound), "autoclip_norms": norms}
