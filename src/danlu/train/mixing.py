"""Mixup, cutmix and their like in a run, with whatever loss it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import nn

from danlu.data.mix import Mixed, Mixing
from danlu.loss import LossSum, as_loss_sum
from danlu.ranges import Fraction, check, hints
from danlu.train.callback import Callback
from danlu.train.clock import Clock

__all__ = ["Mix", "of_mixed"]


@final
class Mix(Callback):
    """Mixes each batch (x, y) in one of several ways, keyed by (seed, step), and weighs its loss by what was mixed.

    One forward pass per batch; the run's own loss is asked twice, for the targets of either part, and added up as
    λ·ℓ(y) + (1 − λ)·ℓ(y_π), counts and measures likewise. So it goes with smoothing, class weights and ignored targets,
    and window sums stay exact. Evaluations see the data and the loss as they are.

    Args:
        *ways: such as ``Mixup(0.2), Cutmix(1.0)``; each batch takes one of them, all equally often.
        last: the part of the run at its end that sees unmixed data; 0.1 for the last tenth.

    Raises:
        ValueError: without any way, or for a part that is not in [0, 1].
    """

    phase = -10

    def __init__(self, *ways: Mixing, last: Fraction = 0.0) -> None:
        check("Mix", hints(Mix.__init__), {"last": last})
        if not ways:
            raise ValueError("Mix: needs a way to mix, such as Mix(Mixup(0.2))")
        self.ways, self.last = ways, last

    def batch(self, batch: Any, draw: torch.Generator, clock: Clock) -> Any:
        """Return the batch mixed.

        Raises:
            TypeError: for a batch of another form than (inputs, targets).
        """
        if self.last and clock.progress >= 1.0 - self.last:
            return batch
        if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
            what = f"{type(batch).__name__} of {len(batch)}" if hasattr(batch, "__len__") else type(batch).__name__
            raise TypeError(f"Mix: takes batches (inputs, targets), got a {what}; let the loader make pairs")
        inputs, targets = batch
        way = int(torch.randint(len(self.ways), (), generator=draw))
        return self.ways[way](inputs, targets, draw)

    def loss(self, loss: Callable[[nn.Module, Any], Any]) -> Callable[[nn.Module, Any], Any]:
        """Return the loss that also takes mixtures."""
        return lambda model, batch: of_mixed(loss, model, batch) if isinstance(batch, Mixed) else loss(model, batch)


def of_mixed(loss: Callable[[nn.Module, Any], Any], model: nn.Module, batch: Mixed) -> LossSum:
    """λ·loss of (inputs, targets) + (1 − λ)·loss of (inputs, partners), with one forward pass.

    Args:
        loss: ``loss(model, (inputs, targets))``, a `LossSum` or (sum, count), which uses the model by calling it on the
            inputs; what it calls has the outputs ready, and no other attribute of the model.
        model: called once.
        batch: the mixtures.

    Returns:
        The sum, the count and the parts, each the weighted mean of the two, and the measures that both have.

    Raises:
        ValueError: when one of the two has a part that the other has not.
    """
    ready = _Answer(model(batch.inputs))
    first = as_loss_sum(loss(ready, (batch.inputs, batch.targets)))
    second = as_loss_sum(loss(ready, (batch.inputs, batch.partners)))
    if lone := first.parts.keys() ^ second.parts.keys():
        raise ValueError(f"Mix: only one of the two mixed targets has the part {min(lone)!r} of the loss; give it to both")
    return LossSum(
        _between(second.total, first.total, batch.weight),
        _between(second.count, first.count, batch.weight),
        _common(first.measures, second.measures, batch.weight),
        _common(first.parts, second.parts, batch.weight),
    )


@final
class _Answer(nn.Module):
    """Returns what it was made with."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *inputs: Any, **options: Any) -> Any:
        return self.answer


def _common(first: Mapping[str, Any], second: Mapping[str, Any], weight: float) -> dict[str, tuple[Any, Any]]:
    common = [name for name in first if name in second]
    return {name: tuple(_between(b, a, weight) for a, b in zip(first[name], second[name], strict=True)) for name in common}


def _between(start: Any, end: Any, weight: float) -> Any:
    return start + weight * (end - start)  # equal counts stay whole
