"""Runs stacked into one tensor per step: the rules' own laws, with numbers that differ between learning rates as tensors."""

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
def batch(runs: Sequence[Run]) -> list[Frames]:
    """Return the frames of every run's learning rates and starts.

    The runs differ in rule and learning rates alone; each step takes all their gradients at once, which is most of its cost.
    """
    shared, rates = runs[0], [len(run.lrs) for run in runs]
    starts = len(shared.starts)
    lanes = [_Lane(run) for run in runs]
    p = torch.cat([lane.p for lane in lanes])
    alive = torch.ones(sum(rates), starts, dtype=torch.bool)
    kept, frames = set(shared.kept), []
    for k in range(shared.steps + 1):
        shared.watch(k)
        value, g = shared.gradient(p)
        axes = tuple(range(2, g.ndim))
        alive = alive & value.isfinite() & g.isfinite().all(-1).reshape(sum(rates), starts, -1).all(-1)
        if k in kept:
            seen = torch.cat([lane.evaluated() for lane in lanes]) if k else p
            for lane in lanes:
                lane.states.append(lane.state)
            frames.append((p, seen, (g * g).sum(axes).sqrt(), alive))
        if k == shared.steps:
            break
        noisy = torch.where(alive.reshape(-1, starts, *[1] * len(axes)), shared.noisy(g, k), 0.0)  # the dead harm nobody
        p = torch.cat([lane.advance(part, k) for lane, part in zip(lanes, noisy.split(rates), strict=True)])
    p, seen, norm, alive = (torch.stack(field, dim=2).split(rates) for field in zip(*frames, strict=True))
    return [Frames(p[i], seen[i], norm[i], alive[i], lane.sizes()) for i, lane in enumerate(lanes)]


class _Lane:
    """One rule's stack (L, S, *shape), its state, and its host numbers for every learning rate.

    A law of scope element sees each element alone: it takes the stack as one tensor. Other laws are mapped over the stack
    (`torch.func.vmap`), so that each run's tensor is its own.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.rule = run, run.rule
        self.p = run.starts.expand(len(run.lrs), *run.starts.shape).clone()
        self._step, self.state = (_together if run.rule.scope == "element" else _mapped)(run.rule, self.p)
        self._memories: list[Mapping[str, float]] = [run.rule.memory for _ in run.lrs]
        self.states: list[State] = []  # that are kept

    def advance(self, g: Tensor, k: int) -> Tensor:
        """Take update k, counted from 0."""
        run, rule = self.run, self.rule
        pairs = zip(run.lrs, self._memories, strict=True)
        ticks = [rule.ticked(Tick(k + 1, run.rate(lr, k), lr, memory)) for lr, memory in pairs]
        self.p, self.state = self._step(self.p, g, self.state, [rule.scalars(tick) for tick in ticks])
        if rule.memory:
            self._memories = [{**tick.memory, **rule.remember(tick)} for tick in ticks]
        return self.p

    def sizes(self) -> dict[str, Tensor]:
        """The root mean square of the state that was kept, (L, S, K)."""
        wide = (len(self.states), *self.p.shape[:2], -1)
        real = [key for key, x in self.state.items() if x.is_floating_point()]
        stacks = {key: torch.stack([state[key] for state in self.states]).reshape(wide) for key in real}
        return {key: x.square().mean(-1).sqrt().permute(1, 2, 0) for key, x in stacks.items()}

    def evaluated(self) -> Tensor:
        """Where the rule evaluates: its average, or p itself."""
        average, codecs = self.rule.average, self.rule.codecs
        if average is None:
            return self.p

        def point(like: Tensor, planes: State) -> Tensor:
            c = Context(like, like, planes, codecs, {}, like.dtype)
            return average.point(like, {slot: c.load(slot) for slot in average.slots()})

        if self.rule.scope == "element":
            return point(self.p, self.state)
        return torch.func.vmap(point)(self.p.flatten(0, 1), self.state).reshape(self.p.shape)


Step = Callable[[Tensor, Tensor, State, Sequence[Sequence[float]]], tuple[Tensor, State]]


def _together(rule: Rule, stack: Tensor) -> tuple[Step, State]:
    """One tensor for all runs."""

    def step(p: Tensor, g: Tensor, state: State, numbers: Sequence[Sequence[float]]) -> tuple[Tensor, State]:
        ones = [1] * (p.ndim - 1)
        if len(numbers) == 1:
            return rule.structure.step(p, g, state, rule.structure.bind(numbers[0]))
        values = [x if _same(row) else torch.tensor(row, dtype=p.dtype).reshape(-1, *ones) for x, row in _columns(numbers)]
        return rule.structure.step(p, g, state, rule.structure.bind(values))

    return step, rule.init(stack, stack.dtype)


def _mapped(rule: Rule, stack: Tensor) -> tuple[Step, State]:
    """A tensor for each run, mapped over all of them."""
    rates, starts = stack.shape[:2]

    def one(p: Tensor, g: Tensor, state: State, fixed: Sequence[float | None], varying: Tensor) -> tuple[Tensor, State]:
        rest = iter(varying.unbind())
        return rule.structure.step(p, g, state, rule.structure.bind([next(rest) if x is None else x for x in fixed]))

    def step(p: Tensor, g: Tensor, state: State, numbers: Sequence[Sequence[float]]) -> tuple[Tensor, State]:
        fixed = [x if _same(row) else None for x, row in _columns(numbers)]
        rows = [row for _, row in _columns(numbers) if not _same(row)]
        varying = torch.tensor(rows, dtype=p.dtype).reshape(len(rows), rates).T.repeat_interleave(starts, 0)
        mapped = torch.func.vmap(one, in_dims=(0, 0, 0, None, 0))
        new, state = mapped(p.flatten(0, 1), g.flatten(0, 1), state, fixed, varying)
        return new.reshape(p.shape), state

    return step, torch.func.vmap(lambda p: rule.init(p, p.dtype))(stack.flatten(0, 1))


def _columns(numbers: Sequence[Sequence[float]]) -> list[tuple[float, tuple[float, ...]]]:
    """Each number of the law: its first value, and its value for every learning rate."""
    return [(row[0], row) for row in zip(*numbers, strict=True)]


def _same(row: Sequence[float]) -> bool:
    return all(x == row[0] for x in row)
