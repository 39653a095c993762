"""Kernels for rules that reduce over their tensor, or see its rows and columns: traced with symbols for its sides.

A small tensor runs as one graph: it stays in the cache between the loops. A large one runs in stages (`stages.cut`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import torch
from sympy import sympify
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from danlu.optim.rule import Rule
from danlu.optim.run.arithmetic import SPELLED_OUT
from danlu.optim.run.kernel import BUILDING, PARALLEL_FROM, Kernel, threading
from danlu.optim.run.law import keep_moved_values, law_of, measure_of
from danlu.optim.run.stages import Stage, cut, in_steps
from danlu.optim.run.told import told
from danlu.optim.run.views import compute_dtype
from danlu.optim.run.words import Place

__all__ = ["fitted", "measured", "staged"]

_EXAMPLES = {  # by threads and dimensions; never 0, 1 or equal sides, which specialise
    True: {1: (1 << 18,), 2: (448, 640)},
    False: {1: (3000,), 2: (48, 80)},
}
_VARIANTS = 4  # compilers take decisions by size; where a law takes so many that this is not enough, it runs eagerly

# However much a value takes to make and however often it is read: made again in registers, never kept as a tensor.
_NOTHING_KEPT = dict.fromkeys(("realize_reads_threshold", "realize_opcount_threshold", "realize_acc_reads_threshold"), 10**6)

Call = Callable[[list[Any]], Sequence[Any]]
Size = Any  # a sympy expression


@dataclass(frozen=True)
class _Variant:
    """Compiled stages, and for which sizes they are right."""

    stages: Sequence[tuple[tuple[int, ...], Call]]
    sizes: Sequence[Size]
    guards: Sequence[Size]

    def fits(self, sizes: Sequence[int]) -> bool:
        """Whether it may run on tensors of these sides, all in order."""
        at = {expr: n for expr, n in zip(self.sizes, sizes, strict=True) if expr.is_Symbol}
        same = all(expr.subs(at) == n for expr, n in zip(self.sizes, sizes, strict=True))
        return same and all(bool(guard.subs(at)) for guard in self.guards)


_BUILT: dict[tuple[Any, ...], list[_Variant]] = {}


def staged(rule: Rule, p: Tensor, places: Sequence[Place], planes: Sequence[Tensor], parallel: bool) -> Kernel | None:
    """Return the kernel that advances a tensor by one step of `rule`; compiled at the first request.

    Args:
        rule: a rule of tensor scope; only its structure matters.
        p: the parameter, contiguous, of one or two dimensions.
        places: the state keys that each plane holds.
        planes: the state in that order, contiguous, in the shapes that the rule gives it for p.
        parallel: in stages, with threads (cpu only).

    Returns:
        A callable ``run(g, h)`` that writes p and the planes; g has the dtype and shape of p. None for a law that would need
        yet another kernel for these sizes.
    """
    return _runner(rule, "", p, places, planes, [], parallel)


def measured(
    rule: Rule, path: str, p: Tensor, places: Sequence[Place], planes: Sequence[Tensor], parallel: bool
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return the kernel of what the piece at `path` measures on a tensor; as `staged`, but nothing is advanced.

    Args:
        rule: as for `staged`, of element scope too.
        path: of the piece.
        p: as for `staged`.
        places: as for `staged`.
        planes: as for `staged`.
        parallel: as for `staged`.

    Returns:
        A callable ``run(g, h)`` that returns the tensor's share.
    """
    compute = compute_dtype(p)
    start = {key: torch.empty_like(x, device="meta") for key, x in rule.init(p, compute).items()}
    numbers = rule.structure.bind(torch.empty(len(rule.layout), dtype=compute, device="meta").unbind())
    meta = torch.empty_like(p, dtype=compute, device="meta")
    out = torch.empty_like(rule.structure.measure(path, meta, meta, start, numbers), device=p.device)
    kernel = _runner(rule, path, p, places, planes, [out], parallel)
    if kernel is None:
        return None

    def run(g: Tensor, h: Tensor) -> Tensor:
        kernel(g, h)
        return out.clone()

    return run


def _runner(
    rule: Rule,
    path: str,
    p: Tensor,
    places: Sequence[Place],
    planes: Sequence[Tensor],
    outs: Sequence[Tensor],
    parallel: bool,
) -> Kernel | None:
    """The kernel of a law with these arguments, from those built before where one fits."""
    given = [p, p, *planes, *outs, torch.empty(len(rule.layout), device="meta")]  # g and h come with each call
    key = (repr(rule.structure), path, tuple(places), tuple(t.dtype for t in given), p.ndim, p.device.type, parallel)
    with BUILDING:
        variants, sizes = _BUILT.setdefault(key, []), [n for t in given for n in t.shape]
        fitting = next((v for v in variants if v.fits(sizes)), None)
        if fitting is None:
            if len(variants) == _VARIANTS:
                return None
            example = p.shape if variants else _EXAMPLES[parallel][p.ndim]
            with told(key[0], (*key[1:], *example)):
                fitting = _build(rule, path, places, given[:-1], outs, example, parallel)
            variants.append(fitting)
            if not fitting.fits(sizes):
                return _runner(rule, path, p, places, planes, outs, parallel)
    stages = fitting.stages

    def run(g: Tensor, h: Tensor) -> None:
        values = given.copy()
        values[1], values[-1] = g, h
        for reads, call in stages:
            values += call([values[i] for i in reads])

    return run


