"""Options under which every preset is compared with its oracle; together they move every option of the preset."""

import math

__all__ = ["OPTION_SETS"]

_DECAYS = {"weight_decay": 0.1, "decoupled_weight_decay": True}
_BETAS = {"betas": (0.8, 0.95), "eps": 1e-3}

OPTION_SETS = {
    "adagrad": [
        {},
        {"lr_decay": 0.3, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3},
        {"eps": 1e-3, "eps_inside": True, "weight_decay": 0.1},
    ],
    "adam": [
        {},
        {**_BETAS, "weight_decay": 0.1},
        {**_BETAS, **_DECAYS, "amsgrad": True},
        {**_BETAS, "eps_hat": True},
        {**_BETAS, "eps_hat": True, "amsgrad": True, "weight_decay": 0.1},
    ],
    "adamax": [{}, {**_BETAS, "weight_decay": 0.1}, {**_BETAS, "weight_decay": 0.1, "eps_outside": True}],
    "adamw": [
        {},
        {**_BETAS, "weight_decay": 0.1},
        {**_BETAS, "weight_decay": 0.1, "amsgrad": True},
        {**_BETAS, "weight_decay": 0.1, "amsgrad": True, "eps_hat": True},
    ],
    "lion": [{}, {"betas": (0.8, 0.95), "weight_decay": 0.1}],
    "nadam": [
        {},
        {**_BETAS, "weight_decay": 0.1, "momentum_decay": 0.5},
        {**_BETAS, **_DECAYS, "momentum_decay": math.inf},
    ],
    "nadam_simple": [{}, {**_BETAS, "weight_decay": 0.1}, {**_BETAS, **_DECAYS}],
    "radam": [
        {},
        {**_BETAS, "weight_decay": 0.1},
        {**_BETAS, **_DECAYS, "threshold": 4.0, "eps_hat": False},
        {**_BETAS, "unadapted": False},
        {**_BETAS, "weight_decay": 0.1, "unadapted": False, "eps_hat": False},
    ],
    "rmsprop": [
        {},
        {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8},
        {"alpha": 0.9, "eps": 1e-3, "centered": True, "momentum": 0.8, "weight_decay": 0.1},
        {"alpha": 0.9, "eps": 1e-3, "centered": True, "eps_inside": True, "initial_square_avg": 1.0},
        {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "nesterov": True},
        {"alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "nesterov": True, "lr_inside": True, "eps_inside": True},
        {"alpha": 0.9, "momentum": 0.8, "lr_inside": True, "initial_square_avg": 0.5, "weight_decay": 0.1},
    ],
    "sgd": [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ],
    "sgd_ema": [{}, {"momentum": 0.8, "weight_decay": 0.1}],
    "sgd_velocity": [
        {},
        {"momentum": 0.8, "weight_decay": 0.1},
        {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True},
    ],
    "sgdw": [
        {},
        {"weight_decay": 0.1},
        {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ],
}
