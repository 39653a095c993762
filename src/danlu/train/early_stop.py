"""Early stopping: the run ends when a number has not improved for a while."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, final

from torch import Tensor, nn

from danlu.ranges import NonNegative, check, hints
from danlu.registry import did_you_mean
from danlu.schedule import Duration
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.events import Result, Row
from danlu.train.unwrapped import unwrapped

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["EarlyStop"]


@final
class EarlyStop(Callback):
    """Ends the run at the first evaluation that comes `patience` or more after the best one.

    Better is lower than the best by more than `min_delta` (higher, with mode "max"); nan is never better. Prechelt
    1998, "Early stopping - but when?", counts the strips without an improvement likewise (his criterion UP). With
    `restore` the model ends at the weights that were judged best, averaged ones where an average is judged: they are
    kept on the CPU, one copy of the model, and are saved with the trainer's state. The optimizer's state is not taken
    back: the model is for use, not to go on from.

    Args:
        metric: a name in the rows of the history, such as "valid/loss" or "valid/accuracy".
        patience: how long without an improvement: ``"5ep"``, 2000 windows, ``"10%"``, ``"20min"``, ….
        min_delta: the smallest difference that counts.
        mode: which way is better.
        after: evaluations before this are not looked at.
        restore: whether to end at the best weights.

    Raises:
        ValueError: on a value out of its range or no patience; at the first evaluation for a metric that is not there.
    """

    phase = 100

    def __init__(
        self,
        metric: str = "valid/loss",
        patience: int | str | Duration = "5ep",
        *,
        min_delta: NonNegative = 0.0,
        mode: Literal["min", "max"] = "min",
        after: int | str | Duration = 0,
        restore: bool = False,
    ) -> None:
        check("EarlyStop", hints(EarlyStop.__init__), {"min_delta": min_delta, "mode": mode, "restore": restore})
        self.metric, self.min_delta, self.mode, self.restore = metric, min_delta, mode, restore
        self.patience, self.after = Duration.parse(patience), Duration.parse(after)
        if not self.patience.size:
            raise ValueError(f"EarlyStop: patience must be longer than 0, got {patience!r}")
        self._forget()

    def _forget(self) -> None:
        self.best = math.nan
        self.best_at: float | None = None
        self.reason = ""
        self.weights: dict[str, Tensor] | None = None
        self._restored = False

    def attach(self, trainer: Trainer) -> None:
        """Keep the model, and where it is judged."""
        self._model: nn.Module = unwrapped(trainer.model)
        self._judged: Callable[[], AbstractContextManager[None]] = trainer.eval_weights

    def start(self, clock: Clock) -> None:
        """Begin anew, unless the run is resumed."""
        self._restored = False
        if not clock.done:
            self._forget()

    def evaluated(self, clock: Clock, row: Row) -> None:
        """Compare with the best."""
        if self.metric not in row:
            raise ValueError(f"EarlyStop: no metric {self.metric!r} in the evaluation{did_you_mean(self.metric, row)}")
        if not clock.reached(self.after):
            return
        now, value = clock.elapsed(self.patience), row[self.metric]
        if self.best_at is None or self._better(value):
            self.best, self.best_at = value, now
            if self.restore:
                with self._judged():
                    self.weights = _copied(self._model)
        elif now - self.best_at >= self.patience.size * (1 - _ROUNDING):
            self.reason = f"{self.metric} has not improved on {self.best:.6g} for {self.patience}"

    def _better(self, value: float) -> bool:
        if math.isnan(self.best):
            return not math.isnan(value)
        return (value < self.best - self.min_delta) if self.mode == "min" else (value > self.best + self.min_delta)

    def stops(self, clock: Clock) -> str:
        """Return why the run ends, once it does."""
        return self.reason

    def end(self, clock: Clock, result: Result) -> None:
        """Put the best weights in, unless the run failed."""
        if self.weights is not None and not result.error:
            self._model.load_state_dict(self.weights)
            self._restored = True

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        """After the run with `restore`: the best weights, whatever average has been put in.

        Yields:
            Nothing.
        """
        if not self._restored or self.weights is None:
            yield
            return
        before = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        self._model.load_state_dict(self.weights)
        try:
            yield
        finally:
            self._model.load_state_dict(before)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, when it was, and its weights."""
        return {"best": self.best, "best_at": self.best_at, "reason": self.reason, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take them back."""
        self.best, self.best_at, self.reason, self.weights = (state[key] for key in ("best", "best_at", "reason", "weights"))


_ROUNDING = 1e-9  # of an epoch's fractions


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in model.state_dict().items()}
