"""A histogram of magnitudes whose bins never change, so that times, layers and runs can be compared and added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

__all__ = ["LogHistogram"]

_LOW, _HIGH = -64, 63  # ⌊log₂|x|⌋ of the outermost bins, which take what lies beyond
_BINS = _HIGH - _LOW + 1


@final
@dataclass(frozen=True)
class LogHistogram:
    """How many elements have ⌊log₂|x|⌋ = e, by sign, for e from −64 to 63; smaller and larger ones go to the ends.

    Two histograms add up to that of both tensors: over ranks, layers or time. It is 258 numbers whatever the tensor's size;
    making one reads the tensor once and needs 8 bytes per element meanwhile.

    Args:
        positive: counts of x > 0, from 2⁻⁶⁴ upward.
        negative: counts of x < 0, the same way.
        zeros: how many are 0.
        nonfinite: how many are inf or nan.
    """

    positive: tuple[int, ...] = (0,) * _BINS
    negative: tuple[int, ...] = (0,) * _BINS
    zeros: int = 0
    nonfinite: int = 0

    @classmethod
    def of(cls, x: Tensor) -> LogHistogram:
        """Count the elements of a real or complex tensor (of the latter, real and imaginary parts)."""
        flat = (torch.view_as_real(x) if x.is_complex() else x).detach().reshape(-1)
        flat = flat if flat.dtype in {torch.float32, torch.float64} else flat.float()
        finite = flat.isfinite()
        exponent = torch.frexp(torch.where(finite, flat, 1.0)).exponent  # |x| = m·2^exponent with m in [½, 1)
        place = (exponent - 1).clamp_(_LOW, _HIGH).sub_(_LOW)
        place = torch.where(flat < 0, place + _BINS, place)
        place = torch.where(flat == 0, 2 * _BINS, place)
        place = torch.where(finite, place, 2 * _BINS + 1)
        counts = torch.bincount(place, minlength=2 * _BINS + 2).tolist()
        return cls(tuple(counts[:_BINS]), tuple(counts[_BINS : 2 * _BINS]), counts[-2], counts[-1])

    def __add__(self, other: LogHistogram) -> LogHistogram:
        """The histogram of both."""
        return LogHistogram(
            tuple(a + b for a, b in zip(self.positive, other.positive, strict=True)),
            tuple(a + b for a, b in zip(self.negative, other.negative, strict=True)),
            self.zeros + other.zeros,
            self.nonfinite + other.nonfinite,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the empty outer bins."""
        used = [i for i, count in enumerate(self.magnitudes) if count]
        span = slice(used[0], used[-1] + 1) if used else slice(0, 0)
        signed = {"first": span.start, "positive": self.positive[span], "negative": self.negative[span]}
        return {**signed, "zeros": self.zeros, "nonfinite": self.nonfinite}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LogHistogram:
        """Read what `to_json` gave."""
        before = [0] * data["first"]
        after = [0] * (_BINS - len(before) - len(data["positive"]))
        positive, negative = ((*before, *data[key], *after) for key in ("positive", "negative"))
        return cls(positive, negative, data["zeros"], data["nonfinite"])

    @property
    def total(self) -> int:
        """How many elements were counted."""
        return sum(self.positive) + sum(self.negative) + self.zeros + self.nonfinite

    @property
    def magnitudes(self) -> list[int]:
        """Counts by magnitude, both signs together, from 2⁻⁶⁴ upward."""
        return [a + b for a, b in zip(self.positive, self.negative, strict=True)]

    def quantile(self, q: float) -> float:
        """The magnitude below which a share q of the non-zero finite elements lies, exact to a factor of √2; nan if none."""
        counts = self.magnitudes
        left = q * sum(counts)
        for exponent, count in enumerate(counts, start=_LOW):
            left -= count
            if count and left <= 0:
                return 2.0 ** (exponent + 0.5)
        return float("nan")

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """Yield (lower end, upper end, count) in the order of the axis, without empty outer bins; zeros are (0, 0, count)."""
        used = [i for i, count in enumerate(self.magnitudes) if count]
        span = range(used[0], used[-1] + 1) if used else range(0)
        for i in reversed(span):
            yield -(2.0 ** (i + _LOW + 1)), -(2.0 ** (i + _LOW)), self.negative[i]
        yield 0.0, 0.0, self.zeros
        for i in span:
            yield 2.0 ** (i + _LOW), 2.0 ** (i + _LOW + 1), self.positive[i]
