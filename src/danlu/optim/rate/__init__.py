"""Rates: factors on the learning rate that the rule itself computes."""

from danlu.optim.rate.calibrated import Calibrated
from danlu.optim.rate.d_adapt import DAdapt
from danlu.optim.rate.debias import Debias
from danlu.optim.rate.dog import Dog, LDog
from danlu.optim.rate.inverse_time import InverseTime
from danlu.optim.rate.linear_decay import LinearDecay
from danlu.optim.rate.loss_rate import LossAdversarial, LossCompliant, LossLinear
from danlu.optim.rate.prodigy import Prodigy
from danlu.optim.rate.rectify import Rectify
from danlu.optim.rate.relative_step import RelativeStep
from danlu.optim.rate.warmup import Warmup

__all__ = [
    "Calibrated",
    "DAdapt",
    "Debias",
    "Dog",
    "InverseTime",
    "LDog",
    "LinearDecay",
    "LossAdversarial",
    "LossCompliant",
    "LossLinear",
    "Prodigy",
    "Rectify",
    "RelativeStep",
    "Warmup",
]
