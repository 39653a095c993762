"""Draw the augmentations, a row each: the picture, then eight draws. ``python benchmarks/augmentations.py OUT.png``."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch

from danlu.data import AUGMENTATIONS, augmentations
from danlu.data.augmentation import create
from danlu.keyed import generator

DRAWS = 8
STRONGER = {"affine": {"degrees": 30.0, "zoom": 0.2, "shear": 0.2, "shift": 0.1}, "erase": {"probability": 1.0}}


def picture(size=48):
    """A coloured scene that has a left, a top and a grey gradient."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    sky = torch.stack((0.3 + 0.3 * y, 0.5 + 0.3 * y, torch.full_like(x, 0.9)))
    hill = y > 0.7 - 0.3 * torch.sin(3 * x)
    sun = (x - 0.25) ** 2 + (y - 0.25) ** 2 < 0.02
    scene = torch.where(hill, torch.tensor([0.2, 0.6, 0.25])[:, None, None], sky)
    return torch.where(sun, torch.tensor([1.0, 0.85, 0.2])[:, None, None], scene)


def main(out):
    mpl.use("Agg")
    names = [name for name in augmentations() if AUGMENTATIONS.get(name).kind == "images" and name != "normalise"]
    scene = picture()
    figure, axes = plt.subplots(len(names), DRAWS + 1, figsize=(DRAWS + 2.5, len(names)))
    for row, name in zip(axes, names, strict=True):
        law = create({"name": name, **STRONGER.get(name, {})})
        drawn = law(scene.expand(DRAWS, -1, -1, -1), generator("picture", name))
        for axis, x in zip(row, (scene, *drawn), strict=True):
            axis.imshow(x.clamp(0, 1).permute(1, 2, 0))
            axis.set_axis_off()
        row[0].set_title(name, x=-0.1, y=0.3, ha="right", fontsize=9)
    figure.subplots_adjust(0.14, 0.01, 0.99, 0.99, 0.05, 0.08)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(sys.argv[1])
