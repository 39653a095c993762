"""Schedules applied to the hyper-parameters of an optimizer, without any state of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, final

import torch

from danlu.registry import UnknownNameError, did_you_mean
from danlu.schedule.schedule import Schedule

__all__ = ["Scheduled"]


@final
class Scheduled:
    """Writes initial value × factor(k) into every parameter group; call ``set(k)`` before update k.

    The initial value is read once per group and kept there as ``group["initial_<key>"]`` (for lr the same entry that
    torch's schedulers keep, so one that exists is used), where `optimizer.state_dict` saves it. To change the base
    of a running schedule, write that entry, not the hyper-parameter. A group added later is picked up by the next
    `set`, whatever its own initial value.

    Args:
        optimizer: any `torch.optim.Optimizer`.
        schedules: one schedule, for ``"lr"``, or one per hyper-parameter: a number of the groups such as
            ``"weight_decay"`` or ``"momentum"``, or one element of a tuple such as ``"betas[0]"``.
        total: updates of the run.
        steps_per_epoch: updates of one epoch, where a schedule needs it.

    Raises:
        ValueError: when a schedule lacks a number that it needs, or a hyper-parameter is unknown or not a number.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedules: Schedule | Mapping[str, Schedule],
        total: int,
        steps_per_epoch: int | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.schedules = {"lr": schedules} if isinstance(schedules, Schedule) else dict(schedules)
        self.total = total
        self.steps_per_epoch = steps_per_epoch
        for key, schedule in self.schedules.items():  # everything is looked at before anything is written
            schedule.factor(0, total, steps_per_epoch)
            for group in optimizer.param_groups:
                self._entry(group, key)
        self._places = {key: _place(key) for key in self.schedules}
        self._remember()

    def set(self, step: int) -> None:
        """Write the values of update `step` into the groups; tensors (a capturable lr) are filled in place.

        Args:
            step: the number of the update about to be made, from 0. Any order is fine: nothing accumulates.
        """
        self._remember()
        for key, schedule in self.schedules.items():
            factor = schedule.factor(step, self.total, self.steps_per_epoch)
            for group in self.optimizer.param_groups:
                _write(group, *self._places[key], float(group[f"initial_{key}"]) * factor)

    def _remember(self) -> None:
        groups = self.optimizer.param_groups
        for key in self.schedules:
            memory = f"initial_{key}"
            for group in groups:
                if memory not in group:
                    entry = self._entry(group, key)
                    # A group added later may share the optimizer's default lr tensor, which earlier steps have filled.
                    known = [g[memory] for g in groups if memory in g and torch.is_tensor(entry) and g[key] is entry]
                    group[memory] = float(known[0] if known else entry)

    def _entry(self, group: dict[str, Any], key: str) -> Any:
        entries = dict(_entries(group))
        if key not in entries:
            who = f"{type(self.optimizer).__name__}'s parameter groups have"
            raise UnknownNameError(f"{who} no number {key!r} to schedule{did_you_mean(key, entries)}")
        return entries[key]


def _entries(group: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what can be scheduled: the numbers of a group, and the elements of its tuples as ``name[i]``."""
    for name, value in group.items():
        if name == "params" or name.startswith("initial_"):
            continue
        if isinstance(value, (tuple, list)):
            yield from ((f"{name}[{i}]", x) for i, x in enumerate(value) if _is_number(x))
        elif _is_number(value):
            yield name, value


def _is_number(value: Any) -> bool:
    if torch.is_tensor(value):
        return value.numel() == 1
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _place(key: str) -> tuple[str, int | None]:
    """The entry's name, and which element of it."""
    element = re.fullmatch(r"(.+)\[(\d+)\]", key)
    return (element[1], int(element[2])) if element else (key, None)


def _write(group: dict[str, Any], name: str, index: int | None, value: float) -> None:
    old = group[name] if index is None else group[name][index]
    if torch.is_tensor(old):
        with torch.no_grad():
            old.fill_(value)
    elif index is None:
        group[name] = value
    else:
        group[name] = type(group[name])([*group[name][:index], value, *group[name][index + 1 :]])
