"""The engine: the only place that knows many tensors, groups, state, layouts and how a rule is run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from operator import is_not
from typing import Any, Literal, TypeAlias, overload

import torch
from torch import Tensor

from danlu.optim.buffers import AtAverage, buffers_of
from danlu.optim.exempt import exempted
from danlu.optim.members import admitted, copied, merged, named, plain, refuse_sharded
from danlu.optim.params import Params, listed
from danlu.optim.plan import Builder, Fixed, Plan
from danlu.optim.rule import Rule
from danlu.optim.run.around import displaced
from danlu.optim.run.course import Lanes
from danlu.optim.run.hooks import heard
from danlu.optim.run.job import Job, Round
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.point import average_of
from danlu.optim.run.runner import Runner
from danlu.optim.run.words import paired
from danlu.optim.state import adopt, fresh, group_pairs, saved_of
from danlu.optim.values import Need
from danlu.ranges import NonNegative, check

__all__ = ["Compile", "Optimizer"]

Compile: TypeAlias = bool | Literal["auto"]


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
        buffers: "average" averages the module's floating buffers like its parameters, for `averaged`; "copy" leaves them the
            model's own there. Where groups were given, the module itself stands for "average". See `Buffers`.

    Raises:
        ValueError: for an empty parameter list, a parameter given twice, a value out of its range, or averaged buffers without
            a module or an average.
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
        buffers: AtAverage = "copy",
    ) -> None:
        self._builder: Builder = Fixed(rule) if isinstance(rule, Rule) else rule
        self._compile: Compile = compile
        self.skipped = 0
        self._away = False
        self._reset()
        options = self._builder.options
        self._check_lr(lr)
        defaults = {"lr": lr, **options, "maximize": maximize}
        super().__init__(exempted(listed(params, self._builder.name), params, self._builder), defaults)
        self._buffers = buffers_of(params, buffers, self._rules, self._builder.name)

    def _reset(self) -> None:
        """Forget everything that can be derived again."""
        self._plans: dict[int, Plan] = {}
        self._prepared: dict[Tensor, Lanes] = {}  # the lanes that a parameter's state is known to be complete for

    # ---- groups ------------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; missing options take the optimizer's defaults.

        Args:
            param_group: "params" and any of the options; "rule" for another rule than the optimizer's, "lr_factor" for a
                multiple of its lr, "without" for names of pieces to leave out. Other keys are kept unless they look like a
                misspelt one.

        Raises:
            TypeError: for a key that looks like a misspelt option.
            ValueError: for a parameter given twice, a sharded parameter, or a value out of its range.
        """
        builder = param_group.get("rule", self._builder)
        param_group = admitted(param_group, builder, self.defaults["lr"])
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "optimizer contains a parameter group with duplicate", UserWarning)
            try:
                super().add_param_group(param_group)
            except UserWarning:
                raise ValueError(f"{self._builder.name}: a parameter is given twice in one group; pass each one once") from None
        group = self.param_groups[-1]
        for key in set(self._builder.options) - set(builder.options):
            del group[key]  # torch filled in the options of a rule that this group does not follow
        try:
            self._check_lr(group["lr"])
            self._build(group)
            refuse_sharded(group, builder.name)
        except Exception:
            self.param_groups.pop()
            raise
        group.setdefault("peak_lr", float(group["lr"]))

    def _check_lr(self, lr: Any) -> None:
        check(self._builder.name, {"lr": NonNegative}, {"lr": lr})

    def _build(self, group: Mapping[str, Any]) -> Rule:
        builder = group.get("rule", self._builder)
        rule = builder.build({name: plain(group[name]) for name in builder.options}).without(*group.get("without", ()))
        return rule.climbing() if group["maximize"] else rule

    def _plan(self, index: int) -> Plan:
        """The plan of a group, made again when one of its options was written."""
        group = self.param_groups[index]
        options = group.get("rule", self._builder).options
        values = (*(plain(group[name]) for name in options), group["maximize"], group.get("without"))
        plan = self._plans.get(index)
        if plan is None or plan.values != values:
            rule = self._build(group)
            total = sum(p.numel() for g in self.param_groups for p in g["params"])
            new = self._plans[index] = Plan(rule, values, Runner(rule, self._compile, total))
            if plan is not None and plan.lanes.runner.key == new.lanes.runner.key:  # other numbers, the same computation
                new.lanes = plan.lanes
            plan = new
        return plan

    def rule(self, group: int = 0) -> Rule:
        """Return the rule that a group follows now."""
        return self._plan(group).rule

    @property
    def _rules(self) -> list[Rule]:
        return [self._plan(i).rule for i in range(len(self.param_groups))]

    @property
    def needs(self) -> frozenset[Need]:
        """What a step needs beside gradients: "loss" asks for ``step(loss=...)``, "closure" for ``step(closure)``."""
        return frozenset[Need]().union(*(rule.needs for rule in self._rules))

    @property
    def averages(self) -> bool:
        """Whether a rule keeps another point than the parameters, to which `averaged` moves them."""
        return any(rule.average is not None for rule in self._rules)

    # ---- the step ----------------------------------------------------------------------------------------------------------

    @overload
    def step(self, closure: None = None, *, loss: float | Tensor | None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float], *, loss: float | Tensor | None = None) -> float: ...

    @heard
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
        needs = self.needs
        self._check_given(needs, closure, loss)
        value, usable = (None, True) if closure is None else self._evaluate(closure)
        if not usable:
            self._skip()
            return value
        jobs = list(self._jobs())  # every refusal happens here, before any state exists
        before = len(self.state)
        for job in jobs:
            if not job.known:
                job.states = [self._state(p, self._plans[job.group]) for p in job.params]
        kept = {job.group: self.param_groups[job.group].get("shared", {}) for job in jobs}
        given = value if loss is None else loss
        work = Round(jobs, kept, float(given) if "loss" in needs and given is not None else math.nan)
        if not work.settle():
            for p in list(self.state)[before:]:  # measures had to read the state; a step that was not taken leaves none behind
                del self.state[p]
            self._skip()
        else:
            ready = [(self._plans[job.group].lanes.course(job), job, work.numbers(job)) for job in jobs]
            for course, job, numbers in ready:  # nothing else in between: every kernel empties the cache
                course.run(job, numbers)
            for _, job, numbers in ready:
                self._count(job, numbers)
            for index, shared in work.shared.items():
                if shared:
                    self.param_groups[index]["shared"] = shared
            moved = [p for job in jobs for p in job.params]
            torch.autograd.graph.increment_version(moved)  # kernels write past autograd's bookkeeping
            self._buffers.follow(self._rules)
        return value

    @torch.enable_grad()
    def _evaluate(self, closure: Callable[[], float]) -> tuple[float, bool]:
        """Call the closure, and again beside the parameters where a rule takes its gradient there.

        Returns:
            The value at the parameters, and whether the gradients are those of the right place.
        """
        value = closure()
        jobs: list[Job] = []
        for index in range(len(self.param_groups)):
            self._plan(index)  # a closure may write options
        for job in self._jobs():
            if (beside := job.rule.beside) is not None:
                ascent = 1.0 if self.param_groups[job.group]["maximize"] else -1.0  # an lr: against the way of the rule
                states = [{"step": (state or {}).get("step", 0)} for state in job.states]
                jobs.append(Job(job.params, job.grads, states, beside, job.group, ascent, 1.0))
        if not jobs:
            return value, True
        with displaced(jobs) as finite:
            if finite:
                closure()
        return value, finite

    def _check_given(self, needs: frozenset[Need], closure: object, loss: object) -> None:
        name = self._builder.name
        if self._away:
            raise RuntimeError(
                f"{name}: step() inside averaged(), where the parameters are at their average; leave the block first"
            )
        if "closure" in needs and closure is None:
            raise ValueError(f"{name}: this rule evaluates the model again: call step(closure)")
        if "loss" in needs and closure is None and loss is None:
            raise ValueError(f"{name}: this rule reads the loss: call step(loss=loss.item()) or step(closure)")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Move every parameter to its average inside the block, and back, bit for bit, whatever happens in it.

        Parameters without an average stay where they are, and so do buffers unless ``buffers="average"``. `step` inside the
        block raises.

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
                for buffer, point in self._buffers.points(self._rules):
                    kept[buffer] = buffer.clone()
                    buffer.copy_(point)
            yield
        finally:
            with torch.no_grad():
                for p, old in kept.items():
                    p.copy_(old)
            self._away = False

    def _jobs(self) -> Iterator[Job]:
        """What each group has to do: its parameters that have a gradient, and their states as far as they exist."""
        for index, group in enumerate(self.param_groups):
            plan = self._plans[index]
            if group["lr"] is not plan.lr or isinstance(plan.lr, Tensor):  # a tensor may have been written in place
                self._check_lr(group["lr"])
                plan.lr = group["lr"]
            params: Sequence[Tensor] = group["params"]
            grads: Sequence[Any] = [p.grad for p in params]
            if not all(map(is_not, grads, repeat(None))):
                params = [p for p in params if p.grad is not None]
                grads = [g for g in grads if g is not None]
            if params:
                states: Sequence[Any] = [*map(self.state.get, params)]
                job = Job(params, grads, states, plan.rule, index, float(group["lr"]), float(group["peak_lr"]))
                job.known = plan.lanes.fit(job)
                if not job.known and any(g.layout is not torch.strided for g in grads):
                    name = next(name for name, p in named(group) if p.grad is not None and p.grad.layout is not torch.strided)
                    raise ValueError(f"{self._builder.name}: the gradient of {name} is sparse; make it dense (sparse=False)")
                yield job

    def _state(self, p: Tensor, plan: Plan) -> dict[str, Any]:
        """The state of a parameter, with everything that its rule keeps (a rule may have gained a slot)."""
        state = self.state[p]
        if self._prepared.get(p) is not plan.lanes or "step" not in state:
            for key, value in {"step": 0, **plan.rule.memory, **fresh(plan.rule, p)}.items():
                state.setdefault(key, value)
            state.update(paired(state, p, plan.rule))
            self._prepared[p] = plan.lanes
        return state

    @staticmethod
    def _count(job: Job, numbers: Sequence[Numbers]) -> None:
        for state in job.states:
            state["step"] += 1
        if job.rule.memory:
            for state, each in zip(job.states, numbers, strict=True):
                state.update(each.remembered)

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
        packed = super().state_dict()
        packed["param_groups"] = [{key: x for key, x in group.items() if key != "rule"} for group in packed["param_groups"]]
        return copied({**packed, **self._buffers.packed()})

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
        groups = [merged(theirs, ours) for theirs, ours in group_pairs(state_dict["param_groups"], self.param_groups)]
        entries = saved_of(state_dict["state"], state_dict["param_groups"], groups, strict)
        loaded: dict[Tensor, dict[str, Any]] = {}
        rules = [self._build(group) for group in groups]
        for group, rule in zip(groups, rules, strict=True):
            self._check_lr(group["lr"])
            for name, p in named(group):
                if p in entries:
                    loaded[p] = adopt(entries[p], p, rule, name)
        self._buffers.state = self._buffers.adopted(state_dict, rules, strict)
        for p, state in loaded.items():
            self.state.pop(p, None)
            if state:
                self.state[p] = state
        for ours, new in zip(self.param_groups, groups, strict=True):
            ours.update(new)
        self._reset()
        for post in self._optimizer_load_state_dict_post_hooks.values():
            post(self)

    def __getstate__(self) -> dict[str, Any]:
        own = {"_builder": self._builder, "_compile": self._compile, "skipped": self.skipped, "_away": False}
        return {**super().__getstate__(), **own, "_buffers": self._buffers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._reset()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            shown = {key: value for key, value in group.items() if key not in {"params", "param_names", "roles"}}
            count = sum(p.numel() for p in group["params"])
            lines += [f"group {i}: {len(group['params'])} tensors, {count:,} parameters"]
            lines += [f"    {key}: {value}" for key, value in shown.items()]
            lines += [f"    {line}" for line in str(self.rule(i)).splitlines()]
        return "\n".join([*lines, ")"])
