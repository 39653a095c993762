"""Shapes of a decay: a factor that falls from 1 to `floor` while the progress z = t/T goes from 0 to 1.

All but `Exponential` and `Steps`, which fall by ratios, `InverseSqrt`, and `OneCycle`, which rises before, are
factor(z) = floor + (1 − floor)·f(z), f(0) = 1, f(1) = 0. Both ends are exact, and the end holds for z > 1. `floor` is the
ratio lr_min/lr_max, so groups with different rates keep their proportions to the end. Times lr_max, with t counted in
updates or in epochs, these are the usual laws between lr_max and lr_min.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, final

from danlu.ranges import Fraction, Interval, Positive, Ratio, check, hints
from danlu.registry import snake

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "OneCycle",
    "Polynomial",
    "Rex",
    "Shape",
    "StableCosine",
    "Steps",
    "Wsd",
]

Inside = Annotated[float, Interval(0.0, 1.0, "neither")]


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

    SGDR's annealing (Loshchilov and Hutter, 2016, arXiv:1608.03983), one period; `Restarts` has several. After T it
    stays at lr_min, where `torch.optim.lr_scheduler.CosineAnnealingLR` rises again.

    Args:
        floor: lr_min/lr_max.
    """

    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, _half_wave(_progress(z)))


@final
@dataclass(frozen=True)
class Rex:
    """f(z) = (1 − z)/(1 − z/2): above a line all the way, and steepest at the end, for runs that are short.

    Source: Chen et al. 2021 (arXiv:2107.04197).

    Args:
        floor: lr_min/lr_max.
    """

    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        z = _progress(z)
        return _fall(self.floor, (1.0 - z) / (1.0 - z / 2.0))


@final
@dataclass(frozen=True)
class Exponential:
    """factor(z) = floor^z, so lr = lr_max·(lr_min/lr_max)^(t/T): the same percentage less at every update.

    torch's ``ExponentialLR(gamma)`` is ``floor=gamma**T``.

    Args:
        floor: lr_min/lr_max; 0 has no such curve.
    """

    floor: Ratio = 0.01

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return self.floor ** _progress(z)


@final
@dataclass(frozen=True)
class InverseSqrt:
    """factor(z) = 1/√(1 + (floor⁻² − 1)·z): as one over the root of the updates, from 1 to `floor` (Vaswani et al. 2017).

    With the floor √(W/T) it is η·√(W/k) from update k = W on, the schedule of transformers (arXiv:1706.03762, section 5.3),
    which does not ask how long the run will be; ours holds its end after T, where that goes on.

    Args:
        floor: lr_min/lr_max, the factor at the end; 0.1 is a warm-up of a hundredth of the run.
    """

    floor: Ratio = 0.1

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        z = _progress(z)
        return self.floor if z == 1.0 else max(self.floor, 1.0 / math.sqrt(1.0 + (self.floor**-2 - 1.0) * z))


@final
@dataclass(frozen=True)
class OneCycle:
    """From `start` up to 1 at z = r along half a wave of the cosine, then down to `floor` along another: one cycle.

    The rise is its warm-up, so that `Schedule` refuses another one. The phases end at z = r and z = 1, as in optax; torch's
    ``OneCycleLR`` ends both one update earlier, and also moves the momentum, which this does not. A rise along a line is
    ``Cosine(floor)`` with a warm-up of 30 %.

    Source: Smith and Topin 2017 (arXiv:1708.07120), with fastai's waves and numbers.

    Args:
        rise: r, a share of the run.
        start: the first rate over lr_max.
        floor: the last one over lr_max.
    """

    rise: Inside = 0.3
    start: Fraction = 0.04
    floor: Fraction = 4e-6

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        z = _progress(z)
        if z < self.rise:
            return _fall(self.start, 1.0 - _half_wave(z / self.rise))
        return _fall(self.floor, _half_wave((z - self.rise) / (1.0 - self.rise)))


@final
@dataclass(frozen=True)
class Steps:
    """factor(z) = γⁿ, n the number of drops at or before z: step decay, level in between.

    A drop at a counts from update t = a·T on, as in torch's ``MultiStepLR(milestones, gamma)`` and optax; timm drops one
    update earlier. ``StepLR`` is drops at equal distances.

    Args:
        at: where it drops, as shares of the decay: after half and three quarters of it.
        gamma: γ, what is left at each.
    """

    at: tuple[Inside, ...] = (0.5, 0.75)
    gamma: Ratio = 0.1

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "at", tuple(self.at))

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        z = _progress(z)
        return math.prod(self.gamma for at in self.at if at <= z)


@final
@dataclass(frozen=True)
class Wsd:
    """f(z) = 1 until z = 1 − d, then 1 − q^p, q from 0 to 1 over the last share d: warm-up, stable, decay; a trapezoid.

    The level part does not depend on the length of the run (Hu et al. 2024, arXiv:2404.06395; Hägele et al. 2024,
    arXiv:2405.18392, for p = ½).

    Args:
        decay: d, a share of what comes after the warm-up; 1 has no level part.
        power: p; 1 is a line, ½ is 1 − √q, which falls early, 2 is 1 − q².
        floor: lr_min/lr_max.
    """

    decay: Ratio = 0.2
    power: Positive = 1.0
    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, 1.0 - _behind(z, self.decay) ** self.power)


@final
@dataclass(frozen=True)
class StableCosine:
    """`Wsd` whose fall is half a wave of the cosine: f(z) = 1 until z = 1 − d, then ½·(1 + cos πq).

    Args:
        decay: d, a share of what comes after the warm-up; 1 is `Cosine`.
        floor: lr_min/lr_max.
    """

    decay: Ratio = 0.2
    floor: Fraction = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, z: float) -> float:
        """Return the factor at z ≥ 0."""
        return _fall(self.floor, _half_wave(_behind(z, self.decay)))


def _half_wave(q: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * q))


def _behind(z: float, decay: float) -> float:
    """q, how much of the last share `decay` is over."""
    return max(0.0, 1.0 - (1.0 - _progress(z)) / decay)


def _progress(z: float) -> float:
    if not z >= 0.0:  # nan is caught here too
        raise ValueError(f"schedule: progress z must be at least 0, got {z!r}")
    return min(z, 1.0)


def _fall(floor: float, f: float) -> float:
    # At f = 1 this is 1 exactly for every floor: 1 − floor is off by at most 2⁻⁵⁴, and 1 − 2⁻⁵⁴ rounds to 1.
    return floor + (1.0 - floor) * f


def _check(shape: Any) -> None:
    check(snake(type(shape)), hints(type(shape)), vars(shape))
