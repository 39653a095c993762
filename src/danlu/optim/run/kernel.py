"""One compiled kernel per rule structure, dtypes and device: a 1-D tensor of any length, in place, on its own storage.

The rule is traced once with its numbers as elements of a vector h, so a changing lr, beta or step never recompiles, and a
kernel knows nothing of the model: inductor's disk cache serves every later run. The compiled graph is captured from inside
`torch.compile` and called without guards; the engine guarantees what the guards would check (1-D, dense, right dtypes).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from threading import RLock
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.arithmetic import SPELLED_OUT
from danlu.optim.run.law import keep_moved_values, law_of
from danlu.optim.run.raw import Entry, entry_of
from danlu.optim.run.tier import allows
from danlu.optim.run.told import told
from danlu.optim.run.views import compute_dtype
from danlu.optim.run.words import Place

__all__ = ["BUILDING", "CHUNK", "PARALLEL_FROM", "Built", "Kernel", "Raw", "built", "compiler_for", "kernel", "threading"]

PARALLEL_FROM = 32_768  # elements; below, waking the second thread costs more than it saves
_EXAMPLE = 1 << 18  # never 0 or 1: those sizes specialise
CHUNK = 1 << 30  # elements of one call: generated code may count in 32 bits

Kernel = Callable[[Tensor, Tensor], None]
Raw = tuple[Callable[..., None], list[int | None]]  # an entry, and the argument of the law behind each of its own


class Built(NamedTuple):
    """A compiled law, for tensors of any length.

    Args:
        inputs: for each input of `compiled` the argument of the law (p, g, the planes, h) that it is; None: their length.
        compiled: the captured callable; it empties the list of inputs that it gets.
        entry: the C++ entry behind it, or None; its origins count the inputs.
    """

    inputs: list[int | None]
    compiled: Callable[[list[Any]], Any]
    entry: Entry | None

    def raw(self) -> Raw | None:
        """Return the entry as it takes the law's arguments, or None where there is none to be used."""
        if self.entry is None or not allows("raw"):
            return None
        return self.entry.call, [self.inputs[i] for i in self.entry.origins]

    def bind(self, p: Tensor, planes: Sequence[Tensor]) -> Kernel:
        """Return the kernel of one parameter, as `kernel` describes it."""
        if len(p) > CHUNK:
            chunks = zip(*(t.split(CHUNK) for t in (p, *planes)), strict=True)
            return _in_turn([self.bind(part, rest) for part, *rest in chunks])
        if (raw := self.raw()) is None:
            return _bound(self.compiled, self.inputs, p, planes)
        entry, origins = raw
        return _bound(lambda args: entry(*args), origins, p, planes)


BUILDING = RLock()  # one thread at a time: torch's tracers patch what all threads see
_BUILT: dict[tuple[Any, ...], Built] = {}


@cache
def compiler_for(device_type: str) -> str | None:
    """The compiler that would build kernels for a device type, or None: a C++ compiler for cpu, Triton for cuda."""
    if device_type == "cpu":
        names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
        return next((name for name in names if name and shutil.which(name)), None)
    if device_type == "cuda":
        from torch.utils._triton import has_triton

        return "triton" if has_triton() else None
    return None


def kernel(rule: Rule, p: Tensor, planes: Sequence[Tensor], parallel: bool, places: Sequence[Place] | None = None) -> Kernel:
    """Return the kernel that advances a 1-D tensor by one step of `rule`; compiled at the first request.

    Args:
        rule: any rule of element scope; only its structure matters.
        p: the parameter, contiguous, 1-D or a matrix with rows of one length.
        planes: the state tensors in state order, of the shape of p or 1-D with a number per row.
        parallel: with threads (cpu only).
        places: the state keys that each plane holds; None for one each, in state order.

    Returns:
        A callable ``run(g, h)`` that writes p and the planes; g has the dtype and shape of p.
    """
    return built(rule, p, planes, parallel, places).bind(p, planes)


def built(rule: Rule, p: Tensor, planes: Sequence[Tensor], parallel: bool, places: Sequence[Place] | None = None) -> Built:
    """Return the compiled law behind `kernel`; the arguments are the same, and only their dtypes, rows and device matter."""
    if places is None:
        places = [(key,) for key in rule.init(torch.empty(1, device="meta"), torch.float32)]
    dtypes = tuple(t.dtype for t in (p, p, *planes))
    key = (repr(rule.structure), *places, dtypes, p.shape[1:], p.device.type, parallel)
    with BUILDING:
        if key not in _BUILT:
            with told(key[0], key[1:]):
                _BUILT[key] = _build(rule, places, [p, p, *planes], parallel)
        return _BUILT[key]


