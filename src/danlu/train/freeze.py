"""Freezing: parameters that stay as they are for a while."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from danlu.registry import did_you_mean
from danlu.schedule import Duration
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.events import Result
from danlu.train.report import Report
from danlu.train.unwrapped import unwrapped

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Freeze"]


@final
class Freeze(Callback):
    """Keeps parameters as they are until a point of the run: no gradient, no decay, no step of their optimizer state.

    They have ``requires_grad = False`` meanwhile, so that backward does not compute what nobody wants, and no gradient,
    so that optimizers leave them out; their state begins when they thaw. A BatchNorm whose parameters are frozen is in
    eval mode meanwhile: moving its statistics would change what the frozen layers compute. When they thaw is a function
    of the clock, so there is no state. After the run all is as it was before.

    By role: ``Freeze(*(name for name, role in danlu.optim.roles(model).items() if role == "embedding"))``. Under
    DistributedDataParallel, freeze for the whole run and wrap afterwards: it looks at requires_grad only once.

    Args:
        *names: globs over the names of parameters, such as ``"body.*"``.
        but: globs of those to leave out, such as ``"head.*"``.
        until: when they thaw, such as ``"2ep"`` or ``"10%"``; None for never.

    Raises:
        ValueError: without names; when made part of a trainer, for a glob that fits no parameter.
    """

    phase = -100

    def __init__(self, *names: str, but: str | Sequence[str] = (), until: int | str | Duration | None = None) -> None:
        if not names:
            raise ValueError("Freeze: give the names of parameters, such as 'body.*', or '*' with but='head.*'")
        self.names, self.but = names, (but,) if isinstance(but, str) else tuple(but)
        self.until = None if until is None else Duration.parse(until)
        self._held: list[tuple[Tensor, bool]] = []
        self._quiet: list[nn.Module] = []

    @property
    def name(self) -> str:
        """With the names: there may be several."""
        return f"Freeze({', '.join(self.names)})"

    def attach(self, trainer: Trainer) -> None:
        """Find the parameters."""
        model = unwrapped(trainer.model)
        named = dict(model.named_parameters())
        for glob in (*self.names, *self.but):
            if not any(fnmatchcase(name, glob) for name in named):
                raise ValueError(f"Freeze: no parameter is called {glob!r}{did_you_mean(glob, named)}")
        self._parameters = [p for name, p in named.items() if self._meant(name)]
        self._norms = [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and self._meant(f"{name}.weight" if name else "weight")
        ]

    def _meant(self, name: str) -> bool:
        return any(fnmatchcase(name, glob) for glob in self.names) and not any(fnmatchcase(name, glob) for glob in self.but)

    def start(self, clock: Clock) -> None:
        """Freeze, unless they have thawed already."""
        if not self._over(clock):
            self._held = [(p, p.requires_grad) for p in self._parameters]
            self._quiet = [module for module in self._norms if module.training]
            for p in self._parameters:
                p.requires_grad_(False)
                p.grad = None
            for module in self._quiet:
                module.eval()

    def update(self, clock: Clock, report: Report) -> None:
        """Thaw when it is time."""
        if self._held and self._over(clock):
            self._thaw()

    def end(self, clock: Clock, result: Result) -> None:
        """Leave no trace."""
        self._thaw()

    def _over(self, clock: Clock) -> bool:
        return self.until is not None and clock.reached(self.until)

    def _thaw(self) -> None:
        for p, before in self._held:
            p.requires_grad_(before)
        for module in self._quiet:
            module.train()
        self._held, self._quiet = [], []
