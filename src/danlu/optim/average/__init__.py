"""Averages: another point beside the parameter, where evaluation is done."""

from danlu.optim.average.ema import Ema, EmaPower, EmaRatio, half_life
from danlu.optim.average.lawa import Lawa
from danlu.optim.average.lookahead import Lookahead
from danlu.optim.average.offset import Offset
from danlu.optim.average.schedule_free import ScheduleFree
from danlu.optim.average.swa import Polynomial, Swa

__all__ = [
    "Ema",
    "EmaPower",
    "EmaRatio",
    "Lawa",
    "Lookahead",
    "Offset",
    "Polynomial",
    "ScheduleFree",
    "Swa",
    "half_life",
]
