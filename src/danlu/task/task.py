"""A task: real data, the models that suit it, and how each is trained when nothing else is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

import torch
from torch import Tensor, nn

from danlu.data import Chain, TensorLoader
from danlu.data.augmentation import create
from danlu.keyed import key
from danlu.loss import LossSum, cross_entropy
from danlu.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TASKS", "Choice", "Data", "Defaults", "Draw", "Loader", "Parts", "Task", "predict", "tasks"]


class Loader(Protocol):
    """Batches whose order and randomness are functions of the epoch's number."""

    def __len__(self) -> int:
        """Return the batches of one epoch."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of epoch number `epoch` from batch `start` on."""
        ...


Draw: TypeAlias = "Callable[[Any], Mapping[str, Figure]]"
"""``draw(model)`` returns pictures of a trained model by name."""


def predict(model: nn.Module, batch: tuple[Tensor, Tensor]) -> LossSum:
    """Cross-entropy of the model's logits for the batch's inputs against the batch's targets."""
    inputs, targets = batch
    return cross_entropy(model(inputs), targets)


@final
@dataclass(frozen=True)
class Defaults:
    """How a model is trained when neither recipe nor flags say otherwise: data, in the words of a recipe."""

    until: str
    batch: int
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    clip: float | None = None
    threads: int = 0
    augment: Sequence[Mapping[str, Any]] = ()


@final
@dataclass(frozen=True)
class Data:
    """A task's data, cut into batches.

    Args:
        train: what is trained on.
        test: what is held out.
        after: what to show of a trained model, as text.
        sizes: the arguments that a model of this data is built with.
        draw: the pictures of a trained model, name → matplotlib's figure; None for none.
    """

    train: Loader
    test: TensorLoader
    after: Callable[[nn.Module], str]
    sizes: Mapping[str, int] = field(default_factory=dict)
    draw: Draw | None = None


@final
@dataclass(frozen=True)
class Choice:
    """A model that suits a task: how it is built from the data's sizes, and the training that was measured for it."""

    build: Callable[..., nn.Module]
    summary: str
    defaults: Defaults


@final
@dataclass(frozen=True)
class Parts:
    """What a trainer needs: a freshly initialised model, its loss, the loaders, and what to show at the end."""

    model: nn.Module
    loss: Callable[[nn.Module, Any], LossSum]
    train: Loader
    test: TensorLoader
    after: Callable[[nn.Module], str]
    draw: Draw | None = None


@final
@dataclass(frozen=True)
class Task:
    """Data and models under a name.

    Args:
        name: what the command line calls it.
        summary: one line.
        item: what the loss counts, such as "image".
        models: the models by name.
        model: the one taken when none is named.
        load: reads the data; called as ``load(batch=…, seed=…)``, with ``augment=…`` if the task is augmentable.
        loss: ``loss(model, batch)``, a sum and a count.
        augmentable: whether the data are images with values in [0, 1], to be augmented and mixed.
    """

    name: str
    summary: str
    item: str
    models: Registry[Choice]
    model: str
    load: Callable[..., Data]
    loss: Callable[[nn.Module, Any], LossSum] = predict
    augmentable: bool = False

    def build(
        self,
        model: str | None = None,
        *,
        batch: int | None = None,
        seed: int = 0,
        augment: Sequence[str | Mapping[str, Any]] | None = None,
    ) -> Parts:
        """Read the data and initialise a model; both are functions of the arguments alone.

        The model draws its first weights from a generator keyed by the seed, and torch's own is put back, so that
        what a program drew before changes nothing.

        Args:
            model: a name from `models`; None for the task's own choice.
            batch: items of a training batch, at least 1; None for the model's default.
            seed: what initialisation, order and augmentation depend on; the split into train and test does not.
            augment: augmentations of images, names or tables with a name, one after the other; None for the model's own.

        Returns:
            The parts, ready for a trainer.

        Raises:
            UnknownNameError: when there is no such model or augmentation, with the nearest names.
            ValueError: for an augmentation where the task has none, or a value out of its range.
        """
        choice = self.models.get(self.model if model is None else model)
        chain = [create(entry) for entry in (choice.defaults.augment if augment is None else augment)]
        if chain and not self.augmentable:
            raise ValueError(f"task {self.name!r} has no images to augment; leave augment empty")
        more = {"augment": Chain(*chain)} if self.augmentable else {}
        data = self.load(batch=choice.defaults.batch if batch is None else batch, seed=seed, **more)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key(seed, "model"))
            net = choice.build(**data.sizes)
        return Parts(net, self.loss, data.train, data.test, data.after, data.draw)


TASKS: Registry[Task] = Registry("task")
"""The tasks by name."""


def tasks() -> list[str]:
    """Return the names of the tasks, sorted."""
    return list(TASKS)
