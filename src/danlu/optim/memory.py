"""What an optimizer's state takes in memory: bytes by group and slot, before the first step or after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from danlu.optim.rule import Rule
from danlu.optim.state import fresh

__all__ = ["Memory", "SlotMemory", "memory_of"]


@dataclass(frozen=True)
class SlotMemory:
    """One slot of one group.

    Args:
        group: index of the group.
        slot: the slot; a store that keeps several tensors per slot counts as one.
        store: the store of the slot as one would write it; "unused" for what an earlier rule of the group has left.
        bytes: of all its tensors.
    """

    group: int
    slot: str
    store: str
    bytes: int


@dataclass(frozen=True)
class Memory:
    """The state of an optimizer in bytes; prints as a table.

    Args:
        parameters: elements of each group's parameters that take gradients or have state.
        slots: every slot of every group.
    """

    parameters: tuple[int, ...]
    slots: tuple[SlotMemory, ...]

    @property
    def bytes(self) -> int:
        """All state together."""
        return sum(row.bytes for row in self.slots)

    @property
    def per_parameter(self) -> float:
        """Bytes of state per parameter; 0 where there are no parameters."""
        return _per(self.bytes, sum(self.parameters))

    def by_group(self) -> tuple[int, ...]:
        """Bytes of each group."""
        return tuple(sum(row.bytes for row in self.slots if row.group == i) for i in range(len(self.parameters)))

    def __str__(self) -> str:
        """A line per group and slot, and the total."""
        rows = [("group", "slot", "store", "bytes", "per parameter")]
        for i, (size, count) in enumerate(zip(self.by_group(), self.parameters, strict=True)):
            own = [row for row in self.slots if row.group == i]
            rows += [(str(i), row.slot, row.store, f"{row.bytes:,}", f"{_per(row.bytes, count):.4g}") for row in own]
            if len(own) != 1 and len(self.parameters) > 1:
                rows.append((str(i), "all", "", f"{size:,}", f"{_per(size, count):.4g}"))
        rows.append(("total", "", "", f"{self.bytes:,}", f"{self.per_parameter:.4g}"))
        wide = [max(len(row[i]) for row in rows) for i in range(5)]
        left = ("<", "<", "<", ">", ">")
        return "\n".join("  ".join(f"{x:{a}{w}}" for x, a, w in zip(row, left, wide, strict=True)).rstrip() for row in rows)


def memory_of(groups: Sequence[tuple[Rule, Sequence[Tensor]]], state: Mapping[Tensor, Mapping[str, Any]]) -> Memory:
    """Return what the state takes, exactly; what is not there yet is counted as the next step will make it.

    Args:
        groups: the rule and the parameters of each group.
        state: the state of each parameter that has any. A parameter without state that takes no gradient is not counted.
    """
    counts: list[int] = []
    sizes: dict[tuple[int, str], int] = {}
    for i, (rule, params) in enumerate(groups):
        counted = [p for p in params if p.requires_grad or state.get(p)]
        counts.append(sum(p.numel() for p in counted))
        sizes |= {(i, slot): 0 for slot in rule.slots} if counted else {}
        for p in counted:
            for key, x in {**fresh(rule, p.detach().to("meta")), **state.get(p, {})}.items():
                if isinstance(x, Tensor):
                    at = (i, key.split(".")[0])
                    sizes[at] = sizes.get(at, 0) + x.nbytes
    slots = (SlotMemory(i, slot, _store(groups[i][0], slot), size) for (i, slot), size in sizes.items())
    return Memory(tuple(counts), tuple(sorted(slots, key=lambda row: row.group)))


def _store(rule: Rule, slot: str) -> str:
    return rule.codecs[slot].brief() if slot in rule.codecs else "unused"


def _per(size: int, count: int) -> float:
    return size / count if count else 0.0
