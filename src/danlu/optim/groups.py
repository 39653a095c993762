"""Parameter groups from ordered rules over roles and names, with a table that shows what became of every parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from danlu.optim.named import Named
from danlu.optim.roles import ROLES, Role, roles
from danlu.optim.roster import find_preset
from danlu.ranges import Positive, check

__all__ = ["When", "groups", "layer_decay", "table", "when"]


@dataclass(frozen=True)
class When:
    """What holds for the parameters that match; made by `when`.

    Args:
        match: roles and globs over names, any of which may match.
        settings: group options.
    """

    match: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, name: str, role: Role) -> bool:
        """Whether a parameter is meant."""
        return any(role == pattern if pattern in ROLES else fnmatchcase(name, pattern) for pattern in self.match)


def when(*match: str, **settings: Any) -> When:
    """Say what holds for some parameters.

    Args:
        *match: roles ("matrix", "conv", "embedding", "head", "vector", "scalar") and globs over names ("*.bias", "encoder.*").
        **settings: any option of the optimizer (``weight_decay=0.0``, ``lr=0.02``), and: ``lr_factor`` > 0 multiplies the
            optimizer's lr; ``frozen=True`` switches the gradient off and leaves the parameter out;
            ``without=("adaptive_clip",)`` takes pieces out of the rule; ``optimizer="muon"`` gives another rule, whose options
            may follow.

    Returns:
        The rule, for `groups`.

    Raises:
        ValueError: without a pattern, or for an lr_factor that is not positive.
    """
    if not match:
        raise ValueError('when() needs a role or a name pattern, such as when("vector", weight_decay=0.0)')
    check("when", {"lr_factor": Positive, "frozen": bool}, settings)
    return When(match, settings)


def groups(model: nn.Module, *rules: When, head: str | None = None) -> list[dict[str, Any]]:
    """Sort a model's trainable parameters into groups; each setting comes from the first rule that matches and sets it.

    So ``when("vector", weight_decay=0.0)`` and a layer-wise ``lr_factor`` hold together. Parameters that no rule matches form a
    group without settings: the optimizer's own options.

    Args:
        model: the model.
        *rules: rules, the first that sets an option wins.
        head: a glob for the output head's parameters; see `roles`.

    Returns:
        Group dicts with named parameters, for any of the optimizers; `table` shows them.

    Raises:
        ValueError: for a rule that matches no parameter.
        UnknownNameError: for an optimizer that does not exist.
    """
    found: dict[str, dict[str, Any]] = {}
    named = dict(model.named_parameters())
    by_role = roles(model, head)
    for rule in rules:
        if not any(rule.matches(name, role) for name, role in by_role.items()):
            present = ", ".join(sorted(set(by_role.values())))
            raise ValueError(f"groups: no parameter matches {' or '.join(rule.match)}; the roles here are {present}")
    for name, role in by_role.items():
        settings: dict[str, Any] = {}
        for rule in rules:
            if rule.matches(name, role):
                settings = {**rule.settings, **settings}
        if settings.pop("frozen", False):
            named[name].requires_grad_(False)
        if named[name].requires_grad:
            group = found.setdefault(repr(sorted(settings.items())), {"params": [], "roles": [], **_built(settings)})
            group["params"].append((name, named[name]))
            group["roles"].append(role)
    return list(found.values())


def layer_decay(model: nn.Module, rate: float) -> list[When]:
    """Rules for layer-wise lr decay: the last layer has factor 1, each one before it `rate` times the next one's.

    A layer is what the first number in a parameter's name tells ("blocks.3"), or else the first part of the name ("stem"), in
    the order of the definition.

    Args:
        model: the model.
        rate: in (0, 1]; 1 is off.

    Returns:
        One rule per layer.

    Raises:
        ValueError: for a rate out of its range.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"layer_decay: rate must be in (0, 1], got {rate!r}")
    layers = list(dict.fromkeys(_layer(name) for name, _ in model.named_parameters()))
    last = len(layers) - 1
    return [when(layer, f"{layer}.*", lr_factor=rate ** (last - i)) for i, layer in enumerate(layers)]


def table(made: Sequence[Mapping[str, Any]]) -> str:
    """Show groups as text: a line per parameter with its role, shape and settings.

    Args:
        made: what `groups` made, or the ``param_groups`` of an optimizer: those show which pieces left which parameters alone.
            A role that nobody asked for is "-".

    Returns:
        The table.
    """
    rows = [("parameter", "role", "shape", "settings")]
    for group in made:
        hidden = {"params", "roles", "param_names", "rule"}
        settings = {**({"optimizer": group["rule"].name} if "rule" in group else {}), **group}
        shown = " ".join(f"{key}={value}" for key, value in settings.items() if key not in hidden) or "-"
        pairs = zip(group["param_names"], group["params"], strict=True) if "param_names" in group else group["params"]
        for (name, p), role in zip(pairs, group.get("roles") or ["-"] * len(group["params"]), strict=True):
            rows.append((name, role, "x".join(map(str, p.shape)) or "()", shown))
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows)


def _layer(name: str) -> str:
    parts = name.split(".")
    for i, part in enumerate(parts[:-1]):
        if part.isdigit():
            return ".".join(parts[: i + 1])
    return parts[0]


def _built(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as a group holds them: another optimizer becomes its rule and its options."""
    rest = dict(settings)
    if "optimizer" not in rest:
        return rest
    preset = find_preset(rest.pop("optimizer"))
    own = {key: rest.pop(key) for key in list(rest) if key in preset.options}
    return {"lr": preset.lr, **rest, "rule": Named(preset, own)}
