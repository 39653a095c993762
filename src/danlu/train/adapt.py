"""A loss that learns, in a trainer's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from danlu.loss import Adapting
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.ranks import Ranks
from danlu.train.report import Report

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Adapt"]


@final
class Adapt(Callback):
    """Lets an `Adapting` loss (`GradNorm`, `GradTail`) advance once per update, and saves its state with the run's.

    A window that led to no update is forgotten. Its name is the loss's class, so that two kinds can go together.

    Args:
        loss: what the loss function calls.

    Raises:
        TypeError: when it does not learn.
    """

    def __init__(self, loss: Adapting) -> None:
        if not isinstance(loss, Adapting):
            raise TypeError(f"Adapt: {loss!r} does not learn; pass a GradNorm, a GradTail, or your own with advance()")
        self.adapting = loss

    @property
    def name(self) -> str:
        """The loss's class."""
        return type(self.adapting).__name__

    def attach(self, trainer: Trainer) -> None:
        """Refuse several processes.

        Raises:
            ValueError: when the model is trained by more than one: each would learn from its own share.
        """
        if (ranks := Ranks(trainer.model).size) > 1:
            raise ValueError(f"Adapt: in {ranks} processes {self.name} would learn {ranks} different things; use one process")

    def start(self, clock: Clock) -> None:
        """A run that begins anew begins with an untaught loss."""
        if not clock.done:
            self.adapting.reset()

    def update(self, clock: Clock, report: Report) -> None:
        """Learn from the window, or forget it."""
        if report.skipped:
            self.adapting.discard()
        else:
            self.adapting.advance()

    def state_dict(self) -> dict[str, Any]:
        """Return the loss's state."""
        return self.adapting.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self.adapting.load_state_dict(state)
