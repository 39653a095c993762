"""Half the memory, and no memory lost: bfloat16 with stochastic rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.formulas.rounding import bfloat16_at, draws, seed_number
from danlu.optim.piece import Codec
from danlu.optim.store.blockwise import MinSize
from danlu.optim.store.dense import Dense
from danlu.optim.values import Scalars, Tick
from danlu.ranges import Interval

__all__ = ["BFloat16"]


@piece(source="Zamirai et al. 2020, arXiv:2010.06192; the rule of torchao")
@dataclass(frozen=True)
class BFloat16(Codec):
    """x kept as bfloat16, rounded up or down at random so that the mean of what is kept = x. 2 bytes per parameter.

    Rounding to nearest (``Dense(torch.bfloat16)``) never forgets when 1 − β < 2⁻⁸: an average with β = 0.999 stays where it is.
    Here it moves rightly on average, with noise of a bfloat16 spacing per step. The draw is a hash of the value and the step,
    so a resumed, flat or replicated run rounds alike.

    Args:
        seed: another number draws other roundings.
        min_size: tensors of fewer elements stay dense: drawing costs an eager step of a small one more than it saves.
    """

    seed: Annotated[int, Interval(0, 2**63, "left")] = 0
    min_size: MinSize = 0

    rounds_on_bits: ClassVar[bool] = True

    @property
    def paired(self) -> bool:
        """Two such slots share words."""
        return True

    def at(self, count: int) -> Codec:
        """Dense below `min_size`."""
        return Dense() if count < self.min_size else replace(self, min_size=0)

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """This step's seed."""
        return {"seed": seed_number("store", self.seed, tick.t)}

    def encode(self, x: Tensor, h: Scalars) -> dict[str, Tensor]:
        """Return the one part, in bfloat16."""
        if x.numel() < self.min_size:
            return {"": x}
        return {"": bfloat16_at(x, draws(x, h["seed"])).to(torch.bfloat16)}

    def decode(self, parts: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Return the stored value in the compute dtype."""
        return parts[""].to(like.dtype)
