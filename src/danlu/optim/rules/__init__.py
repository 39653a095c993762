"""Named optimizers: compositions only, and their torch-like classes."""

from danlu.optim.rules.adagrad import Adagrad, adagrad
from danlu.optim.rules.adam import Adam, AdamW, adam, adamw
from danlu.optim.rules.adamax import Adamax, adamax
from danlu.optim.rules.lion import Lion, lion
from danlu.optim.rules.nadam import NAdam, nadam, nadam_simple
from danlu.optim.rules.radam import RAdam, radam
from danlu.optim.rules.rmsprop import RMSprop, rmsprop
from danlu.optim.rules.sgd import SGD, SGDW, sgd, sgd_ema, sgd_velocity, sgdw

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
