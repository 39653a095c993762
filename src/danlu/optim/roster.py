"""The roster of named optimizers: functions from hyper-parameters to rules, with their names, defaults and sources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec

from danlu.docstrings import first_line, unverified
from danlu.optim.rule import Rule
from danlu.ranges import check, hints
from danlu.registry import Registry, refuse_unknown

__all__ = ["PRESETS", "Preset", "find_preset", "preset", "presets"]

P = ParamSpec("P")


@dataclass(frozen=True)
class Preset(Generic[P]):
    """A named optimizer: a function from hyper-parameters to a rule, with its default lr and its source.

    Calling it checks every argument against the range in its annotation. `routes` has the arguments that parameters of a role
    are given in place of the defaults, where roles are known, and `buffers` says whether a module's are averaged as well.
    """

    name: str
    build: Callable[P, Rule]
    lr: float
    source: str
    routes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    buffers: Literal["copy", "average"] = "copy"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Rule:
        """Return the rule.

        Raises:
            TypeError: for an unknown or a doubled argument.
            ValueError: for a value out of its range.
        """
        refuse_unknown(self.name, kwargs, self.options)
        bound = inspect.signature(self.build).bind(*args, **kwargs)
        check(self.name, self._hints, bound.arguments)
        return self.build(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[str], Preset[...]], tuple[str]]:
        return find_preset, (self.name,)  # pickled and copied by name: the function behind it is not importable

    @property
    def summary(self) -> str:
        """The formula: the first line of the docstring."""
        return first_line(self.build)

    @property
    def unverified(self) -> str:
        """Why the rule could not be checked against an independent source, or ""."""
        return unverified(self.build)

    @cached_property
    def options(self) -> Mapping[str, tuple[Any, Any]]:
        """Every hyper-parameter but lr: name -> (annotation with its range, default), in positional order."""
        parameters = inspect.signature(self.build).parameters
        return {name: (self._hints[name], parameter.default) for name, parameter in parameters.items()}

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        return hints(self.build)


PRESETS: Registry[Preset[...]] = Registry("optimizer")


def preset(
    *,
    lr: float,
    source: str,
    routes: Mapping[str, Mapping[str, Any]] | None = None,
    buffers: Literal["copy", "average"] = "copy",
) -> Callable[[Callable[P, Rule]], Preset[P]]:
    """Name a function from hyper-parameters to a rule, and enter it into the table of optimizers.

    Args:
        lr: the default learning rate.
        source: the paper or the code that the rule was taken from.
        routes: arguments by role, for parameters that want others than the rest.
        buffers: what an optimizer made from a module does with its buffers at the average, when nothing is said.

    Returns:
        The decorator; it turns the function into a `Preset`.
    """

    def add(build: Callable[P, Rule]) -> Preset[P]:
        made = Preset(build.__name__, build, lr, source, routes or {}, buffers)
        PRESETS.add(made.name, made)
        made.__dict__.update(__doc__=build.__doc__, __name__=build.__name__, __wrapped__=build)  # for help() and signatures
        return made

    return add


def find_preset(name: str) -> Preset[...]:
    """Return the preset `name`; an unknown name raises UnknownNameError with the nearest ones."""
    return PRESETS.get(name)


def presets() -> list[str]:
    """The names of all optimizers."""
    return list(PRESETS)
