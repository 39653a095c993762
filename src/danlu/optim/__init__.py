"""Optimizers: rules composed of pieces, and the engine that runs them."""

from danlu.optim import around, average, decay, direction, grad, modify, moment, rate, rules, store, write
from danlu.optim.catalog import find_piece as piece
from danlu.optim.catalog import pieces
from danlu.optim.create import create
from danlu.optim.engine import Optimizer
from danlu.optim.explain import explain
from danlu.optim.graphed import graphed
from danlu.optim.groups import groups, layer_decay, table, when
from danlu.optim.roles import roles
from danlu.optim.roster import find_preset as preset
from danlu.optim.roster import presets
from danlu.optim.rule import Rule
from danlu.optim.rules import *  # noqa: F403 - every named optimizer; the list of them is there

__all__ = [
    "Optimizer",
    "Rule",
    "around",
    "average",
    "create",
    "decay",
    "direction",
    "explain",
    "grad",
    "graphed",
    "groups",
    "layer_decay",
    "modify",
    "moment",
    "piece",
    "pieces",
    "preset",
    "presets",
    "rate",
    "roles",
    "store",
    "table",
    "when",
    "write",
]
__all__ += rules.__all__
