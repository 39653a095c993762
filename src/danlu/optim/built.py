"""The rule of a group, as its options stand and as its parameters can bear it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from danlu.optim.members import named, plain
from danlu.optim.moment.ema import Ema
from danlu.optim.moment.memory import AbstractMemory
from danlu.optim.moment.over import AbstractOver
from danlu.optim.piece import Moment
from danlu.optim.plan import Builder
from danlu.optim.rule import Rule
from danlu.optim.run.views import compute_dtype
from danlu.optim.values import gradient, square

__all__ = ["built", "forewarn"]

_TINY = torch.finfo(torch.float32).tiny


def built(group: Mapping[str, Any], builder: Builder) -> Rule:
    """Return the rule of a group as its options stand.

    Raises:
        ValueError: for a value out of its range, a name in "without" that the rule does not have, or an ε that is 0 in the
            arithmetic of a parameter.
    """
    options = {name: plain(group[name]) for name in builder.options}
    rule = builder.build(options).without(*group.get("without", ()))
    _refuse_vanishing(rule, group, builder.name)
    return rule.climbing() if group["maximize"] else rule


def _refuse_vanishing(rule: Rule, group: Mapping[str, Any], owner: str) -> None:
    """Refuse an ε that the arithmetic of a parameter takes for 0: what has no gradient yet would be 0/0."""
    for path, piece in rule.pieces.items():
        eps = min((x for name, x in piece.scalars(rule.first).items() if name.endswith("eps") and x > 0.0), default=1.0)
        for name, p in named(group) if eps < _TINY else ():
            if eps < torch.finfo(compute_dtype(p)).tiny:
                raise ValueError(
                    f"{owner}: eps = {eps:g} ({path}: {type(piece).__name__}) is 0 in the arithmetic of {name}, which is "
                    f"{p.dtype}: give at least {_TINY:.2g}, or make it float64"
                )


def forewarn(rules: Iterable[Rule], owner: str) -> None:
    """Warn, once, of a root of v under m that forgets faster than m: its steps grow where gradients fade."""
    for rule in rules:
        emas = [x for x in map(_inner, rule.moments.values()) if isinstance(x, Ema)]
        betas = [(x.signal, float(x.beta)) for x in emas if not isinstance(x.beta, AbstractMemory)]
        long = max((beta for signal, beta in betas if signal is gradient), default=0.0)
        short = min((beta for signal, beta in betas if signal is square), default=1.0)
        if rule.direction.wants_scale and long**2 > short:
            warnings.warn(
                f"{owner}: betas {long:g} and {short:g}: √v forgets faster than m (β₁ > √β₂), so steps grow where gradients "
                f"fade; give a second beta of at least {long**2:g}",
                stacklevel=3,
            )
            return


def _inner(moment: Moment) -> Moment:
    return _inner(moment.moment) if isinstance(moment, AbstractOver) else moment
