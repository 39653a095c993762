"""Losses that learn from one window to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

__all__ = ["Adapting"]


@runtime_checkable
class Adapting(Protocol):
    """A loss whose weights are functions of the windows before this one, never of this one's own items.

    So within a window it is a sum over items, exact under any cut into micro-batches. What it sees with gradients on is
    noted, and takes effect in `advance`, once per update; `danlu.train.Adapt` calls that in a `Trainer`. Evaluations,
    which run without gradients, leave no trace.
    """

    def advance(self) -> None:
        """Take what was noted since the last call into account; after an update. Without anything noted: nothing."""
        ...

    def discard(self) -> None:
        """Forget what was noted; after a window that led to no update."""
        ...

    def reset(self) -> None:
        """Be as new."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state between two windows: dictionaries of tensors, numbers and None."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        ...
