"""A rule's step as one function of tensors that writes in place: what kernels are traced from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule

from danlu.optim.rule import Rule
from danlu.optim.run.words import Place, closed, opened

__all__ = ["keep_moved_values", "law_of", "measure_of"]


def law_of(structure: Rule, places: Sequence[Place], compute: torch.dtype) -> Callable[..., None]:
    """Return the law (p, g, *planes, h) of a structure, which writes the planes and p.

    Args:
        structure: a rule whose numbers are erased.
        places: the state keys that each plane holds, in order.
        compute: the dtype that the rule computes in.
    """
    rounded = {slot for slot, codec in structure.codecs.items() if codec.rounds_on_bits}

    def law(*args: Tensor) -> None:
        p, g, *planes, h = args
        numbers = structure.bind(h.unbind())
        new_p, new = structure.step(p.to(compute), g.to(compute), opened(places, planes), numbers, p.dtype)
        new |= {key: x.clone() for key, x in new.items() if any(x is old for old in args)}
        for keys, plane in zip(places, planes, strict=True):
            plane.copy_(closed(keys, new, rounded))
        p.copy_(new_p)

    return law


def measure_of(structure: Rule, path: str, places: Sequence[Place], compute: torch.dtype) -> Callable[..., None]:
    """Return the law (p, g, *planes, out, h) that writes a tensor's share of the measure at `path` to `out`, and nothing else.

    Args:
        structure: as for `law_of`.
        path: of the piece that measures.
        places: as for `law_of`.
        compute: as for `law_of`.
    """

    def law(*args: Tensor) -> None:
        p, g, *planes, out, h = args
        numbers = structure.bind(h.unbind())
        out.copy_(structure.measure(path, p.to(compute), g.to(compute), opened(places, planes), numbers))

    return law


def keep_moved_values(traced: GraphModule) -> None:
    """Make an input that moves into another input's place a value of its own.

    The writes come last and in order, and inductor drops a clone: a state that is handed on unchanged (a shift register, the
    old parameter) would be read after it was overwritten. An addition is not dropped.
    """
    aten = torch.ops.aten
    writes = traced.graph.find_nodes(op="call_function", target=aten.copy_.default)
    for write in writes:
        place, value = write.args[:2]
        origin = value
        while origin.op == "call_function" and origin.target in {aten.clone.default, aten.alias.default, aten.detach.default}:
            origin = origin.args[0]
        if origin.op == "placeholder" and origin is not place:
            with traced.graph.inserting_before(writes[0]):
                own = traced.graph.call_function(aten.add.Scalar, (origin, 0))
            own.meta.update(origin.meta)
            write.replace_input_with(value, own)
    traced.recompile()
