"""Shapes of a decay: a factor that falls from 1 to `floor` while the progress z = t/T goes from 0 to 1.

Every shape is factor(z) = floor + (1 − floor)·f(z), f(0) = 1, f(1) = 0, both ends exact; it holds its end for z > 1.
`floor` is the ratio lr_min/lr_max, so groups with different rates keep their proportions to the end. Times lr_max,
with t counted in updates or in epochs, these are the usual laws between lr_max and lr_min.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, final

from danlu.ranges import Fraction, Positive, check, hints

__all__ = ["Constant", "Cosine", "Linear", "Polynomial", "Shape"]


class Shape(Protocol):
    """A pure function of the progress z; write your own as a frozen dataclass with this one method."""

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0: 1 at z = 0, the end value from z = 1 on."""
        ...


@final
@dataclass(frozen=True)
class Constant:
    """f(z) = 1: no decay."""

    def __call__(self, z: float) -> float:
        """Return 1 for every z ≥ 0."""
        _progress(z)
        return 1.0


@final
@dataclass(frozen=True)
class Linear:
    """f(z) = 1 − z, so lr = lr_max − (t/T)·(lr_max − lr_min).

    Args:
        floor: lr_min/lr_max.
    """

    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, 1.0 - _progress(z))


@final
@dataclass(frozen=True)
class Polynomial:
    """f(z) = (1 − z)^p, so lr = lr_min + (lr_max − lr_min)·(1 − t/T)^p.

    p = 1 is `Linear`; p > 1 falls early and lands softly, p < 1 stays high and falls late.

    Args:
        power: p.
        floor: lr_min/lr_max.
    """

    power: Positive = 1.0
    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, (1.0 - _progress(z)) ** self.power)


@final
@dataclass(frozen=True)
class Cosine:
    """f(z) = ½·(1 + cos(π·z)), so lr = lr_min + ½·(lr_max − lr_min)·(1 + cos(π·t/T)).

    SGDR's annealing (Loshchilov and Hutter, 2016, arXiv:1608.03983), one period, without the restarts. After T it
    stays at lr_min, where `torch.optim.lr_scheduler.CosineAnnealingLR` rises again.

    Args:
        floor: lr_min/lr_max.
    """

    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, 0.5 * (1.0 + math.cos(math.pi * _progress(z))))


def _progress(z: float) -> float:
    if not z >= 0.0:  # nan is caught here too
        raise ValueError(f"schedule: progress z must be at least 0, got {z!r}")
    return min(z, 1.0)


def _fall(floor: float, f: float) -> float:
    # At f = 1 this is 1 exactly for every floor: 1 − floor is off by at most 2⁻⁵⁴, and 1 − 2⁻⁵⁴ rounds to 1.
    return floor + (1.0 - floor) * f


def _check(shape: Any) -> None:
    check(type(shape).__name__.lower(), hints(type(shape)), vars(shape))
