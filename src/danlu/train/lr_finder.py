"""The learning rate range test: a short run over rising rates, after which everything is as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, final

import torch
from torch import nn

from danlu.keyed import seed_all
from danlu.ranges import Beta, Count, Positive, check, hints
from danlu.train.borrowed import borrowed
from danlu.train.feed import feed
from danlu.train.update import Update
from danlu.train.window import Accumulate

__all__ = ["LRCurve", "lr_find"]


@final
@dataclass(frozen=True)
class LRCurve:
    """Losses over rising learning rates. A suggestion is None when the loss never fell.

    Args:
        rates: of the first parameter group, rising geometrically; as far as the loss could be followed.
        losses: of the windows, each before the update with that rate.
        smoothed: their exponential average, debiased.
        diverged: the rate at which the loss had left for good, or None.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: float | None

    @property
    def tenth(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss (Smith 2017, arXiv:1506.01186, as fastai reads it)."""
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__, default=0)
        return self.rates[lowest] / 10 if lowest else None

    @property
    def valley(self) -> float | None:
        """The rate in the middle of the longest falling subsequence of the smoothed losses (fastai's default).

        The subsequence of m losses ends at index e; s = (m − 1)/3, and the rate is that at e − m + 1 + ⌊s⌋ + ⌊s/2⌋.
        """
        lengths = [1] * len(self.smoothed)
        for i, value in enumerate(self.smoothed):
            lengths[i] += max((lengths[j] for j in range(i) if self.smoothed[j] > value), default=0)
        longest = max(lengths, default=1)
        if longest == 1:
            return None
        third = (longest - 1) / 3
        return self.rates[max(0, lengths.index(longest) - longest + 1 + int(third) + int(third / 2))]

    def table(self, rows: int = 16) -> str:
        """Return the curve in lines, about `rows` of them, and the suggestions."""
        shown = sorted({round(i * (len(self.rates) - 1) / max(rows - 1, 1)) for i in range(rows)}) if self.rates else []
        lines = [f"{'lr':>10} {'loss':>12} {'smoothed':>12}"]
        lines += [f"{self.rates[i]:>10.3g} {self.losses[i]:>12.5g} {self.smoothed[i]:>12.5g}" for i in shown]
        found = {"valley": self.valley, "lowest/10": self.tenth, "diverged at": self.diverged}
        return "\n".join([*lines, "", *(f"{name:<12}{'-' if x is None else f'{x:.3g}'}" for name, x in found.items())])

    def png(self, path: str | PathLike[str]) -> None:
        """Draw the curve into a PNG file: the fall in full, and the beginning of the rise behind it.

        Raises:
            ImportError: without matplotlib, which is the extra ``danlu[plot]``.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("a PNG needs matplotlib: pip install 'danlu[plot]'; table() does without it") from None
        axes = (figure := Figure(figsize=(8, 4.5), dpi=150, layout="constrained")).subplots()
        axes.plot(self.rates, self.losses, alpha=0.3, label="loss")
        axes.plot(self.rates, self.smoothed, label="smoothed")
        for name, x, style in (("valley", self.valley, "--"), ("lowest/10", self.tenth, ":")):
            if x is not None:
                axes.axvline(x, color="black", linestyle=style, label=f"{name} {x:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Learning rate range test", ylim=self._shown())
        axes.legend(frameon=False)
        figure.savefig(path, format="png")

    def _shown(self) -> tuple[float, float] | None:
        """The losses until the smoothed one is lowest, and a quarter more: one that has diverged would flatten all others."""
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__, default=0)
        bottom, top = min(self.losses, default=0.0), max(self.losses[: lowest + 1], default=0.0)
        return (bottom - 0.05 * (top - bottom), top + 0.25 * (top - bottom)) if lowest and bottom < top else None


def lr_find(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Any],
    optimizer: torch.optim.Optimizer,
    train: Any,
    *,
    lowest: Positive = 1e-7,
    highest: Positive = 10.0,
    updates: Count = 100,
    accumulate: Accumulate = 1,
    clip: Positive | None = None,
    seed: int = 0,
    smoothing: Beta = 0.95,
    diverging: Positive = 4.0,
) -> LRCurve:
    """Make updates k = 0 … n − 1 with lr = lowest·(highest/lowest)^(k/(n − 1)) and record the loss; then undo them all.

    The test ends early when the smoothed loss exceeds `diverging` times the lowest one so far, or is not finite.
    Parameter groups keep their proportions to the first one. Afterwards weights, buffers, optimizer and random states
    are those before, bit for bit (`borrowed`); batches come from ``train``'s first epochs, keyed by `seed`.

    Read it with care. It is a test of the first updates of a run: it knows nothing of warm-up, decay or weight decay,
    which act over thousands; one with small batches is mostly noise; and an optimizer that sets its own rate (Prodigy,
    D-Adaptation) or clips has another law. A run at a third, at once and at three times the suggestion says more.

    Source: Smith 2017, Cyclical Learning Rates (arXiv:1506.01186), section 3.3. We smooth with a factor of 0.95 where
    fastai has 0.98, which lags fifty updates behind.

    Args:
        model: the model.
        loss: as in `Trainer`.
        optimizer: of the model.
        train: the data, as in `Trainer.fit`; not an iterator, whose batches would be gone.
        lowest: the first rate.
        highest: the last one.
        updates: n, at least 2.
        accumulate: batches per update.
        clip: as in `Trainer`.
        seed: for all that is random.
        smoothing: β of the average.
        diverging: when to give up.

    Returns:
        The curve, with suggestions.

    Raises:
        ValueError: on a value out of its range, or lowest ≥ highest.
        TypeError: when `train` can be read only once.
    """
    given = {"lowest": lowest, "highest": highest, "updates": updates, "accumulate": accumulate, "clip": clip}
    check("lr_find", hints(lr_find), {**given, "seed": seed, "smoothing": smoothing, "diverging": diverging})
    if updates < 2 or lowest >= highest:
        raise ValueError(f"lr_find: needs lowest < highest and 2 updates or more, got {lowest}, {highest} and {updates}")
    if isinstance(train, Iterator):
        raise TypeError("lr_find: train can be read only once, and the run would miss its batches; give a list or a loader")
    rates, losses, smoothed = list[float](), list[float](), list[float]()
    with borrowed(model, optimizer):
        model.train()
        update = Update(model, loss, optimizer, clip=clip, nonfinite="skip")
        base = [float(group["lr"]) for group in optimizer.param_groups]
        average = 0.0
        for k, (_, window) in zip(range(updates), feed(train, accumulate, seed), strict=False):
            rate = lowest * (highest / lowest) ** (k / (updates - 1))
            for group, own in zip(optimizer.param_groups, base, strict=True):
                _set(group, rate * (own / base[0] if base[0] else 1.0))
            seed_all(seed, "step", k)
            report = update(window)
            average = smoothing * average + (1 - smoothing) * report.loss
            value = average / (1 - smoothing ** (k + 1))
            if not math.isfinite(value) or value > diverging * min(smoothed, default=math.inf):
                return LRCurve(rates, losses, smoothed, rate)
            rates.append(rate)
            losses.append(report.loss)
            smoothed.append(value)
    return LRCurve(rates, losses, smoothed, None)


def _set(group: dict[str, Any], rate: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
