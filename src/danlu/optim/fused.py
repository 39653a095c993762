"""torch's own fused kernels, for the rules that they are: they need no compiler and no waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from danlu.optim.average.running import AbstractRunning
from danlu.optim.decay.decoupled import Decoupled
from danlu.optim.decay.l2 import L2
from danlu.optim.direction.plain import Plain
from danlu.optim.direction.ratio import Ratio
from danlu.optim.grad.negate import Negate
from danlu.optim.moment.ema import Ema
from danlu.optim.moment.heavy_ball import HeavyBall
from danlu.optim.moment.peak import Peak
from danlu.optim.piece import Rate
from danlu.optim.rule import Rule
from danlu.optim.values import Tick, square

__all__ = ["Fused", "fused_of"]

Columns = Mapping[str, Sequence[Tensor]]  # state key -> the tensors of several parameters
Options = Mapping[str, Any]  # what a kernel is told beside tensors and lr


def fused_of(rule: Rule) -> Fused | None:
    """Return torch's kernel of exactly this rule, whatever its numbers: Adam, AdamW, AMSGrad of both, and SGD; or None.

    Rates may come on top where they are made on the host, gradients may be negated, and a running average may follow. Results
    agree with the law's to rounding; magnitudes below 1e-36 are not flushed.
    """
    if rule.grad not in {(), (Negate(),)} or any(type(x).watch is not Rate.watch for x in rule.rate):
        return None
    if not isinstance(rule.average, (AbstractRunning, type(None))):
        return None
    for fused in (_ADAM, _SGD):
        options = fused.options(rule)
        if options is not None and fused.rule(options).but(grad=rule.grad, rate=rule.rate, average=rule.average) == rule:
            return fused
    return None


class Fused(ABC):
    """One of torch's kernels."""

    @abstractmethod
    def options(self, rule: Rule) -> Options | None:
        """What the kernel is to be told of a rule; None for one of other pieces."""

    @abstractmethod
    def rule(self, options: Options) -> Rule:
        """The rule that the kernel is, told this."""

    @abstractmethod
    def advance(self, ps: Sequence[Tensor], gs: Sequence[Tensor], state: Columns, options: Options, lr: float, t: int) -> None:
        """Advance parameters and their moments by step number t; all tensors on one device."""

    def step(self, ps: Sequence[Tensor], gs: Sequence[Tensor], state: Columns, rule: Rule, tick: Tick) -> None:
        """Advance parameters and their states by a tick, with lr after the rate pieces; the rule has the kernel's pieces."""
        options = self.options(rule)
        assert options is not None
        self.advance(ps, gs, state, options, tick.lr, tick.t)
        if rule.average is not None and (weight := rule.average.scalars(tick)["new"]):
            torch._foreach_lerp_([*state["average"]], [*ps], weight)


class _Adam(Fused):
    def options(self, rule: Rule) -> Options | None:
        m, v = rule.moments.get("exp_avg"), rule.moments.get("exp_avg_sq")
        inner, decay = v.moment if isinstance(v, Peak) else v, rule.decay
        if not (isinstance(m, Ema) and isinstance(inner, Ema) and isinstance(rule.direction, Ratio)):
            return None
        if not isinstance(decay, (Decoupled, L2)) or not all(isinstance(x.beta, (float, int)) for x in (m, inner)):
            return None
        own = {"beta1": m.beta, "beta2": inner.beta, "eps": rule.direction.eps, "weight_decay": decay.rate}
        return {**own, "amsgrad": inner is not v, "maximize": bool(rule.grad), "decoupled": isinstance(decay, Decoupled)}

    def rule(self, options: Options) -> Rule:
        v, decay = Ema(options["beta2"], square), Decoupled if options["decoupled"] else L2
        moments = {"exp_avg": Ema(options["beta1"]), "exp_avg_sq": Peak(v) if options["amsgrad"] else v}
        return Rule(Ratio(options["eps"]), moments, decay=decay(options["weight_decay"]))

    def advance(self, ps: Sequence[Tensor], gs: Sequence[Tensor], state: Columns, options: Options, lr: float, t: int) -> None:
        own = {**options}
        kernel = torch._fused_adamw_ if own.pop("decoupled") else torch._fused_adam_
        m, v, peak = (list(state.get(key, ())) for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"))
        steps = [torch.full((), t, dtype=torch.float32, device=ps[0].device)] * len(ps)
        kernel([*ps], [*gs], m, v, peak, steps, lr=lr, **own)


class _Sgd(Fused):
    def options(self, rule: Rule) -> Options | None:
        ball = rule.moments.get("momentum_buffer", HeavyBall(0.0))
        if not isinstance(ball, HeavyBall) or not isinstance(rule.decay, L2):
            return None
        own = {"momentum": ball.momentum, "dampening": ball.dampening, "nesterov": ball.nesterov}
        return {**own, "weight_decay": rule.decay.rate, "maximize": bool(rule.grad)}

    def rule(self, options: Options) -> Rule:
        ball = HeavyBall(options["momentum"], options["dampening"], options["nesterov"])
        moments = {"momentum_buffer": ball} if options["momentum"] else {}
        return Rule(Plain(), moments, decay=L2(options["weight_decay"]))

    def advance(self, ps: Sequence[Tensor], gs: Sequence[Tensor], state: Columns, options: Options, lr: float, t: int) -> None:
        torch._fused_sgd_([*ps], [*gs], [*state.get("momentum_buffer", ())], lr=lr, is_first_step=t == 1, **options)


_ADAM, _SGD = _Adam(), _Sgd()