def _build(rule: Rule, places: Sequence[Place], tensors: Sequence[Tensor], parallel: bool) -> Built:
    p, compute = tensors[0], compute_dtype(tensors[0])
    length = _EXAMPLE // p.shape[1:].numel()
    examples = [torch.ones(length, *x.shape[1:], dtype=x.dtype, device=x.device) for x in tensors]
    examples.append(torch.ones(len(rule.layout), dtype=compute, device=p.device))
    options = {**threading(parallel), "cpp.simdlen": _simdlen(tensors)}
    if p.ndim > 1 and not any(codec.costly for codec in rule.codecs.values()):
        options["realize_opcount_threshold"] = 100  # 30 is inductor's: it would write a direction to memory and read it again
    inputs, compiled = _capture(law_of(rule.structure, places, compute), examples, options)

    def fresh(n: int) -> list[Tensor | int]:
        like = [*(x.new_empty(n) for x in examples[:-1]), examples[-1]]
        return [n if i is None else _random(like[i], seed=i) for i in inputs]

    rows = p.ndim > 1  # hundreds of numbers each: what a call costs is little beside them
    return Built(inputs, compiled, entry_of(compiled, fresh) if p.device.type == "cpu" and not rows else None)


def threading(parallel: bool) -> dict[str, Any]:
    """Inductor's options for the threads of a kernel on a CPU: one, or as many as torch has when it is called.

    Otherwise inductor writes in how many there are when it compiles: one kernel for each number of threads, built anew where
    a process has another than the one that warmed the cache up, and deaf to ``torch.set_num_threads``.

    Args:
        parallel: with threads.

    Returns:
        The options.
    """
    return {"cpp.threads": -1, "cpp.dynamic_threads": True} if parallel else {"cpp.threads": 1}


def _simdlen(tensors: Sequence[Tensor]) -> int | None:
    """Bits of the vectors of a kernel on a CPU; None for as many as there are.

    A 16-bit plane beside wider ones is read and written in halves of a vector of 512 bits, behind a mask. Where it is the only
    state, shorter vectors take half the time (AMD Zen 4); beside further planes arithmetic counts for more.

    Args:
        tensors: parameter, gradient and planes.

    Returns:
        The bits, or None.
    """
    from torch._inductor.cpu_vec_isa import pick_vec_isa

    p, _, *planes = tensors
    alone = p.device.type == "cpu" and [x.dtype.itemsize for x in planes] == [2] and p.dtype.itemsize > 2
    return 256 if alone and pick_vec_isa().bit_width() == 512 else None


def _random(like: Tensor, seed: int) -> Tensor:
    """Numbers in (0, 1), or any integers, for the self-check of the raw tier."""
    draw = torch.Generator().manual_seed(seed)
    if like.is_floating_point():
        return torch.rand(like.shape, dtype=like.dtype, generator=draw)
    limits = torch.iinfo(like.dtype)
    return torch.randint(limits.min, limits.max, like.shape, dtype=like.dtype, generator=draw)


def _bound(call: Callable[[list[Any]], Any], origins: Sequence[int | None], p: Tensor, planes: Sequence[Tensor]) -> Kernel:
    given = [p, None, *planes, None]  # the law's arguments (p, g, *planes, h); g and h come with each call
    order = [len(p) if i is None else given[i] for i in origins]
    of_g, of_h = ([at for at, i in enumerate(origins) if i == place] for place in (1, len(given) - 1))

    def run(g: Tensor, h: Tensor) -> None:
        args = order.copy()
        for at in of_g:
            args[at] = g
        for at in of_h:
            args[at] = h
        call(args)

    return run


def _in_turn(kernels: Sequence[Kernel]) -> Kernel:
    def run(g: Tensor, h: Tensor) -> None:
        for part, chunk in zip(kernels, g.split(CHUNK), strict=True):
            part(chunk, h)

    return run


def _capture(
    law: Callable[..., None], examples: Sequence[Tensor], options: dict[str, Any]
) -> tuple[list[int | None], Callable[..., Any]]:
    """Compile `law` for any length of its tensors.

    Two traces: the first runs the rule's Python and leaves tensor operations only; the second makes the length a symbol.

    Returns:
        For each input of the compiled graph the argument it is (None: the length), and the graph.
    """
    from torch._functorch import config
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner
    from torch.fx.experimental.proxy_tensor import make_fx

    inputs: list[int | None] = []
    compiled: list[Callable[[list[Any]], Any]] = []

    def backend(graph: torch.fx.GraphModule, example_inputs: list[Any]) -> Any:
        for node in graph.graph.find_nodes(op="placeholder"):
            tensor = isinstance(node.meta["example_value"], Tensor)
            inputs.append(order[node.meta["grapharg"].source.name] if tensor else None)
        return compile_fx(graph, example_inputs, inner, {**options, "size_asserts": False})

    def inner(*args: Any, **kwargs: Any) -> Any:
        """Keep what inductor calls: the wrappers around it cost more than the step of a small tensor."""
        code = cast("Any", compile_fx_inner(*args, **kwargs))
        compiled.append(code.current_callable)
        return code

    with torch.no_grad(), config.patch(enable_autograd_cache=False):  # that cache would answer without calling `inner`
        traced = make_fx(law, decomposition_table=SPELLED_OUT)(*examples)
        keep_moved_values(traced)
        names = [node.target for node in traced.graph.find_nodes(op="placeholder")]
        order = {f"L['{name}']": i for i, name in enumerate(names)}
        for example in examples[:-1]:
            torch._dynamo.maybe_mark_dynamic(example, 0)
        # A generated module has a code object of its own, so kernels do not count as recompilations of one function.
        rows = examples[0].ndim == 2  # of a length that stays
        torch.compile(traced, dynamic=None if rows else True, fullgraph=True, backend=backend)(*examples)
    return inputs, compiled[0]
