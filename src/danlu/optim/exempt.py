"""Parameters that want another rule by their role: they get a group of their own.

A piece may leave roles alone, whose group is then without it, and a preset may have other arguments for some roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from danlu.optim.plan import Builder
from danlu.optim.roles import Role, roles
from danlu.optim.rule import Rule

__all__ = ["exempted"]


def exempted(members: list[Any], model: object, builder: Builder) -> list[Any]:
    """Return what an optimizer is made from, split by what its rule does with roles (`Piece.skips_roles`, `Builder.routes`).

    Roles are known when the optimizer is made from a module, or from what `groups` made of one; elsewhere nothing is split.
    What a group says itself holds: ``without``, or an option that its role would set. The bias beside a head's weight is of
    the head for pieces, and the vector that it is for routes.

    Args:
        members: parameters, named parameters or groups.
        model: the module, where the parameters are those of one.
        builder: where the rules of groups without one of their own come from.
    """
    if isinstance(model, nn.Module):
        kinds = roles(model)
        whole = {"params": members, "roles": [kinds[name] for name, _ in members]}
        parts = exempted([whole], None, builder)
        return parts if any(part.keys() != whole.keys() for part in parts) else members
    known = [group for group in members if isinstance(group, Mapping) and "roles" in group]
    heads = {name for group in known for (name, _), role in zip(group["params"], group["roles"], strict=True) if role == "head"}
    split = [list(_parts(x, builder, heads)) if any(x is group for group in known) else [x] for x in members]
    return [part for parts in split for part in parts]


def _parts(group: Mapping[str, Any], builder: Builder, heads: set[str]) -> Iterator[dict[str, Any]]:
    builder = group.get("rule", builder)
    rule = builder.build({key: group.get(key, default) for key, default in builder.options.items()})
    parts: dict[str, dict[str, Any]] = {}
    for (name, p), role in zip(group["params"], group["roles"], strict=True):
        owner, _, last = name.rpartition("bias")
        of_head = not last and f"{owner}weight" in heads
        without = _left_alone(rule, "head" if of_head else role)
        own = {**({"without": without} if without else {}), **builder.routes.get(role, {})}
        own = {key: x for key, x in own.items() if key not in group}
        part = parts.setdefault(repr(sorted(own.items())), {**group, "params": [], "roles": [], **own})
        part["params"].append((name, p))
        part["roles"].append(role)
    yield from parts.values()


def _left_alone(rule: Rule, role: Role) -> tuple[str, ...]:
    return tuple(name for name, piece in rule.removable.items() if role in piece.skips_roles)
