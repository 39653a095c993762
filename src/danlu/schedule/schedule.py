"""A schedule: linear warm-up, then a shape, as a pure function of the update's number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

from danlu.ranges import check, hints
from danlu.schedule.duration import Duration
from danlu.schedule.shape import Cosine, Shape

__all__ = ["Per", "Schedule", "WarmupFrom"]

WarmupFrom = Literal["one", "zero"]
Per = Literal["step", "epoch"]


@final
@dataclass(frozen=True)
class Schedule:
    """factor(k) = ramp(k) for k < W, shape((k − W)/(T − W)) for W ≤ k < T, shape(1) for k ≥ T.

    k is the update's number, from 0; T the updates of the run; W those of the warm-up. The hyper-parameter of
    update k is its initial value times factor(k). Nothing is remembered from one k to the next: to resume is to
    ask for the next k. Warm-up and decay meet at factor(W) = 1; the ramp starts from nothing, not from the floor.

    ``per="epoch"`` is the same law with epochs for updates, a staircase: e = ⌊k/S⌋ for k, E = ⌈T/S⌉ for T and
    ⌈W/S⌉ for W, where S = steps_per_epoch. Without a warm-up the first plateau is the peak; the last one, e = E − 1,
    is still above the end value. A last epoch cut short is a shorter plateau. Where T and W are whole epochs, step
    and epoch agree at every epoch's first update, except on a ramp from "one", whose first stair is S times higher.

    Warm-up: Goyal et al. 2017 (arXiv:1706.02677), section 2.2.

    Args:
        shape: the decay, such as ``Cosine(floor=0.01)``.
        warmup: W as a number of updates, ``"200st"``, ``"2ep"`` or ``"5%"``; kept as a `Duration`. 0 is none.
        warmup_from: where the ramp starts. ``"one"``: (k + 1)/W, one W-th, so that it reaches 1 at k = W − 1 and no
            update is wasted on lr = 0; ``"zero"``: k/W, as transformers and optax do.
        per: ``"step"`` or ``"epoch"``.

    Raises:
        ValueError: on a malformed warm-up, one beside a shape that does not begin at 1 (`OneCycle`), or an unknown
            `warmup_from` or `per`.
        TypeError: when `shape` is not a shape (a name goes to `danlu.schedule.create`).
    """

    shape: Shape = field(default_factory=Cosine)
    warmup: int | str | Duration = 0
    warmup_from: WarmupFrom = "one"
    per: Per = "step"

    def __post_init__(self) -> None:
        if isinstance(self.shape, type) or not callable(self.shape):
            raise TypeError(f"schedule: shape must be one such as Cosine(), got {self.shape!r}; create() takes names")
        check("schedule", hints(Schedule), {"warmup_from": self.warmup_from, "per": self.per})
        object.__setattr__(self, "warmup", Duration.parse(self.warmup))
        if Duration.parse(self.warmup).amount and self.shape(0.0) != 1.0:
            what = f"{type(self.shape).__name__} begins at {self.shape(0.0):g} of the peak, with a rise of its own"
            raise ValueError(f"schedule: {what}; set warmup to 0")

    def factor(self, step: int, total: int, steps_per_epoch: int | None = None) -> float:
        """Return the factor of update `step`, between 0 and 1.

        Args:
            step: k, counted from 0; T gives the end value exactly, and so does every later one, also when the
                warm-up is longer than the run (then no decay is ever reached: W ≥ T is allowed).
            total: T, the updates of the run, at least 1.
            steps_per_epoch: S, needed by ``per="epoch"`` and a warm-up in epochs.

        Returns:
            What the initial value is multiplied by.

        Raises:
            ValueError: for step < 0, total < 1, steps_per_epoch < 1, or when steps_per_epoch is needed and None.
        """
        if step < 0:
            raise ValueError(f"schedule: step must be at least 0 (the first update is 0), got {step}")
        if total < 1:
            raise ValueError(f"schedule: total must be at least 1 update, got {total}")
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"schedule: steps_per_epoch must be at least 1 update, got {steps_per_epoch}")
        warm = Duration.parse(self.warmup).steps(total, steps_per_epoch)
        if step >= total:
            return self.shape(1.0)
        if self.per == "epoch":
            if steps_per_epoch is None:
                raise ValueError("schedule: per='epoch' needs steps_per_epoch, the updates of one epoch")
            step, total, warm = step // steps_per_epoch, -(-total // steps_per_epoch), -(-warm // steps_per_epoch)
        if step < warm:
            return (step + (self.warmup_from == "one")) / warm
        return self.shape((step - warm) / (total - warm))  # warm ≤ step < total here, so total − warm ≥ 1
