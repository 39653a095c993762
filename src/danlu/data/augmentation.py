"""What an augmentation is: a law that turns a batch and its uniform numbers into another batch."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, final

import torch
from torch import Tensor

from danlu.data.uniforms import seed_of, uniforms
from danlu.docstrings import first_line
from danlu.ranges import Fraction, check, hints
from danlu.registry import Registry, refuse_unknown, snake

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "AugmentationInfo",
    "Chain",
    "Sometimes",
    "augmentations",
    "create",
    "filled",
    "named",
]

Thing = TypeVar("Thing", bound=type)


@dataclass(frozen=True)
class Augmentation(ABC):
    """x′ᵢ = law(xᵢ, uᵢ) for each row i of a batch, with k uniform numbers uᵢ of its own.

    Refuses a batch with another number of dimensions (ValueError) and images of whole numbers (TypeError).
    Where the numbers come from decides what the result is a function of: a generator (`__call__`), or a seed and the
    samples' places in the data set (`keyed`). Both leave torch's other generators alone. Derive a frozen dataclass,
    its fields annotated with their ranges, and write `numbers` and `apply`.
    """

    dims: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check(type(self).__name__, hints(type(self)), vars(self))

    @abstractmethod
    def numbers(self, shape: Sequence[int]) -> int:
        """Return k for rows of this shape."""

    @abstractmethod
    def apply(self, batch: Tensor, u: Tensor) -> Any:
        """Return the new batch; `u` has shape (N, k) and is on the batch's device."""

    def keyed(self, batch: Tensor, seed: int, rows: Tensor) -> Any:
        """Augment with the numbers of (seed, rows[i], j), whatever else is in the batch.

        Args:
            batch: images (N, C, H, W) of floating point, or tokens (N, T), as the augmentation's kind says.
            seed: such as ``key(seed, "augment", epoch)``.
            rows: shape (N,), the samples' places in the data set.

        Returns:
            The new batch.
        """
        self._check(batch)
        return self.apply(batch, uniforms(seed, rows, self.numbers(batch.shape[1:])).to(batch.device))

    def __call__(self, batch: Tensor, draw: torch.Generator | None = None) -> Any:
        """Augment as a function of the batch and a generator, from which one number is drawn if any is needed.

        Args:
            batch: as in `keyed`; also one image (C, H, W).
            draw: on the CPU; None for torch's own, which `danlu.data.Loader` seeds for each sample.

        Returns:
            The new batch.
        """
        if self.dims == 4 and batch.ndim == 3:
            return self(batch[None], draw)[0]
        self._check(batch)
        seed = seed_of(draw) if self.numbers(batch.shape[1:]) else 0
        return self.keyed(batch, seed, torch.arange(len(batch)))

    def _check(self, batch: Tensor) -> None:
        owner = type(self).__name__
        if batch.ndim != self.dims:
            wanted = "images (N, C, H, W)" if self.dims == 4 else "tokens (N, T)"
            raise ValueError(f"{owner}: takes a batch of {wanted}, got shape {list(batch.shape)}")
        if self.dims == 4 and not batch.is_floating_point():
            raise TypeError(f"{owner}: takes images of floating point, got {batch.dtype}; use images.float() / 255")


@final
@dataclass(frozen=True, init=False)
class Chain(Augmentation):
    """One after the other; each has numbers of its own. An empty chain changes nothing.

    Args:
        *parts: of one kind; those after the first work on what it returned.

    Raises:
        ValueError: when some are of images and some of tokens.
    """

    parts: tuple[Augmentation, ...]

    def __init__(self, *parts: Augmentation) -> None:
        if len(kinds := {part.dims for part in parts}) > 1:
            names = ", ".join(type(part).__name__ for part in parts)
            raise ValueError(f"Chain: its parts must all be of images or all of tokens, got {names}")
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "dims", next(iter(kinds), type(self).dims))

    def numbers(self, shape: Sequence[int]) -> int:
        """Return the sum of the parts'."""
        return sum(part.numbers(shape) for part in self.parts)

    def apply(self, batch: Tensor, u: Tensor) -> Any:
        """Apply the parts in order."""
        shape = batch.shape[1:]
        for part, own in zip(self.parts, u.split([part.numbers(shape) for part in self.parts], 1), strict=True):
            batch = part.apply(batch, own)
        return batch


