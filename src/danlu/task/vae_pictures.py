"""Pictures of a variational autoencoder of digits: where the classes lie, what the plane decodes to, what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["pictures"]

# After Tol's "muted" qualitative scheme, safe for colour-blind readers; ten is many, so the digit itself is the marker.
_COLOURS = ("#332288", "#3A9AC9", "#44AA99", "#117733", "#999933", "#B8860B", "#CC6677", "#882255", "#AA4499", "#000000")
_REACH, _GRID, _TILE = 4.0, 17, 9  # the largest coordinate drawn, tiles a side, pixels from one tile to the next


@torch.no_grad()
def pictures(model: Any, *, images: Tensor, labels: Tensor) -> Mapping[str, Figure]:
    """Draw the latent scatter by class, the latent manifold and reconstructions of images.

    Args:
        model: a `danlu.task.models.VAE` with a latent plane, in eval mode.
        images: held-out ones, (N, 1, 8, 8).
        labels: their digits, (N,).

    Returns:
        "latent", "manifold" and "reconstruction".
    """
    places = model.encode(images)[0]
    first = [int((labels == digit).nonzero()[0]) for digit in labels.unique()]
    back = model.decode(places[first])
    return {"latent": _scatter(places, labels), "manifold": _manifold(model), "reconstruction": _pairs(images[first], back)}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _scatter(places: Tensor, labels: Tensor) -> Figure:
    from matplotlib.patches import Circle

    figure = _figure(6.4, 6.0)
    axis = figure.subplots()
    for digit, colour in enumerate(_COLOURS):
        x, y = places[labels == digit].T.tolist()
        axis.scatter(x, y, s=42, marker=f"${digit}$", color=colour, linewidths=0.3)
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for radius, share in ((1.0, "39 %"), (2.0, "86 %")):  # 1 − exp(−r²/2) of a standard normal lie within
        axis.add_patch(Circle((0, 0), radius, fill=False, color="#808080", linewidth=0.7, linestyle=":", zorder=0))
        axis.annotate(share, (0, radius), color="#606060", fontsize=7, ha="center", va="center", bbox=ground, zorder=3)
    axis.set(xlabel="z₁", ylabel="z₂", title="Held-out digits in the latent plane", aspect="equal")
    axis.grid(color="#808080", alpha=0.2, linewidth=0.6)
    told = "each digit stands at its mean of q(z|x); dotted: how much of the prior N(0, 1) lies inside"
    figure.supxlabel(told, fontsize=8, color="#606060")
    return figure


def _manifold(model: Any) -> Figure:
    """Decode an even grid: what is learnt lies wider than the prior, since a wider place costs less than a blurred digit."""
    z = torch.linspace(-_REACH, _REACH, _GRID)
    grid = torch.cartesian_prod(z.flip(0), z).flip(1)  # rows from the top: z₂ falls, z₁ rises
    tiles = model.decode(grid.to(next(model.parameters()))).view(_GRID, _GRID, 8, 8)
    apart = functional.pad(tiles, (0, _TILE - 8, 0, _TILE - 8))
    whole = apart.permute(0, 2, 1, 3).reshape(_TILE * _GRID, _TILE * _GRID)
    figure = _figure(6.4, 6.6)
    axis = figure.subplots()
    axis.imshow(whole.cpu().numpy(), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    centres = [_TILE * i + 3.5 for i in range(_GRID)]
    axis.set_xticks(centres, [f"{x:.1f}" for x in z], fontsize=7)
    axis.set_yticks(centres, [f"{x:.1f}" for x in z.flip(0)], fontsize=7)
    axis.set(xlabel="z₁", ylabel="z₂", title="What the plane decodes to")
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure


def _pairs(images: Tensor, back: Tensor) -> Figure:
    figure = _figure(1.0 + 0.72 * len(images), 1.9)
    axes = figure.subplots(2, len(images), squeeze=False)
    for row, (name, shown) in enumerate((("held out", images), ("from z", back))):
        for axis, image in zip(axes[row], shown, strict=True):
            axis.imshow(image[0].cpu().numpy(), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        axes[row][0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle("An image of each digit, and what its place in the plane decodes to", fontsize=10)
    return figure
