"""Where the first inf or nan of a forward pass comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any, final

import torch
from torch import Tensor, nn

__all__ = ["NonFinite", "first_nonfinite"]


@final
@dataclass(frozen=True)
class NonFinite:
    """The first place of a forward pass with an element that is inf or nan; as text, one line.

    Args:
        name: of the module in the model, or of the parameter or buffer; "" is the model itself.
        kind: the module's class; "weights" of a parameter or buffer; "input" when the module was already given such a number.
        dtype: of the tensor with the element.
        largest: |x| of the largest finite element that went in; nan when none did.
    """

    name: str
    kind: str
    dtype: torch.dtype
    largest: float

    def __str__(self) -> str:
        where, dtype = self.name or "the model", str(self.dtype).removeprefix("torch.")
        if self.kind == "weights":
            return f"not finite before the forward pass: {where} ({dtype})"
        if self.kind == "input":
            return f"first not finite: what {where} is given ({dtype})"
        return f"first not finite: the output of {where} ({self.kind}, {dtype}), whose largest input is {self.largest:.3g}"


def first_nonfinite(model: nn.Module, run: Callable[[nn.Module], Any]) -> NonFinite | None:
    """Run the model once as it is, mode included, without gradients, and find what is the first to make an inf or nan.

    Weights and buffers come first, then the modules in the order in which they are called: what a module is given, then what
    it gives, an inner one before the one around it. Each module costs a wait for the device: it is for looking at one batch.

    Args:
        model: modes, parameters and gradients are left alone; in train mode batch norms count the batch, as they always do.
        run: ``run(model)`` runs it on the batch, in the autocast of the run, if there was one.

    Returns:
        The place, or None when everything is finite; then look at the loss, or at the gradients with `look`.
    """
    found: list[NonFinite] = []
    for name, x in chain(model.named_parameters(), model.named_buffers()):
        if _bad(x):
            return NonFinite(name, "weights", x.dtype, math.nan)

    def entering(name: str) -> Callable[..., None]:
        def see(_: nn.Module, args: Any, kwargs: Any) -> None:
            for x in [] if found else _tensors((args, kwargs)):
                if _bad(x):
                    found.append(NonFinite(name, "input", x.dtype, math.nan))
                    return

        return see

    def leaving(name: str) -> Callable[..., None]:
        def see(module: nn.Module, args: Any, kwargs: Any, outputs: Any) -> None:
            for y in [] if found else _tensors(outputs):
                if _bad(y):
                    sizes = [float(x.abs().max()) for x in _tensors((args, kwargs)) if x.numel()]
                    found.append(NonFinite(name, type(module).__name__, y.dtype, max(sizes, default=math.nan)))
                    return

        return see

    with ExitStack() as stack, torch.no_grad():
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(entering(name), with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(leaving(name), with_kwargs=True).remove)
        run(model)
    return found[0] if found else None


def _bad(x: Tensor) -> bool:
    """Whether an element is inf or nan."""
    return (x.is_floating_point() or x.is_complex()) and not bool(x.isfinite().all())


def _tensors(x: Any) -> Iterator[Tensor]:
    """The floating tensors in any nesting of mappings and sequences."""
    if isinstance(x, Tensor):
        if x.is_floating_point() or x.is_complex():
            yield x
    elif isinstance(x, Mapping):
        for value in x.values():
            yield from _tensors(value)
    elif isinstance(x, Sequence) and not isinstance(x, str | bytes):
        for value in x:
            yield from _tensors(value)
