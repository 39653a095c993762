"""One checkpoint: a folder of safetensors and JSON that holds all a run needs to go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from danlu.train.checkpoint.manifest import DamagedError, seal, verified
from danlu.train.checkpoint.mismatch import MismatchError, differing
from danlu.train.checkpoint.named import load_by_name, state_by_name
from danlu.train.checkpoint.packed import packed, unpacked
from danlu.train.tensor_files import write_model, write_tensors
from danlu.train.unwrapped import unwrapped

__all__ = ["AVERAGED", "RAW", "Snapshot", "write"]

RAW = "model.safetensors"
AVERAGED = "averaged.safetensors"
_STATE, _TENSORS = "state.json", "optimizer.safetensors"


def write(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    run: Mapping[str, Any],
    about: Mapping[str, Any],
    average: AbstractContextManager[None] | None = None,
) -> None:
    """Write a checkpoint into an empty folder, file by file, the manifest last; return when all is on the disk.

    Args:
        folder: where to; it is a checkpoint when it is complete and has its final name, which is the caller's business.
        model: whose ``state_dict`` is written; see `unwrapped` for the names.
        optimizer: whose state is written by parameter name.
        run: what else the run needs: a nest of dictionaries, lists, tensors, numbers and text.
        about: what the manifest says of it.
        average: a block inside which the model is at its average, which is then written too.

    Raises:
        RuntimeError: inside such a block: the weights are not those that are trained.
        TypeError: when `run` or the optimizer's state holds something else.
        OSError: when the disk is full, say.
    """
    if average is not None:
        with ExitStack() as block:
            try:
                block.enter_context(average)
            except RuntimeError as error:
                what = "inside averaged() the weights are not those that are trained; save outside the block"
                raise RuntimeError(f"checkpoint: {what}") from error
            write_model(model, folder / AVERAGED)
    write_model(model, folder / RAW)
    tree, tensors = packed({"optimizer": state_by_name(optimizer, model), "run": run})
    write_tensors(tensors, folder / _TENSORS)
    (folder / _STATE).write_text(json.dumps(tree), encoding="utf-8")
    seal(folder, about)


@final
@dataclass(frozen=True)
class Snapshot:
    """A checkpoint that was read and found whole; nothing of it is in effect yet.

    Args:
        path: its folder.
        weights: the model's tensors by name.
        optimizer: see `danlu.train.checkpoint.named.state_by_name`.
        run: the rest.
        manifest: what it says of itself.
    """

    path: Path
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    run: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Snapshot:
        """Read a checkpoint; it takes the memory of the model and the optimizer's state once more.

        Args:
            folder: of the checkpoint.

        Returns:
            All that it holds, on the CPU.

        Raises:
            DamagedError: when it is not whole.
        """
        manifest = verified(folder)
        try:
            tree = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            # to addresses of their own: from where they lie in a file, products and sums have other last bits
            state = unpacked(tree, {name: x.clone() for name, x in load_file(folder / _TENSORS).items()})
            return cls(folder, load_file(folder / RAW), state["optimizer"], state["run"], manifest)
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OSError) as error:
            raise DamagedError(f"it cannot be read: {' '.join(str(error).split())[:200]}") from error

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Load the weights and the optimizer's state, in place.

        Args:
            model: with the same names and shapes.
            optimizer: of the same class, over the same names.

        Raises:
            MismatchError: when it is of another model or optimizer, with what differs; nothing has changed then.
        """
        model = unwrapped(model)
        ours = model.state_dict()
        addresses = {_place(ours[name]) for name in self.weights if name in ours}
        tied = {name for name, x in ours.items() if name not in self.weights and x.numel() and _place(x) in addresses}
        differing("model", list(self.weights), [name for name in ours if name not in tied])
        for name, theirs in self.weights.items():
            if theirs.shape != ours[name].shape:
                shapes = f"shape {tuple(theirs.shape)}, this run's {tuple(ours[name].shape)}"
                raise MismatchError(f"its {name} has {shapes}")
        load_by_name(optimizer, model, self.optimizer)
        model.load_state_dict(dict(self.weights), strict=False)  # the names were compared above; tied ones are stored once


def _place(tensor: Tensor) -> tuple[int, torch.Size]:
    return tensor.data_ptr(), tensor.shape
