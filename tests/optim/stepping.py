"""Presets on fixed gradients: what the tests of the engine share."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from danlu import optim
from danlu.optim.fused import fused_of
from danlu.optim.piece import Modify
from danlu.optim.run.lane import Lane

__all__ = [
    "ALONE",
    "CLIMBING",
    "COMPILED",
    "ELEMENT",
    "EXACT",
    "FUSED",
    "GRADIENTS",
    "LAYOUTS",
    "OPTIONS",
    "PRESETS",
    "Peeking",
    "advance",
    "agree",
    "gradients",
    "laid_out",
    "lanes",
    "make",
    "parameters",
    "parted",
    "same",
    "snapshot",
    "start",
]

OPTIONS: dict[str, dict[str, Any]] = {
    "adagrad": {"initial_accumulator_value": 0.1, "lr_decay": 0.1},
    "adam": {"amsgrad": True},
    "rmsprop": {"momentum": 0.9, "centered": True, "initial_square_avg": 1.0},
    "sgd": {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    "sgdw": {"momentum": 0.9, "nesterov": True},
}
PRESETS = optim.presets()
GRADIENTS = [name for name in PRESETS if "closure" not in optim.preset(name)().needs]  # take the gradients that are there
CLIMBING = [name for name in PRESETS if not any(piece.descends for piece in optim.preset(name)().nested)]  # may maximize
ALONE = [  # no tensor's step depends on another tensor, nor on a number of the whole group
    name for name in GRADIENTS if not optim.preset(name)().measures and not optim.preset(name)().shared
]
EXACT = [name for name in ALONE if optim.preset(name)().scope == "element"]  # no sum, whose rounding its order changes
ELEMENT = [name for name in PRESETS if optim.preset(name)().scope == "element"]  # what a kernel takes
# One for each thing that a flat kernel may have to do, for the edges; all of ELEMENT are held by raw and compiled laws.
COMPILED = [
    "adalo",  # the loss, a number of the group
    "adam",  # a running maximum
    "adamw",
    "adan",  # a slot moves into another's place
    "am_sgd",  # a sum over all tensors, a number of the tensor
    "furnace",  # a kernel for what follows the direction
    "lion",  # a single slot
    "lookahead",  # an average that moves p now and then
    "nadam",  # a product over the steps
    "prodigy",  # a rate made from slots
    "rmsprop",  # complex numbers as pairs, a root of a difference
    "sam",  # gradients beside the parameter
    "schedule_free_adamw",
    "sgd",
    "sign_sgd",  # no slot
]
FUSED = [name for name in PRESETS if fused_of(optim.preset(name)()) is not None]  # what torch has a kernel for
COMPILE: bool | str = False  # the way of running, which the fixture `way` sets
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.clone(),
    "channels_last": lambda x: x.clone(memory_format=torch.channels_last),
    "permuted": lambda x: x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
    "strided": lambda x: torch.stack([x, torch.full_like(x, 7.0)], dim=-1)[..., 0],
    "offset": lambda x: torch.cat([torch.full_like(x[:1], 7.0), x])[1:],
}


# int8 codes and signs may flip where two sums round apart; everything wider must not show it.
_ROUNDING = {torch.float64: 1e-9, torch.complex128: 1e-9, torch.float32: 1e-5, torch.complex64: 1e-5}
_ROUNDING |= {torch.bfloat16: 1e-2, torch.float16: 1e-3, torch.uint8: 2.0, torch.int8: 2.0, torch.int64: 0.0}


def start(
    shapes: Sequence[tuple[int, ...]] = ((3, 4), (5,), ()), dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[nn.Parameter]:
    """Normal parameters."""
    source = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64, generator=source).to(dtype)) for shape in shapes]


def gradients(params: Sequence[Tensor], steps: int, seed: int = 1) -> list[list[Tensor]]:
    """Normal gradients: a row per step, a contiguous tensor per parameter."""
    source = torch.Generator().manual_seed(seed)

    def normal(p: Tensor) -> Tensor:
        dtype = torch.complex128 if p.is_complex() else torch.float64
        return torch.randn(p.shape, dtype=dtype, generator=source).to(p.dtype)

    return [[normal(p) for p in params] for _ in range(steps)]


def lanes(optimizer: optim.Optimizer) -> dict[Tensor, Lane]:
    """The lane of each parameter that has stepped."""
    return {p: lane for plan in optimizer._plans.values() for p, lane in plan.lanes.of.items()}


def make(name: str, params: Any, lr: float = 0.01, **options: Any) -> optim.Optimizer:
    """A preset with every part of it switched on, run in the way of the test unless told otherwise."""
    return optim.create(name, params, lr, **{"compile": COMPILE, **OPTIONS.get(name, {}), **options})


def parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters, group after group."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def advance(optimizer: torch.optim.Optimizer, rows: Sequence[Sequence[Tensor | None]]) -> list[Tensor]:
    """Step once per row of gradients, which keep their layout; returns copies of the parameters.

    A rule that reads the loss is given 1; one that evaluates the model again finds gradients that depend on where p is.
    """
    needs = optimizer.needs if isinstance(optimizer, optim.Optimizer) else {"grad"}
    for row in rows:
        if "closure" in needs:
            optimizer.step(partial(_evaluate, parameters(optimizer), row))
            continue
        for p, g in zip(parameters(optimizer), row, strict=True):
            p.grad = g
        optimizer.step(**{"loss": 1.0} if "loss" in needs else {})
    return [p.detach().clone() for p in parameters(optimizer)]


def _evaluate(params: Sequence[Tensor], row: Sequence[Tensor | None]) -> float:
    for p, g in zip(params, row, strict=True):
        p.grad = g if g is None or g.is_sparse else _there(g, p.detach())
    return 1.0


def _there(g: Tensor, p: Tensor) -> Tensor:
    """The gradient at p, no larger than g; of a complex number, at its pair."""
    if g.is_complex():
        return torch.view_as_complex(_there(torch.view_as_real(g.resolve_conj()), torch.view_as_real(p)).contiguous())
    return g * (0.75 + 0.25 * p.sin()).to(g.dtype)


def parted(name: str, shapes: Any, rows: Any, at: int, **options: Any) -> tuple[list[Any], list[Any]]:
    """Snapshots at the end of a float32 run, and of one that goes on after `at` rows from its saved state in other tensors."""
    named = [[(str(i), p) for i, p in enumerate(start(shapes, torch.float32, seed=seed))] for seed in (0, 3)]
    whole, resumed = (make(name, params, **options) for params in named)
    advance(whole, rows[:at])
    for p, q in zip(parameters(whole), parameters(resumed), strict=True):
        q.data.copy_(p.detach())
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    for optimizer in (whole, resumed):
        advance(optimizer, rows[at:])
    return snapshot(whole), snapshot(resumed)


def snapshot(optimizer: torch.optim.Optimizer) -> list[Any]:
    """Copies of every parameter and its state, to compare before and after."""
    return [
        (p.detach().clone(), {key: torch.as_tensor(x).clone() for key, x in optimizer.state.get(p, {}).items()})
        for p in parameters(optimizer)
    ]


def same(a: Any, b: Any) -> bool:
    """Whether two nests of tensors agree bit for bit, shapes and dtypes included."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def agree(name: str, a: Any, b: Any) -> bool:
    """Whether two nests agree as far as a preset can: bit for bit, or to the rounding of its sums.

    Compiled, a parameter with gaps runs eagerly and others do not, so that the last digit may differ.
    """
    if name in EXACT and not COMPILE:
        return same(a, b)
    if isinstance(a, Tensor):
        wide = [x.to(torch.complex128) if x.is_complex() else x.double() for x in (a, b)]
        return (
            a.shape == b.shape
            and a.dtype == b.dtype
            and torch.allclose(*wide, rtol=_ROUNDING[a.dtype], atol=_ROUNDING[a.dtype])
        )
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(agree(name, a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(agree(name, x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def laid_out(layout: str, x: Tensor) -> Tensor:
    """The same four-dimensional values in another place of memory."""
    y = LAYOUTS[layout](x)
    assert torch.equal(x, y)
    return y


@dataclass(frozen=True)
class Peeking(Modify):
    """A piece that breaks the contract: it reads a value on the host."""

    scope: ClassVar = "tensor"

    def __call__(self, u, c, h):
        return u * 2.0 if u.sum().item() > 0.0 else u