@final
@dataclass(frozen=True)
class Sometimes(Augmentation):
    """law(x) with probability p, else x; each image for itself. The law is computed for all of them.

    Args:
        part: of images, which keeps their shape.
        probability: p.
    """

    part: Augmentation
    probability: Fraction = 0.5

    def numbers(self, shape: Sequence[int]) -> int:
        """Return one more than the part's."""
        return 1 + self.part.numbers(shape)

    def apply(self, batch: Tensor, u: Tensor) -> Tensor:
        """Choose between the two."""
        return torch.where(u[:, 0, None, None, None] < self.probability, self.part.apply(batch, u[:, 1:]), batch)


@final
@dataclass(frozen=True)
class AugmentationInfo:
    """What the table knows of an augmentation.

    Args:
        name: the class's, in snake case.
        cls: the class.
        source: the paper or the code that the law was taken from.
        kind: what it works on: "images", "tokens", "texts" or "pairs" (of samples with their targets).
    """

    name: str
    cls: Callable[..., Any]
    source: str
    kind: str

    @property
    def summary(self) -> str:
        """The law: the first line of the docstring."""
        return first_line(self.cls)

    @property
    def options(self) -> dict[str, Any]:
        """The annotations of its arguments, ranges included."""
        return hints(self.cls)

    @property
    def defaults(self) -> dict[str, Any]:
        """What the arguments are when they are not given; those that must be given are not in it."""
        found = inspect.signature(self.cls).parameters.items()
        return {name: p.default for name, p in found if p.default is not p.empty}


AUGMENTATIONS: Registry[AugmentationInfo] = Registry("augmentation")
"""The table of augmentations."""


def named(*, source: str, kind: str = "images") -> Callable[[Thing], Thing]:
    """Enter a class into the table of augmentations.

    Args:
        source: as in `AugmentationInfo`.
        kind: as in `AugmentationInfo`.

    Returns:
        The decorator, which leaves the class as it is.
    """

    def add(thing: Thing) -> Thing:
        name = snake(thing)
        AUGMENTATIONS.add(name, AugmentationInfo(name, thing, source, kind))
        return thing

    return add


def augmentations() -> list[str]:
    """Return the names in the table, sorted."""
    return list(AUGMENTATIONS)


def create(entry: str | Mapping[str, Any]) -> Any:
    """Make what a recipe names.

    Args:
        entry: ``"flip"``, or a table ``{"name": "shift", "pixels": 1}``.

    Returns:
        The augmentation.

    Raises:
        UnknownNameError: for a name that is in no table.
        TypeError: for an option that it does not have, with the nearest names, or a table without a name.
        ValueError: for a value out of its range.
    """
    options = {} if isinstance(entry, str) else dict(entry)
    name = entry if isinstance(entry, str) else options.pop("name", None)
    if not isinstance(name, str):
        raise TypeError(f"an augmentation is a name or a table with a name, got {entry!r}")
    info = AUGMENTATIONS.get(name)
    refuse_unknown(name, options, info.options)
    return info.cls(**{key: tuple(x) if isinstance(x, list) else x for key, x in options.items()})


def filled(entry: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of what `create` takes with every argument in it, for records that later defaults must not change.

    Args:
        entry: as for `create`, with a name that is in the table.

    Returns:
        The name and the arguments, tuples as lists.
    """
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    full = {"name": options["name"], **AUGMENTATIONS.get(options["name"]).defaults, **options}
    return {key: list(x) if isinstance(x, tuple) else x for key, x in full.items()}
