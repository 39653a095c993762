"""The engine: the only place that knows many tensors, groups, state, layouts and how a rule is run."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, overload

import torch
from torch import Tensor

from danlu.optim.params import Params, listed
from danlu.optim.piece import Need
from danlu.optim.plan import Builder, Fixed, Plan
from danlu.optim.rule import Rule
from danlu.optim.run.job import Job, Round
from danlu.optim.run.lane import Lane, Runner
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.point import average_of
from danlu.optim.state import adopt, fresh, group_pairs, saved_of
from danlu.ranges import NonNegative, check
from danlu.registry import did_you_mean

__all__ = ["Compile", "Optimizer"]

Compile: TypeAlias = bool | Literal["auto"]

# Keys of torch's groups that choose how torch runs a rule, not which rule: dropped when one of its states is loaded.
_TORCH_ONLY = frozenset({"foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"})
_OURS = ("params", "param_names", "lr", "initial_lr", "peak_lr", "maximize", "name", "shared")


class Optimizer(torch.optim.Optimizer):
    """Runs one rule over many tensors; a ``torch.optim.Optimizer`` in every respect that users rely on.

    Each tensor keeps its own integer step count; a parameter without a gradient does not advance. Arithmetic is float32 or
    wider whatever the parameter's dtype. Everything that a group holds (lr, weight_decay, betas, ...) may be written between
    steps, by hand or by a scheduler, and costs no recompilation. Gradients are read, never written.

    Args:
        params: a module (state is then kept by parameter name), parameters, ``named_parameters()``, or group dicts.
        rule: a `Rule`, or what builds one from group options (see `create` and the torch-like classes).
        lr: learning rate, a float or a 0-d tensor, in [0, inf).
        maximize: climb instead of descend.
        compile: True compiles a kernel for every eligible tensor (an error if none can be built); False never does; "auto"
            compiles when a compiler is there and the parameters are many (`AUTO_FROM` elements), where the first call's
            seconds pay. A function of sizes and what is installed, never of timing.

    Raises:
        ValueError: for an empty parameter list, a parameter given twice, or a value out of its range.
        TypeError: for a misspelt group key.
    """

    skipped: int

    def __init__(
        self,
        params: Params,
        rule: Rule | Builder,
        lr: float | Tensor = 1e-3,
        *,
        maximize: bool = False,
        compile: Compile = "auto",  # noqa: A002 - torch's word
    ) -> None:
        self._builder: Builder = Fixed(rule) if isinstance(rule, Rule) else rule
        self._compile: Compile = compile
        self.skipped = 0
        self._away = False
        self._reset()
        options = self._builder.options
        self._check_lr(lr)
        defaults = {"lr": lr, **options, "maximize": maximize}
        super().__init__(listed(params, self._builder.name), defaults)

    def _reset(self) -> None:
        """Forget everything that can be derived again."""
        self._watched = (*self._builder.options, "maximize")  # the group keys that the rule is made from
        self._plans: dict[int, Plan] = {}
        self._lanes: dict[Tensor, Lane] = {}

    # ---- groups ------------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; missing options take the optimizer's defaults.

        Args:
            param_group: "params" and any of the options; other keys are kept unless they look like a misspelt option.

        Raises:
            TypeError: for a key that looks like a misspelt option.
            ValueError: for a parameter given twice, a sharded parameter, or a value out of its range.
        """
        known = {*self.defaults, *_OURS}
        for key in param_group:
            if key not in known and "did you mean" in (hint := did_you_mean(key, known)):
                raise TypeError(f"{self._builder.name}: no group option {key!r}{hint}")
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "optimizer contains a parameter group with duplicate", UserWarning)
            try:
                super().add_param_group(param_group)
            except UserWarning:
                raise ValueError(f"{self._builder.name}: a parameter is given twice in one group; pass each one once") from None
        group = self.param_groups[-1]
        try:
            self._check_lr(group["lr"])
            self._build(group)
            self._refuse_sharded(group)
        except Exception:
            self.param_groups.pop()
            raise
        group.setdefault("peak_lr", float(group["lr"]))

    def _refuse_sharded(self, group: Mapping[str, Any]) -> None:
        distributed = sys.modules.get("torch.distributed.tensor")  # not imported: then there is no DTensor
        for name, p in self._named(group):
            if distributed is not None and isinstance(p, distributed.DTensor):
                raise ValueError(f"{self._builder.name}: {name} is a DTensor; sharded parameters are not offered yet")

    def _check_lr(self, lr: Any) -> None:
        check(self._builder.name, {"lr": NonNegative}, {"lr": lr})

    def _build(self, group: Mapping[str, Any]) -> Rule:
        rule = self._builder.build({name: _plain(group[name]) for name in self._builder.options})
        if not group["maximize"]:
            return rule
        return rule.climbing()

    def _plan(self, index: int) -> Plan:
        """The plan of a group, made again when one of its options was written."""
        group = self.param_groups[index]
        values = tuple(_plain(group[name]) for name in self._watched)
        plan = self._plans.get(index)
        if plan is None or plan.values != values:
            rule = self._build(group)
            total = sum(p.numel() for g in self.param_groups for p in g["params"])
            plan = self._plans[index] = Plan(rule, values, Runner(rule, self._compile, total))
        return plan

    def rule(self, group: int = 0) -> Rule:
        """Return the rule that a group follows now."""
        return self._plan(group).rule

    @property
    def needs(self) -> frozenset[Need]:
        """What a step needs beside gradients: "loss" asks for ``step(loss=...)``, "closure" for ``step(closure)``."""
        return frozenset[Need]().union(*(self._plan(i).rule.needs for i in range(len(self.param_groups))))

    @staticmethod
    def _named(group: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
        names = group.get("param_names") or [f"parameter {i}" for i in range(len(group["params"]))]
        return zip(names, group["params"], strict=True)

    # ---- the step ----------------------------------------------------------------------------------------------------------

    @overload
    def step(self, closure: None = None, *, loss: float | Tensor | None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float], *, loss: float | Tensor | None = None) -> float: ...

    @torch._disable_dynamo
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None, *, loss: float | Tensor | None = None) -> float | None:
        """Advance every parameter that has a gradient by one step of its rule.

        When a measure over all gradients (such as a clip's norm) is not finite, nothing changes: `skipped` counts it and a
        warning says so once.

        Args:
            closure: evaluates the model again and returns the loss.
            loss: the mean loss behind the gradients, for rules that need it; a closure's value does as well.

        Returns:
            The closure's value, or None.

        Raises:
            ValueError: for a sparse gradient, a learning rate out of its range, or a loss or closure that the rule needs and
                was not given; nothing was changed then.
            RuntimeError: inside `averaged`.
        """
        self._check_given(closure, loss)
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        stepping = list(self._stepping())  # every refusal happens here, before any state exists
        jobs = [self._job(p, g, index) for p, g, index in stepping]
        kept = {job.group: self.param_groups[job.group].get("shared", {}) for job in jobs}
        given = value if loss is None else loss
        work = Round(jobs, kept, math.nan if given is None else float(given))
        if not work.settle():
            self._skip()
        else:
            ready = [(self._lane(job), job, numbers) for job, numbers in work.numbered()]
            for lane, job, numbers in ready:  # nothing else in between: every kernel empties the cache
                lane.run(job.g, numbers)
            for _, job, numbers in ready:
                self._count(job, numbers)
            for index, shared in work.shared.items():
                if shared:
                    self.param_groups[index]["shared"] = shared
            torch.autograd.graph.increment_version([job.p for job in jobs])  # kernels write past autograd's bookkeeping
        return value

    def _check_given(self, closure: object, loss: object) -> None:
        name = self._builder.name
        if self._away:
            raise RuntimeError(
                f"{name}: step() inside averaged(), where the parameters are at their average; leave the block first"
            )
        if "closure" in self.needs and closure is None:
            raise ValueError(f"{name}: this rule evaluates the model again: call step(closure)")
        if "loss" in self.needs and closure is None and loss is None:
            raise ValueError(f"{name}: this rule reads the loss: call step(loss=loss.item()) or step(closure)")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Move every parameter to its average inside the block, and back, bit for bit, whatever happens in it.

        Parameters without an average stay where they are. `step` inside the block raises.

        Raises:
            RuntimeError: inside another `averaged`.
        """
        if self._away:
            raise RuntimeError(f"{self._builder.name}: averaged() inside averaged()")
        kept: dict[Tensor, Tensor] = {}
        self._away = True
        try:
            with torch.no_grad():
                for index, group in enumerate(self.param_groups):
                    for p in group["params"]:
                        if (point := average_of(p, self.state.get(p, {}), self._plan(index).rule)) is not None:
                            kept[p] = p.detach().clone()
                            p.copy_(point)
            yield
        finally:
            with torch.no_grad():
                for p, old in kept.items():
                    p.copy_(old)
            self._away = False

    def _stepping(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Each parameter that has a gradient, the gradient, and the index of its group."""
        for index, group in enumerate(self.param_groups):
            self._plan(index)
            self._check_lr(group["lr"])
            for position, p in enumerate(group["params"]):
                g = p.grad
                if g is None:
                    continue
                if g.layout is not torch.strided:
                    name = list(self._named(group))[position][0]
                    raise ValueError(f"{self._builder.name}: the gradient of {name} is sparse; make it dense (sparse=False)")
                yield p, g, index

    def _job(self, p: Tensor, g: Tensor, index: int) -> Job:
        group, rule = self.param_groups[index], self._plans[index].rule
        return Job(p, g, self._state(p, rule), rule, index, float(group["lr"]), float(group["peak_lr"]))

    def _state(self, p: Tensor, rule: Rule) -> dict[str, Any]:
        """The state of a parameter, with every slot that the rule keeps (a rule may have gained one)."""
        state = self.state[p]
        if "step" not in state:
            state["step"] = 0
        if not all(key in state for key in (*rule.slots, *rule.memory)):
            for key, value in {**rule.memory, **fresh(rule, p)}.items():
                state.setdefault(key, value)
        return state

    def _lane(self, job: Job) -> Lane:
        """The parameter's lane, made again when its storage, its state or its rule changed."""
        lane, runner = self._lanes.get(job.p), self._plans[job.group].runner
        if lane is None or not lane.fits(job.p, job.state, runner):
            lane = self._lanes[job.p] = Lane(job.p, job.state, runner)
        return lane

    @staticmethod
    def _count(job: Job, numbers: Numbers) -> None:
        job.state["step"] += 1
        if job.rule.memory:
            job.state.update(job.rule.remember(numbers.tick))

    def _skip(self) -> None:
        if not self.skipped:
            warnings.warn(
                f"{self._builder.name}: a measure over the gradients (such as their norm) is not finite; the step was skipped "
                "and nothing changed. Later skips are counted in optimizer.skipped",
                stacklevel=4,
            )
        self.skipped += 1

    # ---- state -------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return a snapshot in torch's format: tensors are copies, so that stepping on does not change it.

        Per parameter: ``step`` (int) and the rule's slots under torch's names; a torch optimizer of the same rule loads it.
        """
        return _copied(super().state_dict())

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """Load a snapshot of this rule, ours or torch's; everything is checked before anything is written, and copied.

        Args:
            state_dict: what `state_dict` returned, here or in ``torch.optim``.
            strict: refuse names that are missing or unexpected; False keeps the missing ones as they are.

        Raises:
            ValueError: for groups, names, slots or shapes that do not fit; the message names the parameter. Nothing changed.
        """
        state_dict = {**state_dict}
        for pre in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = pre(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        groups = [self._merged(theirs, ours) for theirs, ours in group_pairs(state_dict["param_groups"], self.param_groups)]
        entries = saved_of(state_dict["state"], state_dict["param_groups"], groups, strict)
        loaded: dict[Tensor, dict[str, Any]] = {}
        for group in groups:
            self._check_lr(group["lr"])
            rule = self._build(group)
            for name, p in self._named(group):
                if p in entries:
                    loaded[p] = adopt(entries[p], p, rule, name)
        for p, state in loaded.items():
            self.state.pop(p, None)
            if state:
                self.state[p] = state
        for ours, merged in zip(self.param_groups, groups, strict=True):
            ours.update(merged)
        self._reset()
        for post in self._optimizer_load_state_dict_post_hooks.values():
            post(self)

    def _merged(self, theirs: Mapping[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
        """Our group with the saved options; what only tells torch how to run is left out."""
        dropped = _TORCH_ONLY - set(self.defaults) | {"params", "param_names"}
        taken = {key: _copied(value) for key, value in theirs.items() if key not in dropped}
        if isinstance(ours["lr"], Tensor):
            taken["lr"] = torch.full_like(ours["lr"], float(taken.get("lr", ours["lr"])))
        return {**ours, **taken}

    def __getstate__(self) -> dict[str, Any]:
        own = {"_builder": self._builder, "_compile": self._compile, "skipped": self.skipped, "_away": False}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._reset()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            shown = {key: value for key, value in group.items() if key not in {"params", "param_names"}}
            count = sum(p.numel() for p in group["params"])
            lines += [f"group {i}: {len(group['params'])} tensors, {count:,} parameters"]
            lines += [f"    {key}: {value}" for key, value in shown.items()]
            lines += [f"    {line}" for line in str(self.rule(i)).splitlines()]
        return "\n".join([*lines, ")"])


def _plain(value: Any) -> Any:
    """An option as a plain value: a 0-d tensor as its number, a list (from JSON) as a tuple."""
    if isinstance(value, Tensor):
        return value.item()
    return tuple(_plain(x) for x in value) if isinstance(value, (list, tuple)) else value


def _copied(value: Any) -> Any:
    """A nest of dicts and lists with every tensor cloned: groups too hold tensors (lr)."""
    if isinstance(value, dict):
        return {key: _copied(x) for key, x in value.items()}
    if isinstance(value, list):
        return [_copied(x) for x in value]
    return value.clone() if isinstance(value, Tensor) else value
