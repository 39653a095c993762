"""Parameters that a piece leaves alone by their role: they get a group of their own, whose rule is without the piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from danlu.optim.plan import Builder
from danlu.optim.roles import Role, roles
from danlu.optim.rule import Rule

__all__ = ["exempted"]


def exempted(members: list[Any], model: object, builder: Builder) -> list[Any]:
    """Return what an optimizer is made from, split wherever a piece of its rule leaves roles alone (`Piece.skips_roles`).

    Roles are known when the optimizer is made from a module, or from what `groups` made of one; elsewhere nothing is split. A
    group that says ``without`` itself is left as it is. The bias beside a head's weight is of the head.

    Args:
        members: parameters, named parameters or groups.
        model: the module, where the parameters are those of one.
        builder: where the rules of groups without one of their own come from.
    """
    if isinstance(model, nn.Module):
        kinds = roles(model)
        whole = {"params": members, "roles": [kinds[name] for name, _ in members]}
        parts = exempted([whole], None, builder)
        return parts if any("without" in part for part in parts) else members
    known = [group for group in members if isinstance(group, Mapping) and "roles" in group]
    heads = {name for group in known for (name, _), role in zip(group["params"], group["roles"], strict=True) if role == "head"}
    split = [list(_parts(x, builder, heads)) if any(x is group for group in known) else [x] for x in members]
    return [part for parts in split for part in parts]


def _parts(group: Mapping[str, Any], builder: Builder, heads: set[str]) -> Iterator[dict[str, Any]]:
    builder = group.get("rule", builder)
    rule = builder.build({key: group.get(key, default) for key, default in builder.options.items()})
    parts: dict[tuple[str, ...], dict[str, Any]] = {}
    for (name, p), role in zip(group["params"], group["roles"], strict=True):
        owner, _, last = name.rpartition("bias")
        of_head = not last and f"{owner}weight" in heads
        without = () if "without" in group else _left_alone(rule, "head" if of_head else role)
        part = parts.setdefault(without, {**group, "params": [], "roles": [], **({"without": without} if without else {})})
        part["params"].append((name, p))
        part["roles"].append(role)
    yield from parts.values()


def _left_alone(rule: Rule, role: Role) -> tuple[str, ...]:
    return tuple(name for name, piece in rule.removable.items() if role in piece.skips_roles)
