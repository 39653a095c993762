"""Functions of two numbers, each with what it is good for showing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from danlu.ranges import Interval
from danlu.surface.surface import Domain, Surface, register

__all__ = [
    "Beale",
    "Cliff",
    "Condition",
    "Degrees",
    "Himmelblau",
    "MonkeySaddle",
    "Plateau",
    "Quadratic",
    "Rastrigin",
    "Ravine",
    "Rosenbrock",
    "Saddle",
    "StyblinskiTang",
]

Condition = Annotated[float, Interval(1.0, 1e6)]
Degrees = Annotated[float, Interval(-90.0, 90.0)]


@register(source="textbook")
@dataclass(frozen=True)
class Quadratic(Surface):
    """f = ½(a² + κ·b²), (a, b) = (x, y) turned by −angle.

    Gradient descent needs lr < 2/κ. Rules that scale each coordinate (Adam) undo κ at angle 0 and not at 45°: turn it.

    Args:
        condition: κ, the ratio of the curvatures.
        angle: of the flat direction to the x axis, in degrees.
    """

    condition: Condition = 30.0
    angle: Degrees = 0.0

    domain = Domain(-4.0, 4.0, -3.0, 3.0)
    start = (-3.2, 1.6)
    minima = ((0.0, 0.0),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        c, s = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        a, b = c * x + s * y, c * y - s * x
        return 0.5 * (a * a + self.condition * b * b)


@register(source="Rosenbrock 1960, Comput. J. 3, 175-184")
@dataclass(frozen=True)
class Rosenbrock(Surface):
    """f = (1 − x)² + 100·(y − x²)²: a bent valley, quick to find and slow to follow."""

    domain = Domain(-2.2, 2.2, -1.2, 3.2)
    start = (-1.5, 2.0)
    minima = ((1.0, 1.0),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        return (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2


@register(source="Rastrigin 1974; Mühlenbein, Schomisch and Born 1991")
@dataclass(frozen=True)
class Rastrigin(Surface):
    """f = 20 + Σ(xᵢ² − 10·cos 2πxᵢ): a bowl under a regular grid of local minima."""

    domain = Domain(-5.12, 5.12, -5.12, 5.12)
    start = (-3.3, 2.6)
    minima = ((0.0, 0.0),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        return 20.0 + (p * p - 10.0 * (2.0 * math.pi * p).cos()).sum(-1)


@register(source="Beale 1958, Princeton technical report 25")
@dataclass(frozen=True)
class Beale(Surface):
    """f = Σₖ (cₖ − x + x·yᵏ)², k = 1, 2, 3, c = (1.5, 2.25, 2.625): flat, with walls of huge gradients at the corners."""

    domain = Domain(-4.5, 4.5, -4.5, 4.5)
    start = (-1.5, 2.5)
    minima = ((3.0, 0.5),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        xy = x * y
        return (1.5 - x + xy) ** 2 + (2.25 - x + xy * y) ** 2 + (2.625 - x + xy * y * y) ** 2


@register(source="Himmelblau 1972, Applied Nonlinear Programming")
@dataclass(frozen=True)
class Himmelblau(Surface):
    """f = (x² + y − 11)² + (x + y² − 7)²: four equal minima; a basin map shows which one a start ends in."""

    domain = Domain(-6.0, 6.0, -6.0, 6.0)
    start = (-0.5, -0.5)
    minima = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.7793102533777469, -3.2831859912861694),
        (3.5844283403304917, -1.8481265269644036),
    )
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        return (x * x + y - 11.0) ** 2 + (x + y * y - 7.0) ** 2


@register(source="textbook; the quartic term gives it a minimum on each side")
@dataclass(frozen=True)
class Saddle(Surface):
    """f = ½x² − ½y² + ¼y⁴: a saddle at 0 between two minima at y = ±1; starts near y = 0 have to find the way out."""

    domain = Domain(-2.0, 2.0, -2.0, 2.0)
    start = (-1.6, 0.01)
    minima = ((0.0, 1.0), (0.0, -1.0))
    lowest = -0.25

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        return 0.5 * x * x - 0.5 * y * y + 0.25 * y**4


@register(source="textbook (Hilbert and Cohn-Vossen 1932); the quartic term bounds it")
@dataclass(frozen=True)
class MonkeySaddle(Surface):
    """f = x³ − 3x·y² + ¼(x² + y²)²: three ways down from 0, where the Hessian is zero too; minima at r = 3."""

    domain = Domain(-4.5, 4.5, -4.5, 4.5)
    start = (0.3, 0.02)
    minima = ((-3.0, 0.0), (1.5, 2.598076211353316), (1.5, -2.598076211353316))
    lowest = -6.75

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        return x**3 - 3.0 * x * y * y + 0.25 * (x * x + y * y) ** 2


@register(source="ours: the bowl r²/(1 + r²), whose gradient dies off like 2/r³")
@dataclass(frozen=True)
class Plateau(Surface):
    """f = r²/(1 + r²), r² = x² + y²: far from 0 almost no gradient; what is scale invariant does not notice."""

    domain = Domain(-8.0, 8.0, -6.0, 6.0)
    start = (-6.0, 4.0)
    minima = ((0.0, 0.0),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        r2 = (p * p).sum(-1)
        return r2 / (1.0 + r2)


@register(source="ours, after the cliffs of recurrent networks in Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063")
@dataclass(frozen=True)
class Cliff(Surface):
    """f = ½(x² + y²)/10 + 10·σ(20(−x − 1)): a slope that ends in a wall at x = −1; one step on the wall throws p far away.

    The wall's gradient is up to 50, the slope's below 1: clipping or normalizing is what helps.
    """

    domain = Domain(-4.0, 4.0, -3.0, 3.0)
    start = (-1.4, 2.0)
    minima = ()  # where the wall's tail meets the slope: 0 to eight digits, not exactly
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        return 0.05 * (p * p).sum(-1) + 10.0 * torch.sigmoid(20.0 * (-p[..., 0] - 1.0))


@register(source="ours: |y|-like walls, smooth on the scale of 0.01")
@dataclass(frozen=True)
class Ravine(Surface):
    """f = x²/20 + √(y² + 10⁻⁴) − 0.01: walls of constant slope 1 around a floor that falls gently to 0.

    The gradient across tells the side, never the distance, so that the steps across shrink only with lr: a schedule helps.
    """

    domain = Domain(-4.0, 4.0, -2.0, 2.0)
    start = (-3.5, 1.5)
    minima = ((0.0, 0.0),)
    lowest = 0.0

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        x, y = p.unbind(-1)
        return 0.05 * x * x + (y * y + 1e-4).sqrt() - 0.01


@register(source="Styblinski and Tang 1990, Neural Networks 3, 467-483")
@dataclass(frozen=True)
class StyblinskiTang(Surface):
    """f = ½·Σ(xᵢ⁴ − 16xᵢ² + 5xᵢ): four minima of four depths."""

    domain = Domain(-5.0, 5.0, -5.0, 5.0)
    start = (0.6, 4.2)
    minima = ((-2.9035340277711, -2.9035340277711),)
    lowest = -78.33233140754282

    def value(self, p: Tensor) -> Tensor:
        """Return f(p)."""
        return 0.5 * (p**4 - 16.0 * p * p + 5.0 * p).sum(-1)
