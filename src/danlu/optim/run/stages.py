"""Cutting a traced law at its reductions: stages that read and return small tensors, then one that writes.

In one graph inductor either keeps what a reduction and the step share, which is a tensor as large as the parameter, or walks
rows and columns in one nest of loops. Here a stage recomputes what it needs from the law's own arguments, so the cost of a
reduction is one more read of them, and whole tensors, rows and columns are walked apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sympy import sympify
from torch import Tensor
from torch.fx import Graph, GraphModule, Interpreter, Node
from torch.fx.experimental.proxy_tensor import make_fx

__all__ = ["Stage", "cut", "in_steps"]

_WHOLE, _WITHIN, _ACROSS = range(3)  # the walks of a reduction: all of a tensor, within its rows, across them
# Rows that are summed together before blocks are, which keeps digits in float32. A vector of columns walks down them, to
# another page of memory at each where rows are long: steps with such sums took up to 1.5 times as long with 64 rows.
_BLOCK = 16


@dataclass(frozen=True)
class Stage:
    """A graph of its own.

    Args:
        graph: what it computes; its outputs are small tensors, or nothing in the last stage, which writes.
        reads: the graph's inputs, as positions among the law's arguments and then the outputs of all stages so far.
    """

    graph: GraphModule
    reads: tuple[int, ...]


def cut(traced: GraphModule) -> list[Stage]:
    """Return the stages of a law; one where it reduces nothing.

    A reduction stands as late as its readers allow, so that those which need not follow each other share a pass.

    Args:
        traced: the law's graph with the sizes as symbols; its first argument is the parameter.
    """
    order = list(traced.graph.nodes)
    places = _places(order)
    values = [node for node in order if node.op == "placeholder"]
    stages: list[Stage] = []
    for place in sorted(set(places.values())):
        held = [node for node in order if places.get(node) == place]
        kept = [node for node in held if any(_leaves(user, node, places) for user in node.users)]
        stage = _extracted(kept, values)
        stages.append(Stage(in_steps(stage.graph, across=True), stage.reads))
        values += kept
    writes = traced.graph.find_nodes(op="call_function", target=torch.ops.aten.copy_.default)
    return [*stages, _extracted(writes, values)]


def _places(order: Sequence[Node]) -> dict[Node, tuple[int, int]]:
    """Find the stage of every small tensor that comes from a reduction.

    Returns:
        For each how many passes it needs, and the walk it belongs to: a pass walks the whole tensor, its rows and its columns
        one after the other, and what is made of their results comes with the last of them.
    """
    if not all(_symbolic(_expression(n)) for n in order[0].meta["val"].shape):
        return {}  # a law that asks for its sizes: with them as numbers nothing tells what is small
    large = {node for node in order if _large(node, order[0])}
    small = {node for node in order if node not in large and isinstance(node.meta.get("val"), (Tensor, list, tuple))}
    reducing = {node for node in small if large & {*node.all_input_nodes}}
    depth: dict[Node, int] = {}
    for node in order:
        depth[node] = max((depth[x] for x in node.all_input_nodes), default=0) + (node in reducing)
    last = max(depth.values(), default=0) + 1
    due: dict[Node, int] = {}  # the pass in which a value is read
    for node in reversed(order):
        due[node] = min((due[x] - (x in reducing) for x in node.users), default=last)
    known: dict[Node, int] = {}  # the passes after which it can be known
    for node in order:
        known[node] = due[node] - 1 if node in reducing else max((known[x] for x in node.all_input_nodes), default=0)
    walk = {node: _walk(node, order[0]) for node in reducing}
    final = {k: max(walk[node] for node in reducing if known[node] == k) for k in {known[node] for node in reducing}}
    made = [node for node in order if node in small and known[node] and not _writes(node)]
    return {node: (known[node], walk.get(node, final[known[node]])) for node in made}


def _leaves(user: Node, node: Node, places: dict[Node, tuple[int, int]]) -> bool:
    """Whether a value is read outside the stage that makes it."""
    return places.get(user) != places[node]


def _large(node: Node, p: Node) -> bool:
    """Whether a tensor grows as the parameter does when its sides do."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and not _symbolic(_count(value) / _count(p.meta["val"]))


