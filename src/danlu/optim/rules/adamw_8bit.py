"""AdamW with eight-bit state."""

from __future__ import annotations

from danlu.optim import store
from danlu.optim.drop_in import DropIn
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.adam import adamw
from danlu.optim.store.blockwise import Block, MinSize
from danlu.ranges import Beta, NonNegative, Positive

__all__ = ["AdamW8bit", "adamw_8bit"]


@preset(lr=1e-3, source="Dettmers et al. 2021, arXiv:2110.02861")
def adamw_8bit(
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 1e-2,
    *,
    block: Block = 256,
    min_size: MinSize = 4096,
) -> Rule:
    """p ← (1 − lr·λ)·p − lr·m̂/(√v̂ + ε), m and √v kept in one byte each, scaled by the block's largest magnitude.

    The first step is `adamw`'s; later ones differ by the rounding of what was kept. Tensors below `min_size` keep full state;
    give embeddings a group of their own with ``rule=adamw()``, as the paper keeps them in 32 bits. Its departures from the
    paper stand with ``store.Int8``. 2.03 bytes per parameter.
    """
    return adamw(betas, eps, weight_decay).but(store=store.Int8(block, min_size=min_size))


class AdamW8bit(DropIn, preset=adamw_8bit):
    """AdamW with eight-bit state behind the argument order of torch's AdamW."""
