"""The buffers of a module at the optimizer's average: BatchNorm's statistics belong to weights, and those are averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from danlu.optim.direction.plain import Plain
from danlu.optim.names import in_common, uncompiled
from danlu.optim.piece import Average
from danlu.optim.plan import Builder
from danlu.optim.rule import Rule
from danlu.optim.run.numbers import Numbers
from danlu.optim.run.point import average_of
from danlu.optim.run.views import compute_dtype
from danlu.optim.state import Saved, adopt, fresh
from danlu.optim.values import Tick
from danlu.ranges import check

__all__ = ["AtAverage", "Buffers", "buffers_of"]

AtAverage: TypeAlias = Literal["copy", "average"] | nn.Module


class Buffers:
    """What an average keeps for the floating buffers of a module, or nothing: then buffers are the model's own at every point.

    E starts at the buffer as the first step finds it and follows the law of the parameters' average, in float32 or wider, with
    a step count of its own: 4 bytes per element for `average.Ema`. Integers and complex numbers are the model's own, and so are
    elements that are not finite (the −inf of a mask), which count as 0 in E. The buffers are looked up in the module at every
    use, so that ``module.to(...)`` may replace them.

    Args:
        model: whose buffers are followed, or None.
    """

    def __init__(self, model: nn.Module | None) -> None:
        self._model = model
        self.state: dict[str, dict[str, Any]] = {}

    def follow(self, rules: Iterable[Rule], go: Tensor | None = None) -> None:
        """Take the module's buffers into their averages, after a step that was taken.

        Args:
            rules: of the optimizer.
            go: whether it was, where the host does not know.
        """
        if self._model is None or (rule := _watching(rules)) is None:
            return
        for name, buffer in self._floating():
            x = torch.where(buffer.isfinite(), buffer, 0.0).to(compute_dtype(buffer))
            state = self.state.setdefault(name, {"step": 0, **rule.memory, **fresh(rule, x)})
            tick = Tick(state["step"] + 1, 0.0, 1.0, {key: state[key] for key in rule.memory}, rule.shared)
            planes = {key: value for key, value in state.items() if isinstance(value, Tensor)}
            _, new = rule.structure.step(x, torch.zeros_like(x), planes, Numbers(rule, tick, {}).bound(x.dtype))
            if go is not None:
                new = {key: torch.where(go, value, planes[key]) for key, value in new.items()}
            state.update({**new, **rule.remember(tick), "step": tick.t})

    def points(self, rules: Sequence[Rule]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every buffer of the module with where the average has it; its own value where there is no average."""
        if self._model is None or (rule := _watching(rules)) is None:
            return
        for name, buffer in _named(self._model):
            point = average_of(buffer, self.state[name], rule) if name in self.state else None
            yield buffer, buffer if point is None else torch.where(buffer.isfinite(), point.to(buffer.dtype), buffer)

    def packed(self) -> dict[str, Any]:
        """What `Optimizer.state_dict` holds of it: "buffers", by name, or nothing when buffers are not averaged."""
        return {} if self._model is None else {"buffers": self.state}

    def adopted(self, packed: Mapping[str, Any], rules: Sequence[Rule], strict: bool) -> dict[str, dict[str, Any]]:
        """Return the state made from an optimizer's saved one, checked and copied; nothing is written.

        Raises:
            ValueError: for averaged buffers on one side only or under other names (strict only), or slots and shapes that do
                not fit.
        """
        saved = packed.get("buffers")
        if self._model is None or saved is None:
            if strict and (saved is None) != (self._model is None):
                raise ValueError(
                    f"load_state_dict: the state has {'no ' if saved is None else ''}averaged buffers, this optimizer has "
                    f"{'none: construct it with buffers=' + repr('average') if self._model is None else 'some'}; or load with "
                    "strict=False"
                )
            return {}
        theirs, ours = in_common(saved, {name: (name, buffer) for name, buffer in self._floating()})
        for label, names in (("missing", ours.keys() - theirs.keys()), ("unexpected", theirs.keys() - ours.keys())):
            if strict and theirs and names:
                raise ValueError(f"load_state_dict: averaged buffers: {label} {', '.join(sorted(names))}; or strict=False")
        rule = _watching(rules)
        assert rule is not None  # construction saw to it
        pairs = ((theirs[common], *own) for common, own in ours.items() if common in theirs)
        return {name: adopt(Saved(entry), buffer, rule, name) for entry, name, buffer in pairs}

    def _floating(self) -> Iterator[tuple[str, Tensor]]:
        assert self._model is not None
        return ((name, buffer) for name, buffer in _named(self._model) if buffer.is_floating_point())


def buffers_of(params: object, choice: AtAverage | None, rules: Sequence[Rule], builder: Builder) -> Buffers:
    """Return the buffers that an optimizer follows.

    Args:
        params: what the optimizer was made from.
        choice: "copy", "average", "average" said by the module itself, or None for the builder's choice.
        rules: the rules of its groups.
        builder: where the rules come from.

    Raises:
        ValueError: for averaged buffers without a module, without an average, or with one that moves the parameters.
    """
    owner = builder.name
    if choice is None:
        floating = isinstance(params, nn.Module) and any(x.is_floating_point() for x in params.buffers())
        choice = builder.buffers if floating and any(rule.average is not None for rule in rules) else "copy"
    if not isinstance(choice, nn.Module):
        check(owner, {"buffers": Literal["copy", "average"]}, {"buffers": choice})
    if choice == "copy":
        return Buffers(None)
    model = next((x for x in (choice, params) if isinstance(x, nn.Module)), None)
    if model is None:
        raise ValueError(f"{owner}: buffers='average' needs the module: construct the optimizer from it, or give buffers=model")
    found = [rule.average for rule in rules if rule.average is not None]
    if not found:
        raise ValueError(f"{owner}: buffers='average' needs an average, such as average=average.Ema(0.999)")
    if any(average.moves for average in found):
        raise ValueError(
            f"{owner}: buffers='average' has no meaning for average.{type(found[0]).__name__}, which moves the parameters; "
            "leave buffers='copy' and refresh statistics inside averaged() with danlu.layers.recalibrate"
        )
    return Buffers(model)


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The buffers under the names that they have without ``torch.compile``."""
    return ((uncompiled(name), buffer) for name, buffer in model.named_buffers())


def _watching(rules: Iterable[Rule]) -> Rule | None:
    """A rule that only averages, as the first rule with an average does."""
    found = next((rule.average for rule in rules if rule.average is not None), None)
    return None if found is None else _alone(found.alone)


@lru_cache(maxsize=8)
def _alone(average: Average) -> Rule:
    return Rule(Plain(), average=average)
