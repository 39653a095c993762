"""Moments: recursions over the steps that a direction reads."""

from danlu.optim.moment.ada_norm import AdaNorm
from danlu.optim.moment.adan import Adan
from danlu.optim.moment.additive import Additive
from danlu.optim.moment.centered import Centered
from danlu.optim.moment.cover_sum import CoverSum
from danlu.optim.moment.deviation import Deviation
from danlu.optim.moment.ema import Ema
from danlu.optim.moment.heavy_ball import HeavyBall
from danlu.optim.moment.lead import Lead
from danlu.optim.moment.lifted import Lifted
from danlu.optim.moment.max_decay import MaxDecay
from danlu.optim.moment.memory import Fading, PowerDecay
from danlu.optim.moment.momentum_square import MomentumSquare
from danlu.optim.moment.peak import Peak
from danlu.optim.moment.positive_negative import PositiveNegative
from danlu.optim.moment.restart import PullBack, Restart
from danlu.optim.moment.slow_mix import SlowMix
from danlu.optim.moment.sum import Sum
from danlu.optim.moment.weighted import ByDistance, ByRate
from danlu.optim.values import absolute, gradient, square

__all__ = [
    "AdaNorm",
    "Adan",
    "Additive",
    "ByDistance",
    "ByRate",
    "Centered",
    "CoverSum",
    "Deviation",
    "Ema",
    "Fading",
    "HeavyBall",
    "Lead",
    "Lifted",
    "MaxDecay",
    "MomentumSquare",
    "Peak",
    "PositiveNegative",
    "PowerDecay",
    "PullBack",
    "Restart",
    "SlowMix",
    "Sum",
    "absolute",
    "gradient",
    "square",
]
