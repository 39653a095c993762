"""Runs stacked into one tensor per step: the rule's own law, with numbers that differ between learning rates as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from danlu.optim.context import Context
from danlu.optim.rule import Rule
from danlu.optim.values import Tick
from danlu.surface.run import Frames, Run

__all__ = ["batch"]

State = dict[str, Tensor]


@torch.no_grad()
def batch(run: Run) -> Frames:
    """Return the frames of every learning rate and start.

    A law of scope element sees each element alone: it takes the stack (L, S, *shape) as one tensor. Other laws are mapped over
    the stack (`torch.func.vmap`), so that each run's tensor is its own.
    """
    rule, rates, starts = run.rule, len(run.lrs), len(run.starts)
    stack = run.starts.expand(rates, *run.starts.shape).clone()
    advance, state = (_together if rule.scope == "element" else _mapped)(rule, stack)
    memories: list[Mapping[str, float]] = [rule.memory for _ in run.lrs]
    p, alive = stack, torch.ones(rates, starts, dtype=torch.bool)
    kept, frames = set(run.kept), []
    for k in range(run.steps + 1):
        value, g = run.gradient(p)
        axes = tuple(range(2, g.ndim))
        alive = alive & value.isfinite() & g.isfinite().all(-1).reshape(rates, starts, -1).all(-1)
        if k in kept:
            frames.append((p, _evaluated(rule, p, state) if k else p, (g * g).sum(axes).sqrt(), alive))
        if k == run.steps:
            break
        seen = torch.where(alive.reshape(rates, starts, *[1] * len(axes)), run.noisy(g, k), 0.0)  # the dead harm nobody
        ticks = [rule.ticked(Tick(k + 1, run.rate(lr, k), lr, memory)) for lr, memory in zip(run.lrs, memories, strict=True)]
        p, state = advance(p, seen, state, [rule.scalars(tick) for tick in ticks])
        memories = [{**memory, **rule.remember(tick)} for memory, tick in zip(memories, ticks, strict=True)]
    return Frames(*(torch.stack(field, dim=2) for field in zip(*frames, strict=True)))


Advance = Callable[[Tensor, Tensor, State, Sequence[Sequence[float]]], tuple[Tensor, State]]


def _together(rule: Rule, stack: Tensor) -> tuple[Advance, State]:
    """One tensor for all runs."""

    def advance(p: Tensor, g: Tensor, state: State, numbers: Sequence[Sequence[float]]) -> tuple[Tensor, State]:
        ones = [1] * (p.ndim - 1)
        values = [x if _same(row) else torch.tensor(row, dtype=p.dtype).reshape(-1, *ones) for x, row in _columns(numbers)]
        return rule.structure.step(p, g, state, rule.structure.bind(values))

    return advance, rule.init(stack, stack.dtype)


def _mapped(rule: Rule, stack: Tensor) -> tuple[Advance, State]:
    """A tensor for each run, mapped over all of them."""
    rates, starts = stack.shape[:2]

    def one(p: Tensor, g: Tensor, state: State, fixed: Sequence[float | None], varying: Tensor) -> tuple[Tensor, State]:
        rest = iter(varying.unbind())
        return rule.structure.step(p, g, state, rule.structure.bind([next(rest) if x is None else x for x in fixed]))

    def advance(p: Tensor, g: Tensor, state: State, numbers: Sequence[Sequence[float]]) -> tuple[Tensor, State]:
        fixed = [x if _same(row) else None for x, row in _columns(numbers)]
        rows = [row for _, row in _columns(numbers) if not _same(row)]
        varying = torch.tensor(rows, dtype=p.dtype).reshape(len(rows), rates).T.repeat_interleave(starts, 0)
        mapped = torch.func.vmap(one, in_dims=(0, 0, 0, None, 0))
        new, state = mapped(p.flatten(0, 1), g.flatten(0, 1), state, fixed, varying)
        return new.reshape(p.shape), state

    return advance, torch.func.vmap(lambda p: rule.init(p, p.dtype))(stack.flatten(0, 1))


def _columns(numbers: Sequence[Sequence[float]]) -> list[tuple[float, tuple[float, ...]]]:
    """Each number of the law: its first value, and its value for every learning rate."""
    return [(row[0], row) for row in zip(*numbers, strict=True)]


def _same(row: Sequence[float]) -> bool:
    return all(x == row[0] for x in row)


def _evaluated(rule: Rule, p: Tensor, state: State) -> Tensor:
    """Where the rule evaluates: its average, or p itself."""
    average = rule.average
    if average is None:
        return p

    def point(like: Tensor, planes: State) -> Tensor:
        c = Context(like, like, planes, rule.codecs, {}, like.dtype)
        return average.point(like, {slot: c.load(slot) for slot in average.slots()})

    if rule.scope == "element":
        return point(p, state)
    return torch.func.vmap(point)(p.flatten(0, 1), state).reshape(p.shape)
