"""BatchNorm's statistics where a model is judged and shipped: those of its weights there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor, nn

from danlu.keyed import seed_all
from danlu.layers import batch_norms, recalibrate_in_one_pass
from danlu.ranges import Count, check, hints
from danlu.train.batch import device_of, to_device
from danlu.train.callback import Callback
from danlu.train.clock import Clock
from danlu.train.precision import autocast
from danlu.train.replay import Surroundings
from danlu.train.report import Report
from danlu.train.unwrapped import unwrapped
from danlu.train.window import epoch_of

if TYPE_CHECKING:
    from danlu.train.trainer import Trainer

__all__ = ["Recalibrate"]


@final
class Recalibrate(Callback):
    """Where the model is judged and shipped, its BatchNorms have the statistics of `count` batches at the weights there.

    They are found in one pass without gradients, by `danlu.layers.recalibrate_in_one_pass`, in the run's precision, and again
    only when the weights have changed. Outside, statistics, other buffers and random states are what they were, bit for bit.
    A BatchNorm that the latest update left in eval mode, a frozen one, keeps what it has. There is no state, as the batches
    are the same each time: a resumed run finds the same numbers, and may leave it out or have another count. It acts after
    averages and before `EarlyStop`, whose best weights come with their statistics.

    A `Trainer` whose optimizer keeps an average has one by itself. Give it for averages of another callback, for batches
    of your own, or, without an average, for statistics that belong to the trained weights exactly.

    Of several ranks each takes its own batches; in evaluations, checkpoints and final weights stand the first one's.

    Args:
        batches: from which statistics are taken, in an order that stays: a list, or anything with ``epoch(e)``, whose epoch 0
            is read, such as `danlu.data.Loader`. None: the run's own training data, as they are before `batch` callbacks; data
            that cannot be read beside the run (an iterator, a DataLoader) are left alone, and a warning says so.
        count: how many of them; 16 of 64 items were as good as all.
        forward: ``forward(model, batch)`` runs the model; None for the trainer's loss, as in evaluations.

    Raises:
        TypeError: for an iterator, which can be read only once.
        ValueError: when made part of a trainer whose model has no BatchNorm with running statistics.
    """

    phase: ClassVar[int] = 90
    in_state: ClassVar[bool] = False

    def __init__(
        self,
        batches: Iterable[Any] | None = None,
        *,
        count: Count = 16,
        forward: Callable[[nn.Module, Any], Any] | None = None,
    ) -> None:
        check("Recalibrate", hints(Recalibrate.__init__), {"count": count})
        if isinstance(batches, Iterator):
            raise TypeError("Recalibrate: batches can be read only once, but are needed at each evaluation; give a list")
        self.batches, self.count, self.forward = batches, count, forward

    def attach(self, trainer: Trainer) -> None:
        """Keep the trainer."""
        if not batch_norms(trainer.model):
            raise ValueError("Recalibrate: the model has no BatchNorm with running statistics; leave it out")
        self._trainer = trainer
        self._data: Any = None

    def start(self, clock: Clock) -> None:
        """Find the data, and forget what was computed."""
        train = self._trainer.running().train
        self._data = train if self.batches is None else self.batches
        if self._data is train and not (callable(getattr(train, "epoch", None)) or isinstance(train, Sequence)):
            self._data = None
            what = "BatchNorm's statistics are not made anew where an average is judged, as only the run may read train"
            fix = "give callbacks=[Recalibrate(batches)] with a list of some batches, or recalibrate=0 to leave it at that"
            warnings.warn(f"{what}; {fix}", stacklevel=2)
        self._norms = list(batch_norms(self._trainer.model))
        self._cached: tuple[list[nn.Module], list[list[float]], list[dict[str, Tensor]]] | None = None
        self._look()

    def after_update(self, clock: Clock, report: Report) -> None:
        """See which BatchNorms are trained: after the run, or in a resumed one, their mode does not tell."""
        self._look()

    def _look(self) -> None:
        self._frozen = {norm for norm in self._norms if not norm.training}

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        """Put the statistics of the weights in, and afterwards the old ones back; before the first run there are no data.

        Yields:
            Nothing.
        """
        model = unwrapped(self._trainer.model)
        norms: list[nn.Module] = [] if self._data is None else [x for x in batch_norms(model) if x not in self._frozen]
        if not norms:
            yield
            return
        marks, before = _marks(model), _statistics(norms)
        if self._cached is None or self._cached[:2] != (norms, marks):
            with Surroundings(model).kept():
                seed_all(self._trainer.seed, "recalibrate")
                recalibrate_in_one_pass(model, self._batches(), self._run, norms)
                self._cached = norms, marks, _statistics(norms)
        try:
            _put(self._cached[2], norms)
            yield
        finally:
            if self._trainer.ranks.size > 1:  # `evaluate` has given all the first one's, which others are to keep
                self._cached = norms, marks, _statistics(norms)
            _put(before, norms)

    def _batches(self) -> Iterator[Any]:
        update = self._trainer.update
        for batch in islice(epoch_of(self._data, 0), self.count):
            if update.micro_batch is None or self.batches is not None:
                yield batch
            else:
                yield from update.split(batch, update.micro_batch)

    def _run(self, model: nn.Module, batch: Any) -> Any:
        device = device_of(model)
        with autocast(self._trainer.precision, device):
            return (self.forward or self._trainer.loss)(model, to_device(batch, device))


def _marks(model: nn.Module) -> list[list[float]]:
    """What tells weights from others, in two numbers for each parameter: its sum, and that of its squares."""
    device = device_of(model)
    wide = torch.float32 if device.type == "mps" else torch.float64
    real = (torch.view_as_real(p.detach()) if p.is_complex() else p.detach() for p in model.parameters())
    return torch.stack([torch.stack([x.sum(), x.square().sum()]).to(device) for x in (p.to(wide) for p in real)]).tolist()


def _statistics(norms: Iterable[nn.Module]) -> list[dict[str, Tensor]]:
    return [{name: norm.get_buffer(name).clone() for name in ("running_mean", "running_var")} for norm in norms]


def _put(values: Iterable[Mapping[str, Tensor]], norms: Iterable[nn.Module]) -> None:
    for norm, found in zip(norms, values, strict=True):
        for name, x in found.items():
            norm.get_buffer(name).copy_(x)
