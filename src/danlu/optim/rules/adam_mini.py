"""Adam-mini: one second moment per block."""

from __future__ import annotations

from typing import Literal, TypeAlias

from danlu.optim import store
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adamw
from danlu.optim.store.block_mean import Rows
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdamMini", "MiniBlocks", "adam_mini"]

MiniBlocks: TypeAlias = Literal["row", "tensor", "element"]


@preset(lr=1e-3, source="Zhang et al. 2024, arXiv:2406.16793; zyushun/Adam-mini")
def adam_mini(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    *,
    blocks: MiniBlocks = "row",
    rows: Rows = 1,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·m̂/(√v̂ + ε), v ← β₂v + (1 − β₂)·(mean of g² over the block).

    The authors choose the blocks by a layer's name; here a group chooses: "row" (MLP, value, output projection, embedding and
    head), "row" with ``rows`` = rows per head (query, key), "tensor" (norms and what is left), "element" (biases: plain Adam).
    Their norms and biases are not decayed. 4 bytes per parameter and 4 per block.
    """
    kept = store.Dense() if blocks == "element" else store.BlockMean(blocks, rows)
    return adamw(betas, eps, weight_decay).but(store={"exp_avg_sq": kept})


class AdamMini(DropIn, preset=adam_mini):
    """Adam-mini with the argument order of torch's optimizers."""
