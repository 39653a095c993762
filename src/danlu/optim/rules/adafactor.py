"""Adafactor, in the conventions of torch, transformers, timm and optax."""

from __future__ import annotations

import math
from typing import Annotated

from danlu.optim import decay, direction, modify, moment, rate, store
from danlu.optim.drop_in import DropIn
from danlu.optim.modify.rms_clip import RmsBound
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.store.factored import FactoredDims
from danlu.ranges import Beta, Fraction, Interval, NonNegative, Positive

__all__ = ["Adafactor", "DecayExponent", "adafactor"]

DecayExponent = Annotated[float, Interval(-math.inf, 0.0, "right")]
_TINY = 1e-19  # the root of float32's smallest normal number: a floor for g/√V where V, which holds 1e-30 everywhere, is 0


@preset(lr=1e-2, source="Shazeer & Stern 2018, arXiv:1804.04235; torch.optim.Adafactor; transformers")
def adafactor(
    beta2_decay: DecayExponent = -0.8,
    eps: tuple[Positive | None, Positive] = (None, 1e-3),
    d: RmsBound = 1.0,
    weight_decay: NonNegative = 0.0,
    *,
    dims: FactoredDims = "flatten",
    eps_added: bool = False,
    relative_step: bool = True,
    warmup_init: bool = False,
    scale_parameter: bool = True,
    scale_decay: bool = False,
    momentum: Beta = 0.0,
    lr_inside: bool = True,
    beta2_cap: Fraction = 1.0,
) -> Rule:
    """p ← p − a·u/max(1, RMS(u)/d), u = g/√V, a = min(lr, 1/√t)·max(ε₂, RMS(p)), V the rank-1 average of g², β₂ = 1 − t^−0.8.

    The defaults are torch's, but for ``dims``: its "last2" saves nothing on convolutions. lr is the cap of the relative step
    (0.01 is the paper's); ``relative_step=False`` takes lr as it is, and ``warmup_init`` starts at 1e-6·t. ``eps_added`` is the
    paper's g² + ε₁ (None: 1e-30); otherwise √V ≥ ε₁ (None: the dtype's spacing at 1). ``scale_decay`` multiplies the decay by
    max(ε₂, RMS(p)) too (transformers). With ``momentum`` an average of a·u takes its place, or a times an average of u
    (``lr_inside=False``, big_vision, which also has ``beta2_cap=0.999``). torch decays by lr·λ where we follow min(lr, 1/√t).

    4(r + c)/(rc) bytes per parameter of a matrix, + 4 with momentum.

    Raises:
        ValueError: for ``warmup_init``, ``scale_decay`` or ``lr_inside=False`` without what they belong to.
    """
    for name, on, need, there in (
        ("warmup_init=True", warmup_init, "relative_step=True", relative_step),
        ("scale_decay=True", scale_decay, "scale_parameter=True", scale_parameter),
        ("lr_inside=False", not lr_inside, "momentum in (0, 1)", momentum > 0),
    ):
        if on and not there:
            raise ValueError(f"adafactor: {name} needs {need}")
    added = 1e-30 if eps[0] is None else eps[0]
    memory = moment.PowerDecay(-beta2_decay, beta2_cap)
    smooth = (modify.Smooth(moment.Ema(momentum, debias=False), "exp_avg"),) if momentum else ()
    scale = (modify.ParameterScale(eps[1], scale_decay),) if scale_parameter else ()
    return Rule(
        moments={"exp_avg_sq": moment.Ema(memory, moment.square, debias=False, eps=added if eps_added else None)},
        store={"exp_avg_sq": store.Factored(dims)},
        direction=direction.ClampRatio(_TINY if eps_added else eps[0]),
        modify=(modify.RmsClip(d), *scale, *(() if lr_inside else smooth)),
        after_lr=smooth if lr_inside else (),
        decay=decay.Decoupled(weight_decay),
        rate=(rate.RelativeStep(warmup_init),) if relative_step else (),
    )


class Adafactor(DropIn, preset=adafactor):
    """Drop-in for torch.optim.Adafactor, checkpoints excepted: torch keeps its factors under other names and shapes."""
