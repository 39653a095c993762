"""One instance of every registered piece, made from its annotations, in the smallest rule that shows what it does.

A new piece or preset is under every law as soon as it is registered.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch

from danlu import optim
from danlu.optim import decay, direction, moment
from danlu.optim.catalog import PIECES, PieceInfo
from danlu.optim.piece import Codec, Decay, Moment, Piece
from danlu.optim.rule import Rule
from danlu.optim.values import Signal
from danlu.ranges import Interval, hints

TOLERANCE = 1e-12
# Fields that count steps: cut to what eight steps can show.
HORIZONS = ("alpha_warmup", "beta_warmup", "every", "history", "length", "steps", "warmup")
DISTANCES = ("d0", "reps_rel")  # first guesses that are meant to be far too small
SIZES = (1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 0.05, 1.0)  # of the gradients, step by step: a spike, and a lull
# Walks on which something must show: caps on lr act above a small one, and estimates of distance grow where gradients lead on.
WALKS = ({"lr": 0.1}, {"lr": 1.0}, {"lr": 1.0, "drift": 2.0})
SHAPES = ((), (6,), (5, 6), (2, 3, 2, 2))


def infos() -> list[PieceInfo]:
    """Every registered piece."""
    return [PIECES[axis].get(name) for axis in sorted(PIECES) for name in PIECES[axis]]


def sample(info: PieceInfo, **fields: Any) -> Piece:
    """The piece with its defaults, and something sensible for what has none; a moment inside is signed where it may be."""
    signed, magnitude = ({**_chosen(info, fields, signal), **fields} for signal in (Signal.GRADIENT, Signal.SQUARE))
    try:
        return info.cls(**signed)
    except ValueError:
        return info.cls(**magnitude)


def _chosen(info: PieceInfo, given: Mapping[str, Any], signal: Signal) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(info.cls):
        if field.name in HORIZONS and hints(info.cls)[field.name] is not bool:
            chosen[field.name] = 2
        elif field.name in DISTANCES:
            chosen[field.name] = 0.1
        elif field.name not in given and field.default is dataclasses.MISSING:
            hint = hints(info.cls)[field.name]
            if interval(hint) is not None:
                chosen[field.name] = inner(interval(hint))
            elif hint is Moment and field.name == "first":  # something is to be left between it and the signal
                chosen[field.name] = moment.Ema(0.7, signal, debias=False)
            elif hint is Moment:
                chosen[field.name] = moment.Ema(0.7, Signal.SQUARE if field.name == "second" else signal)
            elif hint is Decay:
                chosen[field.name] = decay.L2(0.3)
            else:
                raise AssertionError(f"tests/laws/samples.py knows no value for {info.axis}.{info.name}.{field.name}: {hint}")
    return chosen


def host(axis: str, piece: Piece) -> Rule:
    """The smallest rule in which the piece acts."""
    adam = Rule(direction.Ratio(1e-3), {"exp_avg": moment.Ema(0.7), "exp_avg_sq": moment.Ema(0.8, moment.square)})
    plain = Rule(direction.Plain())
    if isinstance(piece, Moment):
        reader = direction.Plain() if piece.signal is Signal.GRADIENT else direction.Ratio(1e-3)
        return Rule(reader, {"m": piece})
    if isinstance(piece, Codec):
        return adam.but(store=piece)
    if axis == "modify":
        return adam.but(modify=piece, decay=decay.Decoupled(0.1))
    if piece.wants_scale:
        return adam.but(**{axis: piece})
    return (adam if axis == "direction" else plain).but(**{axis: piece})


def trace(
    rule: Rule | str,
    *,
    steps: int = 8,
    compile: bool = False,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    lr: float = 0.1,
    drift: float = 0.0,
    **options: Any,
) -> np.ndarray:
    """All parameters after every step, and where they are evaluated, for seeded gradients around `drift` and a changing lr."""
    rng = np.random.default_rng(seed)
    dtype = dtype or dtype_for(rule)
    params = [torch.nn.Parameter(torch.tensor(rng.normal(size=shape), dtype=dtype)) for shape in SHAPES]
    if isinstance(rule, str):
        optimizer = optim.create(rule, params, lr=lr, compile=compile, **options)
    else:
        optimizer = optim.Optimizer(params, rule, lr=lr, compile=compile)
    rows = []
    for k in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 + 0.3 * math.cos(k + drift))
        for p in params:
            g = SIZES[k % len(SIZES)] * rng.normal(size=p.shape) + drift
            p.grad = torch.tensor(g * (np.arange(6) > 0) if g.shape == (6,) else g, dtype=dtype)  # one element rests
        step(optimizer, k)
        here = [p.detach().double().numpy().ravel().copy() for p in params]
        with optimizer.averaged():
            there = [p.detach().double().numpy().ravel().copy() for p in params]
        rows.append(np.concatenate([*here, *there]))
    return np.array(rows)


def dtype_for(rule: Rule | str) -> torch.dtype:
    """The parameters' dtype in which a rule shows all it does: 16 bits for one that says how they are written."""
    return torch.bfloat16 if isinstance(rule, Rule) and rule.write is not None else torch.float64


