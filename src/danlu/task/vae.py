"""A generative task: a variational autoencoder of handwritten digits, with pictures of what it has learnt."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from danlu.data import TensorLoader
from danlu.loss import LossSum
from danlu.registry import Registry
from danlu.task.digits import read, split
from danlu.task.models.vae import VAE
from danlu.task.task import Choice, Data, Defaults, Task
from danlu.task.vae_pictures import pictures

__all__ = ["elbo", "load", "vae"]

_DOTS = 16  # of the scan in a pixel


def elbo(model: nn.Module, batch: tuple[Tensor, ...]) -> LossSum:
    """−ELBO in nats per image: E_q[−log p(x|z)] + KL(q(z|x) ‖ N(0, 1)), the expectation taken at one draw of z.

    A pixel k ∈ {0 … 16} counts the inked dots of a 4×4 block of the scan, so p(k|z) is binomial, with π the decoder's chance of
    ink: −log p = −log C(16, k) − k·log π − (16 − k)·log(1 − π), 16 times the binary cross-entropy of k/16 up to a constant. The
    ELBO is a lower bound of log p(x), in nats. KL = ½·Σ(μ² + σ² − 1 − log σ²).

    Args:
        model: gives `danlu.task.models.Coded` for images.
        batch: images k/16 of shape (N, 1, 8, 8) first.

    Returns:
        The reconstruction as the total, over N images; the part "kl", over N images; the measures "reconstruction" and "elbo",
        over images, and "pixel_error", the mean |k/16 − π| over pixels.
    """
    images, n = batch[0], len(batch[0])
    mean, log_variance, logits = model(images)
    dots = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    reconstruction = _DOTS * dots - _log_ways(images).sum()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    error = (images - logits.sigmoid()).abs().sum()
    measures = {
        "reconstruction": (reconstruction, n),
        "elbo": (-(reconstruction + kl), n),
        "pixel_error": (error, images.numel()),
    }
    return LossSum(reconstruction, n, measures, parts={"kl": (kl, n)})


def _log_ways(images: Tensor) -> Tensor:
    """Return log C(16, k) for pixels k/16."""
    k = _DOTS * images
    return math.lgamma(_DOTS + 1) - torch.lgamma(k + 1) - torch.lgamma(_DOTS - k + 1)


def load(*, batch: int, seed: int) -> Data:
    """Take the split of `danlu.task.digits`, with the pixels k/16 as they are: jittered ones would be no counts any more.

    Args:
        batch: images of a training batch.
        seed: what the order of the training images depends on.

    Returns:
        Batches of images (N, 1, 8, 8) and their digits (N,), which the loss does not look at.
    """
    images, labels = read()
    train, test = split(len(labels))
    held_out = TensorLoader(images[test], labels[test], batch=len(test), shuffle=False)
    plain = TensorLoader(images[train], labels[train], batch=batch, seed=seed)

    @torch.no_grad()
    def neighbours(model: Any) -> str:
        known, asked = model.encode(images[train])[0], model.encode(images[test])[0]
        nearest = torch.cdist(asked, known).topk(5, largest=False).indices
        right = (labels[train][nearest].mode(-1).values == labels[test]).double().mean()
        return f"the five nearest training images in the plane name {right:.1%} of {len(test)} held-out digits"

    draw = partial(pictures, images=images[test], labels=labels[test])
    return Data(plain, held_out, neighbours, draw=draw)


_models: Registry[Choice] = Registry("model of vae")
_models.add(
    "plane",
    Choice(
        VAE,
        "two hidden layers to a latent plane and back",
        Defaults(
            "100ep", 64, {"name": "adamw", "lr": 1e-3, "weight_decay": 0.0}, {"name": "cosine", "warmup": "5%"}, threads=1
        ),
    ),
)

vae = Task("vae", "handwritten digits drawn from a plane: a variational autoencoder", "image", _models, "plane", load, elbo)
