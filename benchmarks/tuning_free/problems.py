"""What the workloads are made of: data that come with scikit-learn, matplotlib and Python, batches, losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tuning_free import data
from benchmarks.tuning_free.problem import Batch, Problem, classes, cross_entropy, numbers, rows, squared_error
from danlu.data import long_tailed
from danlu.keyed import generator

__all__ = [
    "cancer_unscaled",
    "codes",
    "columns",
    "diabetes_unscaled",
    "digits",
    "digits_again",
    "few",
    "halve",
    "halves",
    "long_tail",
    "noise",
    "noisy_labels",
    "patches",
    "pixels",
    "prices",
    "sums",
    "symbols",
    "table_of_digits",
    "table_of_photograph",
    "waves",
    "windows",
]


def digits(batch: int = 64) -> Problem:
    return classes(*data.digits(), batch)


def noisy_labels() -> Problem:
    x, y, x_test, y_test = data.digits()
    draw = generator("tuning-free", "wrong labels")
    wrong = torch.rand(len(y), generator=draw) < 0.3
    return classes(x, torch.where(wrong, torch.randint(10, y.shape, generator=draw), y), x_test, y_test, 64)


def long_tail() -> Problem:
    x, y, x_test, y_test = data.digits()
    kept = long_tailed(y, ratio=20.0)
    return classes(x[kept], y[kept], x_test, y_test, 64)


def few() -> Problem:
    x, y, x_test, y_test = data.digits()
    return classes(x[:200], y[:200], x_test, y_test, 32)


def columns(name: str, batch: int) -> Problem:
    return (numbers if name == "diabetes" else classes)(*data.columns(name), batch)


def pixels(name: str, batch: int) -> Problem:
    image = data.elevation() if name == "elevation" else data.photograph(name)[:, 50:146, 100:196]
    return numbers(*data.pixels(image, name), batch)


def table(values: Tensor, name: str, batch: int) -> Problem:
    """Places (row, column) of a table and its values."""
    places = torch.cartesian_prod(*map(torch.arange, values.shape))
    return numbers(*data.rows(places, values.flatten()[:, None], name), batch)


def table_of_digits() -> Problem:
    return table(data.digits()[0][:400].flatten(1), "table of digits", 512)


def table_of_photograph() -> Problem:
    return table(data.photograph("china")[1], "table of china", 1024)


def windows(length: int, batch: int, targets: int) -> Problem:
    """Windows of a text; the last `targets` of the characters after each place are predicted."""
    train, test, symbols = data.text()
    held_out = test[: 8192 // length * length + 1]

    def draw(generator: torch.Generator) -> Batch:
        starts = torch.randint(len(train) - length, (batch, 1), generator=generator)
        windows = train[starts + torch.arange(length + 1)]
        return windows[:, :-1], windows[:, -targets:]

    shown = held_out[:-1].view(-1, length), held_out[1:].view(-1, length)[:, -targets:]
    shares = (torch.bincount(train, minlength=symbols) + 1.0) / (len(train) + symbols)
    trivial = float(-shares.log()[shown[1]].mean())
    return Problem(draw, cross_entropy, shown, trivial, shown)


def patches(name: str, size: int, batch: int, spoil: Callable[[Tensor, torch.Generator], Tensor]) -> Problem:
    """Pieces of a photograph to be made from spoilt ones, its right third held out. Trivial is to leave them spoilt."""
    image = data.photograph(name) - 0.5
    edge = image.shape[2] * 2 // 3
    every = image.unfold(1, size, size).unfold(2, size, size)
    held_out = every[:, :, edge // size + 1 :].permute(1, 2, 0, 3, 4).flatten(0, 1)
    fixed = generator("tuning-free", name, "patches")

    def draw(generator: torch.Generator) -> Batch:
        tops = torch.randint(image.shape[1] - size + 1, (batch,), generator=generator).tolist()
        lefts = torch.randint(edge - size + 1, (batch,), generator=generator).tolist()
        clean = torch.stack([image[:, a : a + size, b : b + size] for a, b in zip(tops, lefts, strict=True)])
        return spoil(clean, generator), clean

    shown = spoil(held_out, fixed), held_out
    same = functional.interpolate(shown[0], size=(size, size))
    return Problem(draw, squared_error, shown, float((same - held_out).square().mean()), shown)


def noise(clean: Tensor, generator: torch.Generator) -> Tensor:
    return clean + 0.15 * torch.randn(clean.shape, generator=generator)


def halve(clean: Tensor, _: torch.Generator) -> Tensor:
    return functional.avg_pool2d(clean, 2)


def codes(code: int = 8) -> Problem:
    """Digits to be coded; the loss is the bound on −log p of an image, per pixel, pixels as shares of ink."""
    x, _, x_test, _ = data.digits()
    x, x_test = x.flatten(1), x_test.flatten(1)

    def draw(generator: torch.Generator) -> Batch:
        rows = torch.randint(len(x), (64,), generator=generator)
        return x[rows], torch.randn(64, code, generator=generator)

    def bound(model: nn.Module, batch: Batch) -> Tensor:
        logits, mean, log_variance = model(*batch)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / batch[0].numel()
        return functional.binary_cross_entropy_with_logits(logits, batch[0]) + divergence

    shown = x_test, torch.randn(len(x_test), code, generator=generator("tuning-free", "codes"))
    ink = x.mean(0).clamp(1e-3, 1 - 1e-3)
    trivial = float(functional.binary_cross_entropy(ink.expand_as(x_test), x_test))
    return Problem(draw, bound, shown, trivial, shown)


def symbols() -> int:
    return data.text()[2]


def digits_again() -> Problem:
    """Digits to be made again from themselves, through a narrow layer."""
    x, _, x_test, _ = data.digits()
    return numbers(x, x, x_test, x_test, 64)


def halves() -> Problem:
    """Which lower half belongs to which upper half: the loss of matching each with all of the batch, both ways (CLIP)."""
    x, _, x_test, _ = data.digits()

    def matching(model: nn.Module, batch: Batch) -> Tensor:
        logits = model(batch[0])
        own = torch.arange(len(logits))
        return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.mT, own)) / 2

    return Problem(rows(x, x, 64), matching, (x_test[:128], x_test[:128]), math.log(128), (x, x))


def sums(modulus: int) -> Problem:
    """a + b modulo a prime, from 0.7 of all pairs (Power et al. 2022)."""
    pairs = torch.cartesian_prod(torch.arange(modulus), torch.arange(modulus))
    x, y, x_test, y_test = data.rows(pairs, pairs.sum(1) % modulus, "sums", 0.3)
    return Problem(rows(x, y, 128), cross_entropy, (x_test, y_test), math.log(modulus), (x, y))


def diabetes_unscaled() -> Problem:
    """Diabetes with a target around 15 that nobody has centred."""
    x, y, x_test, y_test = data.columns("diabetes")
    return numbers(x, y / 10, x_test, y_test / 10, 32, scaled=False)


def cancer_unscaled() -> Problem:
    """Breast cancer with columns as measured, between 0.001 and 4254."""
    from sklearn.datasets import load_breast_cancer

    x, y = (torch.from_numpy(array) for array in load_breast_cancer(return_X_y=True))
    return classes(*data.rows(x.float(), y.long(), "breast cancer, unscaled", 0.4), 32)


def prices() -> Problem:
    """The size of a day's change of a share's price from those of the 20 days before; the last 0.3 of the days held out."""
    from matplotlib.cbook import get_sample_data

    stored: Any = get_sample_data("goog.npz")
    sizes = torch.from_numpy(stored["price_data"]["adj_close"].astype("float64")).log().diff().abs().float()
    days = 30 * sizes.unfold(0, 21, 1)
    last = int(0.7 * len(days))
    return numbers(days[:last, :20], days[:last, 20:], days[last:, :20], days[last:, 20:], 64)


def waves() -> Problem:
    """Two sines and noise, 600 points on a line; these data and those of `sums` are made, all others are real."""
    x = torch.linspace(-1, 1, 600)[:, None]
    noisy = 0.2 * torch.randn(600, 1, generator=generator("tuning-free", "waves"))
    return numbers(*data.rows(x, (12 * x).sin() + 0.5 * (37 * x + 1).sin() + noisy, "waves"), 64)
