"""What a recipe may say: every key, its type and its range."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from danlu.optim.compose import compose
from danlu.schedule import SCHEDULES, Duration
from danlu.task import TASKS

__all__ = ["EarlyStopPart", "FreezePart", "OptimizerPart", "Recipe", "SchedulePart"]


def _task(name: str) -> str:
    return TASKS.get(name).name


def _optimizer(text: str) -> str:
    try:
        compose(text)
    except TypeError as error:  # which is not what pydantic listens for
        raise ValueError(str(error)) from None
    return text


def _schedule(name: str) -> str:
    SCHEDULES.get(name)
    return name


def _warmup(value: int | str) -> int | str:
    Duration.parse(value)
    return value


def _until(value: int | str) -> int | str:
    length = Duration.parse(value)
    if length.unit == "%" or not length.amount:
        raise ValueError("a run needs a length of its own, above 0")
    return value


def _span(value: int | str) -> int | str:
    if value != "none":
        Duration.parse(value)
    return value


def _look(value: int | str) -> int | str:
    if value != "none" and not Duration.parse(value).amount:
        raise ValueError("longer than nothing")
    return value


# The descriptions complete the sentence "KEY must be …" in error messages, whatever was wrong, but for unknown names.
_LENGTH = "a number of updates above 0 such as 200, or text such as '10ep'"
_SPAN = "a number of updates such as 200, or text such as '2ep' or '5%'"

_LIST = "a list of names or of tables with a name, such as ['{}']"


class OptimizerPart(BaseModel):
    """The table [optimizer]: a preset, alone or composed ("adamw+modify.cautious"), its lr, any of its arguments and slots."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_optimizer)] = Field(description="the name of an optimizer, as text")
    lr: float = Field(ge=0, allow_inf_nan=False, description="a number in [0, inf)")

    @property
    def options(self) -> dict[str, Any]:
        """The arguments beside name and lr."""
        return dict(self.model_extra or {})


class SchedulePart(BaseModel):
    """The table [schedule]: a shape, its warm-up, and any of its arguments."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_schedule)] = Field(description="the name of a schedule, as text")
    warmup: Annotated[int | str, AfterValidator(_warmup)] = Field(0, description=_SPAN)
    warmup_from: Literal["one", "zero"] = Field("one", description="'one' or 'zero'")
    per: Literal["step", "epoch"] = Field("step", description="'step' or 'epoch'")


class FreezePart(BaseModel):
    """One of [[freeze]]: parameters that stay as they are until a point of the run; see `danlu.train.Freeze`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    names: list[str] = Field(min_length=1, description="a list of globs over the names of parameters, such as ['0.*']")
    but: list[str] = Field([], description="a list of globs such as ['*.bias']")
    until: Annotated[int | str, AfterValidator(_span)] = Field("none", description=f"{_SPAN}, or 'none' for never")


class EarlyStopPart(BaseModel):
    """The table [early_stop], off while its patience is "none"; see `danlu.train.EarlyStop`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    metric: str = Field(
        "valid/loss", pattern=r"^(train|valid)/\S+$", description="a number of the evaluations, such as 'valid/loss'"
    )
    patience: Annotated[int | str, AfterValidator(_look)] = Field("none", description="a length such as '5ep', or 'none'")
    min_delta: float = Field(0.0, ge=0, allow_inf_nan=False, description="a number in [0, inf)")
    mode: Literal["min", "max"] = Field("min", description="'min' or 'max'")
    after: Annotated[int | str, AfterValidator(_warmup)] = Field(0, description=_SPAN)
    restore: bool = Field(False, description="true or false")


class Recipe(BaseModel):
    """Everything that decides a run: two runs of one recipe on one machine end in the same bits.

    What is new here is the record; what the values mean is said where they go: `danlu.task.Task`, `danlu.train.Trainer`,
    `danlu.optim.create`, `danlu.schedule.create`. `threads` is how many CPU threads torch computes with. Values are taken as
    they are: ``"3"`` is no number and 1.0 is not whole. `clip` has ``"none"`` for no clipping, since TOML has no null.
    `inspect` is from one look at all weights and gradients to the next; `tensorboard` also writes event files.
    `augment` is a chain for the images of the data, `mix` are ways of which each batch takes one.

    `loss`, `reduce`, `label_smoothing` and `logit_adjustment` change the loss that is trained with, not the one that is
    judged (`ClassLoss`); "none" leaves them the task's.
    `init` draws the linear and convolution layers anew (`danlu.layers.initialize`), "none" leaves them the model's own.
    `recalibrate` is of how many batches BatchNorm's statistics are made at averaged weights (`danlu.train.Recalibrate`).
    `weights_from` is a run's folder or a file of weights to start from; what does not fit, and what the globs of `fresh` name,
    starts anew. `layer_decay` is that of `danlu.optim.layer_decay`. With `snapshots` = n > 1 the schedule runs n times, and the
    weights at the end of each cycle are kept (`danlu.train.Snapshots`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task: Annotated[str, AfterValidator(_task)] = Field(description="the name of a task, as text")
    model: str = Field(description="the name of a model, as text")
    until: Annotated[int | str, AfterValidator(_until)] = Field(description=_LENGTH)
    batch: int = Field(ge=1, description="a whole number in [1, inf)")
    accumulate: int = Field(1, ge=1, description="a whole number in [1, inf)")
    seed: int = Field(0, ge=0, description="a whole number in [0, inf)")
    threads: int = Field(0, ge=0, le=1024, description="a whole number in [0, 1024], 0 for torch's own choice")
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["none"] = Field(
        "none", description="a number in (0, inf), or 'none'"
    )
    inspect: Annotated[int | str, AfterValidator(_look)] = Field(
        "none", description="a length such as 200, '1ep' or '2%', or 'none'"
    )
    tensorboard: bool = Field(False, description="true or false")
    augment: list[str | dict[str, Any]] = Field([], description=_LIST.format("flip"))
    mix: list[str | dict[str, Any]] = Field([], description=_LIST.format("mixup"))
    loss: str | dict[str, Any] = Field("none", description="a loss such as 'focal', a table with its name, or 'none'")
    reduce: str | dict[str, Any] = Field(
        "none", description="a reduction such as 'trimmed_mean', a table with its name, or 'none'"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="a number in [0, 1), 0 for none")
    logit_adjustment: float = Field(0.0, ge=0, allow_inf_nan=False, description="a number in [0, inf), 0 for none")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="'fp32', 'bf16' or 'fp16'")
    micro_batch: Annotated[int, Field(ge=1)] | Literal["none"] = Field(
        "none", description="a whole number in [1, inf), or 'none'"
    )
    recalibrate: int = Field(16, ge=0, description="a whole number in [0, inf), 0 for none")
    snapshots: int = Field(0, ge=0, le=1000, description="a whole number in [0, 1000], 0 for none")
    init: Literal["none", "he", "orthogonal", "xavier"] = Field("none", description="'he', 'orthogonal', 'xavier' or 'none'")
    weights_from: str = Field("none", description="a run's folder or a file of weights, as text, or 'none'")
    fresh: list[str] = Field([], description="a list of globs over the names of parameters, such as ['head.*']")
    layer_decay: float = Field(1.0, gt=0, le=1, description="a number in (0, 1], 1 for none")
    freeze: list[FreezePart] = Field([], description="a list of tables, each with names")
    early_stop: EarlyStopPart = Field(EarlyStopPart(), description="a table with a patience")
    optimizer: OptimizerPart = Field(description="a table with a name, or a name")
    schedule: SchedulePart = Field(description="a table with a name, or a name")
