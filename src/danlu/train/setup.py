"""What stays the same from update to update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from danlu.loss import LossSum, as_loss_sum
from danlu.train.batch import device_of, to_device
from danlu.train.gradients import optimized
from danlu.train.precision import Precision, autocast
from danlu.train.ranks import Ranks
from danlu.train.scaler import LossScaler
from danlu.train.walk import modules

__all__ = ["Setup"]


@final
@dataclass(frozen=True, eq=False)
class Setup:
    """How a window is evaluated.

    Args:
        model: what is trained.
        loss: ``loss(model, batch)``, the user's.
        optimizer: whose parameters' gradients are wanted.
        precision: of the forward pass.
        transforms: of the mean loss's gradient, before it is clipped; each is given the parameters that have one; see `Update`.
        clip: the largest norm of the gradient, or None.
        scaler: of the loss, in float16.
        ranks: who else works on the window.
    """

    model: nn.Module
    loss: Callable[[nn.Module, Any], Any]
    optimizer: torch.optim.Optimizer
    precision: Precision
    transforms: Sequence[Callable[[Sequence[Tensor]], bool | None]]
    clip: float | None
    scaler: LossScaler | None
    ranks: Ranks

    def forward(self, batch: Any, alone: bool) -> LossSum:
        """Return the loss of one micro-batch; `alone` says that nothing will be added to it."""
        device = device_of(self.model)
        with autocast(self.precision, device):
            return as_loss_sum(self.loss(self.model, to_device(batch, device)), alone=alone)

    def clear(self) -> None:
        """Set every gradient to None, those of frozen layers as well."""
        for module in modules(self.model):
            for p in module._parameters.values():
                if p is not None:
                    p.grad = None
        for p in optimized(self.optimizer):
            p.grad = None

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the optimizer's parameters, as far as there are any."""
        return [gradient for p in optimized(self.optimizer) if (gradient := p.grad) is not None]
