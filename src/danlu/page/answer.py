"""What the page is told: paths and curves, maps, the picture of a surface, as plain JSON values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from danlu.optim.explain import bytes_per_parameter
from danlu.page.wish import Side, Wish
from danlu.surface import Surface, Trace, batches, refusal, trace, traces

__all__ = ["Watch", "curve_and_map", "paths", "picture", "plain"]

Watch = Callable[[int], object]  # is called before each update, and may raise

_DIGITS = 5
_RATES = 25  # of the curve over learning rates
_STACKED = 64 * 64 * 300  # runs × updates of one answer, when runs are stacked
_SINGLE = 3_000  # the same, when each is run by itself


def plain(x: Tensor) -> Any:
    """A tensor as nested lists of numbers of a few digits; None where it is not finite."""
    if x.ndim:
        return [plain(row) for row in x] if x.ndim > 1 else [_number(v) for v in x.tolist()]
    return _number(x.item())


@lru_cache(maxsize=16)
def picture(surface: Surface, columns: int = 96, rows: int = 72) -> dict[str, Any]:
    """The values on the domain's grid, with what the page says of the surface."""
    x, y, f = surface.grid(columns, rows)
    about = {"formula": surface.formula, "source": surface.source, "minima": surface.minima, "start": surface.start}
    return {"x": plain(x), "y": plain(y), "z": plain(f - f.min()), "domain": surface.domain, **about}


def paths(wish: Wish, every: int = 1, watch: Watch = int) -> list[dict[str, Any]]:
    """Each rule's path from the start, its curves over the updates, and what the rule is; every so many updates are told."""
    rules = [(side.rule, side.lr) for side in wish.sides]
    options = {"noise": wish.noise, "schedule": wish.schedule, "watch": watch}
    found = traces(rules, wish.surface, wish.start, wish.steps, wish.seed, **options)
    told = sorted({*range(0, wish.steps + 1, every), wish.steps})
    return [_path(wish, side, one, told) for side, one in zip(wish.sides, found, strict=True)]


def _path(wish: Wish, side: Side, found: Trace, told: list[int]) -> dict[str, Any]:
    points, evaluated, grad_norm = found.points[0, 0], found.evaluated[0, 0], found.grad_norm[0, 0]
    lengths = (points[1:] - points[:-1]).norm(dim=-1)
    before = [k - 1 for k in told[1:]]  # the update that leads to each point told
    rates = [side.lr * (1.0 if wish.schedule is None else wish.schedule.factor(k, wish.steps, wish.steps)) for k in told]
    mean = evaluated[told]
    return {
        "rule": side.text,
        "lr": side.lr,
        "updates": told,
        "x": plain(points[told, 0]),
        "y": plain(points[told, 1]),
        "average": None if side.rule.average is None else {"x": plain(mean[:, 0]), "y": plain(mean[:, 1])},
        "above": plain(found.loss[0, 0, told] - _lowest(wish.surface)),
        "grad_norm": plain(grad_norm[told]),
        "step": plain(lengths[before]),
        "effective": plain((lengths / grad_norm[:-1])[before]),
        "state": {key: plain(x[0, 0, told]) for key, x in found.state.items()},
        "rate": [_number(x) for x in rates],
        "summary": side.named.preset.summary,
        "source": side.named.preset.source,
        "composition": str(side.rule),
        "bytes": bytes_per_parameter(side.rule),
        "warning": refusal(side.rule, wish.surface),
        "verdict": _verdict(found, wish.surface),
    }


def curve_and_map(wish: Wish, side: Side, watch: Watch = int) -> dict[str, Any]:
    """The final loss over learning rates from the start, and over starts at the learning rate.

    The grid and the number of rates are lowered to what a rule that is run one by one can do in seconds.

    Returns:
        The curve and the map, the range of rates within twice the best loss, and the share of starts that came within 1e-3.
    """
    budget = (_STACKED if batches(side.rule) else _SINGLE) // (wish.surface.cost * len(wish.sides))
    count = max(5, min(_RATES, budget // wish.steps))
    side_length = max(3, min(wish.grid, int((budget / wish.steps) ** 0.5)))
    lrs = wish.lrs(side, count)
    x, y, _ = wish.surface.grid(side_length, side_length)
    starts = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    curve = _final(wish, side, wish.start, lrs, watch)[:, 0]
    ends = _final(wish, side, starts, side.lr, watch)[0].reshape(len(y), len(x))
    good = [lr for lr, loss in zip(lrs, curve.tolist(), strict=True) if loss <= 2.0 * max(_least(curve), 1e-12)]
    return {
        "rule": side.text,
        "curve": {"lr": [_number(lr) for lr in lrs], "loss": plain(curve)},
        "map": {"x": plain(x), "y": plain(y), "loss": plain(ends)},
        "range": [_number(good[0]), _number(good[-1])] if good else None,
        "solved": _number((ends < 1e-3).double().mean().item()),
    }


def _final(wish: Wish, side: Side, start: Any, lr: Any, watch: Watch) -> Tensor:
    """The loss above the surface's lowest value at the end, (L, S); nan where the run ended early."""
    options = {"noise": wish.noise, "schedule": wish.schedule, "every": wish.steps, "watch": watch}
    found = trace(side.rule, wish.surface, start, lr, wish.steps, wish.seed, **options)
    return found.loss[:, :, -1] - _lowest(wish.surface)


def _lowest(surface: Surface) -> float:
    return 0.0 if surface.lowest is None else surface.lowest


def _least(curve: Tensor) -> float:
    finite = curve[curve.isfinite()]
    return finite.min().item() if len(finite) else float("nan")


def _verdict(found: Trace, surface: Surface) -> str:
    above = found.loss[0, 0] - _lowest(surface)
    if not bool(above.isfinite().all()):
        return f"diverged at update {found.updates[above.isfinite().logical_not()][0].item()}"
    near = (above < 1e-3).nonzero()
    reached = f"within 1e-3 of the lowest value first at update {found.updates[near[0, 0]].item()}" if len(near) else ""
    return reached or f"ends {above[-1].item():.3g} above the lowest value"


def _number(x: float) -> float | None:
    return float(f"{x:.{_DIGITS}g}") if abs(x) < float("inf") else None  # nan compares false as well
