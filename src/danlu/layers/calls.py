"""Which layers a model calls, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from torch import nn

__all__ = ["call_order"]


def call_order(modules: Iterable[nn.Module], run: Callable[[], Any]) -> list[Any]:
    """Return those of the modules that `run` calls, each once, by the time of their first call."""
    order: dict[nn.Module, None] = {}
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(lambda module, args: order.setdefault(module)).remove)
        run()
    return list(order)
