"""Optimizers: rules composed of pieces, and the engine that runs them."""

from danlu.optim import decay, direction, grad, modify, moment, rate, store
from danlu.optim.catalog import find_piece as piece
from danlu.optim.catalog import find_preset as preset
from danlu.optim.catalog import pieces, presets
from danlu.optim.create import create
from danlu.optim.engine import Optimizer
from danlu.optim.explain import explain
from danlu.optim.groups import groups, layer_decay, table, when
from danlu.optim.roles import roles
from danlu.optim.rule import Rule
from danlu.optim.rules import (
    SGD,
    SGDW,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    adagrad,
    adam,
    adamax,
    adamw,
    lion,
    nadam,
    nadam_simple,
    radam,
    rmsprop,
    sgd,
    sgd_ema,
    sgd_velocity,
    sgdw,
)

__all__ = [
    "SGD",
    "SGDW",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rule",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "create",
    "decay",
    "direction",
    "explain",
    "grad",
    "groups",
    "layer_decay",
    "lion",
    "modify",
    "moment",
    "nadam",
    "nadam_simple",
    "piece",
    "pieces",
    "preset",
    "presets",
    "radam",
    "rate",
    "rmsprop",
    "roles",
    "sgd",
    "sgd_ema",
    "sgd_velocity",
    "sgdw",
    "store",
    "table",
    "when",
]
