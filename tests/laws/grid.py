"""Rules drawn from the whole grid: every axis, every registered piece; and what the draw is limited by."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from danlu import optim
from danlu.optim import moment
from danlu.optim.rule import Rule
from danlu.optim.values import Signal
from tests.laws.samples import SHAPES, dtype_for, infos, sample, settings, step

Pick = Callable[[Sequence[Any]], Any]

# How many of each axis; the moments are drawn apart, because a rule has one of each unit.
OPTIONAL = ("decay", "average", "around", "write")
SEVERAL = {"grad": 2, "modify": 2, "after_lr": 1, "rate": 1}

# Why a rule may be refused at construction; everything else that is drawn must run.
REFUSALS = (
    "which the rule does not keep",  # DAdapt reads exp_avg_sq, and the moment drawn keeps its state under another name
    "two pieces of one rule keep state under",
    "two pieces of one rule keep a host number under",
    "scales lr, which has acted by then",
)

# Pieces whose growth compounds, with the reason. That is their law and no fault: they are drawn where numbers are wide, because
# a few steps of it leave float32.
COMPOUNDING = {
    "rate.dog": "lr is the distance walked over the gradients' norms: it doubles wherever steps do not shrink with gradients",
    "rate.l_dog": "as rate.dog, for each tensor",
}

_EVERY: dict[str, list[Any]] = {}
for _info in infos():
    _EVERY.setdefault(_info.axis, []).extend(sample(_info, **fields) for fields in settings(_info))  # each word, too
_EVERY["after_lr"] = _EVERY["modify"]
_COMPOUNDING = tuple(type(sample(info)) for info in infos() if f"{info.axis}.{info.name}" in COMPOUNDING)


def parts(pick: Pick, element: bool = False) -> dict[str, Any]:
    """The slots of a rule, each filled by `pick` from all pieces that fit (those of element scope only)."""

    def of(axis: str) -> list[Any]:
        return [x for x in _EVERY[axis] if not element or all(y.scope == "element" for y in (x, *x.parts.values()))]

    moments = {"exp_avg": moment.Ema(0.7), "exp_avg_sq": moment.Ema(0.8, moment.square)}
    drawn = pick(of("moment"))
    moments["exp_avg" if drawn.signal is Signal.GRADIENT else "exp_avg_sq"] = drawn
    found: dict[str, Any] = {"direction": pick(of("direction")), "moments": moments, "store": pick(of("store"))}
    for axis, most in SEVERAL.items():
        found[axis] = [pick(of(axis)) for _ in range(pick(range(most + 1)))]
    for axis in OPTIONAL:
        found[axis] = pick([None, *of(axis)])
    if isinstance(next(iter(found["rate"]), None), _COMPOUNDING):
        found["write"] = None
    return found


def build(found: dict[str, Any]) -> Rule | None:
    """The rule, or None where it is refused for one of the `REFUSALS`."""
    try:
        return Rule(**found)
    except ValueError as error:
        if any(reason in str(error) for reason in REFUSALS):
            return None
        raise


@st.composite
def rules(draw: Any, element: bool = False) -> Rule | None:
    """Rules for hypothesis; None where the draw is refused."""
    return build(parts(lambda choices: draw(st.sampled_from(choices)), element))


def seeded(count: int, element: bool = False, seed: int = 0) -> list[Rule]:
    """The first `count` rules of a seed."""
    source, found = random.Random(seed), []
    while len(found) < count:
        rule = build(parts(source.choice, element))
        found += [rule] * (rule is not None)
    return found


def begin(rule: Rule, dtype: torch.dtype | None = None, compile: bool = False) -> optim.Optimizer:
    """An optimizer over named parameters of every shape, the same at every call."""
    source = torch.Generator().manual_seed(3)
    values = [torch.randn(shape, generator=source, dtype=torch.float64).to(dtype or dtype_for(rule)) for shape in SHAPES]
    named = [(f"p{i}", torch.nn.Parameter(x)) for i, x in enumerate(values)]
    return optim.Optimizer(named, rule, lr=0.05, compile=compile)


def walk(optimizer: optim.Optimizer, first: int, last: int) -> list[torch.Tensor]:
    """Steps `first` to `last`, each with its own gradients; returns copies of the parameters."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for k in range(first, last):
        source = torch.Generator().manual_seed(100 + k)
        for p in params:
            p.grad = torch.randn(p.shape, generator=source, dtype=torch.float64).to(p.dtype)
        step(optimizer, k)
    return [p.detach().clone() for p in params]
