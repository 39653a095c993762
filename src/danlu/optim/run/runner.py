"""Which kernel takes a tensor of a rule, decided by what the rule sees, sizes and what is installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from danlu.optim.fused import fused_of
from danlu.optim.piece import Codec, Direction, OfGradient
from danlu.optim.rule import Rule
from danlu.optim.run.blocks import at_size, in_blocks, row_of
from danlu.optim.run.cache import kind_of, known, note
from danlu.optim.run.kernel import PARALLEL_FROM, Built, Kernel, Raw, built, compiler_for
from danlu.optim.run.staged import fitted, measured, staged
from danlu.optim.run.tier import allows
from danlu.optim.run.views import compute_dtype, flat, real
from danlu.optim.run.words import joined

__all__ = ["AUTO_FROM", "Measuring", "Runner", "Way", "compilable", "pays"]

AUTO_FROM = 1 << 22  # parameters: from here a kernel's first 2 to 20 s are earned back within a thousand steps
_SAID: set[str] = set()  # device types whose missing compiler was told


class Way(NamedTuple):
    """How one tensor runs compiled.

    Args:
        kernel: advances it.
        view: the shape in which the kernel takes the gradient.
        raw: the one C++ function that does it as well, given p, g, `planes`, numbers and a length; or None.
        planes: the state tensors as that function takes them.
    """

    kernel: Kernel
    view: torch.Size
    raw: Raw | None = None
    planes: Sequence[Tensor] = ()


class Measuring(NamedTuple):
    """How one tensor's share of a measure is found compiled.

    Args:
        kernel: returns it, given the gradient and the numbers.
        view: the shape in which the kernel takes the gradient.
    """

    kernel: Callable[[Tensor, Tensor], Tensor]
    view: torch.Size


Find = Callable[[Rule, Tensor, Mapping[str, Tensor], bool], Way | None]


class Runner:
    """How one rule runs: whether its tensors take a kernel, and which.

    Args:
        rule: the rule.
        wanted: whether it is to compile.
        required: whether it is an error that it cannot.
        served: whether torch's own kernel may do it, where there is none of ours.

    Attributes:
        stackable: whether equal tensors without a kernel may step in stacks.
        joins: whether the direction is better taken of several tensors at once.
        tail: how what follows the direction runs, where the rule has no kernel as a whole; or None.
        fused: torch's kernel of the rule, where it may be used; or None.
    """

    def __init__(self, rule: Rule, wanted: bool, required: bool, served: bool) -> None:
        self.rule = rule
        self.structure = rule.structure
        self.key = repr(rule.structure)
        self.stackable = rule.scope != "element"  # the kernel is for these; where there is none, they are few or tiny
        self.joins = type(rule.direction).jointly is not Direction.jointly
        self._required = required
        self._at: dict[int, Rule] = {}
        self._of_lines: dict[Hashable, Built] = {}
        self._laws: dict[tuple[Codec, ...], Rule] = {}
        self._wanted = allows("captured") and wanted  # a word that names no tier is refused either way
        tail = rule.tail if self._wanted and _kind(rule) is None else None
        self.tail = None if tail is None or _kind(tail) is None else Runner(tail, wanted, required, False)
        self.fused = fused_of(rule) if served and allows("captured") else None

    def way(self, p: Tensor, slots: Mapping[str, Tensor]) -> Way | None:
        """Return how a parameter with its state is advanced by a kernel, or None to run eagerly.

        Args:
            p: the parameter, detached.
            slots: its state by key, in the rule's order.

        Raises:
            RuntimeError: if compilation was asked for and there is no compiler.
        """
        rule = self._at_size(p.numel())
        if not self._wanted or not p.numel() or (find := _kind(rule)) is None:
            return None
        if compiler_for(p.device.type) is None:
            if self._required:
                raise RuntimeError(
                    f"compile=True: no compiler for {p.device.type} (a C++ compiler or Triton); use compile='auto'"
                )
            _say_once(p.device.type)
            return None
        try:
            found = find(rule, p, slots, p.numel() >= PARALLEL_FROM)
        except Exception as error:
            if self._required:
                raise
            self._wanted = False
            warnings.warn(
                f"no kernel could be built ({type(error).__name__}: {error}); the optimizer runs eagerly", stacklevel=2
            )
            return None
        if found is not None:
            note(self.key, kind_of(p, PARALLEL_FROM))
        return found

    def of_line(self, kind: Hashable, law: Rule, p: Tensor, planes: Sequence[Tensor], count: int) -> Built:
        """Return the kernel of tensors laid end to end, which is that of each alone.

        Args:
            kind: the same for lines that one kernel takes; it is looked up by that, since a rule is slow to write out.
            law: the rule at their size.
            p: the parameters, 1-D.
            planes: their states in the rule's order.
            count: elements of one of the tensors.
        """
        if kind not in self._of_lines:
            self._of_lines[kind] = built(law, p, planes, count >= PARALLEL_FROM)
        return self._of_lines[kind]

    def measuring(self, path: str, p: Tensor, slots: Mapping[str, Tensor]) -> Measuring | None:
        """Return how a parameter's share of a measure is found by a kernel, or None to find it eagerly.

        Args:
            path: of the piece that measures.
            p: the parameter, which advances by a kernel too.
            slots: its state by key.
        """
        rule = self._at_size(p.numel())
        if rule.sees == "shape" or isinstance(rule.measures[path], OfGradient):  # the latter's is one call of torch already
            return None
        places, planes = joined(slots, rule)
        views = fitted(rule, real(p), places, [real(x) for x in planes])
        found = measured(rule, path, views[0], places, views[1:], p.numel() >= PARALLEL_FROM) if views else None
        return Measuring(found, views[0].shape) if views and found else None

    def law_at(self, count: int) -> Rule:
        """Return the rule without its numbers as it acts on a tensor of that many elements; one object for the same codecs."""
        rule = self._at_size(count)
        return self._laws.setdefault((*rule.codecs.values(),), rule.structure)

    def _at_size(self, count: int) -> Rule:
        if count not in self._at:
            self._at[count] = at_size(self.rule, count)
        return self._at[count]


def compilable(rule: Rule) -> bool:
    """Whether there are kernels for a rule, or for what follows its direction."""
    return _compiled(rule) is not None


def _compiled(rule: Rule) -> Rule | None:
    """The rule or its tail, whichever kernels take: not one that looks at more of a tensor than its rows and sides."""
    return next((part for part in (rule, rule.tail) if part is not None and _kind(part) is not None), None)


def pays(rule: Rule, params: Sequence[Tensor], total: int) -> bool:
    """Whether ``compile="auto"`` compiles a group: the model is large and torch has no kernel, or ours were built before.

    Args:
        rule: of the group.
        params: of the group.
        total: number of parameters of the whole optimizer.

    Returns:
        The choice; the same all through a process.
    """
    part = _compiled(rule)
    if part is None or not params:
        return False
    large = total >= AUTO_FROM and (fused_of(rule) is None or any(p.dtype != compute_dtype(p) for p in params))
    return large or known(repr(part.structure), {kind_of(p, PARALLEL_FROM) for p in params})


def _say_once(device: str) -> None:
    if device not in _SAID:
        _SAID.add(device)
        what = "C++ compiler (g++, clang++ or cl)" if device == "cpu" else "Triton"
        warnings.warn(f"no {what} was found: optimizers on {device} run eagerly, several times slower", stacklevel=3)


def _kind(rule: Rule) -> Find | None:
    """What finds the kernel of a rule, by how far its laws look; None when they look too far."""
    if rule.scope == "element":
        return _flat
    if _in_rows(rule):
        return _rows
    return _sides if rule.scope == "tensor" and rule.sees != "shape" else None


def _in_rows(rule: Rule) -> bool:
    """Whether no piece looks beyond an element but codecs, and those no further than their rows."""
    row = row_of(rule)
    wide = [codec for codec in rule.codecs.values() if codec.scope != "element" and codec.row != row]
    return row > 0 and not wide and rule.but(store={}).scope == "element"


def _flat(rule: Rule, p: Tensor, slots: Mapping[str, Tensor], parallel: bool) -> Way | None:
    """One pass over flat storage, in any order: a law of elements."""
    places, planes = joined(slots, rule)
    # One flat order for all: a state tensor whose strides differ from the parameter's would pair the wrong elements.
    like = [t for t in (p, *planes) if t.shape == p.shape and t.stride() == p.stride()]
    views = [view for t in like if (view := flat(real(t))) is not None]
    if len(views) <= len(planes):
        return None
    found = built(rule, views[0], views[1:], parallel, places)
    return Way(found.bind(views[0], views[1:]), views[0].shape, found.raw(), planes)


def _rows(rule: Rule, p: Tensor, slots: Mapping[str, Tensor], parallel: bool) -> Way | None:
    """Blocks of a codec as rows."""
    if p.is_complex() or not all(x.is_contiguous() for x in (p, *slots.values())):
        return None
    own = p.view(-1)
    return Way(in_blocks(rule, own, {key: x.view(-1) for key, x in slots.items()}, parallel), own.shape)


def _sides(rule: Rule, p: Tensor, slots: Mapping[str, Tensor], parallel: bool) -> Way | None:
    """Stages, for a law that reduces over its tensor."""
    places, planes = joined(slots, rule)
    views = fitted(rule, real(p), places, [real(x) for x in planes])
    found = staged(rule, views[0], places, views[1:], parallel) if views else None
    return Way(found, views[0].shape) if views and found else None
