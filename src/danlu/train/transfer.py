"""Starting from weights that another run, or somebody else, has trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from danlu.keyed import key
from danlu.ranges import Count, check, hints
from danlu.registry import did_you_mean

__all__ = ["LoadReport", "load_weights", "read_weights", "replace_head"]

_INSIDE = ("state_dict", "model_state_dict", "model", "module", "net", "weights")  # where others put it in a checkpoint


@final
@dataclass(frozen=True)
class LoadReport:
    """What became of the weights of a file; `str` says it in lines.

    Args:
        loaded: names that were filled.
        missing: names of the model that the file has nothing for; they keep what they had.
        unexpected: names of the file that the model has no place for.
        mismatched: names whose shapes differ, with the file's and the model's shape; they keep what they had.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    mismatched: dict[str, tuple[list[int], list[int]]]

    def __str__(self) -> str:
        lines = [f"loaded {len(self.loaded)} of {len(self.loaded) + len(self.missing) + len(self.mismatched)} tensors"]
        lines += [f"missing     {name}" for name in self.missing]
        lines += [f"unexpected  {name}" for name in self.unexpected]
        lines += [f"mismatched  {name}: {got} in the file, {own} in the model" for name, (got, own) in self.mismatched.items()]
        return "\n".join(lines)


def load_weights(
    model: nn.Module,
    source: str | PathLike[str] | Mapping[str, Tensor],
    *,
    rename: Mapping[str, str] | Callable[[str], str | None] | None = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Fill a model's parameters and buffers from a file, by name; each keeps its own dtype and device.

    Args:
        model: what is filled.
        source: a .safetensors file, a .pt or .pth file of torch's, read without running any code from it
            (``weights_only``), or tensors by name.
        rename: from the file's names to the model's: beginnings by beginnings, such as ``{"module.": "", "fc.":
            "head."}``, the longest that fits; or a function, which returns None for what is to be left out.
        skip_mismatch: leave out tensors whose shape differs, such as a head with other classes, instead of refusing.

    Returns:
        What was loaded and what was not; print it.

    Raises:
        ValueError: when a shape differs and `skip_mismatch` is False, when two names become one, or when not a single
            name fits. Nothing is changed then.
    """
    theirs: dict[str, Tensor] = {}
    for old, tensor in (source if isinstance(source, Mapping) else read_weights(source)).items():
        name = _renamed(old, rename)
        if name in theirs:
            raise ValueError(f"load_weights: rename makes {name!r} of two names; the second is {old!r}")
        if name is not None:
            theirs[name] = tensor
    ours = model.state_dict()
    common = [name for name in ours if name in theirs]
    shapes = {name: (list(theirs[name].shape), list(ours[name].shape)) for name in common}
    bad = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    loaded = [name for name in common if name not in bad]
    if bad and not (skip_mismatch and loaded):
        name, (got, wanted) = next(iter(bad.items()))
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        what = f"{name}{more} has shape {got} in the file, {wanted} in the model"
        fix = "no tensor fits" if skip_mismatch else "pass skip_mismatch=True to leave it as it is"
        raise ValueError(f"load_weights: {what}; {fix}")
    if not loaded:
        first = next(iter(theirs), "")
        raise ValueError(f"load_weights: no name fits: {first!r} in the file{did_you_mean(first, ours)}; pass rename=")
    with torch.no_grad():
        for name in loaded:
            ours[name].copy_(theirs[name])
    missing = [name for name in ours if name not in theirs]
    return LoadReport(loaded, missing, [name for name in theirs if name not in ours], bad)


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read tensors by name from a .safetensors file or one of torch's, from which no code is run.

    Of a checkpoint, the tensors are taken from where they usually are ("state_dict", "model", …).

    Args:
        path: of the file.

    Returns:
        Name → tensor, on the CPU.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is neither, or holds no tensors by name.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"load_weights: there is no file {file}")
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except Exception as error:
            raise ValueError(f"load_weights: {file} cannot be read as safetensors: {error}") from None
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"load_weights: {file} cannot be read without running code from it: {why}") from None
    while isinstance(found, Mapping) and (inside := next((k for k in _INSIDE if isinstance(found.get(k), Mapping)), None)):
        found = found[inside]
    tensors = {name: x for name, x in found.items() if isinstance(x, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise ValueError(f"load_weights: {file} holds no tensors by name")
    return tensors


def _renamed(name: str, rename: Mapping[str, str] | Callable[[str], str | None] | None) -> str | None:
    if rename is None:
        return name
    if not isinstance(rename, Mapping):
        return rename(name)
    start = max((old for old in rename if name.startswith(old)), key=len, default=None)
    return name if start is None else rename[start] + name[len(start) :]


def replace_head(model: nn.Module, outputs: Count, name: str | None = None, *, seed: int = 0) -> nn.Linear:
    """Put a fresh linear layer with other outputs in place of a model's last one; make the optimizer afterwards.

    It has torch's initialisation, drawn from (seed, "head"), and the dtype, device and bias of the old one.

    Args:
        model: what is changed.
        outputs: of the new layer, such as the classes of the new task.
        name: of the module to replace; None for the last `torch.nn.Linear` in order of definition.
        seed: of the initialisation.

    Returns:
        The new layer.

    Raises:
        ValueError: when there is no such layer, or it is not linear.
    """
    check("replace_head", hints(replace_head), {"outputs": outputs, "seed": seed})
    linear = {where: module for where, module in model.named_modules() if isinstance(module, nn.Linear) and where}
    if name is None and linear:
        name = list(linear)[-1]
    if name not in linear:
        raise ValueError(f"replace_head: no linear layer {name!r} inside the model{did_you_mean(name or '', linear)}")
    old = linear[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(key(seed, "head"))
        new = nn.Linear(old.in_features, outputs, bias=old.bias is not None)  # on the CPU, so that it is the same everywhere
    new.to(device=old.weight.device, dtype=old.weight.dtype)
    new.train(old.training)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
    return new
