"""Callbacks: small objects that take part in a run at typed points, in an order that is settled once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final, runtime_checkable

import torch
from torch import nn

from danlu.registry import did_you_mean
from danlu.schedule import Duration
from danlu.train.clock import Clock
from danlu.train.events import Observer
from danlu.train.report import Report

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["POINTS", "Callback", "Stateful", "on", "ordered", "taking"]

POINTS = ("model", "loss", "batch", "grads", "after_update", "eval_weights", "stops")
"""Where a callback takes part, in the order in which a run comes to them; to see, there are an observer's methods."""


@runtime_checkable
class Stateful(Protocol):
    """What has a state to save: nested dictionaries and lists of tensors, numbers and text."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, state: Any) -> Any:
        """Take a state back."""
        ...


class Callback(Observer):
    """Takes part in a run. Derive from it and write the points that you need; each one here does nothing.

    Callbacks act in the order of their `phase`, those of one phase in the order in which they were given. State that a
    resumed run needs goes through `state_dict` and `load_state_dict`; a callback that is given to a second run starts
    anew in `start`, where ``clock.done`` is 0.

    Attributes:
        phase: smaller ones come first.
        kinds: what it is, for the `excludes` of others.
        excludes: names and kinds that it cannot be combined with; its own kind for "only one of these".
        in_state: whether a saved run can go on only with it. False for one without which training is the same.
    """

    phase: ClassVar[int] = 0
    kinds: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()
    in_state: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """What plans, messages and saved states call it: the class's name, unless you say otherwise."""
        return type(self).__name__

    def attach(self, trainer: Trainer) -> None:
        """Once, when the trainer is made: keep what you need of it, refuse what cannot work, change nothing."""

    def model(self, model: nn.Module) -> nn.Module:
        """Return the model to train; it needs a trainer that makes its own optimizer."""
        return model

    def loss(self, loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], Any]:
        """Return the loss to train with; evaluations keep the given one."""
        return loss

    def batch(self, batch: Any, draw: torch.Generator, clock: Clock) -> Any:
        """Return the micro-batch to train on; `draw` is keyed by (seed, callback, step), all else would not resume."""
        return batch

    def grads(self, parameters: Sequence[torch.Tensor], clock: Clock) -> bool | None:
        """Change ``p.grad`` of the mean loss in place, before the norm for clipping; return False if nothing was changed."""

    def after_update(self, clock: Clock, report: Report) -> None:
        """After an update that was applied; weights may be changed, there are no gradients."""

    def eval_weights(self) -> AbstractContextManager[None]:
        """Return a block inside which the parameters are those to judge and to ship."""
        return nullcontext()

    def stops(self, clock: Clock) -> str:
        """Return why the run is to end here, after this window; empty to go on."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: nested dictionaries and lists of tensors, numbers and text."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""


@final
class _Function(Callback):
    """A function at one point."""

    def __init__(self, point: str, function: Callable[..., Any], every: Duration | None) -> None:
        self.point, self.function, self.every = point, function, every
        setattr(self, point, function if every is None else self._sometimes)

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _sometimes(self, clock: Clock, *rest: Any) -> None:
        if self.every is not None and clock.due(self.every):
            self.function(clock, *rest)


_TIMED = ("after_update", "update", "evaluated")  # points that have the clock as their first argument and return nothing
_PLAIN = (*POINTS, "start", "update", "evaluated", "settled", "end")


def on(point: str, function: Callable[..., Any], *, every: int | str | Duration | None = None) -> Callback:
    """Make a callback of one function, as in ``on("after_update", fn, every="1ep")``.

    Args:
        point: one of `POINTS`, or a method of `Observer`.
        function: called as that method of `Callback` is.
        every: only where this falls due; for after_update, update and evaluated.

    Returns:
        The callback; its name is the function's. It has no state.

    Raises:
        ValueError: when there is no such point, or `every` is not for it.
    """
    if point not in _PLAIN:
        raise ValueError(f"on: no point {point!r}{did_you_mean(point, _PLAIN)}")
    if every is not None and point not in _TIMED:
        raise ValueError(f"on: every is for {', '.join(_TIMED)}, not for {point}")
    return _Function(point, function, None if every is None else Duration.parse(every))


def ordered(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks in the order in which they act.

    Raises:
        TypeError: for something that is no callback.
        ValueError: when two have one name, or one excludes another.
    """
    found = list(callbacks)
    for each in found:
        if not isinstance(each, Callback):
            raise TypeError(f"callbacks: {each!r} is no Callback; derive from it, or wrap a function: on('after_update', fn)")
    found.sort(key=lambda each: each.phase)
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            if one.name == other.name:
                raise ValueError(f"callbacks: two are called {one.name!r}; give one of them another name")
            common = (one.excludes & {other.name, *other.kinds}) | (other.excludes & {one.name, *one.kinds})
            if common:
                raise ValueError(
                    f"callbacks: {one.name} and {other.name} exclude each other ({', '.join(sorted(common))}); drop one"
                )
    return found


def taking(callbacks: Iterable[Callback], point: str) -> list[Callback]:
    """Return the callbacks that take part at a point, in order; the others cost nothing there."""
    return [each for each in callbacks if point in vars(each) or getattr(type(each), point) is not getattr(Callback, point)]
