"""The workloads, and which of them no choice was ever made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tuning_free import data, models
from benchmarks.tuning_free.problem import Batch, Problem, classes, cross_entropy, numbers, squared_error
from danlu.data import long_tailed
from danlu.keyed import generator
from danlu.layers import RMSNorm
from danlu.task.models.resnet import ResNet, bare_resnet
from danlu.task.models.vit import ViT

__all__ = ["CHOICE", "HELD_OUT", "WORKLOADS", "Workload"]


@dataclass(frozen=True)
class Workload:
    """One thing to train.

    Args:
        name: short, unique.
        problem: makes the data, once per process.
        model: makes the model from torch's default generator.
        updates: the budget.
        normed: whether the network has normalisation layers.
    """

    name: str
    problem: Callable[[], Problem]
    model: Callable[[], nn.Module]
    updates: int
    normed: bool = False

    def data(self) -> Problem:
        """The problem; made once."""
        return _made(self.problem)


@cache
def _made(problem: Callable[[], Problem]) -> Problem:
    return problem()


def _digits(batch: int = 64) -> Problem:
    return classes(*data.digits(), batch)


def _noisy_labels() -> Problem:
    x, y, x_test, y_test = data.digits()
    draw = generator("tuning-free", "wrong labels")
    wrong = torch.rand(len(y), generator=draw) < 0.3
    return classes(x, torch.where(wrong, torch.randint(10, y.shape, generator=draw), y), x_test, y_test, 64)


def _long_tail() -> Problem:
    x, y, x_test, y_test = data.digits()
    kept = long_tailed(y, ratio=20.0)
    return classes(x[kept], y[kept], x_test, y_test, 64)


def _few() -> Problem:
    x, y, x_test, y_test = data.digits()
    return classes(x[:200], y[:200], x_test, y_test, 32)


def _columns(name: str, batch: int) -> Problem:
    return (numbers if name == "diabetes" else classes)(*data.columns(name), batch)


def _pixels(name: str, batch: int) -> Problem:
    image = data.elevation() if name == "elevation" else data.photograph(name)[:, 50:146, 100:196]
    return numbers(*data.pixels(image, name), batch)


def _table(values: Tensor, name: str, batch: int) -> Problem:
    """Places (row, column) of a table and its values."""
    places = torch.cartesian_prod(*map(torch.arange, values.shape))
    return numbers(*data.rows(places, values.flatten()[:, None], name), batch)


def _table_of_digits() -> Problem:
    return _table(data.digits()[0][:400].flatten(1), "table of digits", 512)


def _table_of_photograph() -> Problem:
    return _table(data.photograph("china")[1], "table of china", 1024)


def _windows(length: int, batch: int, targets: int) -> Problem:
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


def _patches(name: str, size: int, batch: int, spoil: Callable[[Tensor, torch.Generator], Tensor]) -> Problem:
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


def _noise(clean: Tensor, generator: torch.Generator) -> Tensor:
    return clean + 0.15 * torch.randn(clean.shape, generator=generator)


def _halve(clean: Tensor, _: torch.Generator) -> Tensor:
    return functional.avg_pool2d(clean, 2)


def _codes(code: int = 8) -> Problem:
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


def _symbols() -> int:
    return data.text()[2]


HE, LECUN = 2**0.5, 1.0
_normed = partial(Workload, normed=True)

# Constants of presets may be chosen with these ...
CHOICE = (
    Workload("digits_mlp", _digits, partial(models.plain, (64, 64, 64, 10)), 500),
    Workload("digits_deep_mlp", _digits, partial(models.plain, (64, *[40] * 14, 10), gain=HE), 500),
    _normed("digits_cnn_bn", _digits, partial(models.conv_net, 8, nn.BatchNorm2d), 300),
    Workload("digits_resnet_nf", _digits, partial(bare_resnet, 8, 5), 300),
    _normed("digits_vit_ln", _digits, partial(ViT, 32, 2, 2), 300),
    Workload("digits_tail", _long_tail, partial(models.plain, (64, 96, 10)), 500),
    _normed("digits_noisy_ln", _noisy_labels, partial(models.plain, (64, 64, 64, 10), norm=nn.LayerNorm), 500),
    _normed("chars_ln", partial(_windows, 32, 8, 32), lambda: models.Transformer(_symbols(), 32, 2, 2, nn.LayerNorm), 300),
    Workload("chars_gru", partial(_windows, 24, 16, 24), lambda: models.Recurrent(_symbols(), 48), 300),
    Workload("cancer_mlp", partial(_columns, "breast_cancer", 32), partial(models.plain, (30, 32, 32, 2)), 150),
    Workload("diabetes_mlp", partial(_columns, "diabetes", 32), partial(models.plain, (10, 32, 32, 1)), 150),
    Workload("digits_few", _few, partial(models.plain, (64, 64, 64, 10), nn.GELU), 300),
    _normed("digits_tail_conv", _long_tail, partial(models.conv_net, 8, partial(nn.GroupNorm, 1)), 300),
    Workload("flower_coord", partial(_pixels, "flower", 512), partial(models.plain, (2, *[48] * 4, 3), nn.GELU), 500),
    Workload("photo_coord", partial(_pixels, "china", 512), partial(models.Fourier, 32, 6.0, (48, 48, 48, 3)), 500),
    Workload("photo_denoise_nf", partial(_patches, "flower", 16, 8, _noise), partial(models.Restorer, 12, 3), 300),
    Workload("photo_factors", _table_of_photograph, partial(models.Factors, (213, 320), 16), 500),
)
# ... and with these none is: they are looked at when everything else is settled.
HELD_OUT = (
    _normed("digits_resnet_bn", _digits, partial(ResNet, 8, 4), 300),
    Workload("digits_tanh_deep", _digits, partial(models.plain, (64, *[40] * 10, 10), nn.Tanh, gain=LECUN), 500),
    _normed("digits_mixer_rms_tail", _long_tail, partial(models.mixer, 24, 2, RMSNorm), 300),
    _normed("chars_rms", partial(_windows, 48, 6, 48), lambda: models.Transformer(_symbols(), 36, 2, 3, RMSNorm), 300),
    Workload("chars_ngram", partial(_windows, 8, 64, 1), lambda: models.NGram(_symbols(), 8, 16, 96), 500),
    Workload("wine_mlp", partial(_columns, "wine", 32), partial(models.plain, (13, 32, 32, 3), nn.GELU), 150),
    Workload("elevation_coord", partial(_pixels, "elevation", 512), partial(models.plain, (2, *[48] * 5, 1), gain=HE), 500),
    Workload("photo_super_nf", partial(_patches, "china", 16, 8, _halve), partial(models.SuperResolver, 16), 400),
    Workload("digits_table", _table_of_digits, partial(models.table, (400, 64), 24, 48), 500),
    Workload("digits_vae", _codes, partial(models.VAE, 64, 64, 8), 500),
)
WORKLOADS = {workload.name: workload for workload in (*CHOICE, *HELD_OUT)}