def fitted(rule: Rule, p: Tensor, places: Sequence[Place], planes: Sequence[Tensor]) -> list[Tensor] | None:
    """Return the parameter and its planes as views in the shape in which a kernel of the rule takes them.

    That is one dimension for laws that see elements only, (O, n) for laws that see rows, and the tensor's own of at most two
    for laws that see axes.

    Returns:
        The views, or None where no such view is exact, a side is shorter than 2, or the memory has another order.
    """
    shape = _seen(p, rule)
    if shape is None or min(shape) < 2:
        return None
    start = rule.init(torch.empty(shape, dtype=p.dtype, device="meta"), compute_dtype(p))
    if set(start) != set(chain.from_iterable(places)):
        return None
    wanted = [torch.Size(shape), *(start[keys[0]].shape for keys in places)]
    pairs = list(zip((p, *planes), wanted, strict=True))
    if any(t.numel() != size.numel() or not t.is_contiguous() for t, size in pairs):
        return None
    return [t.view(size) for t, size in pairs]


def _seen(p: Tensor, rule: Rule) -> tuple[int, ...] | None:
    if not p.numel():
        return None
    if rule.sees == "elements":
        return _table(p.numel())
    if rule.sees == "rows" and p.ndim < 2:
        return (p.numel(),)
    if rule.sees == "rows":
        return (len(p), p.numel() // len(p))
    return tuple(p.shape) if rule.sees == "axes" and p.ndim in {1, 2} else None


def _table(n: int) -> tuple[int, ...]:
    """n elements as rows that a sum runs through quickly: any shape does for a law that sees elements only."""
    if n < PARALLEL_FROM:
        return (n,)
    width = next((width for width in range(4096, 255, -1) if n % width == 0), None)
    return (n,) if width is None else (n // width, width)


def _build(
    rule: Rule,
    path: str,
    places: Sequence[Place],
    given: Sequence[Tensor],
    outs: Sequence[Tensor],
    shape: Sequence[int],
    parallel: bool,
) -> _Variant:
    from torch._inductor.exc import InductorError

    device, dtypes = given[0].device, [t.dtype for t in given]
    p = torch.ones(*shape, dtype=dtypes[0], device=device)
    compute = compute_dtype(p)
    start = rule.init(p, compute)
    # Not a number, or the tracer would take the value of a float64 scalar for a symbol that inductor has no use for.
    planes = [
        torch.full_like(x := start[keys[0]], 1.0 if x.ndim else math.nan, dtype=dtype)
        for keys, dtype in zip(places, dtypes[2:], strict=False)
    ]
    results = [torch.full_like(out, math.nan) for out in outs]
    examples = [p, torch.ones_like(p), *planes, *results, torch.ones(len(rule.layout), dtype=compute, device=device)]
    law = measure_of(rule.structure, path, places, compute) if path else law_of(rule.structure, places, compute)
    with torch.no_grad():
        traced = make_fx(law, decomposition_table=SPELLED_OUT, tracing_mode="symbolic")(*examples)
    keep_moved_values(traced)
    inputs = [node.meta["val"] for node in traced.graph.find_nodes(op="placeholder")]
    sizes = [n for x in inputs for n in x.shape]
    whole = Stage(in_steps(traced, across=False), tuple(range(len(examples))))
    try:
        calls = [] if parallel else _compiled([whole], False)
    except InductorError:  # its fusion of loops over rows stumbles over some graphs that reduce and write
        calls = []
    calls = calls or _compiled(cut(traced), parallel)
    symbols = [n.node._expr if isinstance(n, torch.SymInt) else sympify(n) for n in sizes]  # as guards name them
    return _Variant(calls, symbols, [guard.expr for guard in inputs[0].fake_mode.shape_env.guards])


def _compiled(stages: Sequence[Stage], parallel: bool) -> list[tuple[tuple[int, ...], Call]]:
    """Compile graphs whose inputs carry their sizes as symbols; return what inductor calls, and what each reads."""
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    kept: list[Call] = []

    def inner(*args: Any, **kwargs: Any) -> Any:
        code = cast("Any", compile_fx_inner(*args, **kwargs))
        kept.append(code.current_callable)
        return code

    with torch.no_grad(), config.patch(enable_autograd_cache=False):  # that cache would answer without calling `inner`
        for stage in stages:
            inputs = [node.meta["val"] for node in stage.graph.graph.find_nodes(op="placeholder")]
            compile_fx(stage.graph, inputs, inner, {**_NOTHING_KEPT, **threading(parallel), "size_asserts": False})
    return [(stage.reads, call) for stage, call in zip(stages, kept, strict=True)]
