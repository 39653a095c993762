"""A variational autoencoder for images of 8×8 pixels, with a plane to look at."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from danlu.keyed import generator

__all__ = ["VAE", "Coded"]


class Coded(NamedTuple):
    """What a VAE makes of images: q(z|x) = N(μ, σ²), and the logits of p(x|z) at one draw z."""

    mean: Tensor
    log_variance: Tensor
    logits: Tensor


@final
class VAE(nn.Module):
    """z = μ(x) + σ(x)·ε, ε ~ N(0, 1), and logits of the pixels from z; 99,908 parameters with a plane and width 256.

    In training ε comes from torch's own generator, which a `Trainer` seeds for every update; in eval mode from a generator
    with a fixed key, the same for every batch of one size, so that two evaluations differ by their weights alone.

    Kingma & Welling 2014 (arXiv:1312.6114), section 3, with GELU and two hidden layers.

    Args:
        latent: dimensions of z; 2 can be drawn.
        width: units of the hidden layer next to the pixels; the other has half as many.
    """

    def __init__(self, latent: int = 2, width: int = 256) -> None:
        super().__init__()
        half = width // 2
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.GELU(), nn.Linear(width, half), nn.GELU(), nn.Linear(half, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, half),
            nn.GELU(),
            nn.Linear(half, width),
            nn.GELU(),
            nn.Linear(width, 64),
            nn.Unflatten(-1, (1, 8, 8)),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and log σ² of images (N, 1, 8, 8), each (N, latent)."""
        mean, log_variance = self.encoder(images).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Return the probability of ink in every pixel, (N, 1, 8, 8), for places z (N, latent)."""
        return self.decoder(z).sigmoid()

    def forward(self, images: Tensor) -> Coded:
        """Encode, draw once, decode."""
        mean, log_variance = self.encode(images)
        if self.training:
            noise = torch.randn_like(mean)
        else:
            noise = torch.randn(mean.shape, generator=generator("vae", "evaluation")).to(mean)
        return Coded(mean, log_variance, self.decoder(mean + noise * (log_variance / 2).exp()))
