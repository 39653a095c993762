"""Batch norm with other statistics: frozen ones, and those of the data as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from danlu.layers.calls import call_order

__all__ = ["FrozenBatchNorm", "batch_norms", "freeze_batch_norm", "recalibrate", "recalibrate_in_one_pass"]


@final
class FrozenBatchNorm(nn.Module):
    """y = γ·(x − mean)/√(var + ε) + β with all four fixed, in training too: batch norm that is no longer trained.

    For fine-tuning with batches too small for statistics, and for stages that shall not change: `train` and `requires_grad_` do
    not wake it. Its state has the names of a batch norm's, so that either loads what the other saved;
    old checkpoints may lack the count of batches.

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

    def _load_from_state_dict(  # pyrefly: ignore[bad-override]
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        if self.num_batches_tracked is not None:  # as torch's own does: what is from before 0.4.1 has no such count
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *args)


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


def batch_norms(model: nn.Module) -> dict[_BatchNorm, str]:
    """Return the batch norms of a model that keep running statistics, each with its name."""
    norms = {module: name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    return {norm: name for norm, name in norms.items() if norm.running_mean is not None and norm.running_var is not None}


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
    names = batch_norms(model)
    with torch.no_grad(), _evaluating(model), _unless_it_fails(names):
        batch = _first(batches)
        order = call_order(names, lambda: forward(model, batch))
        for norm in order:
            seen = _Seen(norm, names[norm])
            with seen.watching():
                for batch in batches():
                    forward(model, batch)
            seen.settle()
    return [names[norm] for norm in order]


def recalibrate_in_one_pass(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[nn.Module, Any], Any],
    norms: Collection[nn.Module] | None = None,
) -> list[str]:
    """`recalibrate` in one pass for all layers: each normalises a batch by that batch's own statistics, as in training.

    All else is in eval mode (nothing is dropped), and the statistics are pooled as there. So the first layer's are the same;
    a later layer's are those behind layers with the statistics of one batch instead of all, which is as much off as those
    scatter from batch to batch. With one batch the two differ by the factor n/(n − 1) of unbiased variances alone.

    Args:
        model: as for `recalibrate`.
        batches: the data.
        forward: as for `recalibrate`.
        norms: the batch norms to set, or None for all; the others keep what they have.

    Returns:
        The names of the layers that were set, in the order of the modules; a layer that no batch came to is left alone.

    Raises:
        ValueError: as for `recalibrate`.
    """
    names = {norm: name for norm, name in batch_norms(model).items() if norms is None or norm in norms}
    with torch.no_grad(), _evaluating(model), _unless_it_fails(names), ExitStack() as stack:
        watched = [_Seen(norm, name) for norm, name in names.items()]
        for seen in watched:
            stack.enter_context(seen.watching(at_once=True))
        empty = True
        for batch in batches:
            empty = False
            forward(model, batch)
        if empty:
            raise ValueError(_NO_BATCH)
        called = [seen for seen in watched if seen.count]
        for seen in called:
            seen.settle()
    return [seen.name for seen in called]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In eval mode, and as it is written where it was compiled: compiled code does not call hooks that came later."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and the import takes a second
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _unless_it_fails(norms: Iterable[_BatchNorm]) -> Iterator[None]:
    """Put the statistics back when the block raises."""
    before = [(old, old.clone()) for norm in norms for old in _statistics(norm)]
    try:
        yield
    except BaseException:
        for old, value in before:
            old.copy_(value)
        raise


_NO_BATCH = "recalibrate: the data gave no batch; pass a function that starts a new pass, not an iterator"


def _first(batches: Callable[[], Iterable[Any]]) -> Any:
    for batch in batches():
        return batch
    raise ValueError(_NO_BATCH)


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None  # those of `batch_norms` have both
    assert var is not None
    return mean, var


@final
class _Seen:
    """Count, mean and squared deviations per channel of a layer's inputs; groups are joined as Chan et al. (1979) join them."""

    def __init__(self, norm: _BatchNorm, name: str) -> None:
        self.norm, self.name = norm, name
        self.count, self.mean, self.squares = 0, torch.zeros(()), torch.zeros(())

    @contextmanager
    def watching(self, *, at_once: bool = False) -> Iterator[None]:
        """Take in what the layer sees; `at_once`, it is given the statistics of each input for that input."""

        def see(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            own = self._join((*args, *named.values())[0])
            if at_once:
                self._write(*own)

        hook = self.norm.register_forward_pre_hook(see, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def settle(self) -> None:
        """Give the layer the mean and the unbiased variance of all that it saw."""
        if self.count < 2:
            what = f"{self.name} saw {self.count} numbers per channel, of which there is no variance"
            raise ValueError(f"recalibrate: {what}; give more data")
        self._write(self.mean, self.squares / (self.count - 1))

    def _join(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = x.to(torch.float32 if x.device.type == "mps" else torch.float64)  # Apple's GPUs have no float64
        others = [dim for dim in range(wide.ndim) if dim != 1]  # all but the channels
        centres = wide.mean(others, keepdim=True)
        var, centre = (wide - centres).square().mean(others), centres.flatten()  # a quarter of var_mean's time
        n = wide.numel() // wide.shape[1]
        shift = centre - self.mean
        self.squares = self.squares + n * var + shift.square() * (self.count * n / (self.count + n))
        self.mean = self.mean + shift * (n / (self.count + n))
        self.count += n
        return centre, var

    def _write(self, mean: Tensor, var: Tensor) -> None:
        for old, new in zip(_statistics(self.norm), (mean, var), strict=True):
            old.copy_(new)
