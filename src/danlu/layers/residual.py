"""The residual connection of networks without normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from danlu.layers.drop_path import DropPath
from danlu.layers.gain import Gain
from danlu.ranges import NonNegative, Positive, check, hints

__all__ = ["NormFreeResidual", "residual_scales"]


@final
class NormFreeResidual(nn.Module):
    """h ← h + α·g·f(h/β), with g learnable from 0 (SkipInit); the block of Brock et al. 2021 (arXiv:2101.08692, 2102.06171).

    β is the standard deviation that h should have at this depth (`residual_scales`), so that the branch f sees variance 1 as it
    would behind a normalisation; f itself must keep it, as standardised layers do. The block starts as the identity.

    Args:
        branch: f.
        beta: β.
        alpha: α, the part that a branch adds once g has grown to 1.
        drop: drops branches of samples, or None.

    Raises:
        ValueError: when α or β is out of its range.
    """

    def __init__(self, branch: nn.Module, beta: Positive = 1.0, alpha: NonNegative = 0.2, drop: DropPath | None = None) -> None:
        super().__init__()
        check("NormFreeResidual", hints(NormFreeResidual.__init__), {"beta": beta, "alpha": alpha})
        self.branch, self.alpha, self.beta = branch, alpha, beta
        self.gain = Gain(0.0)
        self.drop = nn.Identity() if drop is None else drop

    def forward(self, h: Tensor) -> Tensor:
        """Return h after the block, the same shape."""
        return h + self.drop(self.gain(self.alpha * self.branch(h / self.beta)))

    def extra_repr(self) -> str:
        """Return α and β."""
        return f"alpha={self.alpha:g}, beta={self.beta:g}"


def residual_scales(depth: int, alpha: NonNegative = 0.2) -> Sequence[float]:
    """βₗ = √(1 + l·α²) for block l = 0 … depth − 1: the standard deviation before each block when each adds α² of variance.

    Args:
        depth: number of blocks.
        alpha: α of every block.

    Returns:
        One β per block.

    Raises:
        ValueError: when α is out of its range.
    """
    check("residual_scales", hints(residual_scales), {"depth": depth, "alpha": alpha})
    return [(1.0 + block * alpha**2) ** 0.5 for block in range(depth)]
