"""The same rules in other libraries: which class, and each way in which it runs. `pip install -e '.[bench]'` installs them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

__all__ = ["LIBRARIES", "importable", "peers", "steps", "title_of"]

Way = tuple[str, Any, dict[str, Any]]  # title, class, keywords

# Library -> preset -> class. Some differ in a default (a decay, a clip): the memory traffic is the same.
LIBRARIES: dict[str, dict[str, str]] = {
    "torch.optim": {
        **{
            name.lower(): name
            for name in ("Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "SGD")
        },
        "sgd_velocity": "SGD",
        "muon": "Muon",
    },
    "pytorch_optimizer": {
        "adabelief": "AdaBelief",
        "adafactor": "AdaFactor",
        "adamw": "AdamW",
        "adan": "Adan",
        "adanorm": "AdaNorm",
        "adapnm": "AdaPNM",
        "ademamix": "AdEMAMix",
        "came": "CAME",
        "diffgrad": "DiffGrad",
        "lamb": "Lamb",
        "lars": "LARS",
        "lion": "Lion",
        "nadam": "NAdam",
        "prodigy": "Prodigy",
        "radam": "RAdam",
        "schedule_free_adamw": "ScheduleFreeAdamW",
        "sgdw": "SGDW",
        "sm3": "SM3",
        "soap": "SOAP",
        "stable_adamw": "StableAdamW",
        "yogi": "Yogi",
    },
    "timm.optim": {
        "adabelief": "AdaBelief",
        "adafactor": "Adafactor",
        "adamw": "AdamWLegacy",
        "adan": "Adan",
        "lamb": "Lamb",
        "lars": "Lars",
        "lion": "Lion",
        "muon": "Muon",
        "nadam": "NAdamW",
        "nadam_simple": "NAdamW",
        "radam": "RAdamLegacy",
        "sgdw": "SGDW",
    },
    "optimi": {
        "adam": "Adam",
        "adamw": "AdamW",
        "adan": "Adan",
        "lion": "Lion",
        "radam": "RAdam",
        "sgd": "SGD",
        "sgd_ema": "SGD",
        "sgdw": "SGD",
        "stable_adamw": "StableAdamW",
    },
    "heavyball": {
        "adamw": "AdamW",
        "ademamix": "AdEMAMix",
        "muon": "Muon",
        "nadam": "NAdam",
        "schedule_free_adamw": "SFAdamW",
        "sgd": "SGD",
        "soap": "SOAP",
    },
}
# What makes the class the preset's rule, with its memory traffic, where its defaults do not.
_NEEDED: dict[str, dict[str, Any]] = {
    "lars": {"momentum": 0.9},
    "sgd": {"momentum": 0.9},
    "sgd_ema": {"momentum": 0.9, "dampening": True},
    "sgd_velocity": {"momentum": 0.9},
    "sgdw": {"momentum": 0.9, "weight_decay": 1e-2, "decouple_wd": True},
}


def importable(names: Sequence[str] = tuple(LIBRARIES)) -> dict[str, Any]:
    """The libraries that are installed; the others get a line."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.import_module(name)
        except (ImportError, RuntimeError) as error:
            print(f"without {name}: {error}")
    return found


def peers(preset: str, modules: dict[str, Any]) -> Iterator[Way]:
    """Every way in which an installed library runs a preset's rule: its plain loop, foreach, fused, compiled."""
    for library, module in modules.items():
        if preset not in LIBRARIES[library]:
            continue
        cls = getattr(module, LIBRARIES[library][preset])
        known = inspect.signature(cls).parameters
        base = {key: value for key, value in _NEEDED.get(preset, {}).items() if key in known}
        title = title_of(library)
        if "foreach" not in known:
            yield title, cls, base
            continue
        yield f"{title} loop", cls, {**base, "foreach": False}
        yield f"{title} foreach", cls, {**base, "foreach": True}
        if "fused" in known:
            yield f"{title} fused", cls, {**base, "fused": True}


def title_of(library: str) -> str:
    """What tables call a library."""
    return library.split(".")[0]


def steps(cls: Any, params: list[Tensor], lr: float, keywords: dict[str, Any]) -> Any:
    """The optimizer of a peer; those with two modes in training mode."""
    optimizer = cls(params, lr=lr, **keywords)
    train = getattr(optimizer, "train", None)
    if callable(train):
        train()
    return optimizer
