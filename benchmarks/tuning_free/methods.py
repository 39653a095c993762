"""What is compared: optimizers of danlu's presets with their schedules, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import nn

from danlu import optim
from danlu.optim import groups, roles, when
from danlu.optim.decay import Cautious, Decoupled
from danlu.optim.engine import Optimizer
from danlu.optim.modify import FanScale, ParameterScale
from danlu.optim.named import Named
from danlu.optim.roster import Preset
from danlu.optim.rule import Rule
from danlu.optim.rules import furnace, furnace_lean
from danlu.schedule import Constant, Cosine, Schedule

__all__ = ["BY_NAME", "METHODS", "REFERENCE", "Method"]

COSINE = Schedule(Cosine(), warmup="5%")
CONSTANT = Schedule(Constant())
Kind = Literal["tuned", "default", "preset", "ablation"]


def _sized(rule: Rule) -> Rule:
    """The rule with `ParameterScale` where it has `FanScale`."""
    return rule.but(modify=tuple(ParameterScale(x.eps) if isinstance(x, FanScale) else x for x in rule.modify))


def _variant(of: Preset[...], change: Callable[[Rule], Rule]) -> Preset[...]:
    """A preset whose rules are changed; not entered among danlu's."""

    def build(*, matrix: bool = True) -> Rule:
        return change(of(matrix=matrix))

    return Preset("variant", build, of.lr, of.source, of.routes, of.buffers)


def _decoupled(rule: Rule) -> Rule:
    """Where matrices decay everywhere, at two thirds of the rate."""
    return rule.but(decay=Decoupled(rule.decay.rate * 2 / 3)) if isinstance(rule.decay, Cautious) else rule


def _ahead(rule: Rule) -> Rule:
    """Where every momentum is read ahead, and matrices decay half more."""
    if rule.moments:
        momentum = rule.moments["exp_avg"]
        return rule.but(moments={**rule.moments, "exp_avg": replace(momentum, peek=momentum.beta**2)})
    return rule.but(direction=replace(rule.direction, nesterov=True), decay=Cautious(1.5 * rule.decay.rate))


VARIANTS = {
    "furnace_sized": _variant(furnace, _sized),
    "furnace_lean_sized": _variant(furnace_lean, _sized),
    "furnace_decoupled": _variant(furnace, _decoupled),
    "furnace_ahead": _variant(furnace, _ahead),
}


