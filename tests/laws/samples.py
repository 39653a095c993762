"""One instance of every registered piece, made from its annotations, in the smallest rule that shows what it does.

A new piece or preset is under every law as soon as it is registered.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from danlu import optim
from danlu.optim import direction, moment
from danlu.optim.catalog import PIECES, PieceInfo
from danlu.optim.piece import Codec, Moment, Piece, Signal
from danlu.optim.rule import Rule
from danlu.ranges import Interval, hints

TOLERANCE = 1e-12
SHAPES = ((), (7,), (5, 6), (2, 3, 2, 2))


def infos() -> list[PieceInfo]:
    """Every registered piece."""
    return [PIECES[axis].get(name) for axis in sorted(PIECES) for name in PIECES[axis]]


def sample(info: PieceInfo, **fields: Any) -> Piece:
    """The piece with its defaults, and something sensible for what has none."""
    chosen = dict(fields)
    for field in dataclasses.fields(info.cls):
        if field.name not in chosen and field.default is dataclasses.MISSING:
            hint = hints(info.cls)[field.name]
            if interval(hint) is not None:
                chosen[field.name] = inner(interval(hint))
            elif hint is Moment:
                chosen[field.name] = moment.Ema(0.7, Signal.SQUARE if field.name == "second" else Signal.GRADIENT, debias=False)
            else:
                raise AssertionError(f"tests/laws/samples.py knows no value for {info.axis}.{info.name}.{field.name}: {hint}")
    return info.cls(**chosen)


def host(axis: str, piece: Piece) -> Rule:
    """The smallest rule in which the piece acts."""
    adam = Rule(direction.Ratio(1e-3), {"exp_avg": moment.Ema(0.7), "exp_avg_sq": moment.Ema(0.8, moment.square)})
    plain = Rule(direction.Plain())
    if isinstance(piece, Moment):
        reader = direction.Plain() if piece.signal is Signal.GRADIENT else direction.Ratio(1e-3)
        return Rule(reader, {"m": piece})
    if isinstance(piece, Codec):
        return adam.but(store=piece)
    place = {"grad": plain, "direction": adam, "modify": adam, "decay": plain, "rate": plain}[axis]
    return place.but(**{axis: piece})


def trace(
    rule: Rule | str,
    *,
    steps: int = 8,
    compile: bool = False,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    **options: Any,
) -> np.ndarray:
    """All parameters after every step, for seeded gradients and an lr that changes every step."""
    rng = np.random.default_rng(seed)
    params = [torch.nn.Parameter(torch.tensor(rng.normal(size=shape), dtype=dtype)) for shape in SHAPES]
    if isinstance(rule, str):
        optimizer = optim.create(rule, params, lr=0.1, compile=compile, **options)
    else:
        optimizer = optim.Optimizer(params, rule, lr=0.1, compile=compile)
    rows = []
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 + 0.3 * math.cos(k))
        for p in params:
            p.grad = torch.tensor(rng.normal(size=p.shape), dtype=dtype)
        optimizer.step()
        rows.append(np.concatenate([p.detach().double().numpy().ravel() for p in params]))
    return np.array(rows)


def variants(info: PieceInfo, name: str) -> Iterator[Piece]:
    """The sample with another value of one field, where the piece allows it."""
    for x in others(hints(info.cls)[name], getattr(sample(info), name)):
        try:
            yield sample(info, **{name: x})
        except ValueError:  # bounds that must stay in order
            continue


def interval(hint: Any) -> Interval | None:
    """The interval of a numeric annotation, optional ones included."""
    for part in (hint, *typing.get_args(hint)):
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, Interval):
                return mark
    return None


def inner(bound: Interval) -> float:
    """A number well inside."""
    low, high = max(bound.lo, -1.0), min(bound.hi, bound.lo + 1.0, 1e3)
    return low + 0.7 * (high - low)


def others(hint: Any, value: Any) -> Iterator[Any]:
    """Other values that an annotation allows."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, tuple):
        for i, part in enumerate(typing.get_args(hint)):
            yield from ((*value[:i], x, *value[i + 1 :]) for x in others(part, value[i]))
    elif (bound := interval(hint)) is not None:
        for x in (0.55, 0.3, 0.9, 1.0, 4.0, 5.5, 2.0):
            if x in bound and x != value:
                yield x


def bases(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings on which an option may depend: none, and those that switch other parts on."""
    yield {}
    for on in ({"momentum": 0.8}, {"weight_decay": 0.1}, {"eps": 1e-3}):
        if set(on) <= set(options):
            yield on
