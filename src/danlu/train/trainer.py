"""What a run is made of; how it goes is in `danlu.train.loop`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast, final

import torch
from torch import nn

from danlu.layers import batch_norms
from danlu.ranges import Count, Positive, Steps, check, hints
from danlu.schedule import Duration
from danlu.train.averaged import at_average, has_average
from danlu.train.callback import Callback, ordered, taking
from danlu.train.checkpoint import Keep, Saver
from danlu.train.evaluate import Predict, predict_pair
from danlu.train.events import Observer, Result
from danlu.train.joint import packed, unpack
from danlu.train.loop import Loop
from danlu.train.metrics import Metric
from danlu.train.parts import counted, length_of, model_and_optimizer
from danlu.train.plan import described
from danlu.train.precision import Precision
from danlu.train.rates import ScheduleLike
from danlu.train.recalibrate import Recalibrate
from danlu.train.run_directory import RunDirectory
from danlu.train.step import Step
from danlu.train.update import Update
from danlu.train.window import Accumulate

__all__ = ["Trainer"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@final
class Trainer:
    """Trains a model with exact updates (see `Update`) for a given length.

    A length is ``200`` or ``"200st"`` windows, ``"10ep"``, ``"1e6samples"`` or ``"2h"``, for intervals also ``"5%"``; a
    window is `accumulate` batches and makes one update. A skipped update uses up its window but does not advance the
    schedules. Before update k torch's random generators are seeded with (seed, "step", k) and before epoch e with
    (seed, "epoch", e), so that dropout and a DataLoader's shuffling are functions of the seed. Ctrl-C once ends the
    run after the update under way, with weights and status written; twice, at once.

    Args:
        model: on its device, which the batches follow.
        loss: ``loss(model, batch)`` returns a `LossSum` or (sum, count). A bare mean is refused, since the means of
            an epoch and of the validation data could not be exact.
        optimizer: any `torch.optim.Optimizer`, or a function that makes one of the model, which a callback that
            changes the model needs; evaluation, and the weights in `out`, are at its average if it keeps one.
        until: the length of the run. Samples are known only afterwards: the run ends with the window that reaches them.
        schedule: of the learning rate, or one per hyper-parameter by name; see `Scheduled`. With `until` in samples or
            time it goes by the share of the run that is over, its warm-up in per cent. Or a torch scheduler of the
            optimizer, stepped once per update that is applied (`ReduceLROnPlateau`: per evaluation). None keeps them.
        accumulate: batches per update.
        micro_batch: cut each batch into pieces of at most so many items, for less memory; the update is the same.
        precision: of the forward pass, "fp32", "bf16" or "fp16".
        clip: the largest global norm of the gradient, or None.
        nonfinite: "raise", "skip" the update, or "stop" the run; see `Update`.
        evaluate_every: from one evaluation to the next, such as ``200``, ``"1ep"`` or ``"10%"``; one more at the end.
        metrics: by name, for evaluations; see `evaluate`.
        predict: what the metrics are told, ``predict(model, batch)``; by default (model(x), y) of a batch (x, y).
        evaluate_raw: also evaluate the weights that are trained, as "raw/…", where averaged ones are judged.
        recalibrate: from how many batches BatchNorm's statistics are made where the optimizer's average is judged and shipped:
            the callback `Recalibrate` takes part, unless one is given. 0 leaves them as they are.
        callbacks: who takes part; see `Callback`, and `plan` for their order.
        seed: for all that is random.
        out: the run's folder, or None; see `RunDirectory`.
        save_every: with `out`, from one checkpoint to the next, such as ``"1ep"`` or ``"10min"``; there is one more when
            the run ends, also by a signal. None for no checkpoints.
        keep: which checkpoints stay.
        resume: True goes on from the newest whole checkpoint in `out`, from the beginning if there is none yet; a path
            (another run's folder, or one checkpoint) starts `out` as a new run from there.
        observers: who watches; None is a `PlainLog`. With `out`, the files are written in any case.
        log_every: from one logged update to the next, in `PlainLog` and metrics.jsonl; None for evaluations only.

    Attributes:
        result: of the latest run, once it has ended.
        ranks: who trains the model together. With a model in DistributedDataParallel the first of them writes, logs and is
            watched; the others do nothing of that, wait where it does, and end where it ends.

    Raises:
        ValueError: on a value out of its range, a length that is none or not understood, callbacks that exclude each
            other, `evaluate_raw` without an average.
        TypeError: for a callback that is none, or that changes the model when the optimizer is made already.
        FileExistsError: when `out` holds another run and it is not to be resumed.
        LockedError: when another process works in `out`.
        RankError: when one of these happened to the first rank, on the others.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Any],
        optimizer: torch.optim.Optimizer | Callable[[nn.Module], torch.optim.Optimizer],
        *,
        until: int | str | Duration = "20ep",
        schedule: ScheduleLike | None = None,
        accumulate: Accumulate = 1,
        micro_batch: Count | None = None,
        precision: Precision = "fp32",
        clip: Positive | None = None,
        nonfinite: Literal["raise", "skip", "stop"] = "raise",
        evaluate_every: int | str | Duration = "1ep",
        metrics: Mapping[str, Metric] | None = None,
        predict: Predict = predict_pair,
        evaluate_raw: bool = False,
        recalibrate: Steps = 16,
        callbacks: Sequence[Callback] = (),
        seed: int = 0,
        out: str | PathLike[str] | None = None,
        save_every: int | str | Duration | None = "5min",
        keep: Keep | None = None,
        resume: bool | str | PathLike[str] = False,
        observers: Sequence[Observer] | None = None,
        log_every: int | str | Duration | None = None,
    ) -> None:
        values = {"accumulate": accumulate, "seed": seed, "evaluate_raw": evaluate_raw, "recalibrate": recalibrate}
        check("Trainer", hints(Trainer.__init__), values)
        self.until = length_of("until", until)
        self.evaluate_every = length_of("evaluate_every", evaluate_every)
        self.log_every = None if log_every is None else length_of("log_every", log_every)
        self.callbacks = ordered(callbacks)
        self.model, self.optimizer = model_and_optimizer(model, optimizer, self.callbacks)
        if self._wants_recalibration(recalibrate):
            self.callbacks = ordered([*self.callbacks, Recalibrate(count=recalibrate)])
        self.loss, self.schedule, self.observers = counted(loss), schedule, observers
        self.accumulate, self.seed = accumulate, seed
        self.metrics, self.predict, self.evaluate_raw = dict(metrics or {}), predict, evaluate_raw
        if evaluate_raw and not (has_average(self.optimizer) or taking(self.callbacks, "eval_weights")):
            raise ValueError("Trainer: evaluate_raw=True, but nothing keeps an average; leave it out, or choose an average")
        trained = self.loss
        for each in taking(self.callbacks, "loss"):
            trained = counted(each.loss(trained))
        self.precision: Precision = precision
        self.update = Update(
            self.model,
            trained,
            self.optimizer,
            precision=precision,
            transforms=[partial(self._transform, each) for each in taking(self.callbacks, "grads")],
            clip=clip,
            nonfinite=nonfinite,
            micro_batch=micro_batch,
        )
        self.ranks = self.update.setup.ranks
        for each in self.callbacks:
            each.attach(self)
        self.result: Result | None = None
        self.loop: Loop | None = None
        self._loaded: Mapping[str, Any] | None = None
        if resume and (out is None or save_every is None):
            raise ValueError("Trainer: resume needs the run's folder and checkpoints; give out=... and save_every=...")
        length = None if save_every is None else length_of("save_every", save_every)
        self.resume = resume
        self.folder = None if out is None else Path(out)
        if self.folder is not None and self.ranks.sharded:
            raise ValueError("Trainer: out= cannot hold a model in shards; save it with torch.distributed.checkpoint")
        self.directory = None if out is None else self.ranks.first(lambda: RunDirectory(out, resume=resume is True))
        self.saver = None if self.folder is None or length is None else Saver(self, self.folder, length, keep or Keep())
        if accumulate > 1 and any(isinstance(module, _BATCH_NORMS) for module in self.model.modules()):
            what = f"accumulate={accumulate} with BatchNorm: its statistics are those of each batch, not of the window"
            warnings.warn(f"{what}; all else is exact", stacklevel=2)

    def fit(self, train: Any, valid: Any = None) -> Result:
        """Train, evaluating on the way; from the beginning, or from the state that was loaded last.

        Args:
            train: batches: a list, a `torch.utils.data.DataLoader`, or anything with ``epoch(e)`` that gives epoch e's,
                such as `TensorLoader`. Without a length, what is due per epoch comes when the next one has begun.
            valid: the same, for evaluation; its epoch is always 0. None: the rows have the training numbers only.

        Returns:
            What the run came to. What ends a run early is raised: `NonFiniteError` (weights and optimizer state are
            those before that update), TypeError for a bare mean, ValueError for no batch.
        """
        with closing(self.steps(train, valid)) as steps:
            for step in steps:
                step.update()
        return cast("Result", self.result)

    def steps(self, train: Any, valid: Any = None) -> Generator[Step]:
        """Yield the steps of `fit`, whose body is then yours: ``for step in trainer.steps(train): step.update()``.

        Schedule, seeds and `batch` callbacks come before the body, all else after it. A body that makes the update in a
        way of its own sets ``step.report``. Leaving the loop ends the run; `result` has what it came to.

        Args:
            train: as in `fit`.
            valid: as in `fit`.

        Returns:
            Steps, each to be updated before the next one is asked for.
        """
        if self.folder is not None:
            self.ranks.first(self._claim)
        if self.saver is not None and self.resume:
            self.saver.resume(None if self.resume is True else Path(self.resume))
        return Loop(self, train, valid).run()

    @contextmanager
    def eval_weights(self) -> Iterator[None]:
        """Put the parameters, inside the block, where they are judged and shipped: at the optimizer's or a callback's average.

        Yields:
            Nothing.
        """
        with ExitStack() as stack:
            stack.enter_context(at_average(self.optimizer))
            for each in taking(self.callbacks, "eval_weights"):
                stack.enter_context(each.eval_weights())
            yield

    def plan(self) -> str:
        """Return what is going to happen, in words: lengths, and who takes part where, in order."""
        lengths = {"until": self.until, "evaluate_every": self.evaluate_every, "log_every": self.log_every}
        return described(lengths, self.callbacks)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a run needs to go on, beside the weights and the optimizer's state, which are saved with their own.

        Complete where `Observer.settled` is called: to load it, with weights and optimizer of that moment, is never to
        have stopped, bit for bit. Nested dictionaries and lists of tensors, numbers, text and None.

        Raises:
            RuntimeError: before the first run.
        """
        return packed(self, self.running())

    def running(self) -> Loop:
        """Return the run under way, or the last one.

        Raises:
            RuntimeError: before the first.
        """
        if self.loop is None:
            raise RuntimeError("Trainer: there is no run to save; call fit first")
        return self.loop

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next run go on from a `state_dict`; load weights and optimizer as well. The lengths are this trainer's.

        Raises:
            ValueError: when the state is of a run with another seed, `accumulate` or callbacks; nothing is changed.
        """
        unpack(self, state)
        self._loaded = state

    def loaded(self) -> Mapping[str, Any] | None:
        """Return the state to go on from, once."""
        state, self._loaded = self._loaded, None
        return state

    def _wants_recalibration(self, batches: int) -> bool:
        given = any(isinstance(each, Recalibrate) for each in self.callbacks)
        return batches > 0 and not given and has_average(self.optimizer) and bool(batch_norms(self.model))

    def _claim(self) -> None:
        if self.directory is not None:
            self.directory.claim()

    def _transform(self, callback: Callback, parameters: Sequence[torch.Tensor]) -> bool | None:
        return False if self.loop is None else callback.grads(parameters, self.loop.clock)
