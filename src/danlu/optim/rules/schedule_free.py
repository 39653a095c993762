"""Schedule-free SGD and AdamW."""

from __future__ import annotations

from danlu.optim import average, decay, direction, moment, rate
from danlu.optim.average.schedule_free import Nearness
from danlu.optim.drop_in import DropIn
from danlu.optim.formulas.rectification import Rectifiable
from danlu.optim.roster import preset
from danlu.optim.rule import Rule
from danlu.optim.rules.sgd import sgd
from danlu.ranges import Beta, NonNegative, Positive, Steps

__all__ = [
    "AdamWScheduleFree",
    "RAdamScheduleFree",
    "SGDScheduleFree",
    "schedule_free_adamw",
    "schedule_free_radam",
    "schedule_free_sgd",
]


@preset(lr=1.0, source="Defazio et al. 2024, arXiv:2405.15682; facebookresearch/schedule_free")
def schedule_free_sgd(
    momentum: Nearness = 0.9,
    weight_decay: NonNegative = 0.0,
    warmup_steps: Steps = 0,
    r: NonNegative = 0.0,
    weight_lr_power: NonNegative = 2.0,
) -> Rule:
    """z ← z − lr·(g + λy), x ← the weighted mean of all z, y ← (1 − β)z + βx: no schedule, and momentum without a buffer.

    p is y; evaluate at x, inside ``with optimizer.averaged():``. β is `momentum`, as in the authors' class. Keep lr constant
    after the warm-up. 4 bytes per parameter.
    """
    inner = sgd(weight_decay=weight_decay)
    return inner.but(rate=(rate.Warmup(warmup_steps),), average=average.ScheduleFree(momentum, r, weight_lr_power))


@preset(lr=2.5e-3, source="Defazio et al. 2024, arXiv:2405.15682; facebookresearch/schedule_free")
def schedule_free_adamw(
    betas: tuple[Nearness, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    warmup_steps: Steps = 0,
    r: NonNegative = 0.0,
    weight_lr_power: NonNegative = 2.0,
) -> Rule:
    """z ← z − lr·(g/(√v̂ + ε) + λy), x ← the weighted mean of all z, y ← (1 − β₁)z + β₁x: AdamW without m or a schedule.

    p is y; evaluate at x, inside ``with optimizer.averaged():``. The decay is at y, decoupled from v. Warm up; keep lr constant
    after it. 8 bytes per parameter.
    """
    return Rule(
        moments={"exp_avg_sq": moment.Ema(betas[1], moment.square)},
        direction=direction.Ratio(eps),
        decay=decay.Decoupled(weight_decay),
        rate=(rate.Warmup(warmup_steps),),
        average=average.ScheduleFree(betas[0], r, weight_lr_power),
    )


@preset(lr=2.5e-3, source="facebookresearch/schedule_free (RAdamScheduleFree), of arXiv:2405.15682 and arXiv:1908.03265")
def schedule_free_radam(
    betas: tuple[Nearness, Rectifiable] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
    r: NonNegative = 0.0,
    weight_lr_power: NonNegative = 2.0,
) -> Rule:
    """z ← z − rₜ·lr·(g/(√v̂ + ε) + λy), x and y as in `schedule_free_adamw`: no schedule, and no warm-up to choose either.

    Nothing moves before ρₜ > 4, the authors' ``silent_sgd_phase=True``; raw steps of g there are not offered, for their size is
    the gradient's. Evaluate inside ``with optimizer.averaged():``. 8 bytes per parameter.
    """
    rule = schedule_free_adamw(betas, eps, weight_decay, 0, r, weight_lr_power)
    return rule.but(rate=(rate.Rectify(betas[1]),))


class SGDScheduleFree(DropIn, preset=schedule_free_sgd):
    """Schedule-free SGD."""


class AdamWScheduleFree(DropIn, preset=schedule_free_adamw):
    """Schedule-free AdamW."""


class RAdamScheduleFree(DropIn, preset=schedule_free_radam):
    """Schedule-free RAdam."""
