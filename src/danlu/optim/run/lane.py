"""One tensor's way through a rule: the compiled kernel where it fits, eager everywhere else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from operator import is_
from typing import Any, Literal

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.blocks import at_size, in_blocks, row_of
from danlu.optim.run.eager import step_eagerly
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
        self._at: dict[int, Rule] = {}
        self._wanted = compile is True or (compile == "auto" and total >= AUTO_FROM)

    def at(self, count: int) -> Rule:
        """The rule as it acts on a tensor of that many elements."""
        if count not in self._at:
            self._at[count] = at_size(self.rule, count)
        return self._at[count]

    def kernel_for(self, p: Tensor, planes: list[Tensor], places: list[Place]) -> Kernel | None:
        """Return the kernel for a flat parameter and its flat planes with the keys that they hold, or None to run eagerly.

        Raises:
            RuntimeError: if compilation was asked for and there is no compiler.
        """
        return self._built(p, lambda rule: kernel(rule, p, planes, p.numel() >= PARALLEL_FROM, places))

    def blocks_for(self, p: Tensor, slots: dict[str, Tensor]) -> Kernel | None:
        """Return the kernel in blocks for a contiguous parameter and its state, or None to run eagerly.

        Raises:
            RuntimeError: as `kernel_for`.
        """
        flat_slots = {key: x.view(-1) for key, x in slots.items() if x.is_contiguous()}
        if len(flat_slots) < len(slots):
            return None
        return self._built(p, lambda rule: in_blocks(rule, p.view(-1), flat_slots))

    def _built(self, p: Tensor, build: Callable[[Rule], Kernel]) -> Kernel | None:
        rule = self.at(p.numel())
        if not self._wanted or not p.numel() or not _elementwise(rule):
            return None
        if compiler_for(p.device.type) is None:
            if self._required:
                raise RuntimeError(
                    f"compile=True: no compiler for {p.device.type} (a C++ compiler or Triton); use compile='auto'"
                )
            return None
        try:
            return build(rule)
        except Exception as error:
            if self._required:
                raise
            self._wanted = False
            warnings.warn(
                f"no kernel could be built ({type(error).__name__}: {error}); the optimizer runs eagerly", stacklevel=2
            )
            return None


def _elementwise(rule: Rule) -> bool:
    """Whether no piece looks beyond an element but codecs, and those no further than their rows."""
    row = row_of(rule)
    wide = [codec for codec in rule.codecs.values() if codec.scope != "element" and not (row and codec.row == row)]
    return not wide and rule.but(store={}).scope == "element"


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
        slots = dict(zip(self._keys, self._seen, strict=True))
        if row_of(runner.at(p.numel())):
            self._kernel = runner.blocks_for(p.detach(), slots) if self._plain else None
            return
        places, tensors = joined(slots, runner.rule)
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
        planes = {key: real(t) for key, t in zip(self._keys, self._seen, strict=True)}
        step_eagerly(self._runner.structure, real(self.p), real(g), planes, numbers.bound(self._dtype))
