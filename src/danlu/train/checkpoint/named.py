"""An optimizer's state by parameter name, for every optimizer, also those that only know positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from danlu.train.checkpoint.mismatch import MismatchError, differing
from danlu.train.unwrapped import unwrapped

__all__ = ["load_by_name", "state_by_name"]


def state_by_name(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Any]:
    """Return the optimizer's state with names in place of positions.

    Args:
        optimizer: any `torch.optim.Optimizer`; what its ``state_dict`` holds is what is kept.
        model: where the names come from; a parameter that it does not have is called ``group 0, parameter 3``.

    Returns:
        ``kind``, the optimizer's class; ``groups``, the options of each with the names in ``params``; ``state`` by name;
        ``rest``, what else its ``state_dict`` holds, such as averaged buffers; ``weights``, of the parameters that the model
        does not have.
    """
    names = _names(optimizer, model)
    saved = optimizer.state_dict()
    groups = [
        {**{key: x for key, x in group.items() if key != "param_names"}, "params": [names[i] for i in group["params"]]}
        for group in saved["param_groups"]
    ]
    state = {names[i]: entry for i, entry in saved["state"].items()}
    rest = {key: x for key, x in saved.items() if key not in {"state", "param_groups"}}
    weights = {name: p.detach() for name, p in _outside(optimizer, model).items()}
    return {"kind": type(optimizer).__name__, "groups": groups, "state": state, "rest": rest, "weights": weights}


def load_by_name(optimizer: torch.optim.Optimizer, model: nn.Module, saved: Mapping[str, Any]) -> None:
    """Load what `state_by_name` returned; order of parameters and of groups may have changed, their names not.

    Args:
        optimizer: of the same class, over parameters of the same names in the same groups.
        model: where the names come from.
        saved: the state; it is not changed.

    Raises:
        MismatchError: when class, names or groups differ, or the optimizer refuses the state; nothing has changed then.
    """
    if saved["kind"] != type(optimizer).__name__:
        raise MismatchError(f"it was made with {saved['kind']}, this run has {type(optimizer).__name__}")
    names, parameters = _names(optimizer, model), _parameters(optimizer)
    positions = {name: i for i, name in names.items()}
    differing("optimizer", [name for group in saved["groups"] for name in group["params"]], list(positions))
    groups = []
    for ours in optimizer.state_dict()["param_groups"]:
        members = {names[i] for i in ours["params"]}
        theirs = next((group for group in saved["groups"] if set(group["params"]) == members), None)
        if theirs is None:
            raise MismatchError(f"its parameter groups are others: none has exactly {_some(sorted(members))}")
        kept = {key: ours[key] for key in ("params", "param_names") if key in ours}
        groups.append({**theirs, **kept})
    weights, outside = saved.get("weights", {}), _outside(optimizer, model)
    for name, p in outside.items():
        if name in weights and weights[name].shape != p.shape:
            raise MismatchError(f"its {name} has shape {tuple(weights[name].shape)}, this run's {tuple(p.shape)}")
    state = {
        positions[name]: {key: _like(value, parameters[positions[name]]) for key, value in entry.items()}
        for name, entry in saved["state"].items()
    }
    try:
        optimizer.load_state_dict({**saved.get("rest", {}), "state": state, "param_groups": groups})
    except (ValueError, KeyError, RuntimeError) as error:
        raise MismatchError(f"the optimizer cannot take its state: {' '.join(str(error).split())}") from error
    with torch.no_grad():
        for name, p in outside.items():
            if name in weights:
                p.copy_(weights[name])


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _names(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[int, str]:
    """The name of every position of ``optimizer.state_dict()``, which counts through the groups."""
    known = {id(p): name for name, p in unwrapped(model).named_parameters()}
    places = [(g, k, p) for g, group in enumerate(optimizer.param_groups) for k, p in enumerate(group["params"])]
    return {i: known.get(id(p), f"group {g}, parameter {k}") for i, (g, k, p) in enumerate(places)}


def _outside(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The parameters that the model does not have, such as those of a loss that learns; nobody else saves them."""
    parameters, known = _parameters(optimizer), {id(p) for p in unwrapped(model).parameters()}
    return {name: parameters[i] for i, name in _names(optimizer, model).items() if id(parameters[i]) not in known}


def _like(value: Any, p: Tensor) -> Any:
    """State of the parameter's shape gets its memory layout: some of torch's kernels go wrong where the two differ."""
    if not isinstance(value, Tensor) or value.shape != p.shape or value.stride() == p.stride():
        return value
    return torch.empty_like(p, dtype=value.dtype, device=value.device).copy_(value)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