@dataclass(frozen=True)
class Method:
    """A way to train, the same on every workload but for a tuned lr.

    Args:
        name: in the results.
        preset: danlu's, or one of `VARIANTS`.
        kind: "tuned" by workload, "default" for a documented setting of others, "preset" for what is under test, "ablation"
            for its variants, which only workloads of choices see.
        schedule: of lr.
        lr: the learning rate where the preset's own is not meant.
        rates: the learning rates that are tried, of a tuned method.
        options: the preset's.
        horizon: options that are given as shares of the budget, in updates.
        roles: settings that differ for parameters of a role, or of several.
        refresh: whether BatchNorm's statistics are computed anew at the average.
        buffers: what stands for BatchNorm's statistics at an average; None for the preset's choice.
    """

    name: str
    preset: str
    kind: Kind = "default"
    schedule: Schedule = COSINE
    lr: float | None = None
    rates: tuple[float, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    horizon: Mapping[str, float] = field(default_factory=dict)
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refresh: bool = False
    buffers: Literal["copy", "average"] | None = None

    @property
    def known(self) -> bool:
        """Whether danlu has the preset."""
        return self.preset in VARIANTS or self.preset in optim.presets()

    def build(self, model: nn.Module, updates: int, lr: float | None, *, compile: bool) -> Optimizer:  # noqa: A002 - torch's word
        """The optimizer of a model for a budget."""
        shares = {name: round(share * updates) for name, share in self.horizon.items()}
        present = set(roles(model).values())
        own = [when(*here, **settings) for roles, settings in self.roles.items() if (here := present & {*roles.split(", ")})]
        buffers = model if own and self.buffers == "average" else self.buffers
        params = groups(model, *own) if own else model
        rate, options = self.lr if lr is None else lr, {**self.options, **shares}
        if (variant := VARIANTS.get(self.preset)) is not None:
            named = Named(variant, options, {})
            return Optimizer(params, named, variant.lr if rate is None else rate, compile=compile, buffers=buffers)
        return optim.create(self.preset, params, lr=rate, compile=compile, buffers=buffers, **options)


REFERENCE = "adamw"
ELEMENT_WISE = {role: {"matrix": False} for role in ("embedding", "vector", "scalar")}
HEAD_AS_MATRIX = {**ELEMENT_WISE, "head": {"matrix": True}}
NO_NOISE_SCALE = {**ELEMENT_WISE, "head": {"matrix": False}, "matrix, conv": {"without": ("noise_scale",)}}
METHODS = (
    Method(REFERENCE, "adamw", "tuned", rates=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064)),
    Method("sgd", "sgd", "tuned", rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), options={"momentum": 0.9}),
    Method("schedule_free", "schedule_free_adamw", schedule=CONSTANT, horizon={"warmup_steps": 0.05}, refresh=True),
    Method("prodigy", "prodigy"),
    Method("muon", "adamw", roles={role: {"optimizer": "muon", "lr": 0.02} for role in ("matrix", "conv")}),
    Method("soap", "soap"),
    Method("soap_constant", "soap", schedule=CONSTANT),
    Method("nadam", "nadam"),
    Method("adafactor", "adafactor", schedule=CONSTANT),
    Method("lion", "lion"),
    Method("adalo", "adalo", schedule=CONSTANT),
    Method("furnace", "furnace", "preset", CONSTANT),
    Method("furnace_lean", "furnace_lean", "preset", CONSTANT),
    Method("furnace, lr 0.7", "furnace", "ablation", CONSTANT, lr=0.7),
    Method("furnace, lr 1.5", "furnace", "ablation", CONSTANT, lr=1.5),
    Method("furnace_lean, lr 0.7", "furnace_lean", "ablation", CONSTANT, lr=0.7),
    Method("furnace_lean, lr 1.5", "furnace_lean", "ablation", CONSTANT, lr=1.5),
    Method("furnace, horizon known", "furnace", "ablation", CONSTANT, horizon={"decay_to": 1.0}),
    Method("furnace_lean, horizon known", "furnace_lean", "ablation", CONSTANT, horizon={"decay_to": 1.0}),
    Method("furnace, no average", "furnace", "ablation", CONSTANT, options={"average": None}),
    Method("furnace_lean, no average", "furnace_lean", "ablation", CONSTANT, options={"average": None}),
    Method("furnace, buffers copied", "furnace", "ablation", CONSTANT, buffers="copy"),
    Method("furnace, no decay", "furnace", "ablation", CONSTANT, options={"weight_decay": 0.0}),
    Method("furnace_lean, no decay", "furnace_lean", "ablation", CONSTANT, options={"weight_decay": 0.0}),
    Method("furnace, float32 state", "furnace", "ablation", CONSTANT, options={"store": "dense"}),
    Method("furnace, moments in 8 bits", "furnace", "ablation", CONSTANT, options={"int8": True}),
    Method("furnace, nothing turned", "furnace", "ablation", CONSTANT, options={"matrix": False}),
    Method("furnace, head turned as well", "furnace", "ablation", CONSTANT, roles=HEAD_AS_MATRIX, buffers="average"),
    Method("furnace, steps of matrices by their size", "furnace_sized", "ablation", CONSTANT),
    Method("furnace, squares over 0.97", "furnace", "ablation", CONSTANT, options={"betas": (0.9, 0.97)}),
    Method("furnace, decay not cautious", "furnace_decoupled", "ablation", CONSTANT),
    Method("furnace, looking ahead", "furnace_ahead", "ablation", CONSTANT),
    Method("furnace, looking ahead, lr 0.7", "furnace_ahead", "ablation", CONSTANT, lr=0.7),
    Method("furnace, looking ahead, lr 1.5", "furnace_ahead", "ablation", CONSTANT, lr=1.5),
    Method("furnace_lean, steps of matrices by their size", "furnace_lean_sized", "ablation", CONSTANT),
    Method("furnace_lean, no noise scale", "furnace_lean", "ablation", CONSTANT, roles=NO_NOISE_SCALE, buffers="average"),
)
BY_NAME = {method.name: method for method in METHODS}
