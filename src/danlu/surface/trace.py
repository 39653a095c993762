"""The traces that a rule leaves on a surface, from many starts with many learning rates at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from danlu.optim.rule import Rule
from danlu.ranges import Count, NonNegative, check
from danlu.schedule import Schedule
from danlu.surface.alone import alone
from danlu.surface.batch import batch
from danlu.surface.noise import Noise
from danlu.surface.run import Frames, Run
from danlu.surface.surface import Surface

__all__ = ["Trace", "batches", "refusal", "trace", "traces"]


@dataclass(frozen=True)
class Trace:
    """What was seen at every kept update k, for L learning rates and S starts, in float64.

    Where a loss or a gradient was no longer finite, everything from there on is nan.

    Args:
        updates: the numbers k, 0 (the start) first; K of them.
        lr: the learning rates, (L).
        points: where the parameter was on the surface's plane, (L, S, K, 2).
        evaluated: where it is evaluated: the rule's average, or the same points.
        loss: f at `evaluated`, (L, S, K).
        grad_norm: ‖∇f‖ at the parameter, without the noise, (L, S, K).
        state: the root mean square of each tensor of the rule's state, by its name, (L, S, K).
    """

    updates: Tensor
    lr: Tensor
    points: Tensor
    evaluated: Tensor
    loss: Tensor
    grad_norm: Tensor
    state: Mapping[str, Tensor]


def trace(
    rule: Rule,
    surface: Surface,
    start: Sequence[float] | Tensor,
    lr: float | Sequence[float],
    steps: Count = 300,
    seed: int = 0,
    *,
    noise: Noise | None = None,
    schedule: Schedule | None = None,
    every: Count = 1,
    watch: Callable[[int], object] = int,
) -> Trace:
    """Run a rule on a surface.

    Every start and learning rate is a run of its own, with a parameter of its own, and the result is that of a loop over
    ``danlu.optim.Optimizer`` to rounding (1e-12, tested for every preset). Rules that see one tensor at a time are run for all
    of them at once, with the rule's own law on stacked tensors; those that measure over all parameters, or want the loss or a
    closure, are run one by one, with the engine (`batches` tells which).

    Args:
        rule: the rule, such as ``optim.preset("adamw")()``.
        surface: the function.
        start: a point (x, y) of the surface's plane, or S of them.
        lr: a learning rate, or L of them.
        steps: updates.
        seed: of the noise.
        noise: what happens to the gradients, or None.
        schedule: of the learning rate over `steps` updates, or None.
        every: keep every so many updates, beside the first and the last: memory is 48 bytes, and the
            rule's state, per kept update and run.
        watch: is called with the number of each update before it is taken; what it raises ends the run.

    Returns:
        The trace.

    Raises:
        ValueError: for a number out of its range, or a start that is not a finite point (x, y).
    """
    return traces([(rule, lr)], surface, start, steps, seed, noise=noise, schedule=schedule, every=every, watch=watch)[0]


def traces(
    rules: Sequence[tuple[Rule, float | Sequence[float]]],
    surface: Surface,
    start: Sequence[float] | Tensor,
    steps: Count = 300,
    seed: int = 0,
    *,
    noise: Noise | None = None,
    schedule: Schedule | None = None,
    every: Count = 1,
    watch: Callable[[int], object] = int,
) -> list[Trace]:
    """Run several rules, each with its learning rate or rates; the same as one `trace` after the other, and quicker.

    Args:
        rules: pairs of a rule and its lr.
        surface: as in `trace`, and so is the rest.
        start: see there.
        steps: see there.
        seed: see there.
        noise: see there.
        schedule: see there.
        every: see there.
        watch: see there.

    Returns:
        A trace for each.

    Raises:
        ValueError: see there.
    """
    starts = _starts(start)
    p = surface.embed(starts)
    runs = [Run(rule, surface, p, _rates(lr), steps, seed, noise, schedule, every, watch) for rule, lr in rules]
    check("trace", {"steps": Count, "every": Count}, {"steps": steps, "every": every})
    stacked = [run for run in runs if batches(run.rule)]
    frames = iter(batch(stacked) if stacked else ())
    return [_trace(run, next(frames) if batches(run.rule) else alone(run)) for run in runs]


def _rates(lr: float | Sequence[float]) -> list[float]:
    lrs = torch.as_tensor(lr, dtype=torch.float64).reshape(-1).tolist()
    if not lrs:
        raise ValueError("trace: needs an lr, or several")
    given = {f"lr[{i}]": x for i, x in enumerate(lrs)}
    check("trace", dict.fromkeys(given, NonNegative), given)
    return lrs


def _starts(start: Sequence[float] | Tensor) -> Tensor:
    starts = torch.as_tensor(start, dtype=torch.float64)
    if starts.ndim not in {1, 2} or starts.shape[-1] != 2 or not starts.numel():
        raise ValueError(f"trace: needs a start (x, y), or several; got shape {[*starts.shape]}")
    if not bool(starts.isfinite().all()):
        raise ValueError("trace: a start must be finite")
    return starts.reshape(-1, 2)


def batches(rule: Rule) -> bool:
    """Whether runs of the rule can be stacked: its law sees one tensor, and its host numbers are the same for each of them."""
    return not rule.measures and not rule.shared and rule.needs == {"grad"} and rule.around is None


def refusal(rule: Rule, surface: Surface) -> str:
    """Why traces of a rule on a surface would say little of the rule, or "".

    It runs all the same: what a rule for matrices does with a vector of two numbers is defined, and is not what it is for.

    Returns:
        The reason, in one line.
    """
    if rule.scope == "matrix" and len(surface.shape) < 2:
        return "made for matrices; on a vector of two numbers it only normalizes or whitens: look at matrix_least_squares"
    return ""


def _trace(run: Run, frames: Frames) -> Trace:
    """Put the frames on the plane, blank what follows the end of a run, and evaluate."""
    p, evaluated, grad_norm, alive, state = frames
    value = run.surface.value(evaluated)
    blank = ~(alive & value.isfinite())
    points, seen = run.surface.project(p), run.surface.project(evaluated)
    return Trace(
        torch.tensor(run.kept),
        torch.tensor(run.lrs, dtype=torch.float64),
        points.masked_fill(blank[..., None], torch.nan),
        seen.masked_fill(blank[..., None], torch.nan),
        value.masked_fill(blank, torch.nan),
        grad_norm.masked_fill(blank, torch.nan),
        {key: x.masked_fill(blank, torch.nan) for key, x in state.items()},
    )
