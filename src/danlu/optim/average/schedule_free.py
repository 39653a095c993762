"""Training at one point, stepping from another, evaluating at a third: no schedule to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from danlu.optim.catalog import piece
from danlu.optim.context import Context
from danlu.optim.piece import Average
from danlu.optim.values import Scalars, Start, Tick, itself
from danlu.ranges import Interval, NonNegative

__all__ = ["Nearness", "ScheduleFree"]

Nearness = Annotated[float, Interval(0.0, 1.0, "right")]


@piece(source="Defazio et al. 2024, arXiv:2405.15682; facebookresearch/schedule_free")
@dataclass(frozen=True)
class ScheduleFree(Average):
    """z ← z − Δ, x ← (1 − c)·x + c·z, y ← (1 − β)·z + β·x, where Δ is the step that the rule would take from p = y.

    c = wₜ/Σw with wₜ = t^r·(max lr so far)^q: an average of all z. p is y, where gradients are taken; evaluation is done at x,
    which is not kept but read off y and z. Δ may be any rule's step, decay included; the moment β of the rule itself is best
    left out. A warm-up of lr helps, a decay of lr does not. Buffers follow y: recompute BatchNorm statistics at x. 4 bytes per
    parameter.

    Args:
        beta: β, how near the gradient's point is to the average; x cannot be read off at 0, so it is above.
        r: power of t in the weights; 0 weighs all steps alike.
        weight_lr_power: q; 2 as the authors have it, 0 leaves lr out.
    """

    beta: Nearness = 0.9
    r: NonNegative = 0.0
    weight_lr_power: NonNegative = 2.0

    moves: ClassVar[bool] = True

    def slots(self) -> Mapping[str, Start]:
        """z, from the parameter."""
        return {"z": itself}

    def memory(self) -> Mapping[str, float]:
        """The largest lr so far, and Σw."""
        return {"lr_max": 0.0, "weight_sum": 0.0}

    def remember(self, tick: Tick) -> Mapping[str, float]:
        """Both after this step."""
        highest, weight = self._weight(tick)
        return {"lr_max": highest, "weight_sum": tick.memory["weight_sum"] + weight}

    def _weight(self, tick: Tick) -> tuple[float, float]:
        """The largest lr, and the weight w of this step's z."""
        highest = max(tick.memory["lr_max"], tick.lr)
        return highest, tick.t**self.r * highest**self.weight_lr_power

    def scalars(self, tick: Tick) -> Mapping[str, float]:
        """The weight c of z, and how much of Δ reaches y: 1 − β·(1 − c)."""
        _, weight = self._weight(tick)
        total = tick.memory["weight_sum"] + weight
        c = weight / total if total else 0.0
        return {"new": c, "step": 1.0 - self.beta * (1.0 - c)}

    def follow(self, p: Tensor, c: Context, h: Scalars) -> Tensor:
        """Return y; keep z."""
        y, z, delta = c.p, c.load("z"), c.p - p
        c.save("z", z - delta)
        return y + (z - y) * h["new"] - delta * h["step"]

    def point(self, p: Tensor, slots: Mapping[str, Tensor]) -> Tensor:
        """Return x = z + (y − z)/β."""
        return slots["z"] + (p - slots["z"]) / self.beta
