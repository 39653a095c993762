"""What an optimizer may be given: a module, parameters, named parameters, or groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

__all__ = ["Params", "listed"]

Params: TypeAlias = nn.Module | Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


def listed(params: Params, owner: str) -> list[Any]:
    """Return the parameters as torch's Optimizer takes them; a module gives its trainable ones by name.

    Raises:
        ValueError: when there are none.
        TypeError: for something that is none of these.
    """
    if isinstance(params, nn.Module):
        params = [(name, p) for name, p in params.named_parameters() if p.requires_grad]
        if not params:
            raise ValueError(f"{owner}: the module has no trainable parameters")
        return params
    if isinstance(params, (Tensor, Mapping)):
        raise TypeError(
            f"{owner}: params must be a module, or an iterable of parameters or groups, got {type(params).__name__}"
        )
    found = list(params)
    if not found:
        raise ValueError(f"{owner}: the parameter list is empty (a generator that was already used up?)")
    return found