def step(optimizer: optim.Optimizer, k: int = 0) -> None:
    """One step with whatever the rule needs; a closure finds the gradients that are there, scaled by what p is."""
    if "closure" in optimizer.needs:
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params]

        def closure() -> float:
            for p, g in zip(params, grads, strict=True):
                p.grad = g * (1 + 0.5 * p.detach().sin())  # bounded: what follows distances would run away on a growing one
            return 1.0

        optimizer.step(closure)
    elif "loss" in optimizer.needs:
        optimizer.step(loss=1.0 + 0.5 * math.cos(k))
    else:
        optimizer.step()


def variants(info: PieceInfo, name: str, **fields: Any) -> Iterator[Piece]:
    """The sample (with some fields set) with another value of one field, where the piece allows it."""
    for x in others(hints(info.cls)[name], getattr(sample(info, **fields), name)):
        try:
            yield sample(info, **{**fields, name: x})
        except ValueError:  # bounds that must stay in order
            continue


def settings(info: PieceInfo) -> Iterator[dict[str, Any]]:
    """Settings on which a field may depend: the sample's own, each other word, and None where a field may be None."""
    yield {}
    for name, hint in hints(info.cls).items():
        if typing.get_origin(hint) is Literal:
            yield from ({name: word} for word in others(hint, getattr(sample(info), name)))
        elif type(None) in typing.get_args(hint):
            yield {name: None}


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
    elif words := [part for part in (hint, *typing.get_args(hint)) if typing.get_origin(part) is Literal]:
        yield from (word for word in typing.get_args(words[0]) if word != value)
    elif isinstance(value, tuple):
        for i, part in enumerate(typing.get_args(hint)):
            yield from ((*value[:i], x, *value[i + 1 :]) for x in others(part, value[i]))
    elif (bound := interval(hint)) is not None:
        whole = int in (hint, getattr(hint, "__origin__", None))
        for x in (1, 2, 4) if whole else (0.55, 0.3, 0.9, 1.0, 4.0, 5.5, 2.0, -0.3):
            if x in bound and x != value:
                yield x


def bases(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings on which an option may depend: none, and those that switch other parts on."""
    yield {}
    for on in (
        {"momentum": 0.8},
        {"weight_decay": 0.1},
        {"precondition_frequency": 2},
        {"eps": 1e-3},
        {"eps": (0.1, 1e-3)},
        {"min_size": 0},
    ):
        if set(on) <= set(options):
            yield on
    soon = {name: 2 for name in HORIZONS if name in options}
    for name, (hint, default) in options.items():
        if typing.get_origin(hint) is Literal:
            yield from ({name: word, **soon} for word in others(hint, default))
