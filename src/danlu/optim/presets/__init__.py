"""Named optimizers: compositions only, and their torch-like classes."""

from danlu.optim.presets.adagrad import Adagrad, adagrad
from danlu.optim.presets.adam import Adam, AdamW, adam, adamw
from danlu.optim.presets.adamax import Adamax, adamax
from danlu.optim.presets.lion import Lion, lion
from danlu.optim.presets.nadam import NAdam, nadam, nadam_simple
from danlu.optim.presets.radam import RAdam, radam
from danlu.optim.presets.rmsprop import RMSprop, rmsprop
from danlu.optim.presets.sgd import SGD, SGDW, sgd, sgd_ema, sgd_velocity, sgdw

__all__ = [
    "SGD",
    "SGDW",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "RAdam",
    "RMSprop",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "lion",
    "nadam",
    "nadam_simple",
    "radam",
    "rmsprop",
    "sgd",
    "sgd_ema",
    "sgd_velocity",
    "sgdw",
]
