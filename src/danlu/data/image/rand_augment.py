"""Some laws out of a list, drawn for each image, all of one strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from danlu.data.augmentation import Augmentation, Chain, named
from danlu.data.image.colour import Brightness, Contrast, Saturation
from danlu.data.image.warp import Affine
from danlu.ranges import Fraction, Steps
from danlu.registry import did_you_mean

__all__ = ["RandAugment"]

_LAWS: Mapping[str, Callable[[float], Augmentation]] = {
    "nothing": lambda m: Chain(),
    "rotate": lambda m: Affine(degrees=30.0 * m),
    "shear": lambda m: Affine(degrees=0.0, shear=0.3 * m),
    "shift": lambda m: Affine(degrees=0.0, shift=0.45 * m),
    "brightness": lambda m: Brightness(0.9 * m),
    "contrast": lambda m: Contrast(0.9 * m),
    "saturation": lambda m: Saturation(0.9 * m),
}
"""At m = 1 they reach as far as the paper's at its magnitude 10."""


@named(source="Cubuk et al., 2020 (RandAugment), arXiv:1909.13719")
@final
@dataclass(frozen=True)
class RandAugment(Augmentation):
    """Of a list of laws `picks` are drawn for each image, evenly and with repetition, and applied in turn at magnitude m.

    Two numbers for a whole policy: more picks and a larger m suit larger models and longer runs. Images in [0, 1].

    Departs from the paper, whose laws act at ±m: these draw their strength up to m, which the paper tried too and found
    as good. Its auto-contrast, equalise, posterise, solarise and sharpness are not there; rotations read bilinearly, a shear
    is along the rows, and a shift is in both directions at once.

    Args:
        picks: laws for each image; 0 is off.
        magnitude: m, a tenth of the paper's; the defaults are what it found for ResNet-50 on ImageNet.
        laws: the list: "nothing", "rotate" (up to 30°·m), "shear" (0.3·m), "shift" (0.45·m of the size), "brightness",
            "contrast" and "saturation" (factors 1 ± 0.9·m), or augmentations of your own, such as ``Cutout(8)``, that keep
            the shape and have the strength that they have.

    Raises:
        ValueError: for a name that is no law, no law at all, or an augmentation of tokens.
    """

    picks: Steps = 2
    magnitude: Fraction = 0.9
    laws: tuple[str | Augmentation, ...] = tuple(_LAWS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.laws, str) or not self.laws:
            raise ValueError(f"RandAugment: laws must be a list with at least one law, got {self.laws!r}")
        for law in self.laws:
            if isinstance(law, str) and law not in _LAWS:
                raise ValueError(f"RandAugment: no law {law!r}{did_you_mean(law, _LAWS)}")
            if not isinstance(law, str) and law.dims != self.dims:
                raise ValueError(f"RandAugment: its laws must be of images, got {type(law).__name__}")

    def numbers(self, shape: Sequence[int]) -> int:
        """Return one for each pick, and as many as the law that needs most."""
        return self.picks * (1 + max(law.numbers(shape) for law in self._made()))

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Give each image its laws; each law is computed for the images that drew it."""
        made = self._made()
        for own in u.chunk(self.picks, 1) if self.picks else ():
            drawn = (own[:, 0] * len(made)).long()
            after = batch.clone()
            for k, law in enumerate(made):
                rows = (drawn == k).nonzero()[:, 0]
                if len(rows):
                    after[rows] = law.apply(batch[rows], own[rows, 1 : 1 + law.numbers(batch.shape[1:])])
            batch = after
        return batch

    def _made(self) -> list[Augmentation]:
        return [_LAWS[law](self.magnitude) if isinstance(law, str) else law for law in self.laws]
