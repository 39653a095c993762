"""What holds between every family's oracle and its presets, whatever the family's `walk` is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from danlu import optim
from tests.golden.replay import gap
from tests.papers.problem import problem

__all__ = ["check_defaults", "check_options_move"]


def check_options_move(walk: Callable[..., Any], name: str, options: Mapping[str, Any], least: float) -> None:
    """Every option of a set moves the oracle by at least `least` when it is left out."""
    p0, grads, lrs = problem(seed=2)
    with_all = walk(name, p0, grads, lrs, **options)
    for knob in options:
        rest = {key: value for key, value in options.items() if key != knob}
        assert gap(walk(name, p0, grads, lrs, **rest), with_all) >= least, knob


def check_defaults(walk: Callable[..., Any], name: str, sets: Sequence[Mapping[str, Any]]) -> None:
    """The sets name every option of the preset, and the preset's defaults are the oracle's."""
    preset = optim.preset(name)
    assert {key for options in sets for key in options} == preset.options.keys()
    p0, grads, lrs = problem(seed=3)
    ours = {key: default for key, (_, default) in preset.options.items()}
    assert gap(walk(name, p0, grads, lrs, **ours), walk(name, p0, grads, lrs)) == 0.0
