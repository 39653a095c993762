"""The residual connection h + f(h)."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

__all__ = ["Residual"]


@final
class Residual(nn.Module):
    """h ← h + f(h).

    Args:
        branch: f, whose output has the shape of its input.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, h: Tensor) -> Tensor:
        """Return h after the block."""
        return h + self.branch(h)
