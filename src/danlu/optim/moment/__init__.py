"""Moments: recursions over the steps that a direction reads."""

from danlu.optim.moment.centered import Centered
from danlu.optim.moment.ema import Ema
from danlu.optim.moment.heavy_ball import HeavyBall
from danlu.optim.moment.lead import Lead
from danlu.optim.moment.max_decay import MaxDecay
from danlu.optim.moment.peak import Peak
from danlu.optim.moment.sum import Sum
from danlu.optim.piece import absolute, gradient, square

__all__ = ["Centered", "Ema", "HeavyBall", "Lead", "MaxDecay", "Peak", "Sum", "absolute", "gradient", "square"]
