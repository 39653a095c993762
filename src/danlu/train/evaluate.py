"""Evaluation: the mean loss and measures over all items of all batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn

from danlu.loss import as_loss_sum
from danlu.train.batch import device_of, to_device
from danlu.train.metrics import Metric, Ratio
from danlu.train.precision import Precision, autocast
from danlu.train.ranks import RankError, Ranks
from danlu.train.tally import Tally

__all__ = ["Predict", "evaluate", "predict_pair"]

Predict: TypeAlias = Callable[[nn.Module, Any], tuple[Any, ...]]
"""``predict(model, batch)`` returns what metrics are told of a batch, usually (prediction, target)."""


def predict_pair(model: nn.Module, batch: Any) -> tuple[Any, ...]:
    """Return (model(x), y) of a batch (x, y).

    Raises:
        TypeError: for a batch of another form.
    """
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        raise TypeError("metrics: a batch is no pair (x, y); pass predict=, a function (model, batch) -> (prediction, target)")
    return model(batch[0]), batch[1]


def evaluate(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Any],
    batches: Iterable[Any],
    prefix: str = "valid",
    precision: Precision = "fp32",
    *,
    metrics: Mapping[str, Metric] | None = None,
    predict: Predict = predict_pair,
) -> dict[str, float]:
    """(Σ totals)/(Σ counts) over all batches, in eval mode and without gradients; exact for ragged batches.

    With a model in DistributedDataParallel each rank gives the batches of its own share, of any number and size, and
    the result is that of all, on every rank. Give no item twice: shares need no padding. Buffers, such as BatchNorm's
    running statistics, become those of the first rank, so that all judge the same model.

    Every module goes back to the mode that it was in, also when the loss function raises.

    Args:
        model: what is evaluated.
        loss: ``loss(model, batch)``, as in training; a bare mean is refused, since batches may differ in size.
        batches: the data; moved to the model's device.
        prefix: of the names.
        precision: of the forward pass, as in `Update`.
        metrics: name → metric, such as `danlu.train.Accuracy` or one of torchmetrics; they are reset first. They cost a
            second forward pass: what is a sum and a count is had for nothing as a measure of the loss.
        predict: what the metrics are told of a batch.

    Returns:
        ``{"valid/loss": …}``, one entry per measure and one per metric; nan where nothing was counted.

    Raises:
        ValueError: when there is no batch on any rank, or a metric has the name of a measure, or is no single number.
        RankError: when another rank failed.
    """
    told = dict(metrics or {})
    for metric in told.values():
        metric.reset()
    modes = [(module, module.training) for module in model.modules()]
    device, ranks = device_of(model), Ranks(model)
    tally, batch_count = Tally(), 0
    ranks.share_buffers()
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                there = to_device(batch, device)
                with autocast(precision, device):
                    part = as_loss_sum(loss(ranks.inner, there)).detach()
                    seen = predict(ranks.inner, there) if told else ()
                for metric in told.values():
                    metric.update(*seen)
                tally.add(part.total, part.count, part.measures, part.parts)
                batch_count += 1
    except Exception:
        ranks.gather(None)  # the others come to it, too
        raise
    finally:
        for module, training in modes:
            module.training = training
    own = {name: metric for name, metric in told.items() if isinstance(metric, Ratio)}  # others sum over ranks themselves
    shares = ranks.gather((tally, batch_count, {name: (metric.total, metric.count) for name, metric in own.items()}))
    if any(share is None for share in shares):
        raise RankError("another rank failed in this evaluation; its own message says why")
    if not sum(count for _, count, _ in shares):
        raise ValueError(f"evaluate: the {prefix} data gave no batch; a generator can be read only once, give a list")
    whole = Tally()
    whole.join(share for share, _, _ in shares)
    for name, metric in own.items():
        metric.total, metric.count = (sum(sums[name][i] for _, _, sums in shares) for i in (0, 1))
    found = whole.means(prefix)
    for name, metric in told.items():
        if f"{prefix}/{name}" in found:
            raise ValueError(f"evaluate: the loss has a measure {name!r} already; give the metric another name")
        found[f"{prefix}/{name}"] = _number(name, metric.compute())
    return found


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"evaluate: metric {name!r} is no single number but {type(value).__name__}; reduce it") from None
