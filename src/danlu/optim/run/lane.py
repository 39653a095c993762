"""One tensor's way through a rule: the compiled kernel where it fits, eager everywhere else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from operator import is_
from typing import Any, Literal

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.kernel import PARALLEL_FROM, Kernel, compiler_for, kernel
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.views import compute_dtype, flat, real, same_layout
from danlu.optim.run.words import Place, joined

__all__ = ["AUTO_FROM", "Lane", "Runner"]

AUTO_FROM = 1 << 22  # parameters: from here a kernel's first 2 to 20 s are earned back within a thousand steps


class Runner:
    """How one rule runs: whether its tensors take the kernel, decided by sizes and what is installed.

    Args:
        rule: the rule.
        compile: the optimizer's choice.
        total: number of parameters of the whole optimizer.
    """

    def __init__(self, rule: Rule, compile: bool | Literal["auto"], total: int) -> None:  # noqa: A002 - torch's word
        self.rule = rule
        self.structure = rule.structure
        self.key = repr(rule.structure)
        self._required = compile is True
        self._wanted = rule.scope == "element" and (compile is True or (compile == "auto" and total >= AUTO_FROM))

    def kernel_for(self, p: Tensor, planes: list[Tensor], places: list[Place]) -> Kernel | None:
        """Return the kernel for a flat parameter and its flat planes with the keys that they hold, or None to run eagerly.

        Raises:
            RuntimeError: if compilation was asked for and there is no compiler.
        """
        if not self._wanted or not p.numel():
            return None
        if compiler_for(p.device.type) is None:
            if self._required:
                raise RuntimeError(
                    f"compile=True: no compiler for {p.device.type} (a C++ compiler or Triton); use compile='auto'"
                )
            return None
        try:
            return kernel(self.rule, p, planes, parallel=p.numel() >= PARALLEL_FROM, places=places)
        except Exception as error:
            if self._required:
                raise
            self._wanted = False
            warnings.warn(
                f"no kernel could be built ({type(error).__name__}: {error}); the optimizer runs eagerly", stacklevel=2
            )
            return None


class Lane:
    """A parameter with its state tensors as the kernel or the eager rule takes them; valid while their storages stay.

    Args:
        p: the parameter.
        state: its state; only the rule's slots are used.
        runner: how the rule runs.
    """

    __slots__ = (
        "_dtype",
        "_kernel",
        "_keys",
        "_plain",
        "_pointer",
        "_runner",
        "_seen",
        "_shape",
        "_stride",
        "p",
    )

    def __init__(self, p: Tensor, state: Mapping[str, Any], runner: Runner) -> None:
        self.p = p
        self._runner = runner
        self._keys = [key for key, x in state.items() if isinstance(x, Tensor) and key.split(".")[0] in runner.rule.slots]
        self._seen = [state[key] for key in self._keys]
        self._pointer, self._shape, self._stride = p.data_ptr(), p.shape, p.stride()
        self._dtype = compute_dtype(p)
        self._plain = p.is_contiguous() and not p.is_complex()
        self._kernel: Kernel | None = None
        places, tensors = joined(dict(zip(self._keys, self._seen, strict=True)), runner.rule)
        # One flat order for all: a state tensor whose strides differ from the parameter's would pair the wrong elements.
        like = [t for t in (p.detach(), *tensors) if t.shape == self._shape and t.stride() == self._stride]
        views = [flat(real(t)) for t in like]
        dense = [view for view in views if view is not None]
        if len(dense) == 1 + len(tensors):
            self._kernel = runner.kernel_for(dense[0], dense[1:], places)

    def fits(self, p: Tensor, state: Mapping[str, Any], runner: Runner) -> bool:
        """Whether the lane still describes this parameter, this state and this structure."""
        if runner is not self._runner and runner.key != self._runner.key:
            return False
        same = p.data_ptr() == self._pointer and p.stride() == self._stride and p.shape == self._shape
        return same and all(map(is_, map(state.get, self._keys), self._seen))

    def run(self, g: Tensor, numbers: Numbers) -> None:
        """Advance the parameter and its state by one step."""
        if self._kernel is None or g.dtype != self.p.dtype:  # the kernel reads g's memory as p's dtype
            self._eager(g, numbers)
            return
        own = g.view(-1) if self._plain and g.is_contiguous() and not g.is_neg() else flat(real(same_layout(g, self.p)))
        assert own is not None  # same_layout gave it the strides of a dense parameter
        self._kernel(own, numbers.packed(self._dtype, own.device))

    def _eager(self, g: Tensor, numbers: Numbers) -> None:
        p = real(self.p)
        planes = {key: real(t) for key, t in zip(self._keys, self._seen, strict=True)}
        new_p, new = self._runner.structure.step(
            p.to(self._dtype), real(g).to(self._dtype), planes, numbers.bound(self._dtype), p.dtype
        )
        olds = list(planes.values())
        for key, plane in planes.items():  # a state that was handed on as it is must not be read after it was overwritten
            new[key] = new[key].clone() if any(new[key] is old for old in olds if old is not plane) else new[key]
        for key, plane in planes.items():
            plane.copy_(new[key])
        p.copy_(new_p)  # last: a slot may keep the old parameter
