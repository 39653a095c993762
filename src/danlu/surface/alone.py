"""Runs one by one, with the engine: for rules that look at all parameters, at the loss, or beside the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import itemgetter

import torch
from torch import Tensor

from danlu.optim.engine import Optimizer
from danlu.surface.run import Frames, Run

__all__ = ["alone"]


def alone(run: Run) -> Frames:
    """Return the frames of every learning rate and start."""
    each = [[_one(run, start, lr) for start in run.starts] for lr in run.lrs]

    def stacked(pick: Callable[[Frames], Tensor]) -> Tensor:
        return torch.stack([torch.stack([pick(one) for one in row]) for row in each])

    p, seen, norm, alive = (stacked(itemgetter(i)) for i in range(4))
    state = {key: stacked(lambda one, key=key: one.state[key]) for key in each[0][0].state}
    return Frames(p, seen, norm, alive, state)


def _one(run: Run, start: Tensor, lr: float) -> Frames:
    p = start.clone().requires_grad_()
    optimizer = Optimizer([p], run.rule, lr=lr, compile=False)
    (group,) = optimizer.param_groups
    kept, frames, states, alive = set(run.kept), [], [], True
    first = run.rule.init(p.detach(), p.dtype)  # what the engine has not made yet

    def keep(norm: Tensor) -> None:
        with optimizer.averaged():
            frames.append((q, p.detach().clone(), norm, torch.tensor(alive)))
            now = {**first, **optimizer.state.get(p, {})}
            states.append({key: now[key].square().mean().sqrt() for key in first if now[key].is_floating_point()})

    for k in range(run.steps + 1):
        run.watch(k)
        value, clean = run.gradient(p)
        q = p.detach().clone()
        alive = alive and bool(value.isfinite() & clean.isfinite().all())
        if k in kept:
            keep(clean.norm())
        if k < run.steps and alive:
            group["lr"] = run.rate(lr, k)
            _step(run, optimizer, p, k)
    sizes = {key: torch.stack([state[key] for state in states]) for key in states[0]}
    points, seen, norm, lives = (torch.stack(field) for field in zip(*frames, strict=True))
    return Frames(points, seen, norm, lives, sizes)


def _step(run: Run, optimizer: Optimizer, p: Tensor, k: int) -> None:
    def closure() -> float:
        value, g = run.gradient(p)
        p.grad = run.noisy(g, k)
        return float(value)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is not finite; the step was skipped.*")  # the run ends at its next value
        optimizer.step(closure)