def _walk(node: Node, p: Node) -> int:
    """The walk of a reduction, by what is left of the tensor."""
    value = node.meta["val"]
    if not isinstance(value, Tensor):
        raise NotImplementedError(f"a reduction with several results cannot be cut: {node.target}")
    if not _symbolic(_count(value)):
        return _WHOLE
    return _WITHIN if _count(value) == _expression(p.meta["val"].shape[0]) else _ACROSS


def _count(x: Tensor) -> Any:
    return _expression(x.numel())


def _expression(size: Any) -> Any:
    return size.node.expr if isinstance(size, torch.SymInt) else sympify(size)


def _symbolic(expression: Any) -> bool:
    return bool(expression.free_symbols)


def _extracted(results: Sequence[Node], values: Sequence[Node]) -> Stage:
    """The graph from known values to results; writes return nothing."""
    known, needed, reads = set(values), set(results), []
    for node in reversed(results[0].graph.nodes):
        if node in needed and node not in known:
            needed.update(node.all_input_nodes)
    graph, copied = Graph(), dict[Node, Node]()
    for i, node in enumerate(values):
        if node in needed:
            reads.append(i)
            copied[node] = graph.placeholder(node.name)
            copied[node].meta.update(node.meta)
    for node in results[0].graph.nodes:
        if node in needed and node not in known:
            copied[node] = graph.node_copy(node, copied.__getitem__)
    graph.output(tuple(copied[node] for node in results if not _writes(node)))
    return Stage(GraphModule({}, graph), tuple(reads))


def _writes(node: Node) -> bool:
    return node.target is torch.ops.aten.copy_.default


def in_steps(graph: GraphModule, across: bool) -> GraphModule:
    """Return a graph in which reductions of a matrix go in two steps.

    Sums of a whole matrix go row by row first: row sums stay in registers, where inductor's long sums keep their digits at
    three times the cost. Reductions across rows go block by block of rows, which fit the cache. Either way no number is the
    sum of more than some thousands one after the other.

    Args:
        graph: a graph with the sizes as symbols.
        across: also those across rows, of matrices with more than two blocks.
    """
    inputs = [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")]
    with torch.no_grad(), inputs[0].fake_mode:
        return make_fx(_InSteps(graph, _STEPS | (_STEPS_ACROSS if across else {})).run)(*inputs)


class _InSteps(Interpreter):
    """Runs a graph with some of its reductions replaced."""

    def __init__(self, graph: GraphModule, steps: Mapping[Any, Callable[..., Tensor | None]]) -> None:
        super().__init__(graph)
        self._steps = steps

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a reduction of a matrix in two steps, everything else as it is."""
        matrix = target in self._steps and not kwargs and args[0].ndim == 2
        found = self._steps[target](target, *args) if matrix else None
        return super().call_function(target, args, kwargs) if found is None else found


def _sum(_: Any, x: Tensor) -> Tensor:
    return x.sum(1).sum(0)


def _mean(_: Any, x: Tensor) -> Tensor:
    return x.sum(1).sum(0) / x.numel()


def _norm(_: Any, x: Tensor, order: float = 2.0, *others: Any) -> Tensor | None:
    return None if others or order != 2 else x.square().sum(1).sum(0).sqrt()


def _across(target: Any, x: Tensor, sides: Sequence[int], *others: Any) -> Tensor | None:
    if others or [*sides] not in ([0], [-2]):
        return None
    rows, columns = x.shape
    if rows <= 2 * _BLOCK:  # one block, or none: compilers make something else of those
        return None
    blocks = (rows - 2) // _BLOCK  # what is left over is 2 to 17 rows
    whole = target(target(x[: _BLOCK * blocks].view(blocks, _BLOCK, columns), [1]), [0])
    return _JOINS[target](whole, target(x[_BLOCK * blocks :], [0]))


_JOINS = {
    torch.ops.aten.sum.dim_IntList: torch.add,
    torch.ops.aten.amax.default: torch.maximum,
    torch.ops.aten.amin.default: torch.minimum,
}
_STEPS: dict[Any, Callable[..., Tensor | None]] = {
    torch.ops.aten.sum.default: _sum,
    torch.ops.aten.mean.default: _mean,
    torch.ops.aten.linalg_vector_norm.default: _norm,
}
_STEPS_ACROSS = dict.fromkeys(_JOINS, _across)
