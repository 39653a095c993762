"""Label smoothing in its two definitions, which are one family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

from danlu.ranges import Fraction, check, hints

__all__ = ["SmoothAll", "SmoothOthers", "Smoothing", "share"]


class Smoothing(Protocol):
    """Targets (1 − ε)·q + ε/K over K classes: a share ε of the true distribution is spread evenly over all classes."""

    def uniform(self, classes: int) -> float:
        """Return ε in [0, 1], the number that torch calls ``label_smoothing``."""
        ...


@final
@dataclass(frozen=True)
class SmoothAll:
    """q_y = 1 − ε + ε/K, q_k = ε/K: ε is spread over all K classes, the true one included.

    Szegedy et al., 2015, arXiv:1512.00567; the ε of torch, timm and optax. ε = 1 is the uniform distribution.

    Args:
        eps: ε.
    """

    eps: Fraction

    def __post_init__(self) -> None:
        check("SmoothAll", _RANGES, vars(self))

    def uniform(self, classes: int) -> float:
        """Return ε itself."""
        return self.eps


@final
@dataclass(frozen=True)
class SmoothOthers:
    """q_y = 1 − ε, q_k = ε/(K − 1): ε is spread over the K − 1 other classes; ``SmoothAll(ε·K/(K − 1))``, exactly.

    The ε of source 000. So torch's 0.1 is 0.0999 here with 1000 classes, and 0.05 with two. The true class is the most
    probable one as long as ε < 1 − 1/K; at 1 − 1/K the distribution is uniform, and what lies above is refused.

    Args:
        eps: ε.
    """

    eps: Fraction

    def __post_init__(self) -> None:
        check("SmoothOthers", _RANGES, vars(self))

    def uniform(self, classes: int) -> float:
        """Return ε·K/(K − 1).

        Raises:
            ValueError: with fewer than two classes, or when the true class would get less than the others.
        """
        if classes < 2:
            raise ValueError(f"SmoothOthers: with {classes} class there are no others to spread eps over; drop the smoothing")
        spread = self.eps * classes / (classes - 1)
        if spread > 1.0 + 1e-12:  # ε = 1 − 1/K itself may round to above 1
            bound = f"eps must be at most 1 − 1/{classes}, got {self.eps!r}"
            raise ValueError(f"SmoothOthers: {bound}; above it the true class is the least probable one")
        return min(spread, 1.0)


def share(smoothing: Smoothing | None, classes: int) -> float:
    """Return how much of the target is spread evenly over all `classes`; 0 without smoothing."""
    return 0.0 if smoothing is None else smoothing.uniform(classes)


_RANGES = hints(SmoothAll)  # once, here: torch.compile cannot trace how they are found
