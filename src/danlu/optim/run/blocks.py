"""Codecs that share a number among consecutive elements, in a kernel: its arguments come as matrices with a block per row."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.run.eager import step_eagerly
from danlu.optim.run.kernel import Kernel, kernel

__all__ = ["at_size", "in_blocks", "row_of"]

_ROWS = 2048  # of one call: what a kernel keeps for itself between its loops, two numbers an element or so, stays in the cache


def at_size(rule: Rule, count: int) -> Rule:
    """Return the rule as it acts on a tensor of that many elements, which a codec may leave dense."""
    chosen = {slot: codec.at(count) for slot, codec in rule.codecs.items()}
    return rule if chosen == rule.codecs else rule.but(store=chosen)


def row_of(rule: Rule) -> int:
    """Return the elements per row of a rule's codecs, or 0 when none has rows or they differ."""
    rows = {codec.row for codec in rule.codecs.values() if codec.row}
    return rows.pop() if len(rows) == 1 else 0


def in_blocks(rule: Rule, p: Tensor, state: Mapping[str, Tensor], parallel: bool) -> Kernel:
    """Return the kernel of a rule whose codecs have rows; elements behind the last full row take the eager law.

    Args:
        rule: the rule with the codecs of this tensor, all its rows of one length.
        p: the parameter, contiguous and 1-D.
        state: the state by key, contiguous and 1-D: one number per element, or per row.
        parallel: with threads (cpu only).
    """
    row = row_of(rule)
    count = p.numel() // row
    places = [(key,) for key in state]
    kernels, spans = [], []
    for first in range(0, count, _ROWS):
        rows = slice(first, min(first + _ROWS, count))
        spans.append(slice(rows.start * row, rows.stop * row))
        parts = [x[spans[-1]].view(-1, row) if x.numel() == p.numel() else x[rows] for x in (p, *state.values())]
        kernels.append(kernel(rule, parts[0], parts[1:], parallel, places))
    end = count * row
    rest = {key: x[end if x.numel() == p.numel() else count :] for key, x in state.items()}

    def run(g: Tensor, h: Tensor) -> None:
        for span, part in zip(spans, kernels, strict=True):
            part(g[span].view(-1, row), h)
        if end < g.numel():
            step_eagerly(rule.structure, p[end:], g[end:], rest, rule.bind(h.unbind()))

    return run
