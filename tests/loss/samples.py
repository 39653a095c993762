"""Each loss of the registry on random data: what its laws are tested on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from danlu.loss import (
    GradNorm,
    GradTail,
    SmoothOthers,
    SoftMedian,
    TrimmedMean,
    WinsorizedMean,
    bi_tempered,
    binary_cross_entropy,
    binary_focal,
    cross_entropy,
    focal,
    huber,
    logit_adjusted,
    mean_squared_error,
    soft_cross_entropy,
    z_loss,
)

__all__ = ["CLASSES", "SAMPLES", "Sample", "ranked"]

CLASSES = 5
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.1, 3.0], dtype=torch.float64)


@dataclass(frozen=True)
class Sample:
    """A loss of (x, target, mask): x (n, 3, K) asks for gradients; targets are classes or numbers; the mask is (n, 3).

    What is absent holds nan in x.
    """

    call: Callable
    law: Callable | None = None  # for what couples items: the reduction

    def __call__(self, batch):
        return self.call(*batch)


def _soft(x, y, mask):
    q = functional.one_hot(y.clamp_min(0), CLASSES).to(x) * 0.7 + 0.3 * torch.arange(CLASSES).to(x) / 10
    return soft_cross_entropy(x, q, mask=mask, smoothing=SmoothOthers(0.2), class_weights=WEIGHTS)


def _elements(loss, **options):
    """A loss of elements: the target is 0 or 1, or a number, by class."""

    def call(x, y, mask):
        target = ((y[..., None] + torch.arange(CLASSES)) % 2).to(x)
        return loss(x, target, mask=mask[..., None].expand_as(x), **options)

    return call


def ranked(law):
    return Sample(lambda x, y, mask: cross_entropy(_held(x, mask), y, reduce=law), law)


def _held(x, mask):
    """A target that is ignored makes no promise about nan in its logits, as in torch."""
    return torch.where(mask[..., None], x, 0.0)


def _classes(loss, **options):
    return Sample(lambda x, y, mask: loss(_held(x, mask), y, **options))


def _tail():
    """One that has learnt a direction and a spread."""
    tail = GradTail(amplitude=3.0)
    draw = torch.Generator().manual_seed(5)
    for _ in range(3):
        x = torch.randn(8, CLASSES, generator=draw, dtype=torch.float64)
        tail(x, x.roll(1, -1), torch.randint(CLASSES, (8,), generator=draw))
        tail.advance()

    def call(x, y, mask):
        tail.discard()
        z = _held(x, mask)
        return tail(z, z.detach().roll(1, -1), y)

    return Sample(call)


def _norm():
    shared = torch.ones(CLASSES, dtype=torch.float64, requires_grad=True)
    balance = GradNorm(["nll", "size"], shared)
    balance.load_state_dict({"weights": {"nll": 0.7, "size": 1.3}, "initial": {"nll": 1.0, "size": 1.0}})

    def call(x, y, mask):
        balance.discard()
        z = shared * x
        return balance({"nll": cross_entropy(_held(z, mask), y), "size": z_loss(z, mask=mask)})

    return Sample(call)


SAMPLES = {
    "bi_tempered": _classes(bi_tempered, smoothing=SmoothOthers(0.1)),
    "binary_cross_entropy": Sample(_elements(binary_cross_entropy, smoothing=0.1)),
    "binary_focal": Sample(_elements(binary_focal)),
    "cross_entropy": _classes(cross_entropy, smoothing=SmoothOthers(0.1), class_weights=WEIGHTS),
    "focal": _classes(focal, class_weights=WEIGHTS, gamma=1.5),
    "grad_norm": _norm(),
    "grad_tail": _tail(),
    "huber": Sample(_elements(huber, delta=0.7)),
    "logit_adjusted": Sample(lambda x, y, mask: logit_adjusted(_held(x, mask), y, WEIGHTS, tau=1.5)),
    "mean_squared_error": Sample(_elements(mean_squared_error)),
    "soft_cross_entropy": Sample(_soft),
    "soft_median": ranked(SoftMedian(0.2)),
    "trimmed_mean": ranked(TrimmedMean(0.1, 0.2)),
    "winsorized_mean": ranked(WinsorizedMean(0.1, 0.2)),
    "z_loss": Sample(lambda x, y, mask: z_loss(x, mask=mask)),
}
