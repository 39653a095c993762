"""What a surface is: a function of one parameter, with the plane on which it is looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from torch import Tensor

from danlu.docstrings import first_line
from danlu.ranges import check, hints
from danlu.registry import Registry, refuse_unknown, snake

__all__ = ["SURFACES", "Domain", "Surface", "create", "register", "surfaces"]


class Domain(NamedTuple):
    """The rectangle of the plane that a picture shows."""

    left: float
    right: float
    bottom: float
    top: float


class Surface(ABC):
    """A function of one parameter of the given shape, in float64, seen on a plane with coordinates (x, y).

    A subclass is a frozen dataclass whose annotations carry the ranges of its fields; the first line of its docstring is the
    formula.
    """

    shape: ClassVar[tuple[int, ...]] = (2,)
    domain: ClassVar[Domain]
    start: ClassVar[tuple[float, float]]
    minima: ClassVar[tuple[tuple[float, float], ...]]  # on the plane; empty when there is none
    lowest: ClassVar[float | None]  # the value at the minima; None when the function has no lower bound
    cost: ClassVar[int] = 1  # of a value and its gradient, in those of a function of two numbers
    source: ClassVar[str] = ""

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        check(snake(type(self)), hints(type(self)), given)

    @property
    def formula(self) -> str:
        """The law: the first line of the docstring."""
        return first_line(type(self))

    @abstractmethod
    def value(self, p: Tensor) -> Tensor:
        """Return f(p) for parameters of shape (…, *shape), each by itself."""

    def embed(self, points: Tensor) -> Tensor:
        """Return the parameters (…, *shape) at points (…, 2) of the plane."""
        return points

    def project(self, p: Tensor) -> Tensor:
        """Return the points (…, 2) of the plane nearest to parameters (…, *shape)."""
        return p

    def grid(self, columns: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return x (columns), y (rows) and f on the domain's grid, of shape (rows, columns)."""
        x = torch.linspace(self.domain.left, self.domain.right, columns, dtype=torch.float64)
        y = torch.linspace(self.domain.bottom, self.domain.top, rows, dtype=torch.float64)
        points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
        return x, y, self.value(self.embed(points))


SurfaceClass = TypeVar("SurfaceClass", bound=type[Surface])

SURFACES: Registry[type[Surface]] = Registry("surface")
"""The surfaces by name; add your own with the decorator `register`."""


def register(*, source: str) -> Callable[[SurfaceClass], SurfaceClass]:
    """Enter a surface into the table, under its class's name in snake case.

    Args:
        source: where the function was taken from.

    Returns:
        The decorator.
    """

    def add(cls: SurfaceClass) -> SurfaceClass:
        cls.source = source
        SURFACES.add(snake(cls), cls)
        return cls

    return add


def create(name: str, **options: Any) -> Surface:
    """Make a surface by its name, ``create("quadratic", condition=100.0, angle=30.0)``.

    Args:
        name: one of `surfaces`.
        **options: the surface's own arguments.

    Returns:
        The surface.

    Raises:
        UnknownNameError: for an unknown name, with the nearest ones.
        TypeError: for an option that the surface does not have.
        ValueError: for a value out of its range.
    """
    cls = SURFACES.get(name)
    refuse_unknown(f"surface {name!r}", options, hints(cls))
    return cls(**options)


def surfaces() -> list[str]:
    """Return the names that `create` takes, sorted."""
    return list(SURFACES)
