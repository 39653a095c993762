"""Loss scaling for float16, whose smallest gradients would be 0 and whose largest inf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import final

from danlu.ranges import Count, Positive, check, hints

__all__ = ["LossScaler"]


@final
@dataclass
class LossScaler:
    """Backward runs on s·mean loss; s doubles after 2000 updates without an overflow and halves at each one.

    The constants and the rule are those of `torch.amp.GradScaler`. What happens at an overflow is not: GradScaler drops
    the batch, `Update` evaluates it again with the smaller scale. Nothing here looks at a gradient, so it does not
    matter how often an update evaluates.

    Args:
        scale: s.
        good: updates since s was last changed.
        nominal: roughly the items of a window, the same on all ranks. Backward starts before the true count is known
            and runs on s·total/nominal instead; the result does not depend on it. None until the first window.
        interval: updates before s grows.
        least: where s stops to shrink. Below 1, gradients of the mean loss itself would exceed 65504.

    Raises:
        ValueError: for a value out of its range.
    """

    scale: Positive = 2.0**16
    good: int = 0
    nominal: Positive | None = None
    interval: Count = 2000
    least: Positive = 1.0

    def __post_init__(self) -> None:
        check("LossScaler", hints(LossScaler), vars(self))

    def shrink(self) -> bool:
        """Halve the scale; return whether that was possible."""
        if self.scale * 0.5 < self.least:
            return False
        self.scale, self.good = self.scale * 0.5, 0
        return True

    def count(self) -> None:
        """Note one update without an overflow."""
        self.good += 1
        if self.good == self.interval:
            self.scale, self.good = self.scale * 2.0, 0

    def state_dict(self) -> dict[str, float | None]:
        """Return all numbers by name."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, float | None]) -> None:
        """Take over all numbers.

        Args:
            state: what `state_dict` returned.

        Raises:
            ValueError: for another set of names or a value out of its range; nothing was changed then.
        """
        names = {field.name for field in fields(self)}
        if set(state) != names:
            raise ValueError(f"LossScaler: the state must have {sorted(names)}, got {sorted(state)}")
        vars(self).update(vars(LossScaler(**state)))  # pyrefly: ignore[bad-argument-type] # checked by the constructor
