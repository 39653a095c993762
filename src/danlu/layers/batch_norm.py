"""Batch norm with other statistics: frozen ones, and those of the data as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from danlu.layers.calls import call_order

__all__ = ["FrozenBatchNorm", "freeze_batch_norm", "recalibrate"]


@final
class FrozenBatchNorm(nn.Module):
    """y = γ·(x − mean)/√(var + ε) + β with all four fixed, in training too: batch norm that is no longer trained.

    For fine-tuning with batches too small for statistics, and for stages that shall not change: `train` and `requires_grad_` do
    not wake it. Its state has the names of a batch norm's, so that either loads what the other saved.

    Args:
        norm: the trained batch norm to take over.

    Raises:
        ValueError: when it keeps no running statistics.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        mean, var = norm.running_mean, norm.running_var
        if mean is None or var is None:
            raise ValueError(f"FrozenBatchNorm: {norm} keeps no running statistics; it has nothing to freeze")
        self.eps = norm.eps
        if norm.affine:
            self.register_buffer("weight", norm.weight.detach().clone())
            self.register_buffer("bias", norm.bias.detach().clone())
        else:
            self.weight, self.bias = None, None
        self.register_buffer("running_mean", mean.detach().clone())
        self.register_buffer("running_var", var.detach().clone())
        self.register_buffer("num_batches_tracked", norm.num_batches_tracked)

    def forward(self, x: Tensor) -> Tensor:
        """Return y, the shape of x (N, C, …)."""
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


def freeze_batch_norm(model: nn.Module) -> list[str]:
    """Put a `FrozenBatchNorm` in the place of every batch norm below `model`.

    Args:
        model: is changed.

    Returns:
        The names of the layers that were frozen, which have left ``model.parameters()``: make optimizers afterwards.
    """
    norms = {name: m for name, m in model.named_modules(remove_duplicate=False) if name and isinstance(m, _BatchNorm)}
    frozen = {norm: FrozenBatchNorm(norm) for norm in norms.values()}  # one that has two names stays one
    for name, norm in norms.items():
        model.set_submodule(name, frozen[norm])
    return list(norms)


def recalibrate(model: nn.Module, batches: Callable[[], Iterable[Any]], forward: Callable[[nn.Module, Any], Any]) -> list[str]:
    """Set the running mean and variance of every batch norm to those of what it sees in evaluation, over all of the data.

    The layers are taken in the order in which they are called, each behind layers that are already right, so that afterwards
    the inputs of every layer, normalised in eval mode over these data, have mean 0 and (biased) variance 1 before γ and β, to
    rounding. Sums are pooled in float64 over items, not over batches: ragged batches and shifts between them are exact, where
    `torch.optim.swa_utils.update_bn` gives the mean of the batches' variances. The variance is unbiased, as torch keeps it.

    It is for weights that did not make the statistics: averaged, merged, pruned, quantised, fine-tuned on other data. It costs
    one pass over the data per layer, plus one batch to find the order. A layer that is called twice per pass pools its calls.

    Args:
        model: its statistics change; modes and parameters stay as they are, and so does the count of batches.
        batches: starts a new pass over the data, such as ``lambda: loader.epoch(0)``.
        forward: ``forward(model, batch)`` runs the model, such as ``lambda model, batch: model(batch[0])``.

    Returns:
        The names of the layers that were set, in their order; a layer that no batch came to is left alone.

    Raises:
        ValueError: when there is no data, or a layer saw less than two numbers per channel. The statistics are then as before.
    """
    names = {module: name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    kept = {module: (module.running_mean, module.running_var) for module in names}
    tracked = {module: (mean, var) for module, (mean, var) in kept.items() if mean is not None and var is not None}
    before = [(old, old.clone()) for pair in tracked.values() for old in pair]
    with torch.no_grad(), _evaluating(model):
        try:
            batch = _first(batches)
            order = call_order(tracked, lambda: forward(model, batch))
            for module in order:
                found = _pooled(model, batches, forward, module, names[module])
                for old, new in zip(tracked[module], found, strict=True):
                    old.copy_(new)
        except BaseException:
            for old, value in before:
                old.copy_(value)
            raise
    return [names[module] for module in order]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _first(batches: Callable[[], Iterable[Any]]) -> Any:
    for batch in batches():
        return batch
    raise ValueError("recalibrate: the data gave no batch; pass a function that starts a new pass, not an iterator")


def _pooled(
    model: nn.Module,
    batches: Callable[[], Iterable[Any]],
    forward: Callable[[nn.Module, Any], Any],
    module: nn.Module,
    name: str,
) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance per channel of all inputs of one layer; groups are joined as Chan et al. (1979) join them."""
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())

    def see(_: nn.Module, args: tuple[Any, ...]) -> None:
        nonlocal count, mean, squares
        x = args[0].double().movedim(1, 0).flatten(1)
        var, centre = torch.var_mean(x, dim=1, correction=0)
        n = x.shape[1]
        shift = centre - mean
        squares = squares + n * var + shift.square() * (count * n / (count + n))
        mean = mean + shift * (n / (count + n))
        count += n

    hook = module.register_forward_pre_hook(see)
    try:
        for batch in batches():
            forward(model, batch)
    finally:
        hook.remove()
    if count < 2:
        raise ValueError(f"recalibrate: {name} saw {count} numbers per channel, of which there is no variance; give more data")
    return mean, squares / (count - 1)
