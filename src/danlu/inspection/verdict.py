"""What the readings mean, in words: which layer, what is wrong, and what usually helps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import final

from danlu.inspection.reading import Layer, Reading

__all__ = ["Verdict", "verdicts"]

# Rules of thumb, stated in the docs; each is a factor of several away from what a healthy run of the examples shows.
_FALL = 1e-3  # of the gradient's rms from the last layers to the first
_SILENT = 1e-7  # of the median layer's rms
_JUMP = 10.0  # times the median of the readings before
_GROWTH, _TIMES = 2.0, 4  # factor per reading, and how often in a row
_DEAD = 0.99  # share of zeros
_TAIL = 0.5  # share of the energy in the largest 1 %; a normal distribution has 0.085
_RATIO = (1e-5, 1e-1)  # of update to weight
_CLIPPED = 0.5  # share of the readings
_ELEMENTS = 100  # fewer say nothing about a distribution


@final
@dataclass(frozen=True)
class Verdict:
    """One finding.

    Args:
        kind: "vanishing", "exploding", "non-finite", "dead", "long tail", "small steps", "large steps" or "clipping".
        layer: the parameter's name, or "" when it is about the model.
        text: what was seen, with numbers.
        hint: what usually helps.
    """

    kind: str
    layer: str
    text: str
    hint: str

    def __str__(self) -> str:
        where = f" {self.layer}:" if self.layer else ":"
        return f"{self.kind}{where} {self.text}; {self.hint}"


def verdicts(readings: Sequence[Reading]) -> list[Verdict]:
    """Judge a run by its readings, in order of time; the last one counts, the others are what it is compared to.

    Returns:
        The findings, the worst kinds first; none for a healthy run, or one that was not looked at.
    """
    if not readings:
        return []
    last = readings[-1]
    found = [*_depth(last), *_clipping(readings)]
    for name, layer in last.layers.items():
        series = [r.layers[name].gradient.norm for r in readings if name in r.layers]
        ratio = median([x for r in readings if name in r.layers and (x := r.layers[name].ratio) == x] or [math.nan])
        told = (*_sick(layer), *_growing(series), *_moving(ratio))
        found += [Verdict(kind, name, text, hint) for kind, text, hint in told]
    order = ("non-finite", "exploding", "vanishing", "dead", "large steps", "small steps", "long tail", "clipping")
    return sorted(found, key=lambda verdict: order.index(verdict.kind))


def _sick(layer: Layer) -> Iterator[tuple[str, str, str]]:
    g = layer.gradient
    if g.nonfinite:
        yield (
            "non-finite",
            f"{100 * g.nonfinite:.3g} % of the gradient is inf or nan",
            "lower lr, clip, or train in bf16 or fp32",
        )
    if g.zeros > _DEAD:
        yield (
            "dead",
            f"{100 * g.zeros:.4g} % of the gradient is 0",
            "dead ReLUs or unused inputs: lower lr, or another activation",
        )
    elif g.top > _TAIL and layer.gradients.total >= _ELEMENTS:
        share = f"1 % of the elements hold {100 * g.top:.0f} % of the gradient's energy (normal: 8 %)"
        text = f"{share}, excess kurtosis {g.kurtosis:.3g}"
        yield "long tail", text, "adaptive clipping, a sign or atan2 direction, or class-balanced sampling"


def _moving(ratio: float) -> Iterator[tuple[str, str, str]]:
    """By the median over time: a schedule ends in small steps on purpose."""
    if ratio < _RATIO[0]:
        yield "small steps", f"the median update moves it by {ratio:.1g} of its norm", "raise lr, or look at clip"
    if ratio > _RATIO[1]:
        yield "large steps", f"the median update moves it by {ratio:.2g} of its norm", "lower lr, or warm up"


def _growing(series: Sequence[float]) -> Iterator[tuple[str, str, str]]:
    hint = "lower lr, clip the norm, or warm up"
    if len(series) > _TIMES and all(b > _GROWTH * a > 0 for a, b in zip(series[-_TIMES - 1 :], series[-_TIMES:], strict=False)):
        yield "exploding", f"the gradient's norm has doubled {_TIMES} times in a row, to {series[-1]:.3g}", hint
    elif len(series) > 2 and series[-1] > _JUMP * median(series[:-1]) > 0:
        yield (
            "exploding",
            f"the gradient's norm is {series[-1]:.3g}, {series[-1] / median(series[:-1]):.0f} times its median",
            hint,
        )


def _depth(reading: Reading) -> Iterator[Verdict]:
    """Gradients of the matrices in the model's order, which is taken for the depth."""
    rms = {name: x.gradient.rms for name, x in reading.layers.items() if x.gradients.total >= _ELEMENTS and x.gradient.rms > 0}
    if len(rms) < 3:
        return
    names, logs = list(rms), [math.log10(x) for x in rms.values()]
    middle = (len(logs) - 1) / 2
    slope = sum((i - middle) * y for i, y in enumerate(logs)) / sum((i - middle) ** 2 for i in range(len(logs)))
    rise = slope * (len(logs) - 1)
    hint = "residual connections, normalisation or another initialisation"
    if 10.0**-rise < _FALL:
        yield Verdict(
            "vanishing",
            names[0],
            f"the gradient's rms falls by a factor of 1e{rise:.0f} from the last layer to the first",
            hint,
        )
    elif 10.0**rise < _FALL:
        text = f"the gradient's rms grows by a factor of 1e{-rise:.0f} from the last layer to the first"
        yield Verdict("exploding", names[0], text, hint)
    for name, x in rms.items():
        if x < _SILENT * median(rms.values()):
            yield Verdict(
                "vanishing", name, f"the gradient's rms is {x:.1e}, the median layer's {median(rms.values()):.1e}", hint
            )


def _clipping(readings: Sequence[Reading]) -> Iterator[Verdict]:
    share = sum(r.clipped for r in readings) / len(readings)
    if share > _CLIPPED and len(readings) > 2:
        text = f"{100 * share:.0f} % of the updates looked at were clipped"
        yield Verdict("clipping", "", text, "the clip sets the step: raise it, or lower lr")
