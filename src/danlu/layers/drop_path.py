"""Drop path (stochastic depth): whole residual branches are left out at random."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from danlu.ranges import Count, Fraction, check, hints

__all__ = ["DropPath", "depth_rates", "drop_path"]


@final
class DropPath(nn.Module):
    """y = x·b/(1 − rate), one b ~ Bernoulli(1 − rate) for each sample (Huang et al. 2016, arXiv:1603.09382).

    It belongs on the branch of a residual block, ``x + drop(f(x))``; on the sum it would drop the sample itself. The mean of y
    is x, so that evaluation is the identity; so is rate 0. At rate 1 every y is 0. No parameters; it draws from torch's default
    generator, as dropout does, which a `danlu.train.Trainer` keys by the update. The paper scales at evaluation instead of in
    training: the same function up to a factor that is learnt.

    Args:
        rate: probability that a sample's branch is dropped.
        scale_by_keep: divide by 1 − rate. Without it the branch is larger in evaluation than its mean in training, as in timm.

    Raises:
        ValueError: when the rate is out of its range.
    """

    def __init__(self, rate: Fraction = 0.0, *, scale_by_keep: bool = True) -> None:
        super().__init__()
        check("DropPath", hints(DropPath.__init__), {"rate": rate, "scale_by_keep": scale_by_keep})
        self.rate, self.scale_by_keep = rate, scale_by_keep

    def forward(self, x: Tensor) -> Tensor:
        """Return x (N, …) with the branches of some samples at 0, in training; x otherwise."""
        return drop_path(x, self.rate, scale_by_keep=self.scale_by_keep) if self.training else x

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"rate={self.rate:g}, scale_by_keep={self.scale_by_keep}"


def drop_path(x: Tensor, rate: float, *, scale_by_keep: bool = True, generator: torch.Generator | None = None) -> Tensor:
    """y = x·b/(1 − rate), one b ~ Bernoulli(1 − rate) for each sample; the law of `DropPath`, without its modes.

    Args:
        x: samples first, shape (N, …).
        rate: in [0, 1]; 0 draws nothing, 1 divides by nothing.
        scale_by_keep: divide by 1 − rate.
        generator: draws b; None for torch's default.

    Returns:
        The same shape and dtype.
    """
    if rate == 0.0:
        return x
    keep = 1.0 - rate
    b = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep, generator=generator)
    return x * (b.div_(keep) if scale_by_keep and keep else b)


def depth_rates(rate: Fraction, depth: Count) -> list[float]:
    """rate·l/(depth − 1) for block l = 0 … depth − 1: early features serve all later blocks and are dropped least.

    From 0 to `rate`, as in timm; the paper's rule, rate·(l + 1)/depth, drops the first block as well. A single block has 0.

    Args:
        rate: of the last block.
        depth: number of blocks.

    Returns:
        One rate per block.

    Raises:
        ValueError: when an argument is out of its range.
    """
    check("depth_rates", hints(depth_rates), {"rate": rate, "depth": depth})
    return [rate * block / max(depth - 1, 1) for block in range(depth)]
