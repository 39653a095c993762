"""Runs one by one, with the engine: for rules that look at all parameters, at the loss, or beside the parameters."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from danlu.optim.engine import Optimizer
from danlu.surface.run import Frames, Run

__all__ = ["alone"]


def alone(run: Run) -> Frames:
    """Return the frames of every learning rate and start."""
    each = [[_one(run, start, lr) for start in run.starts] for lr in run.lrs]
    return Frames(*(torch.stack([torch.stack(row) for row in field]) for field in _fields(each)))


def _fields(each: list[list[Frames]]) -> list[list[list[Tensor]]]:
    return [[[one[i] for one in row] for row in each] for i in range(len(Frames._fields))]


def _one(run: Run, start: Tensor, lr: float) -> Frames:
    p = start.clone().requires_grad_()
    optimizer = Optimizer([p], run.rule, lr=lr, compile=False)
    (group,) = optimizer.param_groups
    kept, frames, alive = set(run.kept), [], True

    def keep(norm: Tensor) -> None:
        with optimizer.averaged():
            frames.append((q, p.detach().clone(), norm, torch.tensor(alive)))

    for k in range(run.steps + 1):
        value, clean = run.gradient(p)
        q = p.detach().clone()
        alive = alive and bool(value.isfinite() & clean.isfinite().all())
        if k in kept:
            keep(clean.norm())
        if k < run.steps and alive:
            group["lr"] = run.rate(lr, k)
            _step(run, optimizer, p, k)
    return Frames(*(torch.stack(field) for field in zip(*frames, strict=True)))


def _step(run: Run, optimizer: Optimizer, p: Tensor, k: int) -> None:
    def closure() -> float:
        value, g = run.gradient(p)
        p.grad = run.noisy(g, k)
        return float(value)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is not finite; the step was skipped.*")  # the run ends at its next value
        optimizer.step(closure)
