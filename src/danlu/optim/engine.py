"""The engine: the only place that knows many tensors, groups, state, layouts and how a rule is run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeAlias, overload

import torch
from torch import Tensor

from danlu.optim.buffers import AtAverage, buffers_of
from danlu.optim.built import built, forewarn
from danlu.optim.exempt import exempted
from danlu.optim.gather import complete, job_of, kept_by
from danlu.optim.members import admitted, copied, described, merged, named, plain, refuse_rate, refuse_sharded, refuse_without
from danlu.optim.memory import Memory, memory_of
from danlu.optim.params import Params, listed
from danlu.optim.plan import Builder, Fixed, Plan
from danlu.optim.release import refuse_together, stepping_hooks
from danlu.optim.rule import Rule
from danlu.optim.run.around import beside, displaced
from danlu.optim.run.hooks import heard, unrecorded
from danlu.optim.run.job import Job
from danlu.optim.run.point import at_average
from danlu.optim.run.runner import Runner, pays
from danlu.optim.run.step import advance
from danlu.optim.state import adopt, group_pairs, recorded, saved_of
from danlu.optim.values import Need

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
            compiles when the parameters are many (`AUTO_FROM` elements), where the first call's seconds pay, or when the
            kernels were built before (``danlu warmup``); without a compiler it says so once and never does. Until then torch's
            fused kernels serve for what they are exactly (Adam, AdamW, SGD), large models included. A function of
            sizes, rule, what is installed and what was cached when the process began, never of timing; the choice stays in
            the group's "compiled" and in the state, so that a resumed run repeats it.
        buffers: "average" averages the module's floating buffers like its parameters, for `averaged`; "copy" leaves them the
            model's own there. Where groups were given, the module itself stands for "average". None is the preset's choice for
            a module whose rule averages, or "copy". See `Buffers`.

    Raises:
        ValueError: for an empty parameter list, a parameter given twice, a value out of its range, or averaged buffers without
            a module or an average.
        TypeError: for a misspelt group key.
    """

    skipped: int
    recorded: Callable[[Sequence[Job], object], None] | None = None  # what `step` does where `graphed` prepares or records it

    def __init__(
        self,
        params: Params,
        rule: Rule | Builder,
        lr: float | Tensor = 1e-3,
        *,
        maximize: bool = False,
        compile: Compile = "auto",  # noqa: A002 - torch's word
        buffers: AtAverage | None = None,
    ) -> None:
        self._builder: Builder = Fixed(rule) if isinstance(rule, Rule) else rule
        self._compile: Compile = compile
        self.skipped = 0
        self._away = False
        self._reset()
        options = self._builder.options
        refuse_rate(lr, self._builder.name)
        defaults = {"lr": lr, **options, "maximize": maximize}
        super().__init__(exempted(listed(params, self._builder.name), params, self._builder), defaults)
        self._buffers = buffers_of(params, buffers, self._rules, self._builder)
        forewarn(self._rules, self._builder.name)

    def _reset(self) -> None:
        """Forget everything that can be derived again."""
        self._plans: dict[int, Plan] = {}

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
            refuse_rate(group["lr"], self._builder.name)
            built(group, builder)
            refuse_sharded(group, builder.name)
        except Exception:
            self.param_groups.pop()
            raise
        group.setdefault("peak_lr", float(group["lr"]))

    def plan(self, index: int) -> Plan:
        """The plan of a group, made again when one of its options was written."""
        group = self.param_groups[index]
        builder = group.get("rule", self._builder)
        given = [*map(group.get, (*builder.options, "maximize", "without"))]
        plan = self._plans.get(index)
        if plan is not None and plan.builder is builder and plan.sees(given):
            return plan
        values = plain(given)
        if plan is None or plan.builder is not builder or plan.values != values:  # groups may have been taken out
            rule = built(group, builder)
            runner = self.runner(rule, group, self._compile == "auto")
            new = self._plans[index] = Plan(builder, rule, given, values, runner)
            if plan is not None and plan.lanes.runner.key == new.lanes.runner.key:  # other numbers, the same computation
                new.lanes = plan.lanes
            plan = new
        return plan

    def _compiles(self, rule: Rule, group: dict[str, Any]) -> bool:
        """Whether a group compiles; what "auto" has chosen stays in the group, so that a resumed run repeats bit for bit."""
        if self._compile != "auto":
            return self._compile
        if "compiled" not in group:
            group["compiled"] = pays(rule, group["params"], sum(p.numel() for g in self.param_groups for p in g["params"]))
        return group["compiled"]

    def runner(self, rule: Rule, group: dict[str, Any], served: bool) -> Runner:
        """How a rule runs in a group; `served`: by torch's kernels where there are none of ours."""
        return Runner(rule, self._compiles(rule, group), self._compile is True, served)

    def rule(self, group: int = 0) -> Rule:
        """Return the rule that a group follows now."""
        return self.plan(group).rule

    @property
    def _rules(self) -> list[Rule]:
        return [self.plan(i).rule for i in range(len(self.param_groups))]

    @property
    def needs(self) -> frozenset[Need]:
        """What a step needs beside gradients: "loss" asks for ``step(loss=...)``, "closure" for ``step(closure)``."""
        return frozenset[Need]().union(*[rule.needs for rule in self._rules])

    @property
    def clips(self) -> tuple[str, ...]:
        """The pieces that bound the norm of the whole gradient, which is then not to be clipped before a step as well."""
        return tuple(piece.brief() for rule in self._rules for piece in rule.grad if piece.clips)

    @property
    def averages(self) -> bool:
        """Whether a rule keeps another point than the parameters, to which `averaged` moves them."""
        return any(rule.average is not None for rule in self._rules)

    def memory(self) -> Memory:
        """Return the bytes of state by group and slot, in all and per parameter; print it for a table.

        Exact, also before the first step: what is not there yet is counted as the next step will make it. A step holds a few
        times its largest tensor or stack of small ones beside it, never a multiple of the model.
        """
        return memory_of(self._ruled(), self.state)

    def _ruled(self) -> list[tuple[Rule, list[Tensor]]]:
        return [(self.rule(i), group["params"]) for i, group in enumerate(self.param_groups)]

    # ---- the step ----------------------------------------------------------------------------------------------------------

    @overload
    def step(self, closure: None = None, *, loss: float | Tensor | None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float], *, loss: float | Tensor | None = None) -> float: ...

    @heard
    @torch._disable_dynamo
    @unrecorded
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
        self._check_here()
        if self.recorded is not None:
            return self.recorded(list(self.jobs()), closure)
        refuse_without(self._builder.name, needs, closure, loss)
        value, usable = (None, True) if closure is None else self._evaluate(closure)
        if not usable:
            self._skip()
            return value
        given = value if loss is None else loss
        read = float(given) if "loss" in needs and given is not None else math.nan
        if self._advance(list(self.jobs()), read):  # every refusal happens before any state exists
            self.follow_buffers()
        else:
            self._skip()
        return value

    def follow_buffers(self, go: Tensor | None = None) -> None:
        """Take the module's buffers into their averages, after a step was taken; `go` says so on the device."""
        self._buffers.follow(map(self.rule, range(len(self.param_groups))), go)

    def _advance(self, jobs: Sequence[Job], loss: float) -> bool:
        """Step these tensors together; False, and nothing has changed, when a measure over them is not finite."""
        before = len(self.state)
        for job in jobs:
            complete(job, self._plans[job.group], self.state)
        lanes = {job.group: self._plans[job.group].lanes for job in jobs}
        shared = advance(jobs, lanes, {job.group: kept_by(job, self.param_groups) for job in jobs}, loss)
        if shared is None:
            for p in list(self.state)[before:]:  # measures read the state, so it had to be there; it is not kept
                del self.state[p]
            return False
        for index, numbers in shared.items():
            if numbers:
                self.param_groups[index]["shared"] = numbers
        return True

    def jobs(self) -> Iterator[Job]:
        """What each group has to do."""
        for index, group in enumerate(self.param_groups):
            if (job := self._job(index, group["params"])) is not None:
                yield job

    def _job(self, index: int, params: Sequence[Tensor]) -> Job | None:
        return job_of(self._builder.name, self._plans[index], index, self.param_groups[index], params, self.state)

    def released(self) -> AbstractContextManager[None]:
        """Step during backward: each parameter as soon as its gradient is complete, which is freed then.

        The gradients of a model are never there together. The steps are those of the usual loop, bit for bit where none of
        its tensors are stacked (see ``docs/optimizers.md``). Each backward pass is a step: no accumulation, no `GradScaler`,
        no clipping by hand, and lr is set before it. `step` finds no gradients, so a loop may keep it: its hooks run,
        schedulers are content, and parameters added or unfrozen inside the block step there.

        Returns:
            The block in which it is so.

        Raises:
            ValueError: for a rule that needs all gradients together, the loss or a closure.
            RuntimeError: by a backward inside `averaged`.
        """
        return stepping_hooks(self._builder.name, self._ruled(), self._release)

    @torch._disable_dynamo
    @unrecorded
    def _release(self, p: Tensor, index: int) -> None:
        """Advance one parameter; its gradient is complete."""
        self._check_here()
        refuse_together(self._builder.name, self.plan(index).rule)  # an option may have been written
        if (job := self._job(index, [p])) is not None:
            self._advance([job], math.nan)

    @torch.enable_grad()
    def _evaluate(self, closure: Callable[[], float]) -> tuple[float, bool]:
        """Call the closure, and again beside the parameters where a rule takes its gradient there.

        Returns:
            The value at the parameters, and whether the gradients are those of the right place.
        """
        value = closure()
        for index in range(len(self.param_groups)):
            self.plan(index)  # a closure may write options
        found = (beside(job, self.param_groups[job.group]["maximize"]) for job in self.jobs())
        jobs = [job for job in found if job is not None]
        if not jobs:
            return value, True
        with displaced(jobs) as finite:
            if finite:
                closure()
        return value, finite

    def _check_here(self) -> None:
        if self._away:
            name = self._builder.name
            raise RuntimeError(f"{name}: step() inside averaged(), where the parameters are at their average; leave it first")

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
        self._away = True
        try:
            members = [(p, self.state.get(p, {}), rule) for rule, params in self._ruled() for p in params]
            with at_average(members, self._buffers.points(self._rules)):
                yield
        finally:
            self._away = False

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
        packed["param_groups"] = [recorded(*pair) for pair in zip(packed["param_groups"], self._rules, strict=True)]
        return copied({**packed, **self._buffers.packed()})

    @torch._disable_dynamo
    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """Load a snapshot of this rule, ours or torch's; everything is checked before anything is written, and copied.

        Args:
            state_dict: what `state_dict` returned, here or in ``torch.optim``; state of another codec is converted.
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
        rules = [built(group, group.get("rule", self._builder)) for group in groups]
        for group, rule in zip(groups, rules, strict=True):
            refuse_rate(group["lr"], self._builder.name)
            loaded |= {p: adopt(entries[p], p, rule, name) for name, p in named(group) if p in entries}
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
        return described(type(self).__name__, self.param_groups, self._rules)
